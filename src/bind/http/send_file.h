/* SPDX-License-Identifier: MIT */
/* send_file: res:send_file, and what it shares with the other answers of res. */
#ifndef LS_BIND_HTTP_SEND_FILE_H
#define LS_BIND_HTTP_SEND_FILE_H

#include <lua.h>

struct ls_call;

int ls_http_l_send_file(lua_State *L);

/* Pushes true, or nil, "closed", "ECLOSED", or raises, for a result of ls_response_*. */
int ls_http_push_sent(lua_State *L, int status);

/* Sets Content-Type unless the handler has. */
void ls_http_default_type(lua_State *L, struct ls_call *call, const char *type);

#endif
