/* SPDX-License-Identifier: MIT */
/* text: bytes as text: hexadecimal, and base64 with its two alphabets (RFC 4648). */
#ifndef LS_BASE_TEXT_H
#define LS_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of n bytes, in lower case: 2 * n characters. */
void ls_hex_encode(const void *bytes, size_t n, char *text);

/* text of n characters, in any case, into up to n / 2 bytes. How many, or -1 - i: the character at i is wrong, or missing. */
int64_t ls_hex_decode(const char *text, size_t n, unsigned char *bytes);

/* How many characters n bytes take at most. */
static inline size_t ls_base64_size(size_t n) {
  return (n + 2) / 3 * 4;
}

/* url: the alphabet with '-' and '_', and no '=' at the end (RFC 4648 5, RFC 7515 2); else '+', '/' and padding. How many
 * characters. */
size_t ls_base64_encode(const void *bytes, size_t n, bool url, char *text);

/* Into up to n / 4 * 3 + 2 bytes. Strict: nothing but the alphabet, padding exactly where it belongs (with url: there or
 * not at all), unused bits are 0, so that one value has one text. How many bytes, or -1 - i as above. */
int64_t ls_base64_decode(const char *text, size_t n, bool url, unsigned char *bytes);

#endif
