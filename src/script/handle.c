/* SPDX-License-Identifier: MIT */
#include "script/handle.h"

void ls_handle_type(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *metamethods) {
  if (luaL_newmetatable(L, name)) {
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
    if (metamethods != NULL)
      luaL_setfuncs(L, metamethods, 0);
  }
  lua_pop(L, 1);
}

bool ls_is_callable(lua_State *L, int index) {
  if (lua_isfunction(L, index))
    return true;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
    return false;
  lua_pop(L, 1);
  return true;
}
