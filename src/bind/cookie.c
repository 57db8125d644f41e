/* SPDX-License-Identifier: MIT */
/* require "luaserve.core.cookie": what luaserve.cookie has in C. */
#include "http/cookie.h"

#include <lauxlib.h>

#include "bind/modules.h"

/* cookie.parse(text) -> { name = value }
 * The cookies of a Cookie field, which may be nil. Of a repeated name the first counts: that of the most specific path (RFC
 * 6265 5.4). What makes no sense is left out; clients can send anything.
 *   local cookies = cookie.parse(req.headers.cookie) */
static int l_parse(lua_State *L) {
  struct ls_slice rest, name, value;
  rest.ptr = luaL_optlstring(L, 1, "", &rest.len);
  lua_settop(L, 1);
  lua_newtable(L);
  while (ls_cookie_next(&rest, &name, &value)) {
    lua_pushlstring(L, name.ptr, name.len);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, 2) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_pushlstring(L, value.ptr, value.len);
      lua_rawset(L, 2);
    }
    lua_settop(L, 2);
  }
  return 1;
}

int luaopen_luaserve_core_cookie(lua_State *L) {
  static const luaL_Reg functions[] = {{"parse", l_parse}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
