/* SPDX-License-Identifier: MIT */
/* range: which bytes a Range field means (RFC 9110 14.1.2), what is joined, what is ignored. */
#include "http/range.h"

#include "check.h"

/* "0-4 9-9", or what else came of it. */
static const char *ranges_of(const char *value, uint64_t size, char text[512]) {
  struct ls_ranges ranges;
  size_t at = 0;
  switch (ls_ranges_parse(ls_slice_of(value), size, &ranges)) {
  case LS_RANGES_NONE:
    return "ignored";
  case LS_RANGES_UNSATISFIABLE:
    return "unsatisfiable";
  case LS_RANGES_SOME:
    break;
  }
  CHECK(ranges.count > 0);
  for (unsigned i = 0; i < ranges.count; i++)
    at += (size_t)snprintf(text + at, 512 - at, "%s%llu-%llu", i == 0 ? "" : " ",
                           (unsigned long long)ranges.list[i].first,
                           (unsigned long long)(ranges.list[i].first + ranges.list[i].len - 1));
  return text;
}

static void check_ranges(const char *value, uint64_t size, const char *expected) {
  char text[512];
  const char *actual = ranges_of(value, size, text);
  CHECK_BYTES(actual, strlen(actual), expected);
}

static void single_ranges(void) {
  check_ranges("bytes=0-499", 10000, "0-499");
  check_ranges("bytes=500-999", 10000, "500-999");
  check_ranges("bytes=-500", 10000, "9500-9999");
  check_ranges("bytes=9500-", 10000, "9500-9999");
  check_ranges("bytes=0-0", 1, "0-0");
  check_ranges("bytes=0-", 5, "0-4");
  check_ranges("Bytes=1-2", 5, "1-2");
  check_ranges("bytes=007-08", 10, "7-8");
}

static void ends_beyond_the_end_are_cut(void) {
  check_ranges("bytes=0-499", 100, "0-99");
  check_ranges("bytes=-500", 100, "0-99");
  check_ranges("bytes=99-18446744073709551615", 100, "99-99");
  check_ranges("bytes=0-99999999999999999999999999", 100, "0-99");
  check_ranges("bytes=-99999999999999999999999999", 100, "0-99");
  check_ranges("bytes=0-18446744073709551615", UINT64_MAX, "0-18446744073709551614");
}

static void what_has_no_byte_is_unsatisfiable(void) {
  check_ranges("bytes=100-", 100, "unsatisfiable");
  check_ranges("bytes=100-200", 100, "unsatisfiable");
  check_ranges("bytes=-0", 100, "unsatisfiable");
  check_ranges("bytes=0-", 0, "unsatisfiable");
  check_ranges("bytes=100-,-0,200-300", 100, "unsatisfiable");
  check_ranges("bytes=18446744073709551616-", 100, "unsatisfiable");
  check_ranges("bytes=100-,5-6", 100, "5-6");
}

static void the_last_bytes_of_nothing_are_the_whole(void) {
  check_ranges("bytes=-5", 0, "ignored");
}

static void what_is_malformed_is_ignored(void) {
  static const char *const values[] = {"",
                                       "bytes",
                                       "bytes=",
                                       "bytes=,",
                                       "bytes=-",
                                       "bytes=--1",
                                       "bytes=1",
                                       "bytes=a-",
                                       "bytes=1-a",
                                       "bytes=5-4",
                                       "bytes=1-2-",
                                       "bytes=1-2;",
                                       "bytes=1 - 2",
                                       "bytes=0-1,x",
                                       "bytes=+1-",
                                       "bytes 0-1",
                                       "bytes =0-1",
                                       "items=0-1",
                                       "bytesx=0-1",
                                       "bytes=0-1,5-4",
                                       "bytes=0x1-",
                                       "bytes=99999999999999999999-1"};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++)
    check_ranges(values[i], 100, "ignored");
}

static void several_keep_their_order(void) {
  check_ranges("bytes=500-599, 0-9", 10000, "500-599 0-9");
  check_ranges("bytes=0-0,-1", 10000, "0-0 9999-9999");
  check_ranges("bytes=, 0-0 ,\t, 900-900,,", 10000, "0-0 900-900");
}

static void near_and_overlapping_ones_are_joined(void) {
  check_ranges("bytes=0-9,5-20", 10000, "0-20");
  check_ranges("bytes=5-20,0-9", 10000, "0-20");
  check_ranges("bytes=0-9,10-19", 10000, "0-19");
  check_ranges("bytes=0-9,109-119", 10000, "0-119");
  check_ranges("bytes=0-9,110-119", 10000, "0-9 110-119");
  check_ranges("bytes=0-0,1000-1000,0-2000", 10000, "0-2000");
  check_ranges("bytes=1000-1009,0-9,500-509,5-1004", 10000, "0-1009");
  check_ranges("bytes=0-,0-,0-,0-,0-", 10000, "0-9999");
  check_ranges("bytes=5000-5001,0-18446744073709551615", 10000, "0-9999");
}

static void more_than_sixteen_are_ignored(void) {
  char value[400] = "bytes=0-0";
  for (int i = 1; i < LS_RANGES_MAX; i++)
    snprintf(value + strlen(value), sizeof value - strlen(value), ",%d-%d", i * 1000, i * 1000);
  struct ls_ranges ranges;
  CHECK_INT(ls_ranges_parse(ls_slice_of(value), 100000, &ranges), LS_RANGES_SOME);
  CHECK_INT(ranges.count, LS_RANGES_MAX);
  strcat(value, ",0-0");
  check_ranges(value, 100000, "ignored");
}

int main(void) {
  RUN(single_ranges);
  RUN(ends_beyond_the_end_are_cut);
  RUN(what_has_no_byte_is_unsatisfiable);
  RUN(the_last_bytes_of_nothing_are_the_whole);
  RUN(what_is_malformed_is_ignored);
  RUN(several_keep_their_order);
  RUN(near_and_overlapping_ones_are_joined);
  RUN(more_than_sixteen_are_ignored);
  return 0;
}
