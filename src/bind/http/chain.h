/* SPDX-License-Identifier: MIT */
/* chain: how middleware is called: see luaserve.core.chain, which is the caller. */
#ifndef LS_BIND_HTTP_CHAIN_H
#define LS_BIND_HTTP_CHAIN_H

#include <lua.h>

/* link(middleware, rest) -> a function of req and res
 * It calls the middleware with them and with next, which calls rest, once. A middleware that has neither called next nor
 * answered when it ends is remembered, since the handler is not to blame then.
 *   local run = core.link(log, core.link(authorize, handler)) */
int ls_http_l_link(lua_State *L);

/* where(handler) -> where it is written: "app.lua:12" */
int ls_http_l_where(lua_State *L);

/* Before the first link. */
void ls_http_open_chain(lua_State *L);

#endif
