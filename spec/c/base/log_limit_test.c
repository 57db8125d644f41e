/* SPDX-License-Identifier: MIT */
/* log_limit_test: so many lines in a period, and the next one tells how many were left out. */
#include "base/log_limit.h"

#include <string.h>

#include "check.h"

enum { MAX = 3, PERIOD = 1000 };

static char more[48];

static bool take(struct ls_log_limit *limit, uint64_t now) {
  return ls_log_limit_take(limit, MAX, PERIOD, now, more, sizeof more);
}

static void no_more_than_max_in_a_period(void) {
  struct ls_log_limit limit = {0};
  for (int i = 0; i < MAX; i++) {
    CHECK(take(&limit, 5));
    CHECK(strcmp(more, "") == 0);
  }
  CHECK(!take(&limit, 5));
  CHECK(!take(&limit, 5 + PERIOD - 1));
}

static void the_next_line_tells_what_was_left_out(void) {
  struct ls_log_limit limit = {0};
  for (int i = 0; i < MAX + 4; i++)
    take(&limit, 5);
  CHECK(take(&limit, 5 + PERIOD));
  CHECK(strcmp(more, " (and 4 before it)") == 0);
  CHECK(take(&limit, 6 + PERIOD));
  CHECK(strcmp(more, "") == 0);
}

int main(void) {
  RUN(no_more_than_max_in_a_period);
  RUN(the_next_line_tells_what_was_left_out);
  return 0;
}
