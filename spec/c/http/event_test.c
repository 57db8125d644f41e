/* SPDX-License-Identifier: MIT */
#include "http/event.h"

#include "check.h"

static void check_lines(const char *name, const char *value, const char *expected) {
  struct ls_buf out = {0};
  CHECK_INT(ls_event_append(&out, name, ls_slice_of(value)), 0);
  CHECK_BYTES(ls_buf_bytes(&out), out.len, expected);
  ls_buf_dispose(&out);
}

static void splits_lines(void) {
  check_lines("data", "", "data: \n");
  check_lines("data", "a", "data: a\n");
  check_lines("data", " a", "data:  a\n");
  check_lines("data", "a\nb\rc\r\nd", "data: a\ndata: b\ndata: c\ndata: d\n");
  check_lines("data", "\n", "data: \ndata: \n");
  check_lines("data", "a\r", "data: a\ndata: \n");
  check_lines("data", "\n\r", "data: \ndata: \ndata: \n");
  check_lines("", "a\nb", ": a\n: b\n");
}

static void tells_lines(void) {
  CHECK(ls_event_is_line(ls_slice("", 0)));
  CHECK(ls_event_is_line(ls_slice_of("a: b")));
  CHECK(!ls_event_is_line(ls_slice_of("a\n")));
  CHECK(!ls_event_is_line(ls_slice_of("\ra")));
  CHECK(!ls_event_is_line(ls_slice("a\0b", 3)));
}

int main(void) {
  RUN(splits_lines);
  RUN(tells_lines);
  return 0;
}
