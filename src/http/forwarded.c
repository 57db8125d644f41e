/* SPDX-License-Identifier: MIT */
#include "http/forwarded.h"

#include "http/url.h"

/* One element: what a proxy says of the one that it has the request from. */
struct hop {
  enum ls_forwarded_client client; /* LS_CLIENT_KNOWN or LS_CLIENT_UNKNOWN */
  struct ls_ip ip;
  uint16_t port;
  enum ls_forwarded_scheme scheme;
  struct ls_slice host;
};

static struct ls_slice until(struct ls_slice text, size_t end) {
  return ls_slice(text.ptr, end);
}

static struct ls_slice after(struct ls_slice text, size_t start) {
  return ls_slice(text.ptr + start, text.len - start);
}

static size_t find(struct ls_slice text, char c) {
  const char *at = text.len == 0 ? NULL : memchr(text.ptr, c, text.len);
  return at == NULL ? text.len : (size_t)(at - text.ptr);
}

static bool equals_word(struct ls_slice text, const char *lower) {
  return ls_field_name_equal(text, ls_slice_of(lower));
}

/* ---- the elements of a list, from the right ---- */

struct cursor {
  const struct ls_head *head;
  enum ls_field_id id;
  uint32_t line;        /* index of the field that rest is of */
  struct ls_slice rest; /* not taken yet */
};

static struct cursor begin(const struct ls_head *head, enum ls_field_id id) {
  return (struct cursor){.head = head, .id = id, .line = head->count};
}

/* The field of this name before the one at hand. */
static bool previous_line(struct cursor *cursor) {
  while (cursor->line > 0)
    if (cursor->head->fields[--cursor->line].id == cursor->id) {
      cursor->rest = ls_head_value(cursor->head, cursor->line);
      return true;
    }
  return false;
}

static bool is_escaped(struct ls_slice text, size_t at) {
  size_t from = at;
  while (from > 0 && text.ptr[from - 1] == '\\')
    from--;
  return (at - from) % 2 != 0;
}

/* Where the last element begins. Quotes are matched from the right as well: those of the elements that trusted proxies
 * have added are in order, and what a client has put before them cannot draw them into a string of its own. */
static size_t last_start(struct ls_slice text, bool quotes) {
  bool inside = false;
  for (size_t i = text.len; i > 0; i--) {
    char c = text.ptr[i - 1];
    if (quotes && c == '"' && !(inside && is_escaped(text, i - 1)))
      inside = !inside;
    else if (c == ',' && !inside)
      return i;
  }
  return 0;
}

/* Takes the last element that is not empty (RFC 9110 5.6.1.2). False: there is none. */
static bool take_last(struct cursor *cursor, struct ls_slice *element) {
  for (;;) {
    if (cursor->rest.len == 0 && !previous_line(cursor))
      return false;
    size_t start = last_start(cursor->rest, cursor->id == LS_FIELD_FORWARDED);
    *element = ls_field_trim(after(cursor->rest, start));
    cursor->rest = until(cursor->rest, start > 0 ? start - 1 : 0);
    if (element->len != 0)
      return true;
  }
}

/* ---- nodes: RFC 7239 section 6 ---- */

/* "_" and what may follow it, in a hidden name or port. */
static bool is_obfuscated(struct ls_slice text) {
  if (text.len < 2 || text.ptr[0] != '_')
    return false;
  for (size_t i = 1; i < text.len; i++) {
    char c = text.ptr[i], letter = (char)(c | 0x20);
    if (!(c >= '0' && c <= '9') && !(letter >= 'a' && letter <= 'z') && c != '.' && c != '_' && c != '-')
      return false;
  }
  return true;
}

static bool parse_number(struct ls_slice text, uint16_t *number) {
  uint32_t value = 0;
  for (size_t i = 0; i < text.len; i++) {
    if (i == 5 || text.ptr[i] < '0' || text.ptr[i] > '9')
      return false;
    value = value * 10 + (uint32_t)(text.ptr[i] - '0');
  }
  *number = (uint16_t)value;
  return text.len != 0 && value <= UINT16_MAX;
}

/* What follows the name of a node: nothing, or ":" and a port, which may be hidden too. */
static bool parse_port(struct ls_slice text, struct hop *hop) {
  if (text.len == 0)
    return true;
  text = after(text, 1);
  return is_obfuscated(text) || parse_number(text, &hop->port);
}

