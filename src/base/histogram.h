/* SPDX-License-Identifier: MIT */
/* histogram: how long things took, in fixed buckets on a logarithmic scale: four for each doubling, so a quantile is at most
 * a quarter too high. From a microsecond, below which all is one bucket, to over an hour. */
#ifndef LS_BASE_HISTOGRAM_H
#define LS_BASE_HISTOGRAM_H

#include <stdint.h>

enum { LS_HISTOGRAM_BUCKETS = 4 * 32 };

/* Zeroed memory is an empty one. */
struct ls_histogram {
  uint64_t counts[LS_HISTOGRAM_BUCKETS];
};

void ls_histogram_add(struct ls_histogram *histogram, uint64_t ns);
void ls_histogram_merge(struct ls_histogram *histogram, const struct ls_histogram *other);

uint64_t ls_histogram_count(const struct ls_histogram *histogram);

/* The time, in ns, that the part (0.99) of all was not over; the upper end of its bucket. 0 when empty. */
uint64_t ls_histogram_quantile(const struct ls_histogram *histogram, double part);

#endif
