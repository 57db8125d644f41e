/* SPDX-License-Identifier: MIT */
/* digits: integers as decimal text, two digits at a time. */
#ifndef LS_BASE_DIGITS_H
#define LS_BASE_DIGITS_H

#include <stdint.h>
#include <string.h>

enum { LS_DIGITS_MAX = 20 }; /* of any integer with its sign */

/* 10 to the power of 0 to 19. */
extern const uint64_t ls_digits_powers[20];

/* "00" to "99", one behind the other. */
extern const char ls_digits_pairs[201];

/* How many value has. Of b bits 0.301 * b are that many, or one less. */
static inline int ls_digits_count(uint64_t value) {
  int bits = 64 - __builtin_clzll(value | 1), n = bits * 1233 >> 12;
  return n + ((value | 1) >= ls_digits_powers[n]);
}

/* Writes value without leading zeros. Returns the place behind it, at most LS_DIGITS_MAX on. */
static inline char *ls_digits_write(char *out, uint64_t value) {
  char *end = out + ls_digits_count(value), *p = end;
  for (; value >= 100; value /= 100)
    memcpy(p -= 2, ls_digits_pairs + value % 100 * 2, 2);
  if (value >= 10)
    memcpy(p - 2, ls_digits_pairs + value * 2, 2);
  else
    p[-1] = (char)('0' + value);
  return end;
}

/* The same with a minus sign where it needs one. */
static inline char *ls_digits_write_signed(char *out, int64_t value) {
  if (value >= 0)
    return ls_digits_write(out, (uint64_t)value);
  *out = '-';
  return ls_digits_write(out + 1, 0 - (uint64_t)value);
}

/* Writes the last n digits of value, with zeros in front where it has fewer. */
void ls_digits_fill(char *out, uint64_t value, int n);

#endif
