/* SPDX-License-Identifier: MIT */
#include "script/transparent.h"

void ls_transparent_open(lua_State *L) {
  lua_pushglobaltable(L);
  ls_protect_open(L);
  lua_getfield(L, -1, "coroutine");
  ls_coroutine_open(L);
  lua_pop(L, 2);
}

bool ls_transparent_is(lua_CFunction function) {
  return ls_protect_is(function) || ls_coroutine_is(function);
}
