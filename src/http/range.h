/* SPDX-License-Identifier: MIT */
/* range: which bytes of a representation a Range field asks for (RFC 9110 14.1.2, 14.2), and a bound on what that can
 * cost (17.15). */
#ifndef LS_HTTP_RANGE_H
#define LS_HTTP_RANGE_H

#include <stdint.h>

#include "base/slice.h"

/* More ranges in one field are not followed: the client gets the whole. */
#define LS_RANGES_MAX 16
/* Ranges with less between them are sent as one, because a part of its own costs as much; so are overlapping ones. No
 * byte is sent twice. */
#define LS_RANGES_GAP 100

struct ls_range {
  uint64_t first, len; /* len over 0 */
};

struct ls_ranges {
  unsigned count;
  struct ls_range list[LS_RANGES_MAX]; /* in the order asked for; what was joined, at the place of its first */
};

enum ls_ranges_result {
  LS_RANGES_NONE,         /* another unit, malformed, or too many: the field is to be ignored, 200 */
  LS_RANGES_SOME,         /* 206 */
  LS_RANGES_UNSATISFIABLE /* none of them has a byte in it: 416 */
};

/* value: of the Range field. size: bytes of the representation. Fills ranges, whose count is over 0 with LS_RANGES_SOME;
 * ranges that have no byte in them are left out. The last bytes of nothing ("-5" of an empty representation) are the
 * whole: LS_RANGES_NONE. */
enum ls_ranges_result ls_ranges_parse(struct ls_slice value, uint64_t size, struct ls_ranges *ranges);

#endif
