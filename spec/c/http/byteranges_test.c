/* SPDX-License-Identifier: MIT */
/* byteranges: the bytes around the parts, and that the length which is announced is theirs. */
#include "http/byteranges.h"

#include "check.h"

static const char whole[] = "0123456789abcdefghij";

static struct ls_buf body_of(const struct ls_byteranges *parts) {
  struct ls_buf body = {0};
  for (unsigned i = 0; i <= parts->ranges->count; i++) {
    CHECK_INT(ls_byteranges_put(parts, i, &body), 0);
    if (i < parts->ranges->count)
      CHECK_INT(ls_buf_append(&body, whole + parts->ranges->list[i].first, parts->ranges->list[i].len), 0);
  }
  CHECK_INT(body.len, ls_byteranges_length(parts));
  return body;
}

static void content_range_counts_from_zero(void) {
  char text[LS_CONTENT_RANGE_MAX];
  struct ls_range range = {.first = 5, .len = 3};
  CHECK_INT(ls_range_format(&range, 20, text), 12);
  CHECK_BYTES(text, strlen(text), "bytes 5-7/20");
  struct ls_range last = {.first = UINT64_MAX - 1, .len = 1};
  ls_range_format(&last, UINT64_MAX, text);
  CHECK_BYTES(text, strlen(text), "bytes 18446744073709551614-18446744073709551614/18446744073709551615");
}

static void parts_stand_between_boundaries(void) {
  static const unsigned char random[LS_BOUNDARY_BYTES] = {0, 1, 0xab, 0xff};
  struct ls_ranges ranges = {.count = 2, .list = {{.first = 10, .len = 3}, {.first = 0, .len = 1}}};
  struct ls_byteranges parts = {.ranges = &ranges, .size = 20, .type = ls_slice_of("text/plain")};
  ls_byteranges_set_boundary(&parts, random);
  CHECK_BYTES(parts.boundary, strlen(parts.boundary), "0001abff0000000000000000000000");
  struct ls_buf body = body_of(&parts);
  CHECK_BYTES(ls_buf_bytes(&body), body.len,
              "--0001abff0000000000000000000000\r\nContent-Type: text/plain\r\nContent-Range: bytes 10-12/20\r\n\r\nabc"
              "\r\n--0001abff0000000000000000000000\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-0/20\r\n\r\n0"
              "\r\n--0001abff0000000000000000000000--\r\n");
  ls_buf_dispose(&body);
  parts.type = ls_slice("", 0);
  body = body_of(&parts);
  CHECK(memmem(ls_buf_bytes(&body), body.len, "Content-Type", 12) == NULL);
  ls_buf_dispose(&body);
}

int main(void) {
  RUN(content_range_counts_from_zero);
  RUN(parts_stand_between_boundaries);
  return 0;
}
