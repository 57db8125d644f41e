/* SPDX-License-Identifier: MIT */
/* negotiate: what a client prefers (RFC 9110 12.4, 12.5): lists of values with weights, and the content coding that
 * Accept-Encoding asks for. */
#ifndef LS_HTTP_NEGOTIATE_H
#define LS_HTTP_NEGOTIATE_H

#include <stdbool.h>

#include "base/slice.h"
#include "http/coding.h"
#include "http/head.h"

struct ls_weighted {
  struct ls_slice value; /* "gzip", "text/html": up to its parameters */
  unsigned weight;       /* 0 to 1000 */
};

/* Cuts the next member off the list; false: there is none. Members that are malformed, or whose weight is, are skipped. */
bool ls_weighted_next(struct ls_slice *list, struct ls_weighted *member);

/* The coding, of those offered, that the request's Accept-Encoding likes best; of equals the one offered first. IDENTITY
 * where it likes that better, names none of them or sends no such field; also where it refuses everything, because an
 * answer that may be of use is better than none (RFC 9110 12.5.3). */
enum ls_coding ls_negotiate_coding(const struct ls_head *head, const enum ls_coding *offered, unsigned count);

#endif
