/* SPDX-License-Identifier: MIT */
/* fuzz/date: dates in any form. What is one is within the calendar, and one that is formatted is read again as itself. */
#include "http/date.h"

#include "expect.h"

static const int64_t FIRST = -62167219200, LAST = 253402300800; /* year 0; the leap second at the end of 9999 */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  const int64_t now = 1764000000;
  char *copy = copy_of(bytes, len), text[LS_DATE_LEN + 1];
  int64_t seconds, again;
  if (ls_date_parse(ls_slice(copy, len), now, &seconds)) {
    EXPECT(seconds >= FIRST && seconds <= LAST);
    if (seconds >= 0 && seconds < LAST) {
      ls_date_format(seconds, text);
      EXPECT(ls_date_parse(ls_slice(text, LS_DATE_LEN), now, &again) && again == seconds);
    }
    if (memchr(copy, '-', len) != NULL) /* two digits of the year */
      EXPECT(seconds <= now + INT64_C(50) * 366 * 86400);
  }
  free(copy);
  return 0;
}
