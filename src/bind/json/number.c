/* SPDX-License-Identifier: MIT */
/* number: numbers to and from text. A float is written with as few digits as read back as the same float, always
 * with a fraction or an exponent, so that it comes back as a float. Common sizes are converted exactly with 128-bit
 * integers; the rest goes through printf (15, 16 or 17 digits) and strtod, whose decimal point follows the locale. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/digits.h"
#include "bind/json/impl.h"

typedef unsigned __int128 wide;

#define DECIMAL_MAX 2e9 /* for write_decimal: times 10^6 it is below 2^51 */

static const double double_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                       1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* Where the number of digits before the point changes, from 10^-3 on. */
static const double decades[] = {1e-3, 1e-2, 1e-1, 1e0,  1e1,  1e2,  1e3,  1e4,  1e5, 1e6,
                                 1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* Writes size, which is 1e-4 or more and below DECIMAL_MAX, if it is the float next to a number of at most 6 places after
 * the point, as prices, measures and coordinates are; else returns NULL. There is no second such number: what reads back
 * as size is, times 10^6 and so below 2^51, at most one half wide. The quotient of two exact numbers is rounded as the text
 * is when it is read. */
static inline char *write_decimal(char *out, double size) {
  int64_t millionths = (int64_t)(size * 1e6 + 0.5);
  if ((double)millionths / 1e6 != size)
    return NULL;
  uint64_t whole = (uint64_t)millionths / 1000000;
  unsigned fraction = (unsigned)((uint64_t)millionths - whole * 1000000), first = fraction / 10000,
           rest = fraction % 10000;
  out = ls_digits_write(out, whole);
  *out++ = '.';
  memcpy(out, ls_digits_pairs + first * 2, 2);
  if (rest == 0)
    return out + 2 - (out[1] == '0');
  memcpy(out + 2, ls_digits_pairs + rest / 100 * 2, 2);
  memcpy(out + 4, ls_digits_pairs + rest % 100 * 2, 2);
  for (out += 6; out[-1] == '0';)
    out--;
  return out;
}

/* The fewest digits, times 10^exponent, that lie between the neighbours' midpoints of value, which is 1e-3 or more and
 * less than 2^53. Scaled by a power of ten so that the integer part has 17 digits, value is numerator / 2^shift; there
 * at least one integer lies in the interval, and all fits in 128 bits. */
static uint64_t shortest_digits(double value, int *exponent) {
  uint64_t bits, mantissa, low, high, middle, step, digits;
  int binary, decade = 0, scale, shift, dropped = 0;
  wide numerator, lower, upper, mask;
  memcpy(&bits, &value, sizeof bits);
  mantissa = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
  binary = (int)(bits >> 52) - 1075;
  while (decade < 18 && value >= decades[decade + 1])
    decade++;
  scale = 19 - decade;
  shift = 1 - binary;
  mask = ((wide)1 << shift) - 1;
  numerator = (wide)(2 * mantissa) * ls_digits_powers[scale];
  /* Below a power of two the next float is only half as far away. */
  lower = numerator - (mantissa == UINT64_C(1) << 52 ? ls_digits_powers[scale] / 2 : ls_digits_powers[scale]);
  upper = numerator + ls_digits_powers[scale];
  low = (uint64_t)((lower + mask) >> shift);
  high = (uint64_t)(upper >> shift);
  if (mantissa & 1) {
    /* A midpoint reads back as the even neighbour. */
    low += (lower & mask) == 0;
    high -= (upper & mask) == 0;
  }
  middle = (uint64_t)(numerator >> shift);
  if ((low + 99999999) / 100000000 <= high / 100000000) {
    low = (low + 99999999) / 100000000;
    high /= 100000000;
    dropped = 8;
  }
  while ((low + 9) / 10 <= high / 10) {
    low = (low + 9) / 10;
    high /= 10;
    dropped++;
  }
  step = ls_digits_powers[dropped];
  digits = middle / step;
  if (digits < low) {
    digits = low;
  } else if (digits < high && (numerator - ((wide)(digits * step) << shift)) * 2 > (wide)step << shift) {
    digits++;
  }
  *exponent = dropped - scale;
  return digits;
}

/* digits * 10^exponent in plain notation: at most 19 places on either side. */
static char *write_plain(char *out, uint64_t digits, int exponent) {
  int n = ls_digits_count(digits), whole = n + exponent;
  if (exponent >= 0) {
    ls_digits_fill(out, digits, n);
    memset(out + n, '0', (size_t)exponent);
    memcpy(out + whole, ".0", 2);
    return out + whole + 2;
  }
  if (whole > 0) {
    ls_digits_fill(out, digits / ls_digits_powers[-exponent], whole);
    out[whole] = '.';
    ls_digits_fill(out + whole + 1, digits % ls_digits_powers[-exponent], -exponent);
    return out + n + 1;
  }
  memcpy(out, "0.", 2);
  ls_digits_fill(out + 2, digits, -exponent);
  return out + 2 - exponent;
}

static char *write_printf(char *out, double value) {
  int precision, n = 0, kept = 0;
  bool marked = false;
  for (precision = 15; precision <= 17; precision++) {
    n = snprintf(out, LS_JSON_NUMBER_SIZE, "%.*g", precision, value);
    if (strtod(out, NULL) == value) {
      break;
    }
  }
  for (int i = 0; i < n; i++) {
    bool point = strchr("+-0123456789e", out[i]) == NULL;
    if (point && kept > 0 && out[kept - 1] == '.') {
      continue; /* a locale's point of several bytes */
    }
    out[kept++] = point ? '.' : out[i];
    marked = marked || point || out[i] == 'e';
  }
  if (!marked) {
    memcpy(out + kept, ".0", 2);
    kept += 2;
  }
  return out + kept;
}

/* Apart, so that what write_decimal does costs little. */
static __attribute__((noinline)) char *write_float(char *out, double size) {
  uint64_t digits;
  int exponent;
  if (size < 1e15 && size == (double)(uint64_t)size)
    return write_plain(out, (uint64_t)size, 0);
  if (size < 1e-3 || size >= 9007199254740992.0)
    return write_printf(out, size);
  digits = shortest_digits(size, &exponent);
  return write_plain(out, digits, exponent);
}

char *ls_json_write_double(char *out, double value) {
  double size = fabs(value);
  char *end = NULL;
  *out = '-';
  out += signbit(value) ? 1 : 0;
  if (size >= 1e-4 && size < DECIMAL_MAX)
    end = write_decimal(out, size);
  return end != NULL ? end : write_float(out, size);
}

/* digits / 10^places, rounded once: a 64-bit quotient and whether there was a remainder decide the 53 bits. */
static double divide(uint64_t digits, int places) {
  int digits_shift = __builtin_clzll(digits), power_shift = __builtin_clzll(ls_digits_powers[places]), drop;
  wide numerator = (wide)(digits << digits_shift) << 63;
  uint64_t divisor = ls_digits_powers[places] << power_shift;
  uint64_t quotient = (uint64_t)(numerator / divisor);
  bool inexact = (uint64_t)(numerator % divisor) != 0;
  uint64_t half, rest, mantissa;
  drop = 11 - __builtin_clzll(quotient);
  half = UINT64_C(1) << (drop - 1);
  rest = quotient & (2 * half - 1);
  mantissa = quotient >> drop;
  if (rest > half || (rest == half && (inexact || (mantissa & 1)))) {
    mantissa++;
  }
  return ldexp((double)mantissa, drop - 63 - digits_shift + power_shift);
}

bool ls_json_read_decimal(uint64_t digits, int exponent, double *value) {
  if (digits <= UINT64_C(1) << 53 && exponent >= -22 && exponent <= 22) {
    /* Both operands are exact, so that the one operation rounds correctly. */
    *value = exponent < 0 ? (double)digits / double_powers[-exponent] : (double)digits * double_powers[exponent];
    return true;
  }
  if (exponent < 0 && exponent >= -19) {
    *value = divide(digits, -exponent);
    return true;
  }
  return false;
}

/* strtod that expects the locale's decimal point and nothing after the number. False when out of memory. */
static bool read_localized(const char *text, size_t len, double *value) {
  const char *point = localeconv()->decimal_point, *dot = memchr(text, '.', len);
  size_t point_len = strlen(point), before = dot != NULL ? (size_t)(dot - text) : len, n = before;
  char *copy = malloc(len + point_len + 1);
  if (copy == NULL) {
    return false;
  }
  memcpy(copy, text, before);
  if (dot != NULL) {
    memcpy(copy + n, point, point_len);
    n += point_len;
    memcpy(copy + n, dot + 1, len - before - 1);
    n += len - before - 1;
  }
  copy[n] = '\0';
  *value = strtod(copy, NULL);
  free(copy);
  return true;
}

bool ls_json_read_text(const char *text, size_t len, double *value) {
  char *end;
  *value = strtod(text, &end);
  return end == text + len || read_localized(text, len, value);
}
