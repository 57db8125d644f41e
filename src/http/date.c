/* SPDX-License-Identifier: MIT */
/* date: days to a civil date by counting years that begin in March, so that the leap day comes last. */
#include "http/date.h"

#include <string.h>

static char *put_two(char *p, unsigned n) {
  p[0] = (char)('0' + n / 10);
  p[1] = (char)('0' + n % 10);
  return p + 2;
}

static char *put_text(char *p, const char *text, size_t len) {
  memcpy(p, text, len);
  return p + len;
}

struct civil {
  unsigned year, month, day; /* month 0 to 11 */
};

static struct civil civil_of_days(unsigned days) {
  unsigned z = days + 719468; /* since 0000-03-01 */
  unsigned era = z / 146097, day_of_era = z % 146097;
  unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  unsigned from_march = (5 * day_of_year + 2) / 153;
  struct civil civil;
  civil.day = day_of_year - (153 * from_march + 2) / 5 + 1;
  civil.month = (from_march + 2) % 12;
  civil.year = year_of_era + era * 400 + (civil.month < 2 ? 1 : 0);
  return civil;
}

void ls_date_format(int64_t seconds, char text[LS_DATE_LEN + 1]) {
  static const char weekdays[] = "Thu, Fri, Sat, Sun, Mon, Tue, Wed, ";
  static const char months[] = " Jan  Feb  Mar  Apr  May  Jun  Jul  Aug  Sep  Oct  Nov  Dec ";
  const int64_t last = 253402300799; /* 9999-12-31 23:59:59 */
  if (seconds < 0)
    seconds = 0;
  if (seconds > last)
    seconds = last;
  unsigned days = (unsigned)(seconds / 86400), rest = (unsigned)(seconds % 86400);
  struct civil civil = civil_of_days(days);

  char *p = put_text(text, weekdays + days % 7 * 5, 5);
  p = put_two(p, civil.day);
  p = put_text(p, months + civil.month * 5, 5);
  p = put_two(p, civil.year / 100);
  p = put_two(p, civil.year % 100);
  *p++ = ' ';
  p = put_two(p, rest / 3600);
  *p++ = ':';
  p = put_two(p, rest / 60 % 60);
  *p++ = ':';
  p = put_two(p, rest % 60);
  memcpy(p, " GMT", 5);
}

void ls_date_cache_refresh(struct ls_date_cache *cache, int64_t now) {
  if (now == cache->second && cache->text[0] != '\0')
    return;
  cache->second = now;
  ls_date_format(now, cache->text);
}
