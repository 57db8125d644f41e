/* SPDX-License-Identifier: MIT */
/* date: HTTP's dates (RFC 9110 5.6.7): the IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT", which is sent, and the two
 * obsolete forms that may still be received. Knows no clock and no locale. */
#ifndef LS_HTTP_DATE_H
#define LS_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum { LS_DATE_LEN = 29 };

/* The current date as text; its owner refreshes it once a second. Zeroed memory holds no date yet: refresh it first. */
struct ls_date_cache {
  int64_t second;
  char text[LS_DATE_LEN + 1];
};

/* seconds since 1970, 0 to the end of the year 9999; others are taken for the nearest of those. Ends with NUL. */
void ls_date_format(int64_t seconds, char text[LS_DATE_LEN + 1]);

/* Reads a date in any of the three forms:
 *   Sun, 06 Nov 1994 08:49:37 GMT    the preferred one
 *   Sunday, 06-Nov-94 08:49:37 GMT   RFC 850: the latest such year that is not over 50 years after now
 *   Sun Nov  6 08:49:37 1994         asctime
 * now: seconds since 1970. Whether the text is a date and nothing more: letters in their case, a day that the month has
 * and that is the weekday it says, 60 for a leap second. Then *seconds (negative before 1970). */
bool ls_date_parse(struct ls_slice text, int64_t now, int64_t *seconds);

void ls_date_cache_refresh(struct ls_date_cache *cache, int64_t now);

#endif
