/* SPDX-License-Identifier: MIT */
/* field: a name's length and one of its bytes leave one candidate; comparing with that one decides. */
#include "http/field.h"

#include <stdint.h>

#include "http/octet.h"

#define NAME(text) \
  { text, sizeof(text) - 1 }

static const struct ls_slice names[LS_FIELDS] = {
    [LS_FIELD_OTHER] = NAME(""),
    [LS_FIELD_ACCEPT] = NAME("accept"),
    [LS_FIELD_ACCEPT_ENCODING] = NAME("accept-encoding"),
    [LS_FIELD_ACCEPT_LANGUAGE] = NAME("accept-language"),
    [LS_FIELD_ACCEPT_RANGES] = NAME("accept-ranges"),
    [LS_FIELD_AUTHORIZATION] = NAME("authorization"),
    [LS_FIELD_CACHE_CONTROL] = NAME("cache-control"),
    [LS_FIELD_CONNECTION] = NAME("connection"),
    [LS_FIELD_CONTENT_DISPOSITION] = NAME("content-disposition"),
    [LS_FIELD_CONTENT_ENCODING] = NAME("content-encoding"),
    [LS_FIELD_CONTENT_LENGTH] = NAME("content-length"),
    [LS_FIELD_CONTENT_TYPE] = NAME("content-type"),
    [LS_FIELD_COOKIE] = NAME("cookie"),
    [LS_FIELD_DATE] = NAME("date"),
    [LS_FIELD_ETAG] = NAME("etag"),
    [LS_FIELD_EXPECT] = NAME("expect"),
    [LS_FIELD_FORWARDED] = NAME("forwarded"),
    [LS_FIELD_HOST] = NAME("host"),
    [LS_FIELD_IF_MATCH] = NAME("if-match"),
    [LS_FIELD_IF_MODIFIED_SINCE] = NAME("if-modified-since"),
    [LS_FIELD_IF_NONE_MATCH] = NAME("if-none-match"),
    [LS_FIELD_IF_RANGE] = NAME("if-range"),
    [LS_FIELD_IF_UNMODIFIED_SINCE] = NAME("if-unmodified-since"),
    [LS_FIELD_KEEP_ALIVE] = NAME("keep-alive"),
    [LS_FIELD_LAST_MODIFIED] = NAME("last-modified"),
    [LS_FIELD_LOCATION] = NAME("location"),
    [LS_FIELD_ORIGIN] = NAME("origin"),
    [LS_FIELD_RANGE] = NAME("range"),
    [LS_FIELD_REFERER] = NAME("referer"),
    [LS_FIELD_SEC_FETCH_DEST] = NAME("sec-fetch-dest"),
    [LS_FIELD_SEC_FETCH_MODE] = NAME("sec-fetch-mode"),
    [LS_FIELD_SEC_FETCH_SITE] = NAME("sec-fetch-site"),
    [LS_FIELD_SEC_FETCH_USER] = NAME("sec-fetch-user"),
    [LS_FIELD_SERVER] = NAME("server"),
    [LS_FIELD_SET_COOKIE] = NAME("set-cookie"),
    [LS_FIELD_TE] = NAME("te"),
    [LS_FIELD_TRAILER] = NAME("trailer"),
    [LS_FIELD_TRANSFER_ENCODING] = NAME("transfer-encoding"),
    [LS_FIELD_UPGRADE] = NAME("upgrade"),
    [LS_FIELD_UPGRADE_INSECURE_REQUESTS] = NAME("upgrade-insecure-requests"),
    [LS_FIELD_USER_AGENT] = NAME("user-agent"),
    [LS_FIELD_VARY] = NAME("vary"),
    [LS_FIELD_X_FORWARDED_FOR] = NAME("x-forwarded-for"),
    [LS_FIELD_X_FORWARDED_HOST] = NAME("x-forwarded-host"),
    [LS_FIELD_X_FORWARDED_PROTO] = NAME("x-forwarded-proto"),
};

#define LETTER(upper, lower, id) \
  case upper:                    \
  case lower:                    \
    return id;

