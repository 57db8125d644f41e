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

/* Writes the character at *s, which is beyond ASCII. NULL when it is not valid UTF-8, and replace does not say what to do
 * then. */
static inline char *write_wide(char *out, const char **s, bool replace) {
  static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
  size_t n = ls_json_utf8_length(*s);
  const char *from = n != 0 ? *s : replacement;
  if (n == 0 && !replace)
    return NULL;
  *s += n != 0 ? n : 1;
  n = n != 0 ? n : 3;
  memcpy(out, from, 2);
  if (n > 2)
    memcpy(out + n - 2, from + n - 2, 2);
  return out + n;
}

/* Writes the characters that start before stop; out has room for 6 bytes for each and 16 more. */
static char *write_run(char *out, const char **from, const char *stop, bool replace) {
  const char *s = *from;
  while (out != NULL && s < stop) {
    if ((unsigned char)*s >= 0x80) {
      out = write_wide(out, &s, replace);
    } else if (stop - s >= 8) {
      size_t n = ls_json_plain_run(s);
      memcpy(out, s, 8); /* all 8, plain or not: a fixed size is cheaper, and the rest is written over */
      s += n;
      out += n;
      if (n < 8 && (unsigned char)*s < 0x80)
        out = write_escape(out, (unsigned char)*s++);
    } else if (ls_json_is_plain((unsigned char)*s)) {
      *out++ = *s++;
    } else {
      out = write_escape(out, (unsigned char)*s++);
    }
  }
  *from = s;
  return out;
}

char *ls_json_quote_rest(struct ls_json_encoder *e, char *out, const char *s, const char *end, const char *what) {
  while (s < end) {
    const char *stop = end - s > CHUNK ? s + CHUNK : end;
    out = ls_json_reserve(e, out, 6 * (size_t)(stop - s));
    out = write_run(out, &s, stop, e->options.replace_invalid);
    if (out == NULL)
      ls_json_refuse(e, lua_pushfstring(e->L, "cannot encode a %s that is not valid UTF-8", what), "");
  }
  *out = '"'; /* in the room behind */
  return out + 1;
}
