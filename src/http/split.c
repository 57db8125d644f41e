/* SPDX-License-Identifier: MIT */
#include "http/split.h"

#include <llhttp.h>
#include <string.h>

#include "http/octet.h"

enum {
  SHORTEST = 18,    /* bytes of "GET / HTTP/1.0", CR LF, CR LF */
  VERSION_LEN = 11, /* " HTTP/1.1\r\n" */
  NAME_MAX = 256
};

/* Behind the method and its space; NULL: it is another. */
static const char *skip_method(struct ls_head *head, const char *at) {
#define TRY(name)                                  \
  if (memcmp(at, #name " ", sizeof(#name)) == 0) { \
    head->method = HTTP_##name;                    \
    return at + sizeof(#name);                     \
  }
  TRY(GET)
  TRY(POST)
  TRY(PUT)
  TRY(PATCH)
  TRY(DELETE)
  TRY(HEAD)
  TRY(OPTIONS)
#undef TRY
  return NULL;
}

/* The request line: where the next one begins, or NULL. */
static const char *split_line(struct ls_head *head, const struct ls_http_limits *limits, const char *bytes,
                              const char *end) {
  const char *target = skip_method(head, bytes);
  if (target == NULL || *target != '/')
    return NULL;
  const char *version = memchr(target, ' ', (size_t)(end - target));
  if (version == NULL || (size_t)(version - target) > limits->max_url || end - version < VERSION_LEN)
    return NULL;
  if (memcmp(version, " HTTP/1.", 8) != 0 || (version[8] != '0' && version[8] != '1') ||
      memcmp(version + 9, "\r\n", 2) != 0)
    return NULL;
  head->url = (uint32_t)(target - bytes);
  head->url_len = (uint32_t)(version - target);
  head->major = 1;
  head->minor = (uint8_t)(version[8] - '0');
  return version + VERSION_LEN;
}

/* The same of the field whose line begins at `at`. Of blanks behind a value llhttp takes some and refuses others. */
static const char *split_field(struct ls_head *head, const char *bytes, const char *at, const char *end) {
  size_t left = (size_t)(end - at);
  const char *colon = memchr(at, ':', left < NAME_MAX ? left : NAME_MAX);
  if (colon == NULL)
    return NULL;
  const char *value = colon + 1;
  while (value < end && ls_octet_is_blank(*value))
    value++;
  const char *cr = memchr(value, '\r', (size_t)(end - value));
  if (cr == NULL || end - cr < 2 || cr[1] != '\n' || (cr > value && ls_octet_is_blank(cr[-1])))
    return NULL;
  size_t len = (size_t)(cr - value);
  struct ls_head_field *field = ls_field_value_is_valid(ls_slice(value, len)) ? ls_head_add(head) : NULL;
  if (field == NULL)
    return NULL;
  field->name = (uint32_t)(at - bytes);
  field->name_len = (uint16_t)(colon - at);
  field->value = (uint32_t)(value - bytes);
  field->value_len = (uint32_t)len;
  return cr + 2;
}

size_t ls_split_head(struct ls_head *head, const struct ls_http_limits *limits, const char *bytes, size_t len) {
  const char *end = bytes + len;
  const char *at = len < SHORTEST ? NULL : split_line(head, limits, bytes, end);
  if (at == NULL)
    return 0;
  const char *fields = at;
  while (end - at >= 2 && *at != '\r') {
    at = head->count < limits->max_headers ? split_field(head, bytes, at, end) : NULL;
    if (at == NULL)
      return 0;
  }
  bool ends = end - at >= 2 && at[1] == '\n';
  return ends && (size_t)(at - fields) <= limits->max_header_bytes ? (size_t)(at + 2 - bytes) : 0;
}
