/* SPDX-License-Identifier: MIT */
/* precondition: answering what a conditional request asks, for handlers (res:precondition) and for files. */
#ifndef LS_BIND_HTTP_PRECONDITION_H
#define LS_BIND_HTTP_PRECONDITION_H

#include <lua.h>
#include <stdint.h>

#include "base/slice.h"

struct ls_call;
struct ls_headers;

int ls_http_l_precondition(lua_State *L);

/* Room for an entity tag with its quotes. */
enum { LS_ETAG_MAX = 256 };

/* Brings the option etag into the form in which it is sent: W/"x" and "x" as they are, x in quotes. Raises for what
 * cannot be one. The slice points into room or into the option. */
struct ls_slice ls_http_check_etag(lua_State *L, struct ls_slice option, char room[LS_ETAG_MAX]);

/* What is left of the response's headers in an answer that has no representation: not the fields that describe one (RFC
 * 9110 8.3 to 8.6, 15.4.5). */
void ls_http_drop_content_headers(struct ls_headers *headers);

/* The whole answer for a result of ls_conditional_check, 304 or 412, or 416; the fields that go with it have been set.
 * Results as ls_response_finish. */
int ls_http_answer_without(struct ls_call *call, int status);

#endif
