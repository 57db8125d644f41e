/* SPDX-License-Identifier: MIT */
/* histogram_test: quantiles are at most a quarter above what was added, from a microsecond up. */
#include "base/histogram.h"

#include "check.h"

static void an_empty_one_says_zero(void) {
  struct ls_histogram histogram = {0};
  CHECK_INT(ls_histogram_quantile(&histogram, 0.5), 0);
}

/* All of one value: the quantile is not below it, and at most a quarter, or the smallest bucket, above it. */
static void a_value_is_found_within_a_quarter(void) {
  for (uint64_t ns = 0; ns < UINT64_C(4000000000000); ns += ns / 7 + 1) {
    struct ls_histogram histogram = {0};
    ls_histogram_add(&histogram, ns);
    uint64_t found = ls_histogram_quantile(&histogram, 0.5);
    CHECK(found > ns);
    CHECK(found <= ns + ns / 4 + 1280);
  }
}

static void what_is_too_long_counts_as_the_longest(void) {
  struct ls_histogram histogram = {0};
  ls_histogram_add(&histogram, UINT64_MAX);
  CHECK_INT(histogram.counts[LS_HISTOGRAM_BUCKETS - 1], 1);
  CHECK(ls_histogram_quantile(&histogram, 1) > UINT64_C(3600) * 1000000000);
}

static void quantiles_divide_what_was_added(void) {
  struct ls_histogram histogram = {0}, rest = {0};
  for (int i = 0; i < 98; i++)
    ls_histogram_add(&histogram, 10000);
  for (int i = 0; i < 2; i++)
    ls_histogram_add(&rest, 5000000);
  ls_histogram_merge(&histogram, &rest);
  CHECK_INT(ls_histogram_count(&histogram), 100);
  CHECK(ls_histogram_quantile(&histogram, 0.5) < 13000);
  CHECK(ls_histogram_quantile(&histogram, 0.98) < 13000);
  CHECK(ls_histogram_quantile(&histogram, 0.99) >= 5000000);
}

int main(void) {
  RUN(an_empty_one_says_zero);
  RUN(a_value_is_found_within_a_quarter);
  RUN(what_is_too_long_counts_as_the_longest);
  RUN(quantiles_divide_what_was_added);
  return 0;
}
