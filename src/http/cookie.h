/* SPDX-License-Identifier: MIT */
/* cookie: reading what clients send in Cookie fields (RFC 6265 5.4 and its revision), leniently. */
#ifndef LS_HTTP_COOKIE_H
#define LS_HTTP_COOKIE_H

#include <stdbool.h>

#include "base/slice.h"

/* Takes the next cookie off the front of a Cookie field's value: name and value without the spaces and tabs around them, and
 * the value without the double quotes that it may stand in. What is no pair, or has no name, is skipped. False at the
 * end. */
bool ls_cookie_next(struct ls_slice *rest, struct ls_slice *name, struct ls_slice *value);

#endif
