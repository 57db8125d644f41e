/* SPDX-License-Identifier: MIT */
/* url: request targets (RFC 9112 3.2), dot segments (RFC 3986 5.2.4), percent-encoding and form pairs. */
#include "http/url.h"

#include "base/error.h"
#include "http/octet.h"

static struct ls_slice until(struct ls_slice text, size_t end) {
  return ls_slice(text.ptr, end);
}

static struct ls_slice after(struct ls_slice text, size_t start) {
  return ls_slice(text.ptr + start, text.len - start);
}

/* Where the first of the stops is; len: nowhere. */
static size_t find_any(struct ls_slice text, const char *stops) {
  for (size_t i = 0; i < text.len; i++)
    if (text.ptr[i] != '\0' && strchr(stops, text.ptr[i]) != NULL)
      return i;
  return text.len;
}

static size_t find(struct ls_slice text, char c) {
  const char *at = text.len == 0 ? NULL : memchr(text.ptr, c, text.len);
  return at == NULL ? text.len : (size_t)(at - text.ptr);
}

static int split_origin(struct ls_slice target, struct ls_url *url) {
  size_t mark = find(target, '?');
  url->path = until(target, mark);
  if (mark < target.len)
    url->query = after(target, mark + 1);
  return 0;
}

static int split_absolute(struct ls_slice target, struct ls_url *url) {
  size_t colon = find_any(target, ":/?");
  if (colon == 0 || colon + 3 > target.len || memcmp(target.ptr + colon, "://", 3) != 0)
    return LS_EPROTO;
  url->scheme = until(target, colon);
  struct ls_slice rest = after(target, colon + 3);
  size_t end = find_any(rest, "/?");
  if (end == 0)
    return LS_EPROTO;
  url->authority = until(rest, end);
  split_origin(after(rest, end), url);
  if (url->path.len == 0)
    url->path = ls_slice("/", 1);
  return 0;
}

int ls_url_split(struct ls_slice target, struct ls_url *url) {
  *url = (struct ls_url){0};
  if (target.len == 0)
    return LS_EPROTO;
  if (target.ptr[0] == '/')
    return split_origin(target, url);
  if (target.ptr[0] != '*')
    return split_absolute(target, url);
  url->path = target;
  return target.len == 1 ? 0 : LS_EPROTO;
}

bool ls_url_is_host(struct ls_slice host) {
  size_t i = 0;
  if (host.len != 0 && host.ptr[0] == '[') {
    for (i = 1; i < host.len && host.ptr[i] != ']'; i++)
      if (host.ptr[i] != ':' && !ls_octet_is(host.ptr[i], LS_OCTET_HOST))
        return false;
    if (i++ == host.len)
      return false;
  } else {
    while (i < host.len && ls_octet_is(host.ptr[i], LS_OCTET_HOST))
      i++;
  }
  if (i < host.len && host.ptr[i++] != ':')
    return false;
  while (i < host.len && host.ptr[i] >= '0' && host.ptr[i] <= '9')
    i++;
  return i == host.len;
}

bool ls_url_is_normal(struct ls_slice path) {
  if (find(path, '%') < path.len)
    return false;
  for (size_t dot = find(path, '.'); dot < path.len;) {
    if (dot > 0 && path.ptr[dot - 1] == '/')
      return false;
    dot += 1 + find(after(path, dot + 1), '.');
  }
  return true;
}

static int hex_of(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that %XX at text stands for; -1: it is not that. */
static int decoded(struct ls_slice text) {
  if (text.len < 3 || text.ptr[0] != '%')
    return -1;
  int high = hex_of(text.ptr[1]), low = hex_of(text.ptr[2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* How many dots the segment consists of, 1 or 2; 0: it is another segment. */
static unsigned dots_of(struct ls_slice segment) {
  unsigned dots = 0;
  while (segment.len != 0 && dots < 3) {
    if (segment.ptr[0] == '.')
      segment = after(segment, 1);
    else if (decoded(segment) == '.')
      segment = after(segment, 3);
    else
      return 0;
    dots++;
  }
  return dots == 3 ? 0 : dots;
}

bool ls_url_escapes_are_valid(struct ls_slice path) {
  for (size_t i = find(path, '%'); i < path.len; i++)
    if (path.ptr[i] == '%' && decoded(after(path, i)) <= 0)
      return false;
  return true;
}

/* Without the last "/segment". */
static size_t drop_segment(const char *out, size_t len) {
  while (len > 0 && out[len - 1] != '/')
    len--;
  return len > 0 ? len - 1 : 0;
}

int64_t ls_url_normalise(struct ls_slice path, char *out) {
  if (!ls_url_escapes_are_valid(path))
    return LS_EPROTO;
  if (path.len == 0 || path.ptr[0] != '/') {
    memmove(out, path.ptr, path.len);
    return (int64_t)path.len;
  }
  size_t len = 0;
  struct ls_slice rest = path;
  while (rest.len != 0) { /* at a '/' */
    rest = after(rest, 1);
    size_t end = find(rest, '/');
    struct ls_slice segment = until(rest, end);
    unsigned dots = dots_of(segment);
    bool is_last = end == rest.len;
    rest = after(rest, end);
    if (dots == 2)
      len = drop_segment(out, len);
    if (dots == 0) {
      out[len++] = '/';
      memmove(out + len, segment.ptr, segment.len);
      len += segment.len;
    } else if (is_last) {
      out[len++] = '/';
    }
  }
  return (int64_t)len;
}

bool ls_url_path(struct ls_slice target, char *room, size_t size, struct ls_slice *path) {
  struct ls_url url;
  if (ls_url_split(target, &url) != 0)
    return false;
  *path = url.path;
  if (ls_url_is_normal(url.path))
    return true;
  int64_t len = url.path.len > size ? -1 : ls_url_normalise(url.path, room);
  *path = ls_slice(room, (size_t)len);
  return len >= 0;
}

size_t ls_url_decode(struct ls_slice in, bool plus, char *out) {
  size_t len = 0;
  while (in.len != 0) {
    int byte = decoded(in);
    if (byte >= 0) {
      out[len++] = (char)byte;
      in = after(in, 3);
      continue;
    }
    out[len++] = plus && in.ptr[0] == '+' ? ' ' : in.ptr[0];
    in = after(in, 1);
  }
  return len;
}

bool ls_url_next_pair(struct ls_slice *rest, struct ls_slice *name, struct ls_slice *value) {
  while (rest->len != 0) {
    size_t end = find(*rest, '&');
    struct ls_slice pair = until(*rest, end);
    *rest = after(*rest, end < rest->len ? end + 1 : end);
    if (pair.len == 0)
      continue;
    size_t equals = find(pair, '=');
    *name = until(pair, equals);
    *value = equals < pair.len ? after(pair, equals + 1) : ls_slice(NULL, 0);
    return true;
  }
  return false;
}
