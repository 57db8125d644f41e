/* SPDX-License-Identifier: MIT */
#include "base/log_limit.h"

#include <stdio.h>

bool ls_log_limit_take(struct ls_log_limit *limit, unsigned max, uint64_t period_ns, uint64_t now, char *more,
                       size_t size) {
  if (limit->since == 0 || now - limit->since >= period_ns) {
    limit->since = now;
    limit->written = 0;
  }
  if (limit->written >= max) {
    limit->unsaid++;
    return false;
  }
  limit->written++;
  *more = '\0';
  if (limit->unsaid != 0)
    snprintf(more, size, " (and %u before it)", limit->unsaid);
  limit->unsaid = 0;
  return true;
}
