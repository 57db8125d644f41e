/* SPDX-License-Identifier: MIT */
#include "http/cookie.h"

#include <string.h>

#include "http/field.h"

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
    *name = ls_field_trim(ls_slice(start, (size_t)(equals - start)));
    *value = unquote(ls_field_trim(ls_slice(equals + 1, (size_t)(stop - equals - 1))));
    if (name->len > 0)
      return true;
  }
  return false;
}
