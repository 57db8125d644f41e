/* SPDX-License-Identifier: MIT */
/* pcall and xpcall as in Lua's base library, but for cancellations, which they pass on. */
#include <lauxlib.h>

#include "script/runtime.h"
#include "script/task.h"
#include "script/transparent.h"

/* Results stand from first on; at index first - 1 is true. */
static int finish(lua_State *L, int status, lua_KContext seq_at_entry, int first) {
  if (ls_task_cancel_seq(L) != (unsigned)seq_at_entry)
    return ls_task_raise_cancel(L);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_pushboolean(L, 0);
    lua_pushvalue(L, -2);
    return 2;
  }
  return lua_gettop(L) - (first - 2);
}

static int k_pcall(lua_State *L, int status, lua_KContext seq) {
  return finish(L, status, seq, 2);
}

static int l_pcall(lua_State *L) {
  luaL_checkany(L, 1);
  lua_KContext seq = (lua_KContext)ls_task_cancel_seq(L);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  return k_pcall(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, seq, k_pcall), seq);
}

static int k_xpcall(lua_State *L, int status, lua_KContext seq) {
  return finish(L, status, seq, 4);
}

/* Stack: function, handler, true, function, arguments: the first two stay below the results. */
static int l_xpcall(lua_State *L) {
  int arguments = lua_gettop(L) - 2;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_KContext seq = (lua_KContext)ls_task_cancel_seq(L);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 2);
  return k_xpcall(L, lua_pcallk(L, arguments, LUA_MULTRET, 2, seq, k_xpcall), seq);
}

void ls_protect_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"pcall", l_pcall}, {"xpcall", l_xpcall}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}

bool ls_protect_is(lua_CFunction function) {
  return function == l_pcall || function == l_xpcall;
}
