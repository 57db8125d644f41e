/* SPDX-License-Identifier: MIT */
/* status: the status codes that have a name, and how they look on the wire. */
#ifndef LS_HTTP_STATUS_H
#define LS_HTTP_STATUS_H

#include "base/slice.h"

/* "HTTP/1.1 200 OK\r\n"; ptr NULL for a code without a name. */
struct ls_slice ls_status_line(int status);

/* "OK"; empty for a code without a name. */
struct ls_slice ls_status_reason(int status);

#endif