static bool parse_node(struct ls_slice node, struct hop *hop) {
  bool is_literal = node.len != 0 && node.ptr[0] == '[';
  size_t end = find(node, is_literal ? ']' : ':');
  struct ls_slice name = until(node, end);
  if (is_literal) {
    if (end == node.len)
      return false;
    name = after(name, 1);
    end++;
  }
  if (end < node.len && node.ptr[end] != ':')
    return false;
  if (ls_ip_parse(name, &hop->ip)) {
    hop->client = LS_CLIENT_KNOWN;
    if (is_literal != (find(name, ':') < name.len))
      return false; /* brackets are for IPv6 */
  } else if (is_literal || (!equals_word(name, "unknown") && !is_obfuscated(name))) {
    return false;
  }
  return parse_port(after(node, end), hop);
}

/* X-Forwarded-For has no grammar: IPv6 stands without brackets as a rule, with them where there is a port. */
static bool parse_x_node(struct ls_slice node, struct hop *hop) {
  if (!ls_ip_parse(node, &hop->ip))
    return parse_node(node, hop);
  hop->client = LS_CLIENT_KNOWN;
  return true;
}

/* ---- the pairs of a Forwarded element: RFC 7239 section 4 ---- */

/* Of other schemes nothing is known here. */
static enum ls_forwarded_scheme scheme_of(struct ls_slice text) {
  if (equals_word(text, "https"))
    return LS_SCHEME_HTTPS;
  return equals_word(text, "http") ? LS_SCHEME_HTTP : LS_SCHEME_UNTOLD;
}

static bool is_host(struct ls_slice text) {
  return text.len != 0 && text.ptr[0] != ':' && ls_url_is_host(text);
}

/* Length of the token or quoted string at the start; 0: it is neither. */
static size_t value_length(struct ls_slice text) {
  size_t end = 0;
  if (text.len == 0 || text.ptr[0] != '"') {
    while (end < text.len && ls_field_name_is_valid(ls_slice(text.ptr + end, 1)))
      end++;
    return end;
  }
  for (end = 1; end < text.len && text.ptr[end] != '"'; end++)
    if (text.ptr[end] == '\\')
      end++;
  return end < text.len ? end + 1 : 0;
}

enum { PARAMETER_FOR = 1, PARAMETER_PROTO = 2, PARAMETER_HOST = 4, PARAMETER_BY = 8 };

static unsigned parameter_of(struct ls_slice name) {
  if (equals_word(name, "for"))
    return PARAMETER_FOR;
  if (equals_word(name, "proto"))
    return PARAMETER_PROTO;
  if (equals_word(name, "host"))
    return PARAMETER_HOST;
  return equals_word(name, "by") ? PARAMETER_BY : 0;
}

/* Nothing that is valid here has a character which needs a backslash in front (RFC 9110 5.6.4): with one it fails. */
static bool take_parameter(unsigned parameter, struct ls_slice value, struct hop *hop) {
  switch (parameter) {
  case PARAMETER_FOR:
    return parse_node(value, hop);
  case PARAMETER_PROTO:
    hop->scheme = scheme_of(value);
    return value.len != 0;
  case PARAMETER_HOST:
    hop->host = value;
    return is_host(value);
  default:
    return true;
  }
}

/* Takes "name=value" off the front of text. False: it is malformed, or a parameter that was there before. */
static bool take_pair(struct ls_slice *text, unsigned *seen, struct hop *hop) {
  size_t equals = find(*text, '=');
  if (equals == text->len || !ls_field_name_is_valid(until(*text, equals)))
    return false;
  unsigned parameter = parameter_of(until(*text, equals));
  *text = after(*text, equals + 1);
  size_t len = value_length(*text);
  if (len == 0 || (parameter & *seen) != 0)
    return false;
  *seen |= parameter;
  struct ls_slice value = until(*text, len);
  if (value.ptr[0] == '"')
    value = ls_slice(value.ptr + 1, len - 2);
  *text = ls_field_trim(after(*text, len));
  return take_parameter(parameter, value, hop);
}

static bool parse_element(struct ls_slice text, struct hop *hop) {
  unsigned seen = 0;
  while (text.len != 0) {
    if (text.ptr[0] != ';' && !take_pair(&text, &seen, hop))
      return false;
    if (text.len != 0 && text.ptr[0] != ';')
      return false;
    text = text.len == 0 ? text : ls_field_trim(after(text, 1));
  }
  return true;
}

/* ---- the walk ---- */

