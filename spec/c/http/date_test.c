/* SPDX-License-Identifier: MIT */
/* date: the text of instants around the edges of the calendar, against the C library over the years, and back. */
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

enum { NOW = 1764000000 }; /* 2025-11-24 */

static void check_parse(const char *text, int64_t expected) {
  int64_t seconds = -7;
  CHECK(ls_date_parse(ls_slice_of(text), NOW, &seconds));
  CHECK_INT(seconds, expected);
}

static void check_refused(const char *text) {
  int64_t seconds;
  if (ls_date_parse(ls_slice_of(text), NOW, &seconds))
    fprintf(stderr, "taken for a date: %s\n", text);
  CHECK(!ls_date_parse(ls_slice_of(text), NOW, &seconds));
}

/* The three examples of RFC 9110 5.6.7 are one instant. */
static void parses_all_three_forms(void) {
  check_parse("Sun, 06 Nov 1994 08:49:37 GMT", 784111777);
  check_parse("Sunday, 06-Nov-94 08:49:37 GMT", 784111777);
  check_parse("Sun Nov  6 08:49:37 1994", 784111777);
  check_parse("Wed Nov 16 08:49:37 1994", 784975777);
  check_parse("Sun Nov 06 08:49:37 1994", 784111777);
}

static void parses_the_edges_of_the_calendar(void) {
  check_parse("Thu, 01 Jan 1970 00:00:00 GMT", 0);
  check_parse("Wed, 31 Dec 1969 23:59:59 GMT", -1);
  check_parse("Tue, 29 Feb 2000 00:00:00 GMT", 951782400);
  check_parse("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800);
  check_parse("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799);
  check_parse("Sat, 01 Jan 0000 00:00:00 GMT", -62167219200);
}

/* A year that seems to be more than 50 years ahead is the last one in the past with these digits. */
static void two_digits_are_at_most_50_years_ahead(void) {
  check_parse("Sunday, 24-Nov-75 00:00:00 GMT", 3341779200); /* 2075: less than 50 years by some hours */
  check_parse("Wednesday, 26-Nov-75 00:00:00 GMT", 186192000);
  check_parse("Thursday, 01-Jan-76 00:00:00 GMT", 189302400);
  check_parse("Saturday, 01-Jan-00 00:00:00 GMT", 946684800);
}

static void refuses_what_is_no_date(void) {
  static const char *const texts[] = {
      "",
      "0",
      "Sun, 06 Nov 1994 08:49:37",
      "Sun, 06 Nov 1994 08:49:37 UTC",
      "Sun, 06 Nov 1994 08:49:37 gmt",
      "Sun, 06 Nov 1994 08:49:37 GMT ",
      " Sun, 06 Nov 1994 08:49:37 GMT",
      "Sun, 6 Nov 1994 08:49:37 GMT!",
      "Sun,  6 Nov 1994 08:49:37 GMT",
      "sun, 06 Nov 1994 08:49:37 GMT",
      "Mon, 06 Nov 1994 08:49:37 GMT",
      "Sun, 06 nov 1994 08:49:37 GMT",
      "Sun, 06 Nox 1994 08:49:37 GMT",
      "Sun, 06 Nov 94 08:49:37 GMT  ",
      "Sun, 06-Nov-1994 08:49:37 GMT",
      "Sun, 00 Nov 1994 08:49:37 GMT",
      "Thu, 31 Nov 1994 08:49:37 GMT",
      "Wed, 29 Feb 1995 08:49:37 GMT",
      "Thu, 29 Feb 1900 08:49:37 GMT",
      "Sun, 06 Nov 1994 24:00:00 GMT",
      "Sun, 06 Nov 1994 08:60:37 GMT",
      "Sun, 06 Nov 1994 08:49:61 GMT",
      "Sun, 06 Nov 1994 08-49-37 GMT",
      "Sun, 06 Nov +994 08:49:37 GMT",
      "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
      "Sunday, 06-Nov-1994 08:49:37 GMT",
      "Sunday, 06 Nov 94 08:49:37 GMT",
      "Sun, 06-Nov-94 08:49:37 GMT",
      "Monday, 06-Nov-94 08:49:37 GMT",
      "Sun Nov 6 08:49:37 1994",
      "Sun Nov  6 08:49:37 1994 GMT",
      "Sun Nov   08:49:37 1994",
      "Mon Nov  6 08:49:37 1994",
      "1994-11-06T08:49:37.000000Z",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    check_refused(texts[i]);
}

static void reads_what_it_writes(void) {
  for (int64_t seconds = 0; seconds < 253402300799; seconds += 86400 * 31 + 3607) {
    char text[LS_DATE_LEN + 1];
    ls_date_format(seconds, text);
    check_parse(text, seconds);
  }
}

int main(void) {
  RUN(formats_known_dates);
  RUN(stays_in_range);
  RUN(agrees_with_the_c_library);
  RUN(parses_all_three_forms);
  RUN(parses_the_edges_of_the_calendar);
  RUN(two_digits_are_at_most_50_years_ahead);
  RUN(refuses_what_is_no_date);
  RUN(reads_what_it_writes);
  RUN(cache_follows_the_second);
  return 0;
}
