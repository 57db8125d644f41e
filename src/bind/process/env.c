/* SPDX-License-Identifier: MIT */
/* process.env: the environment as a table. Every access asks the system, so that C libraries, os.getenv and programs
 * that are started see the same. As everywhere in C, changing it while another thread reads it (a lookup on the pool
 * or a worker may) is a race: change it before serving, and before workers start. Workers cannot change it. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/process/impl.h"
#include "script/op.h"
#include "script/runtime.h"

static const char *check_name(lua_State *L) {
  size_t size;
  const char *name = luaL_checklstring(L, 2, &size);
  if (size == 0 || strlen(name) != size || strchr(name, '=') != NULL)
    luaL_error(L, "process.env: '%s' is no name of a variable", name);
  return name;
}

/* process.env.NAME -> string, or nil */
static int l_index(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING)
    lua_pushnil(L);
  else
    lua_pushstring(L, getenv(lua_tostring(L, 2)));
  return 1;
}

/* process.env.NAME = value. A string or a number sets it, nil takes it away; anything else raises. */
static int l_newindex(lua_State *L) {
  luaL_checktype(L, 2, LUA_TSTRING);
  const char *name = check_name(L);
  ls_runtime_check_main(L, "process.env: assignment");
  int status;
  if (lua_isnil(L, 3)) {
    status = unsetenv(name);
  } else {
    size_t size;
    if (lua_type(L, 3) != LUA_TSTRING && lua_type(L, 3) != LUA_TNUMBER)
      return luaL_error(L, "process.env.%s must be a string or nil, not a %s", name, luaL_typename(L, 3));
    const char *value = lua_tolstring(L, 3, &size);
    if (strlen(value) != size)
      return luaL_error(L, "process.env.%s must not have a NUL in it", name);
    status = setenv(name, value, 1);
  }
  return status == 0 ? 0 : luaL_error(L, "not enough memory");
}

static int l_next(lua_State *L) {
  lua_settop(L, 2);
  if (lua_next(L, 1))
    return 2;
  lua_pushnil(L);
  return 1;
}

/* for name, value in pairs(process.env) do ... end: over what was there when the loop began */
static int l_pairs(lua_State *L) {
  lua_pushcfunction(L, l_next);
  lua_newtable(L);
  for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
    const char *equals = strchr(*variable, '=');
    if (equals == NULL)
      continue;
    lua_pushlstring(L, *variable, (size_t)(equals - *variable));
    lua_pushstring(L, equals + 1);
    lua_rawset(L, -3);
  }
  lua_pushnil(L);
  return 3;
}

void ls_process_env_push(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__index", l_index}, {"__newindex", l_newindex}, {"__pairs", l_pairs}, {NULL, NULL}};
  lua_newtable(L);
  luaL_newlib(L, metamethods);
  lua_pushliteral(L, "luaserve.environment");
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
}
