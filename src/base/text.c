/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <string.h>

static const char digits[] = "0123456789abcdef";

void ls_hex_encode(const void *bytes, size_t n, char *text) {
  const unsigned char *from = bytes;
  for (size_t i = 0; i < n; i++) {
    *text++ = digits[from[i] >> 4];
    *text++ = digits[from[i] & 15];
  }
}

static int hex_of(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int64_t ls_hex_decode(const char *text, size_t n, unsigned char *bytes) {
  for (size_t i = 0; i < n; i++) {
    int digit = hex_of(text[i]);
    if (digit < 0)
      return -1 - (int64_t)i;
    if (i % 2 == 0)
      bytes[i / 2] = (unsigned char)(digit << 4);
    else
      bytes[i / 2] |= (unsigned char)digit;
  }
  return n % 2 == 0 ? (int64_t)(n / 2) : -1 - (int64_t)n;
}

static const char alphabets[2][65] = {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};

size_t ls_base64_encode(const void *bytes, size_t n, bool url, char *text) {
  const unsigned char *from = bytes, *end = from + n - n % 3;
  const char *alphabet = alphabets[url];
  char *to = text;
  for (; from < end; from += 3) {
    uint32_t three = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
    *to++ = alphabet[three >> 18];
    *to++ = alphabet[three >> 12 & 63];
    *to++ = alphabet[three >> 6 & 63];
    *to++ = alphabet[three & 63];
  }
  if (n % 3 != 0) {
    uint32_t rest = (uint32_t)from[0] << 16 | (n % 3 == 2 ? (uint32_t)from[1] << 8 : 0);
    *to++ = alphabet[rest >> 18];
    *to++ = alphabet[rest >> 12 & 63];
    if (n % 3 == 2)
      *to++ = alphabet[rest >> 6 & 63];
    for (; !url && (to - text) % 4 != 0; to++)
      *to = '=';
  }
  return (size_t)(to - text);
}

/* 64: no character of the alphabet. */
static unsigned value_of(char c, bool url) {
  if (c >= 'A' && c <= 'Z')
    return (unsigned)(c - 'A');
  if (c >= 'a' && c <= 'z')
    return (unsigned)(c - 'a') + 26;
  if (c >= '0' && c <= '9')
    return (unsigned)(c - '0') + 52;
  if (c == (url ? '-' : '+'))
    return 62;
  return c == (url ? '_' : '/') ? 63 : 64;
}

/* The last two or three characters, of a group that is not whole. */
static int64_t decode_rest(const char *text, size_t at, size_t n, bool url, unsigned char *bytes) {
  unsigned values[3] = {0};
  for (size_t i = 0; i < n; i++) {
    values[i] = value_of(text[at + i], url);
    if (values[i] == 64)
      return -1 - (int64_t)(at + i);
  }
  if (n == 1)
    return -1 - (int64_t)(at + 1);
  if ((n == 2 ? values[1] & 15 : values[2] & 3) != 0)
    return -1 - (int64_t)(at + n - 1);
  bytes[0] = (unsigned char)(values[0] << 2 | values[1] >> 4);
  bytes[1] = (unsigned char)(values[1] << 4 | values[2] >> 2);
  return (int64_t)n - 1;
}

int64_t ls_base64_decode(const char *text, size_t n, bool url, unsigned char *bytes) {
  size_t padding = 0;
  while (n % 4 == 0 && padding < 2 && padding < n && text[n - 1 - padding] == '=')
    padding++;
  size_t len = n - padding, whole = len - len % 4;
  unsigned char *to = bytes;
  for (size_t i = 0; i < whole; i += 4) {
    unsigned a = value_of(text[i], url), b = value_of(text[i + 1], url), c = value_of(text[i + 2], url),
             d = value_of(text[i + 3], url);
    if ((a | b | c | d) >= 64) {
      size_t wrong = a == 64 ? 0 : b == 64 ? 1 : c == 64 ? 2 : 3;
      return -1 - (int64_t)(i + wrong);
    }
    *to++ = (unsigned char)(a << 2 | b >> 4);
    *to++ = (unsigned char)(b << 4 | c >> 2);
    *to++ = (unsigned char)(c << 6 | d);
  }
  if (len == whole)
    return padding == 0 ? to - bytes : -1 - (int64_t)len;
  int64_t rest = decode_rest(text, whole, len - whole, url, to);
  if (rest >= 0 && !url && padding == 0)
    return -1 - (int64_t)n;
  return rest < 0 ? rest : to - bytes + rest;
}
