/* SPDX-License-Identifier: MIT */
/* handle: what every userdata of the API has in common: a typed metatable with __name, methods, a getter hook. */
#ifndef LS_SCRIPT_HANDLE_H
#define LS_SCRIPT_HANDLE_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* Makes (once) the metatable called name, with metamethods (may be NULL) set in it and methods in its __index; leaves
 * nothing on the stack. The metatable is hidden from getmetatable by __metatable. */
void ls_handle_type(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *metamethods);

/* Whether the value at index is a function, or can be called as one: an app is a table that can. */
bool ls_is_callable(lua_State *L, int index);

#endif
