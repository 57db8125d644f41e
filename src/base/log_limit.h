/* SPDX-License-Identifier: MIT */
/* log_limit: how many lines of one kind may go to the log in a while, for lines that others can cause as often as they like.
 * What is left out is counted, and told with the next line that may be written. */
#ifndef LS_BASE_LOG_LIMIT_H
#define LS_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero at first. Of one thread. */
struct ls_log_limit {
  uint64_t since; /* when the period began, ns; 0: there was no line yet */
  unsigned written, unsaid;
};

/* Whether a line may be written now, max in each period. Then more is what to put behind it: "", or " (and 7 before it)". */
bool ls_log_limit_take(struct ls_log_limit *limit, unsigned max, uint64_t period_ns, uint64_t now, char *more,
                       size_t size);

#endif
