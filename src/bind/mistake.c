/* SPDX-License-Identifier: MIT */
#include "bind/mistake.h"

#include <dirent.h>
#include <lauxlib.h>
#include <string.h>

#include "loop/port_owner.h"

#define MODULE "luaserve.core.mistake"
#define OWNER_SIZE 96
#define NAMES_MAX 1000 /* of a folder that are looked at */

/* Its address is the module's key in the registry. */
static const char module_key = 'm';

/* Pushes the module. Without require, which may want a loop that has ended. */
static void push_module(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &module_key) == LUA_TTABLE)
    return;
  lua_pop(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_getfield(L, -1, MODULE);
  lua_remove(L, -2);
  lua_pushliteral(L, MODULE);
  lua_call(L, 1, 1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
}

/* Stack: the function's name, its arguments. */
static int l_explain(lua_State *L) {
  push_module(L);
  lua_pushvalue(L, 1);
  lua_gettable(L, -2);
  lua_replace(L, 1);
  lua_pop(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

/* Replaces the arguments on top, of which the first is a text, by what function makes of them; by the message where
 * that fails. */
static void explain(lua_State *L, const char *function, int arguments) {
  int message = lua_gettop(L) - arguments + 1;
  lua_pushvalue(L, message);
  lua_insert(L, message);
  lua_pushcfunction(L, l_explain);
  lua_insert(L, message + 1);
  lua_pushstring(L, function);
  lua_insert(L, message + 2);
  if (lua_pcall(L, arguments + 1, 1, 0) == LUA_OK && lua_isstring(L, -1))
    lua_replace(L, message);
  lua_settop(L, message);
}

/* Pushes a list of what may have been meant by the name of a script: what is in its folder, and the commands. */
static void push_names(lua_State *L, const struct ls_program *program) {
  const char *slash = strrchr(program->file, '/');
  lua_Integer count = 0;
  lua_newtable(L);
  for (const char *const *command = program->commands; slash == NULL && *command != NULL; command++) {
    lua_pushstring(L, *command);
    lua_rawseti(L, -2, ++count);
  }
  lua_pushlstring(L, program->file, slash != NULL ? (size_t)(slash - program->file) + 1 : 0);
  DIR *folder = opendir(slash != NULL ? lua_tostring(L, -1) : ".");
  lua_pop(L, 1);
  if (folder == NULL)
    return;
  const struct dirent *entry;
  while (count < NAMES_MAX && (entry = readdir(folder)) != NULL) {
    if (entry->d_name[0] == '.')
      continue;
    lua_pushstring(L, entry->d_name);
    lua_rawseti(L, -2, ++count);
  }
  closedir(folder);
}

void ls_mistake_of_load(lua_State *L, int status, const struct ls_program *program) {
  if (status == LUA_ERRFILE) {
    lua_pushstring(L, program->file);
    push_names(L, program);
    explain(L, "file", 3);
  } else if (status == LUA_ERRSYNTAX) {
    lua_pushstring(L, program->file);
    lua_pushstring(L, program->code);
    explain(L, "syntax", 3);
  }
}

void ls_mistake_of_run(lua_State *L, const char *folder) {
  lua_pushstring(L, folder);
  explain(L, "uncaught", 2);
}

void ls_mistake_of_listen(lua_State *L, const char *code, const struct ls_listen_options *place, bool is_option) {
  char owner[OWNER_SIZE];
  bool is_taken = strcmp(code, "EADDRINUSE") == 0 && place->path == NULL && place->port > 0;
  lua_pushstring(L, code);
  lua_pushinteger(L, place->port);
  lua_pushstring(L, is_taken && ls_port_owner_find(place->port, owner, sizeof owner) ? owner : NULL);
  lua_pushboolean(L, is_option);
  explain(L, "listen", 5);
}

const char *ls_mistake_push_hint(lua_State *L, const char *text) {
  lua_pushliteral(L, ""); /* where that fails */
  lua_pushstring(L, text);
  explain(L, "hint", 2);
  return lua_tostring(L, -1);
}

const char *ls_mistake_push_result(lua_State *L, const char *name, int index) {
  index = lua_absindex(L, index);
  if (lua_isnil(L, index))
    lua_pushliteral(L, "");
  else
    lua_pushfstring(L, "%s returns a %s, which cannot be served", name, luaL_typename(L, index));
  lua_pushstring(L, name);
  lua_pushvalue(L, index);
  explain(L, "result", 3);
  return lua_tostring(L, -1);
}
