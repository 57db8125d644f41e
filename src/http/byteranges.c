/* SPDX-License-Identifier: MIT */
#include "http/byteranges.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int ls_range_format(const struct ls_range *range, uint64_t size, char text[LS_CONTENT_RANGE_MAX]) {
  return snprintf(text, LS_CONTENT_RANGE_MAX, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range->first,
                  range->first + range->len - 1, size);
}

void ls_byteranges_set_boundary(struct ls_byteranges *parts, const unsigned char random[LS_BOUNDARY_BYTES]) {
  static const char digits[] = "0123456789abcdef";
  for (unsigned i = 0; i < LS_BOUNDARY_BYTES; i++) {
    parts->boundary[2 * i] = digits[random[i] >> 4];
    parts->boundary[2 * i + 1] = digits[random[i] & 15];
  }
  parts->boundary[LS_BOUNDARY_LEN] = '\0';
}

/* What is around the content of one part, but for the range's own text. */
#define PART_FRONT "\r\n--"
#define PART_TYPE "\r\nContent-Type: "
#define PART_RANGE "\r\nContent-Range: "
#define PART_END "\r\n\r\n"
#define LAST_END "--\r\n"
#define LEN(text) (sizeof(text) - 1)

uint64_t ls_byteranges_length(const struct ls_byteranges *parts) {
  char text[LS_CONTENT_RANGE_MAX];
  uint64_t length = LEN(PART_FRONT) - 2 /* the first has no line before it */ + LS_BOUNDARY_LEN + LEN(LAST_END);
  for (unsigned i = 0; i < parts->ranges->count; i++) {
    const struct ls_range *range = &parts->ranges->list[i];
    length += LS_BOUNDARY_LEN + LEN(PART_RANGE) + (uint64_t)ls_range_format(range, parts->size, text);
    length += LEN(PART_END) + range->len + LEN(PART_FRONT);
    length += parts->type.len == 0 ? 0 : LEN(PART_TYPE) + parts->type.len;
  }
  return length;
}

static char *put(char *p, const char *text, size_t len) {
  memcpy(p, text, len);
  return p + len;
}

int ls_byteranges_put(const struct ls_byteranges *parts, unsigned index, struct ls_buf *out) {
  size_t most = LEN(PART_FRONT) + LS_BOUNDARY_LEN + LEN(PART_TYPE) + parts->type.len + LEN(PART_RANGE) +
                LS_CONTENT_RANGE_MAX + LEN(PART_END);
  if (ls_buf_reserve(out, most) != 0)
    return -ENOMEM;
  char *start = ls_buf_bytes(out) + out->len, *p = start;
  p = index == 0 ? put(p, "--", 2) : put(p, PART_FRONT, LEN(PART_FRONT));
  p = put(p, parts->boundary, LS_BOUNDARY_LEN);
  if (index == parts->ranges->count) {
    p = put(p, LAST_END, LEN(LAST_END));
  } else {
    if (parts->type.len != 0) {
      p = put(p, PART_TYPE, LEN(PART_TYPE));
      p = put(p, parts->type.ptr, parts->type.len);
    }
    p = put(p, PART_RANGE, LEN(PART_RANGE));
    p += ls_range_format(&parts->ranges->list[index], parts->size, p);
    p = put(p, PART_END, LEN(PART_END));
  }
  out->len += (size_t)(p - start);
  return 0;
}
