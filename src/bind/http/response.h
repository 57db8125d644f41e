/* SPDX-License-Identifier: MIT */
/* response: what the methods of res share. */
#ifndef LS_BIND_HTTP_RESPONSE_H
#define LS_BIND_HTTP_RESPONSE_H

#include <lua.h>

#include "base/slice.h"
#include "bind/http/impl.h"

/* A string or number at index. Raises for anything else. */
struct ls_slice ls_http_check_slice(lua_State *L, int index);

/* A status, least to 599. Raises for anything else. */
int ls_http_check_status(lua_State *L, int index, int least);

/* The call of the res at index 1. Raises where the head has been sent, unless the client has left. */
struct ls_call *ls_http_check_unsent(lua_State *L);

/* Raises where C code is sending the response. */
void ls_http_check_no_feed(lua_State *L, const struct ls_call *call);

/* Sets a header field in place of all of that name; raises for what may not be in one. */
void ls_http_set_header(lua_State *L, struct ls_call *call, struct ls_slice name, struct ls_slice value);

/* Sets Content-Type unless the handler has. */
void ls_http_default_type(lua_State *L, struct ls_call *call, struct ls_slice type);

/* nil, "closed", "ECLOSED": the client has left. Returns 3. */
int ls_http_push_closed(lua_State *L);

/* Pushes true, or nil, "closed", "ECLOSED", or raises, for a result of ls_response_*. */
int ls_http_push_sent(lua_State *L, int status);

/* Writes to a response that no feed sends, of a client that has not left, and waits as res:write does: the return
 * statement of an async method. */
int ls_http_await_write(lua_State *L, struct ls_call *call, struct ls_slice bytes, int callback_index);

/* Pushes the results, for a result of ls_response_*, of what has completed the response; the call may end with it. */
int ls_http_finish(lua_State *L, struct ls_call *call, int status);

#endif
