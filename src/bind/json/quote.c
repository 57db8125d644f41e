/* SPDX-License-Identifier: MIT */
/* quote: strings for the encoder where they are not plain: what has to be escaped (RFC 8259 7), and UTF-8. */
#include "bind/json/encode.h"

enum { CHUNK = 512 }; /* bytes of a string between two looks at the room */

/* Writes the byte c, which may not stand in a string as it is. Returns the place behind it, at most 6 bytes on. */
static char *write_escape(char *out, unsigned char c) {
  static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
  const char *found = memchr(plain, c, sizeof plain - 1);
  *out++ = '\\';
  if (found != NULL) {
    *out++ = letters[found - plain];
    return out;
  }
  memcpy(out, "u00", 3);
  out[3] = hex[c >> 4];
  out[4] = hex[c & 15];
  return out + 5;
}

/* Writes the character at *s that is not plain. NULL when it is not valid UTF-8, and replace does not say what to do then. */
static char *write_special(char *out, const char **s, const char *end, bool replace) {
  static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
  unsigned char c = (unsigned char)**s;
  size_t n;
  if (c < 0x80) {
    (*s)++;
    return write_escape(out, c);
  }
  n = ls_json_utf8_length((const unsigned char *)*s, (const unsigned char *)end);
  if (n == 0 && !replace)
    return NULL;
  if (n == 0) {
    (*s)++;
    memcpy(out, replacement, 3);
    return out + 3;
  }
  memcpy(out, *s, n);
  *s += n;
  return out + n;
}

/* Writes the characters that start before stop; out has room for 6 bytes for each and 16 more. */
static char *write_run(char *out, const char **from, const char *stop, const char *end, bool replace) {
  const char *s = *from;
  while (out != NULL && s < stop) {
    if (stop - s >= 8) {
      size_t n = ls_json_plain_run(s);
      memcpy(out, s, 8); /* all 8, plain or not: a fixed size is cheaper, and the rest is written over */
      s += n;
      out += n;
      if (n == 8) {
        continue;
      }
    }
    if (ls_json_is_plain((unsigned char)*s)) {
      *out++ = *s++;
    } else {
      out = write_special(out, &s, end, replace);
    }
  }
  *from = s;
  return out;
}

char *ls_json_quote_rest(struct ls_json_encoder *e, char *out, const char *s, const char *end, const char *what) {
  while (s < end) {
    const char *stop = end - s > CHUNK ? s + CHUNK : end;
    out = ls_json_reserve(e, out, 6 * (size_t)(stop - s));
    out = write_run(out, &s, stop, end, e->options.replace_invalid);
    if (out == NULL)
      ls_json_refuse(e, lua_pushfstring(e->L, "cannot encode a %s that is not valid UTF-8", what), "");
  }
  *out = '"'; /* in the room behind */
  return out + 1;
}
