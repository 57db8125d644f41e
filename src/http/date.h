/* SPDX-License-Identifier: MIT */
/* date: the IMF-fixdate of HTTP (RFC 9110 5.6.7), "Sun, 06 Nov 1994 08:49:37 GMT". Knows no clock and no locale. */
#ifndef LS_HTTP_DATE_H
#define LS_HTTP_DATE_H

#include <stdint.h>

enum { LS_DATE_LEN = 29 };

/* The current date as text; its owner refreshes it once a second. Zeroed memory holds no date yet: refresh it first. */
struct ls_date_cache {
  int64_t second;
  char text[LS_DATE_LEN + 1];
};

/* seconds since 1970, 0 to the end of the year 9999; others are taken for the nearest of those. Ends with NUL. */
void ls_date_format(int64_t seconds, char text[LS_DATE_LEN + 1]);

void ls_date_cache_refresh(struct ls_date_cache *cache, int64_t now);

#endif
