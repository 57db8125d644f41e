/* SPDX-License-Identifier: MIT */
/* accept: the methods of req that tell what the client would like best (RFC 9110 12.5). */
#ifndef LS_BIND_HTTP_ACCEPT_H
#define LS_BIND_HTTP_ACCEPT_H

#include <lua.h>

int ls_http_l_accepts(lua_State *L);
int ls_http_l_accepts_encoding(lua_State *L);
int ls_http_l_accepts_language(lua_State *L);

#endif
