/* SPDX-License-Identifier: MIT */
/* fuzz/range: Range fields. An input is eight bytes that are the size, then the value. What is to be sent lies within the
 * size, no byte twice, in no more parts than allowed, and the body has the length that was announced. */
#include "http/byteranges.h"

#include "expect.h"

static void check_ranges(const struct ls_ranges *ranges, uint64_t size) {
  EXPECT(ranges->count > 0 && ranges->count <= LS_RANGES_MAX);
  for (unsigned i = 0; i < ranges->count; i++) {
    const struct ls_range *a = &ranges->list[i];
    EXPECT(a->len > 0 && a->first < size && a->len <= size - a->first);
    for (unsigned k = 0; k < i; k++) {
      const struct ls_range *b = &ranges->list[k];
      const struct ls_range *low = a->first < b->first ? a : b, *high = low == a ? b : a;
      EXPECT(high->first >= low->first + low->len && high->first - (low->first + low->len) >= LS_RANGES_GAP);
    }
  }
}

static void check_body(const struct ls_ranges *ranges, uint64_t size) {
  static const unsigned char random[LS_BOUNDARY_BYTES] = {1, 2, 3};
  struct ls_byteranges parts = {.ranges = ranges, .size = size, .type = ls_slice_of("text/plain")};
  struct ls_buf frames = {0};
  uint64_t content = 0;
  ls_byteranges_set_boundary(&parts, random);
  for (unsigned i = 0; i <= ranges->count; i++) {
    EXPECT(ls_byteranges_put(&parts, i, &frames) == 0);
    content += i < ranges->count ? ranges->list[i].len : 0;
  }
  EXPECT(ls_byteranges_length(&parts) == frames.len + content);
  ls_buf_dispose(&frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  uint64_t size;
  struct ls_ranges ranges;
  if (len < sizeof size)
    return 0;
  memcpy(&size, bytes, sizeof size);
  size >>= bytes[0] % 64; /* small ones too */
  char *copy = copy_of(bytes + sizeof size, len - sizeof size);
  if (ls_ranges_parse(ls_slice(copy, len - sizeof size), size, &ranges) == LS_RANGES_SOME) {
    check_ranges(&ranges, size);
    check_body(&ranges, size);
  }
  free(copy);
  return 0;
}
