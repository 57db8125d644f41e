/* SPDX-License-Identifier: MIT */
/* trace_test: which requests are slow enough to be logged, and texts that do not fit. */
#include "script/trace.h"

#include "check.h"

#define MS UINT64_C(1000000)

static void quick_requests_are_not_slow(void) {
  struct ls_tracing tracing = {.on = true};
  CHECK(!ls_tracing_is_slow(&tracing, 0));
  CHECK(!ls_tracing_is_slow(&tracing, MS - 1));
  CHECK(ls_tracing_is_slow(&tracing, MS));
}

static void each_must_be_a_quarter_slower(void) {
  struct ls_tracing tracing = {.on = true};
  CHECK(ls_tracing_is_slow(&tracing, 8 * MS));
  CHECK(!ls_tracing_is_slow(&tracing, 8 * MS));
  CHECK(!ls_tracing_is_slow(&tracing, 10 * MS - 1));
  CHECK(ls_tracing_is_slow(&tracing, 10 * MS));
  CHECK(!ls_tracing_is_slow(&tracing, 12 * MS));
}

static void after_ten_seconds_it_begins_anew(void) {
  struct ls_tracing tracing = {.on = true};
  CHECK(ls_tracing_is_slow(&tracing, 8 * MS));
  tracing.window_since -= 10000 * MS;
  CHECK(ls_tracing_is_slow(&tracing, 2 * MS));
  CHECK(!ls_tracing_is_slow(&tracing, 2 * MS));
}

static void a_text_that_does_not_fit_is_cut(void) {
  struct ls_trace trace = {.parts = {MS, 2 * MS}};
  char text[32], small[16];
  size_t length = ls_trace_format_timing(&trace, 3 * MS, text, sizeof text);
  CHECK_BYTES(text, length, "total;dur=3.00, lua;dur=1.00, q");
  length = ls_trace_format_timing(&trace, 3 * MS, small, sizeof small);
  CHECK_BYTES(small, length, "total;dur=3.00,");
}

int main(void) {
  RUN(quick_requests_are_not_slow);
  RUN(each_must_be_a_quarter_slower);
  RUN(after_ten_seconds_it_begins_anew);
  RUN(a_text_that_does_not_fit_is_cut);
  return 0;
}
