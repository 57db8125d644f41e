/* SPDX-License-Identifier: MIT */
/* html: text made safe for HTML: between tags, and in attribute values that stand in quotes of either kind. */
#ifndef LS_HTTP_HTML_H
#define LS_HTTP_HTML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* How many bytes in front have nothing to escape: none of & < > " and '. */
size_t ls_html_plain_length(struct ls_slice text);

/* Copies text as long as it has none of them, or somewhat less. Returns how much; out has room for all. */
size_t ls_html_copy_plain(struct ls_slice text, char *out);

/* What stands for one of those five: "&amp;". */
struct ls_slice ls_html_entity(char c);

/* Whether a browser that follows this URL goes to a place and runs nothing: it is relative, or its scheme is http, https,
 * mailto, tel, sms or ftp. As browsers do it takes no notice of control characters and spaces in front, nor of tabs and line
 * ends anywhere (WHATWG URL 4.4). */
bool ls_html_url_is_safe(struct ls_slice url);

#endif
