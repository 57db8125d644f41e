/* SPDX-License-Identifier: MIT */
/* require "luaserve.core.options": for modules written in Lua, tables of options that are checked as those in C are. */
#include <lauxlib.h>
#include <string.h>

#include "bind/modules.h"
#include "script/options.h"

enum { NAMES_MAX = 64 };

static void check_name(lua_State *L, const char *const *known, int level) {
  const char *what = lua_tostring(L, 2);
  luaL_where(L, level);
  if (lua_type(L, -2) != LUA_TSTRING) {
    lua_pushfstring(L, "%s%s: options have names, not a %s", lua_tostring(L, -1), what, luaL_typename(L, -2));
    lua_error(L);
  }
  const char *name = lua_tostring(L, -2);
  for (const char *const *at = known; *at != NULL; at++) {
    if (strcmp(*at, name) == 0) {
      lua_pop(L, 1);
      return;
    }
  }
  const char *nearest = ls_options_nearest(name, known);
  lua_pushfstring(L, "%s%s: unknown option '%s'", lua_tostring(L, -1), what, name);
  if (nearest != NULL)
    lua_pushfstring(L, "%s (did you mean '%s'?)", lua_tostring(L, -1), nearest);
  lua_error(L);
}

/* The list at index, which keeps them; a NULL is put behind them. */
static void read_names(lua_State *L, int index, const char **known, lua_Integer max) {
  lua_Integer count = luaL_len(L, index);
  luaL_argcheck(L, count <= max, index, "too many names");
  for (lua_Integer i = 0; i < count; i++) {
    lua_rawgeti(L, index, i + 1);
    luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, index, "names are strings");
    known[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  known[count] = NULL;
}

/* options.check(options, what, known [, level])
 * Raises unless options is nil or a table whose keys are all in the list known (64 at most): "app.new: unknown option 'strct'
 * (did you mean 'strict'?)". what: the function, for the error. level: whose mistake it is, as for error, counted from the
 * function that calls check; default 2: its caller. */
static int l_check(lua_State *L) {
  luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  int level = (int)luaL_optinteger(L, 4, 2);
  lua_settop(L, 3);
  if (lua_isnil(L, 1))
    return 0;
  if (!lua_istable(L, 1)) {
    luaL_where(L, level);
    lua_pushfstring(L, "%s%s: options must be a table, not a %s", lua_tostring(L, -1), lua_tostring(L, 2),
                    luaL_typename(L, 1));
    return lua_error(L);
  }
  const char *known[NAMES_MAX + 1];
  read_names(L, 3, known, NAMES_MAX);
  for (lua_pushnil(L); lua_next(L, 1) != 0;) {
    lua_pop(L, 1);
    check_name(L, known, level);
  }
  return 0;
}

/* options.nearest(name, list) -> the name of the list that name is probably a slip of; nil: none is near */
static int l_nearest(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  size_t size = ((size_t)luaL_len(L, 2) + 1) * sizeof(char *);
  const char **known = lua_newuserdatauv(L, size, 0);
  read_names(L, 2, known, luaL_len(L, 2));
  lua_pushstring(L, ls_options_nearest(name, known));
  return 1;
}

/* options.snake_case(name) -> the camelCase name as it would be written here; nil: it is too long for one */
static int l_snake_case(lua_State *L) {
  char snake[LS_NAME_SIZE];
  lua_pushstring(L, ls_options_snake_case(luaL_checkstring(L, 1), snake) ? snake : NULL);
  return 1;
}

int luaopen_luaserve_core_options(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"check", l_check}, {"nearest", l_nearest}, {"snake_case", l_snake_case}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