static bool parse_hop(enum ls_field_id id, struct ls_slice element, struct hop *hop) {
  *hop = (struct hop){.client = LS_CLIENT_UNKNOWN};
  return id == LS_FIELD_FORWARDED ? parse_element(element, hop) : parse_x_node(element, hop);
}

/* The writer of the last element is trusted. Scheme and host are those that the outermost trusted proxy tells. */
static void walk(const struct ls_head *head, enum ls_field_id id, const struct ls_cidr_set *trusted,
                 struct ls_forwarded *result) {
  struct cursor cursor = begin(head, id);
  struct ls_slice element;
  struct hop hop;
  while (take_last(&cursor, &element)) {
    if (!parse_hop(id, element, &hop))
      hop = (struct hop){.client = LS_CLIENT_UNKNOWN};
    result->client = hop.client;
    result->ip = hop.ip;
    result->port = hop.client == LS_CLIENT_KNOWN ? hop.port : 0;
    if (hop.scheme != LS_SCHEME_UNTOLD)
      result->scheme = hop.scheme;
    if (hop.host.len != 0)
      result->host = hop.host;
    if (hop.client != LS_CLIENT_KNOWN || !ls_cidr_set_has(trusted, &hop.ip))
      return;
  }
}

/* ---- X-Forwarded-Proto, -Host, -Port ---- */

static bool has_port(struct ls_slice host) {
  size_t bracket = find(host, ']');
  struct ls_slice rest = bracket == host.len ? host : after(host, bracket);
  return find(rest, ':') < rest.len;
}

/* The default port of the scheme is not worth telling. */
static uint16_t read_port(const struct ls_head *head, enum ls_forwarded_scheme scheme) {
  struct ls_slice name = ls_slice_of("x-forwarded-port"), value = {0};
  uint16_t port;
  for (int i = ls_head_find(head, name, 0); i >= 0; i = ls_head_find(head, name, (uint32_t)i + 1))
    value = ls_head_value(head, (uint32_t)i);
  if (value.len == 0 || !parse_number(ls_field_trim(after(value, last_start(value, false))), &port))
    return 0;
  return port == (scheme == LS_SCHEME_HTTPS ? 443 : 80) ? 0 : port;
}

static void read_x(const struct ls_head *head, const struct ls_cidr_set *trusted, struct ls_forwarded *result) {
  struct cursor proto = begin(head, LS_FIELD_X_FORWARDED_PROTO), host = begin(head, LS_FIELD_X_FORWARDED_HOST);
  struct ls_slice element;
  walk(head, LS_FIELD_X_FORWARDED_FOR, trusted, result);
  if (take_last(&proto, &element))
    result->scheme = scheme_of(element);
  if (!take_last(&host, &element) || !is_host(element))
    return;
  result->host = element;
  if (!has_port(element))
    result->host_port = read_port(head, result->scheme);
}

/* ---- both ---- */

static bool has_x(const struct ls_head *head) {
  return ls_head_get(head, LS_FIELD_X_FORWARDED_FOR).ptr != NULL ||
         ls_head_get(head, LS_FIELD_X_FORWARDED_PROTO).ptr != NULL ||
         ls_head_get(head, LS_FIELD_X_FORWARDED_HOST).ptr != NULL;
}

/* Ports are told by few. */
static bool say_the_same(const struct ls_forwarded *a, const struct ls_forwarded *b) {
  return a->client == b->client && ls_ip_equal(&a->ip, &b->ip) && a->scheme == b->scheme &&
         ls_slice_equal(a->host, b->host) && a->host_port == b->host_port;
}

struct ls_forwarded ls_forwarded_read(const struct ls_head *head, enum ls_forwarded_fields fields,
                                      const struct ls_ip *peer, const struct ls_cidr_set *trusted) {
  struct ls_forwarded result = {0}, x = {0};
  if (!ls_cidr_set_has(trusted, peer))
    return result;
  bool has_rfc7239 = fields != LS_FORWARDED_X && ls_head_get(head, LS_FIELD_FORWARDED).ptr != NULL;
  if (has_rfc7239)
    walk(head, LS_FIELD_FORWARDED, trusted, &result);
  if (fields == LS_FORWARDED_RFC7239 || !has_x(head))
    return result;
  read_x(head, trusted, &x);
  if (has_rfc7239 && !say_the_same(&result, &x))
    return (struct ls_forwarded){.client = LS_CLIENT_UNKNOWN};
  return x;
}
