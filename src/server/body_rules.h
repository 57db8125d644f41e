/* SPDX-License-Identifier: MIT */
/* body_rules: which requests may bring larger (or only smaller) bodies than the server's others, by method and path. The
 * limit must be known when the head arrives, before any handler runs. */
#ifndef LS_SERVER_BODY_RULES_H
#define LS_SERVER_BODY_RULES_H

#include <stdint.h>

#include "base/slice.h"
#include "http/head.h"

struct ls_body_rule;

/* Zeroed memory is an empty list. */
struct ls_body_rules {
  struct ls_body_rule *list; /* the most specific first */
  unsigned count;
};

void ls_body_rules_dispose(struct ls_body_rules *rules);

/* pattern: "/upload", "PUT /upload", or with a '*' at its end for all paths that begin so. Paths as req.path has them:
 * without query and dot segments, not decoded. limit: bytes, UINT64_MAX: none. 0, -ENOMEM, or -EINVAL for a pattern that
 * is none. */
int ls_body_rules_add(struct ls_body_rules *rules, struct ls_slice pattern, uint64_t limit);

/* The limit for this request: of the exact path before those that begin so, of the longer beginning before the shorter,
 * with the method before without; fallback where no rule fits. */
uint64_t ls_body_rules_find(const struct ls_body_rules *rules, const struct ls_head *head, uint64_t fallback);

#endif
