/* SPDX-License-Identifier: MIT */
/* date: the text of instants around the edges of the calendar, against the C library over the years. */
#include "http/date.h"

#include <time.h>

#include "check.h"

static void check_date(int64_t seconds, const char *expected) {
  char text[LS_DATE_LEN + 1];
  ls_date_format(seconds, text);
  CHECK_BYTES(text, strlen(text), expected);
}

static void formats_known_dates(void) {
  check_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
  check_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
  check_date(951782399, "Mon, 28 Feb 2000 23:59:59 GMT");
  check_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
  check_date(4107542399, "Sun, 28 Feb 2100 23:59:59 GMT");
  check_date(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
}

static void stays_in_range(void) {
  check_date(-1, "Thu, 01 Jan 1970 00:00:00 GMT");
  check_date(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
  check_date(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void agrees_with_the_c_library(void) {
  for (int64_t day = 0; day < 366 * 400; day += 7) {
    time_t t = (time_t)(day * 86400 + day % 86400);
    struct tm tm;
    char expected[64];
    CHECK(gmtime_r(&t, &tm) != NULL);
    strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    check_date(t, expected);
  }
}

static void cache_follows_the_second(void) {
  struct ls_date_cache cache = {0};
  ls_date_cache_refresh(&cache, 0);
  CHECK_BYTES(cache.text, LS_DATE_LEN, "Thu, 01 Jan 1970 00:00:00 GMT");
  ls_date_cache_refresh(&cache, 1);
  CHECK_BYTES(cache.text, LS_DATE_LEN, "Thu, 01 Jan 1970 00:00:01 GMT");
}

int main(void) {
  RUN(formats_known_dates);
  RUN(stays_in_range);
  RUN(agrees_with_the_c_library);
  RUN(cache_follows_the_second);
  return 0;
}