static enum ls_field_id short_candidate(const char *name, size_t len) {
  switch (len) {
  case 2:
    return LS_FIELD_TE;
  case 4:
    switch (name[0]) {
      LETTER('H', 'h', LS_FIELD_HOST)
      LETTER('D', 'd', LS_FIELD_DATE)
      LETTER('E', 'e', LS_FIELD_ETAG)
    default:
      return LS_FIELD_VARY;
    }
  case 5:
    return LS_FIELD_RANGE;
  case 6:
    switch (name[0]) {
      LETTER('A', 'a', LS_FIELD_ACCEPT)
      LETTER('C', 'c', LS_FIELD_COOKIE)
      LETTER('E', 'e', LS_FIELD_EXPECT)
      LETTER('O', 'o', LS_FIELD_ORIGIN)
    default:
      return LS_FIELD_SERVER;
    }
  case 7:
    switch (name[0]) {
      LETTER('R', 'r', LS_FIELD_REFERER)
      LETTER('T', 't', LS_FIELD_TRAILER)
    default:
      return LS_FIELD_UPGRADE;
    }
  case 8:
    switch (name[3]) {
      LETTER('M', 'm', LS_FIELD_IF_MATCH)
      LETTER('R', 'r', LS_FIELD_IF_RANGE)
    default:
      return LS_FIELD_LOCATION;
    }
  case 9:
    return LS_FIELD_FORWARDED;
  default:
    return LS_FIELD_OTHER;
  }
}

static enum ls_field_id long_candidate(const char *name, size_t len) {
  switch (len) {
  case 10:
    switch (name[0]) {
      LETTER('C', 'c', LS_FIELD_CONNECTION)
      LETTER('K', 'k', LS_FIELD_KEEP_ALIVE)
      LETTER('S', 's', LS_FIELD_SET_COOKIE)
    default:
      return LS_FIELD_USER_AGENT;
    }
  case 12:
    return LS_FIELD_CONTENT_TYPE;
  case 13:
    switch (name[0]) {
      LETTER('C', 'c', LS_FIELD_CACHE_CONTROL)
      LETTER('I', 'i', LS_FIELD_IF_NONE_MATCH)
      LETTER('L', 'l', LS_FIELD_LAST_MODIFIED)
    default:
      return name[1] == 'u' || name[1] == 'U' ? LS_FIELD_AUTHORIZATION : LS_FIELD_ACCEPT_RANGES;
    }
  case 14:
    switch (name[10]) {
      LETTER('D', 'd', LS_FIELD_SEC_FETCH_DEST)
      LETTER('M', 'm', LS_FIELD_SEC_FETCH_MODE)
      LETTER('S', 's', LS_FIELD_SEC_FETCH_SITE)
      LETTER('U', 'u', LS_FIELD_SEC_FETCH_USER)
    default:
      return LS_FIELD_CONTENT_LENGTH;
    }
  case 15:
    switch (name[7]) {
      LETTER('E', 'e', LS_FIELD_ACCEPT_ENCODING)
      LETTER('L', 'l', LS_FIELD_ACCEPT_LANGUAGE)
    default:
      return LS_FIELD_X_FORWARDED_FOR;
    }
  case 16:
    return name[0] == 'c' || name[0] == 'C' ? LS_FIELD_CONTENT_ENCODING : LS_FIELD_X_FORWARDED_HOST;
  case 17:
    switch (name[0]) {
      LETTER('I', 'i', LS_FIELD_IF_MODIFIED_SINCE)
      LETTER('T', 't', LS_FIELD_TRANSFER_ENCODING)
    default:
      return LS_FIELD_X_FORWARDED_PROTO;
    }
  case 19:
    return name[0] == 'c' || name[0] == 'C' ? LS_FIELD_CONTENT_DISPOSITION : LS_FIELD_IF_UNMODIFIED_SINCE;
  case 25:
    return LS_FIELD_UPGRADE_INSECURE_REQUESTS;
  default:
    return LS_FIELD_OTHER;
  }
}

/* Eight bytes against eight of a common name, which has only lower-case letters and '-'. Bit 5 makes letters lower
 * case; it would also make '-' of CR, which the second test keeps out: letters and '-' have bit 5 or 6. */
static bool eight_equal(const char *bytes, const char *lower) {
  const uint64_t bit5 = 0x2020202020202020u;
  uint64_t a, b;
  memcpy(&a, bytes, 8);
  memcpy(&b, lower, 8);
  return (a | bit5) == b && ((a | a >> 1) & bit5) == bit5;
}

