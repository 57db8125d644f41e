/* SPDX-License-Identifier: MIT */
/* require "luaserve.core.development": what the Lua side of a restart (loop/restart.h) needs. Not for programs. */
#include <lauxlib.h>

#include "bind/modules.h"
#include "loop/loop.h"
#include "loop/restart.h"
#include "script/runtime.h"

static struct ls_restart *restart_of(lua_State *L) {
  return ls_runtime_of(L)->loop->restart;
}

/* development.watch(path)
 * The file is about to be read: when it changes, the program restarts. Does nothing where it never does. */
static int l_watch(lua_State *L) {
  struct ls_restart *restart = restart_of(L);
  const char *path = luaL_checkstring(L, 1);
  if (restart != NULL)
    ls_restart_watch(restart, path);
  return 0;
}

/* development.restarts() -> whether changes restart the program */
static int l_restarts(lua_State *L) {
  lua_pushboolean(L, restart_of(L) != NULL);
  return 1;
}

/* development.failure() -> text | nil
 * Why the program could not be started, with its traceback. */
static int l_failure(lua_State *L) {
  const struct ls_restart *restart = restart_of(L);
  lua_pushstring(L, restart != NULL ? restart->failure : NULL);
  return 1;
}

static int l_push_sources(lua_State *L) {
  const struct ls_sources *sources = lua_touserdata(L, 1);
  lua_createtable(L, (int)sources->count, 0);
  for (size_t i = 0; i < sources->count; i++) {
    lua_pushstring(L, sources->list[i].path);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* development.sources() -> list of the paths that are watched, as they were given */
static int l_sources(lua_State *L) {
  struct ls_restart *restart = restart_of(L);
  if (restart == NULL) {
    lua_newtable(L);
    return 1;
  }
  lua_pushcfunction(L, l_push_sources);
  lua_pushlightuserdata(L, &restart->sources);
  pthread_mutex_lock(&restart->mutex);
  int status = lua_pcall(L, 1, 1, 0);
  pthread_mutex_unlock(&restart->mutex);
  return status == LUA_OK ? 1 : lua_error(L);
}

int luaopen_luaserve_core_development(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"failure", l_failure}, {"restarts", l_restarts}, {"sources", l_sources}, {"watch", l_watch}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
