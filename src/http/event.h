/* SPDX-License-Identifier: MIT */
/* event: the lines of an event stream (WHATWG HTML 9.2.5). */
#ifndef LS_HTTP_EVENT_H
#define LS_HTTP_EVENT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

/* Whether the value fits on one line, as those of "event" and "id" have to: no CR, LF or NUL. */
bool ls_event_is_line(struct ls_slice value);

/* Appends "name: line" for each line of value, which end with LF, CR or CRLF; for "" one that is empty. A name of "" makes
 * comments. 0 or -ENOMEM. */
int ls_event_append(struct ls_buf *out, const char *name, struct ls_slice value);

#endif