static inline unsigned char lower_of(char c) {
  unsigned char u = (unsigned char)c;
  return u >= 'A' && u <= 'Z' ? u | 0x20 : u;
}

static bool equals_common(const char *bytes, const char *lower, size_t len) {
  if (len < 8) {
    for (size_t i = 0; i < len; i++)
      if (lower_of(bytes[i]) != (unsigned char)lower[i])
        return false;
    return true;
  }
  for (size_t i = 0; i + 8 <= len; i += 8)
    if (!eight_equal(bytes + i, lower + i))
      return false;
  return eight_equal(bytes + len - 8, lower + len - 8);
}

enum ls_field_id ls_field_lookup(struct ls_slice name) {
  enum ls_field_id id = name.len < 10 ? short_candidate(name.ptr, name.len) : long_candidate(name.ptr, name.len);
  return equals_common(name.ptr, names[id].ptr, names[id].len) ? id : LS_FIELD_OTHER;
}

struct ls_slice ls_field_name(enum ls_field_id id) {
  return names[id];
}

bool ls_field_name_is_valid(struct ls_slice name) {
  for (size_t i = 0; i < name.len; i++)
    if (!ls_octet_is(name.ptr[i], LS_OCTET_TOKEN))
      return false;
  return name.len != 0;
}

/* Whether none of eight bytes is a control character: subtracting makes bit 7 of those below, and of zeros, and borrows
 * only behind one of them. */
static bool eight_visible(const char *bytes) {
  const uint64_t ones = 0x0101010101010101u;
  uint64_t word;
  memcpy(&word, bytes, 8);
  uint64_t del = word ^ ones * 0x7f; /* 0 where it is DEL */
  uint64_t found = ((word - ones * 0x20) & ~word) | ((del - ones) & ~del);
  return (found & ones * 0x80) == 0;
}

/* At least eight; the last ones are looked at together, whichever of them have been before. */
static bool all_visible(struct ls_slice value) {
  for (size_t i = 0; i + 8 < value.len; i += 8)
    if (!eight_visible(value.ptr + i))
      return false;
  return eight_visible(value.ptr + value.len - 8);
}

bool ls_field_value_is_valid(struct ls_slice value) {
  if (value.len >= 8 && all_visible(value))
    return true;
  for (size_t i = 0; i < value.len; i++) {
    unsigned char c = (unsigned char)value.ptr[i];
    if ((c < 0x20 && c != '\t') || c == 0x7f)
      return false;
  }
  return true;
}

bool ls_field_may_trail(struct ls_slice name) {
  static const struct ls_slice others[] = {NAME("age"),          NAME("content-range"),   NAME("expires"),
                                           NAME("max-forwards"), NAME("pragma"),          NAME("proxy-authenticate"),
                                           NAME("retry-after"),  NAME("www-authenticate")};
  enum ls_field_id id = ls_field_lookup(name);
  for (size_t i = 0; id == LS_FIELD_OTHER && i < sizeof others / sizeof *others; i++)
    if (ls_field_name_equal(name, others[i]))
      return false;
  return id == LS_FIELD_OTHER || id == LS_FIELD_ACCEPT_RANGES || id == LS_FIELD_CONTENT_DISPOSITION ||
         id == LS_FIELD_ETAG || id == LS_FIELD_SERVER;
}

bool ls_field_name_equal(struct ls_slice a, struct ls_slice b) {
  if (a.len != b.len)
    return false;
  for (size_t i = 0; i < a.len; i++)
    if (lower_of(a.ptr[i]) != lower_of(b.ptr[i]))
      return false;
  return true;
}

struct ls_slice ls_field_trim(struct ls_slice text) {
  while (text.len != 0 && ls_octet_is_blank(text.ptr[0]))
    text = ls_slice(text.ptr + 1, text.len - 1);
  while (text.len != 0 && ls_octet_is_blank(text.ptr[text.len - 1]))
    text.len--;
  return text;
}

static bool separates(char c) {
  return c == ',' || ls_octet_is_blank(c);
}

bool ls_field_list_has(struct ls_slice list, struct ls_slice word) {
  size_t end;
  for (size_t at = 0; at < list.len; at = end + 1) {
    for (end = at; end < list.len && !separates(list.ptr[end]);)
      end++;
    if (ls_field_name_equal(ls_slice(list.ptr + at, end - at), word))
      return true;
  }
  return false;
}
