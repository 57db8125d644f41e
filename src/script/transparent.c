/* SPDX-License-Identifier: MIT */
#include "script/transparent.h"

#include <lauxlib.h>

#define ADDED "luaserve.transparent" /* in the registry: a set of C functions */

void ls_transparent_open(lua_State *L) {
  lua_pushglobaltable(L);
  ls_protect_open(L);
  lua_getfield(L, -1, "coroutine");
  ls_coroutine_open(L);
  lua_pop(L, 2);
}

void ls_transparent_add(lua_State *L, lua_CFunction function) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, ADDED);
  lua_pushcfunction(L, function);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static bool is_added(lua_State *L, lua_CFunction function) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, ADDED) == LUA_TTABLE) {
    lua_pushcfunction(L, function);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
  bool added = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return added;
}

bool ls_transparent_is(lua_State *L, lua_CFunction function) {
  return ls_protect_is(function) || ls_coroutine_is(function) || is_added(L, function);
}
