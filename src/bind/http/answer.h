/* SPDX-License-Identifier: MIT */
/* answer: the methods of res that give the whole answer, and res:attachment. */
#ifndef LS_BIND_HTTP_ANSWER_H
#define LS_BIND_HTTP_ANSWER_H

#include <lua.h>

#include "base/slice.h"

struct ls_call;

int ls_http_l_send(lua_State *L);
int ls_http_l_html(lua_State *L);
int ls_http_l_json_answer(lua_State *L);
int ls_http_l_problem(lua_State *L);
int ls_http_l_redirect(lua_State *L);
int ls_http_l_redirect_local(lua_State *L);
int ls_http_l_attachment(lua_State *L);

/* Head, body and end; the results as ls_http_finish. */
int ls_http_answer(lua_State *L, struct ls_call *call, struct ls_slice body);

/* Pushes memory of Lua's with the value of Content-Disposition for a file to be saved under the last segment of name,
 * ending with a NUL, and returns it. */
const char *ls_http_push_disposition(lua_State *L, struct ls_slice name);

#endif
