/* SPDX-License-Identifier: MIT */
/* digits_test: beside what printf says. */
#include "base/digits.h"

#include <inttypes.h>
#include <stdio.h>

#include "check.h"

static void check_written(uint64_t value) {
  char expected[32], text[LS_DIGITS_MAX];
  int len = snprintf(expected, sizeof expected, "%" PRIu64, value);
  CHECK_BYTES(text, (size_t)(ls_digits_write(text, value) - text), expected);
  CHECK_INT(ls_digits_count(value), len);
  snprintf(expected, sizeof expected, "%" PRId64, (int64_t)value);
  CHECK_BYTES(text, (size_t)(ls_digits_write_signed(text, (int64_t)value) - text), expected);
}

static void every_count_of_digits(void) {
  for (int n = 0; n < 20; n++) {
    uint64_t power = ls_digits_powers[n];
    for (uint64_t factor = 1; factor <= (n < 19 ? 9 : 1); factor++)
      for (int around = -2; around <= 2; around++)
        check_written(factor * power + (uint64_t)around);
  }
}

static void every_count_of_bits(void) {
  for (int bits = 0; bits < 64; bits++)
    for (int around = -2; around <= 2; around++)
      check_written((UINT64_C(1) << bits) + (uint64_t)around);
}

static void zeros_fill(void) {
  char text[8] = "abcdefg";
  ls_digits_fill(text + 1, 1203, 5);
  CHECK_BYTES(text, 7, "a01203g");
  ls_digits_fill(text + 1, 1203, 2);
  CHECK_BYTES(text, 7, "a03203g");
  ls_digits_fill(text + 1, 7, 1);
  ls_digits_fill(text + 1, 8, 0);
  CHECK_BYTES(text, 7, "a73203g");
}

int main(void) {
  RUN(every_count_of_digits);
  RUN(every_count_of_bits);
  RUN(zeros_fill);
  return 0;
}
