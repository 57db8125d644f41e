/* SPDX-License-Identifier: MIT */
/* error: names and texts of the codes that functions return (base/error.h, errno, libuv's). */
#ifndef LS_LOOP_ERROR_H
#define LS_LOOP_ERROR_H

#include <stddef.h>

/* "ENOENT" into name; returns name. Unknown codes give "EUNKNOWN". */
const char *ls_error_name(int code, char *name, size_t size);

/* "no such file or directory" into text; returns text. */
const char *ls_error_text(int code, char *text, size_t size);

#endif
