/* SPDX-License-Identifier: MIT */
#include "base/histogram.h"

#define UNIT_BITS 10 /* 1024 ns */

/* The buckets 4k to 4k + 3 are the quarters from 2^k to 2^(k + 1) units. */
static unsigned bucket_of(uint64_t ns) {
  uint64_t units = ns >> UNIT_BITS;
  if (units == 0)
    return 0;
  unsigned octave = 63 - (unsigned)__builtin_clzll(units);
  uint64_t quarter = (ns >> (octave + UNIT_BITS - 2)) & 3;
  unsigned bucket = 4 * octave + (unsigned)quarter;
  return bucket < LS_HISTOGRAM_BUCKETS ? bucket : LS_HISTOGRAM_BUCKETS - 1;
}

static uint64_t end_of(unsigned bucket) {
  return (uint64_t)(4 + bucket % 4 + 1) << (bucket / 4 + UNIT_BITS - 2);
}

void ls_histogram_add(struct ls_histogram *histogram, uint64_t ns) {
  histogram->counts[bucket_of(ns)]++;
}

void ls_histogram_merge(struct ls_histogram *histogram, const struct ls_histogram *other) {
  for (unsigned i = 0; i < LS_HISTOGRAM_BUCKETS; i++)
    histogram->counts[i] += other->counts[i];
}

uint64_t ls_histogram_count(const struct ls_histogram *histogram) {
  uint64_t count = 0;
  for (unsigned i = 0; i < LS_HISTOGRAM_BUCKETS; i++)
    count += histogram->counts[i];
  return count;
}

uint64_t ls_histogram_quantile(const struct ls_histogram *histogram, double part) {
  uint64_t total = ls_histogram_count(histogram), below = 0;
  if (total == 0)
    return 0;
  for (unsigned i = 0; i < LS_HISTOGRAM_BUCKETS; i++) {
    below += histogram->counts[i];
    if ((double)below >= part * (double)total)
      return end_of(i);
  }
  return end_of(LS_HISTOGRAM_BUCKETS - 1);
}
