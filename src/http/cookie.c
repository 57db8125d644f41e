/* SPDX-License-Identifier: MIT */
#include "http/cookie.h"

#include <string.h>

static bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

static struct ls_slice trim(const char *first, const char *end) {
  while (first < end && is_blank(*first))
    first++;
  while (end > first && is_blank(end[-1]))
    end--;
  return ls_slice(first, (size_t)(end - first));
}

static struct ls_slice unquote(struct ls_slice value) {
  bool quoted = value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"';
  return quoted ? ls_slice(value.ptr + 1, value.len - 2) : value;
}

bool ls_cookie_next(struct ls_slice *rest, struct ls_slice *name, struct ls_slice *value) {
  while (rest->len > 0) {
    const char *start = rest->ptr, *end = start + rest->len;
    const char *semicolon = memchr(start, ';', rest->len), *stop = semicolon != NULL ? semicolon : end;
    const char *next = semicolon != NULL ? semicolon + 1 : end;
    *rest = ls_slice(next, (size_t)(end - next));
    const char *equals = memchr(start, '=', (size_t)(stop - start));
    if (equals == NULL)
      continue;
    *name = trim(start, equals);
    *value = unquote(trim(equals + 1, stop));
    if (name->len > 0)
      return true;
  }
  return false;
}
