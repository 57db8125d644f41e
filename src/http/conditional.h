/* SPDX-License-Identifier: MIT */
/* conditional: what a request's preconditions say about the representation that would be selected (RFC 9110 13). They
 * are looked at where the answer would otherwise be a 2xx; who answers something else does not ask here. */
#ifndef LS_HTTP_CONDITIONAL_H
#define LS_HTTP_CONDITIONAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "http/head.h"

#define LS_NO_DATE INT64_MIN

/* Of the current representation. Zeroed memory is none at all. */
struct ls_validators {
  bool exists;          /* there is one: what If-Match: * and If-None-Match: * ask */
  struct ls_slice etag; /* as it is sent: "x" or W/"x", with the quotes; len 0: it has none */
  int64_t modified;     /* seconds since 1970; LS_NO_DATE: it has no date */
};

/* Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in the order of 13.2.2.
 *   0    go on
 *   304  GET or HEAD, and the client has it already
 *   412  the request must not be performed
 * CONNECT, OPTIONS and TRACE have no preconditions. If-Match compares strongly, If-None-Match weakly (8.8.3.2). Their
 * lists may be spread over several fields; a list is good up to what is no entity tag in it, and "*" is every tag. A date
 * that is none, or that comes twice, is no condition. now: seconds since 1970, for dates with two-digit years. */
int ls_conditional_check(const struct ls_head *head, const struct ls_validators *validators, int64_t now);

/* Whether a Range field may be followed: If-Range is not there, or names this very representation (13.1.5): by a tag that
 * is the same and strong, or by a date that is the same. Such a date must be over by now: until the second has ended
 * another change can have it too. */
bool ls_conditional_range_holds(const struct ls_head *head, const struct ls_validators *validators, int64_t now);

/* "x" or W/"x" and nothing else. */
bool ls_etag_is_valid(struct ls_slice text);
/* What may stand between the quotes. */
bool ls_etag_is_opaque(struct ls_slice text);

/* The same bytes, and both strong; or the same bytes, whether strong or weak. */
bool ls_etag_equal_strong(struct ls_slice a, struct ls_slice b);
bool ls_etag_equal_weak(struct ls_slice a, struct ls_slice b);

#endif
