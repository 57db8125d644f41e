/* SPDX-License-Identifier: MIT */
#include "script/marks.h"

#include <lauxlib.h>

/* Their addresses are the keys in the registry, which light userdata finds without making a string. */
static const char null_key = 'n', mark_keys[] = {'n', 'a', 'o'};
static const char *const mark_names[] = {NULL, "luaserve.json.array", "luaserve.json.object"};

static int l_null_tostring(lua_State *L) {
  lua_pushliteral(L, "null");
  return 1;
}

static void make_null(lua_State *L) {
  lua_newuserdatauv(L, 1, 0); /* of none, its address would be that of what lies behind it: see ls_json_key */
  lua_createtable(L, 0, 3);
  lua_pushliteral(L, "luaserve.json.null");
  lua_setfield(L, -2, "__name");
  lua_pushcfunction(L, l_null_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}

void ls_marks_push_null(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key) != LUA_TNIL)
    return;
  lua_pop(L, 1);
  make_null(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
}

void ls_marks_push_metatable(lua_State *L, enum ls_mark mark) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &mark_keys[mark]) != LUA_TNIL)
    return;
  lua_pop(L, 1);
  luaL_newmetatable(L, mark_names[mark]);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &mark_keys[mark]);
}

static int is_registered(lua_State *L, int index, const void *key) {
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  int same = lua_rawequal(L, index, -1);
  lua_pop(L, 1);
  return same;
}

int ls_marks_is_null(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TUSERDATA && is_registered(L, index, &null_key);
}

enum ls_mark ls_marks_of_metatable(lua_State *L, int index) {
  return is_registered(L, index, &mark_keys[LS_MARK_ARRAY])    ? LS_MARK_ARRAY
         : is_registered(L, index, &mark_keys[LS_MARK_OBJECT]) ? LS_MARK_OBJECT
                                                               : LS_MARK_NONE;
}
