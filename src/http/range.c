/* SPDX-License-Identifier: MIT */
#include "http/range.h"

#include <stdbool.h>

#include "http/field.h"

/* Takes the text up to the next comma off the front of list. */
static struct ls_slice take_spec(struct ls_slice *list) {
  const char *comma = memchr(list->ptr, ',', list->len);
  size_t len = comma == NULL ? list->len : (size_t)(comma - list->ptr);
  struct ls_slice spec = ls_slice(list->ptr, len);
  size_t skipped = comma == NULL ? len : len + 1;
  *list = ls_slice(list->ptr + skipped, list->len - skipped);
  return ls_field_trim(spec);
}

/* A number of one digit or more; one that is too large is UINT64_MAX, which no position is. */
static bool parse_number(struct ls_slice text, uint64_t *number) {
  *number = 0;
  for (size_t i = 0; i < text.len; i++) {
    unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';
    if (digit > 9)
      return false;
    bool fits = *number <= (UINT64_MAX - 9) / 10;
    *number = fits ? *number * 10 + digit : UINT64_MAX;
  }
  return text.len != 0;
}

/* The last bytes. */
static bool parse_suffix(struct ls_slice text, uint64_t size, struct ls_range *range) {
  uint64_t count;
  if (!parse_number(text, &count))
    return false;
  range->len = count < size ? count : size;
  range->first = size - range->len;
  return true;
}

/* One range, cut to what there is; len 0: nothing of it is there. False: malformed. */
static bool parse_spec(struct ls_slice spec, uint64_t size, struct ls_range *range) {
  const char *dash = spec.len == 0 ? NULL : memchr(spec.ptr, '-', spec.len);
  if (dash == NULL)
    return false;
  size_t before = (size_t)(dash - spec.ptr);
  struct ls_slice after = ls_slice(dash + 1, spec.len - before - 1);
  if (before == 0)
    return parse_suffix(after, size, range);
  uint64_t first, last = UINT64_MAX;
  if (!parse_number(ls_slice(spec.ptr, before), &first))
    return false;
  if (after.len != 0 && !parse_number(after, &last))
    return false;
  if (last < first)
    return false;
  range->first = first;
  range->len = first >= size ? 0 : (last < size ? last + 1 : size) - first;
  return true;
}

/* ---- joining ---- */

static bool is_near(const struct ls_range *a, const struct ls_range *b) {
  const struct ls_range *low = a->first <= b->first ? a : b, *high = low == a ? b : a;
  return high->first <= low->first + low->len || high->first - (low->first + low->len) < LS_RANGES_GAP;
}

static void join(struct ls_range *range, const struct ls_range *other) {
  uint64_t end = range->first + range->len, other_end = other->first + other->len;
  if (other->first < range->first)
    range->first = other->first;
  range->len = (end > other_end ? end : other_end) - range->first;
}

static void remove_at(struct ls_ranges *ranges, unsigned index) {
  ranges->count--;
  for (unsigned i = index; i < ranges->count; i++)
    ranges->list[i] = ranges->list[i + 1];
}

/* A range that has grown may reach others: begins anew then. There are few of them. */
static void join_all(struct ls_ranges *ranges) {
  for (unsigned i = 0; i < ranges->count; i++) {
    for (unsigned k = i + 1; k < ranges->count; k++) {
      if (!is_near(&ranges->list[i], &ranges->list[k]))
        continue;
      join(&ranges->list[i], &ranges->list[k]);
      remove_at(ranges, k);
      k = i;
    }
  }
}

enum ls_ranges_result ls_ranges_parse(struct ls_slice value, uint64_t size, struct ls_ranges *ranges) {
  static const struct ls_slice unit = {"bytes=", 6};
  ranges->count = 0;
  if (value.len < unit.len || !ls_field_name_equal(ls_slice(value.ptr, unit.len), unit))
    return LS_RANGES_NONE;
  struct ls_slice list = ls_slice(value.ptr + unit.len, value.len - unit.len);
  unsigned specs = 0;
  bool is_suffix_of_nothing = false;
  while (list.len != 0) {
    struct ls_slice spec = take_spec(&list);
    struct ls_range range;
    if (spec.len == 0) /* an empty member of a list is none (5.6.1.2) */
      continue;
    if (++specs > LS_RANGES_MAX || !parse_spec(spec, size, &range))
      return LS_RANGES_NONE;
    if (range.len != 0)
      ranges->list[ranges->count++] = range;
    else if (size == 0 && spec.ptr[0] == '-')
      is_suffix_of_nothing = true;
  }
  if (specs == 0 || is_suffix_of_nothing)
    return LS_RANGES_NONE;
  if (ranges->count == 0)
    return LS_RANGES_UNSATISFIABLE;
  join_all(ranges);
  return LS_RANGES_SOME;
}
