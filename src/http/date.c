/* SPDX-License-Identifier: MIT */
/* date: days to a civil date and back by counting years that begin in March, so that the leap day comes last. */
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

/* ---- reading ---- */

static const char day_names[] = "Sun Mon Tue Wed Thu Fri Sat ";
static const char long_day_names[] = "Sunday    Monday    Tuesday   Wednesday Thursday  Friday    Saturday  ";
static const char month_names[] = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec ";

/* What is left to be read. What does not fit the form fails all that follows. */
struct scan {
  const char *p, *end;
  bool failed;
};

/* As written in the form. */
struct fields {
  int64_t year;
  unsigned weekday, month, day, hour, minute, second; /* weekday from Sunday, month from 0 */
};

static void take_text(struct scan *scan, const char *text) {
  size_t len = strlen(text);
  if (scan->failed || (size_t)(scan->end - scan->p) < len || memcmp(scan->p, text, len) != 0)
    scan->failed = true;
  else
    scan->p += len;
}

static unsigned take_digits(struct scan *scan, unsigned count) {
  unsigned value = 0;
  if (scan->failed || scan->end - scan->p < (ptrdiff_t)count) {
    scan->failed = true;
    return 0;
  }
  for (; count > 0; count--, scan->p++) {
    if (*scan->p < '0' || *scan->p > '9')
      scan->failed = true;
    value = value * 10 + (unsigned)(*scan->p - '0');
  }
  return value;
}

/* The number of the name in a list whose entries all are width bytes, padded with spaces. */
static unsigned take_name(struct scan *scan, const char *names, unsigned width) {
  for (unsigned i = 0; !scan->failed && names[i * width] != '\0'; i++) {
    const char *name = names + (size_t)i * width;
    size_t len = (size_t)((const char *)memchr(name, ' ', width) - name);
    if ((size_t)(scan->end - scan->p) >= len && memcmp(scan->p, name, len) == 0) {
      scan->p += len;
      return i;
    }
  }
  scan->failed = true;
  return 0;
}

static void take_time(struct scan *scan, struct fields *fields) {
  fields->hour = take_digits(scan, 2);
  take_text(scan, ":");
  fields->minute = take_digits(scan, 2);
  take_text(scan, ":");
  fields->second = take_digits(scan, 2);
}

static void take_fixdate(struct scan *scan, struct fields *fields) {
  fields->weekday = take_name(scan, day_names, 4);
  take_text(scan, ", ");
  fields->day = take_digits(scan, 2);
  take_text(scan, " ");
  fields->month = take_name(scan, month_names, 4);
  take_text(scan, " ");
  fields->year = take_digits(scan, 4);
  take_text(scan, " ");
  take_time(scan, fields);
  take_text(scan, " GMT");
}

static void take_rfc850(struct scan *scan, struct fields *fields) {
  fields->weekday = take_name(scan, long_day_names, 10);
  take_text(scan, ", ");
  fields->day = take_digits(scan, 2);
  take_text(scan, "-");
  fields->month = take_name(scan, month_names, 4);
  take_text(scan, "-");
  fields->year = take_digits(scan, 2);
  take_text(scan, " ");
  take_time(scan, fields);
  take_text(scan, " GMT");
}

static void take_asctime(struct scan *scan, struct fields *fields) {
  fields->weekday = take_name(scan, day_names, 4);
  take_text(scan, " ");
  fields->month = take_name(scan, month_names, 4);
  take_text(scan, " ");
  if (!scan->failed && scan->p != scan->end && *scan->p == ' ') {
    scan->p++;
    fields->day = take_digits(scan, 1);
  } else {
    fields->day = take_digits(scan, 2);
  }
  take_text(scan, " ");
  take_time(scan, fields);
  take_text(scan, " ");
  fields->year = take_digits(scan, 4);
}

/* Since 1970. year 0 or later. */
static int64_t days_of_civil(int64_t year, unsigned month, unsigned day) {
  unsigned from_march = (month + 10) % 12;
  int64_t y = month < 2 ? year - 1 : year; /* of the year that began in March */
  int64_t era = (y + 400) / 400 - 1, year_of_era = y - era * 400;
  int64_t day_of_year = (153 * from_march + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static int64_t seconds_of(const struct fields *fields, int64_t year) {
  int64_t days = days_of_civil(year, fields->month, fields->day);
  return days * 86400 + fields->hour * 3600 + fields->minute * 60 + fields->second;
}

/* The year of a two-digit one: more than 50 years from now is a century earlier. */
static int64_t century_of(const struct fields *fields, int64_t now) {
  int64_t this_year = civil_of_days((unsigned)(now / 86400)).year;
  int64_t year = this_year - this_year % 100 + 100 + fields->year;
  while (seconds_of(fields, year - 50) > now)
    year -= 100;
  return year;
}

static bool is_real(const struct fields *fields) {
  static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = fields->year % 4 == 0 && (fields->year % 100 != 0 || fields->year % 400 == 0);
  unsigned length = lengths[fields->month] + (leap && fields->month == 1 ? 1 : 0);
  if (fields->day < 1 || fields->day > length || fields->hour > 23 || fields->minute > 59 || fields->second > 60)
    return false;
  int64_t days = days_of_civil(fields->year, fields->month, fields->day) + 7 * 146097; /* over 0; it was a Thursday */
  return (unsigned)((days + 4) % 7) == fields->weekday;
}

bool ls_date_parse(struct ls_slice text, int64_t now, int64_t *seconds) {
  struct fields fields = {0};
  struct scan scan = {.p = text.ptr, .end = text.ptr + text.len};
  if (text.len < 24) /* the shortest form has these many */
    return false;
  if (text.ptr[3] == ',') {
    take_fixdate(&scan, &fields);
  } else if (text.ptr[3] == ' ') {
    take_asctime(&scan, &fields);
  } else {
    take_rfc850(&scan, &fields);
    if (!scan.failed)
      fields.year = century_of(&fields, now < 0 ? 0 : now);
  }
  if (scan.failed || scan.p != scan.end || !is_real(&fields))
    return false;
  *seconds = seconds_of(&fields, fields.year);
  return true;
}

void ls_date_cache_refresh(struct ls_date_cache *cache, int64_t now) {
  if (now == cache->second && cache->text[0] != '\0')
    return;
  cache->second = now;
  ls_date_format(now, cache->text);
}
