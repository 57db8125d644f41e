/* SPDX-License-Identifier: MIT */
#include "http/disposition.h"

#include <stdbool.h>

#define FRONT "attachment; filename=\""
#define EXTENDED "; filename*=UTF-8''"

static bool is_alphanumeric(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* attr-char of RFC 8187 3.2.1: what needs no percent. */
static bool is_attr_char(unsigned char c) {
  return is_alphanumeric(c) || (c != '\0' && strchr("!#$&+-.^_`|~", c) != NULL);
}

/* '%' is none here, because some browsers decode it in a plain filename. */
static bool is_plain(unsigned char c) {
  return c >= 0x20 && c < 0x7f && c != '%';
}

static char *put_quoted(char *p, struct ls_slice name, bool *all_plain) {
  for (size_t i = 0; i < name.len; i++) {
    unsigned char c = (unsigned char)name.ptr[i];
    if (!is_plain(c)) {
      bool inside = (c & 0xc0) == 0x80; /* of a character that has its '_' already */
      *all_plain = false;
      if (!inside)
        *p++ = '_';
      continue;
    }
    if (c == '"' || c == '\\')
      *p++ = '\\';
    *p++ = (char)c;
  }
  return p;
}

static char *put_extended(char *p, struct ls_slice name) {
  static const char digits[] = "0123456789ABCDEF";
  for (size_t i = 0; i < name.len; i++) {
    unsigned char c = (unsigned char)name.ptr[i];
    if (is_attr_char(c)) {
      *p++ = (char)c;
    } else {
      *p++ = '%';
      *p++ = digits[c >> 4];
      *p++ = digits[c & 15];
    }
  }
  return p;
}

size_t ls_disposition_format(struct ls_slice name, char *out) {
  bool all_plain = true;
  memcpy(out, FRONT, sizeof FRONT - 1);
  char *p = put_quoted(out + sizeof FRONT - 1, name, &all_plain);
  *p++ = '"';
  if (!all_plain) {
    memcpy(p, EXTENDED, sizeof EXTENDED - 1);
    p = put_extended(p + sizeof EXTENDED - 1, name);
  }
  return (size_t)(p - out);
}
