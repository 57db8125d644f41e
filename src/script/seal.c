/* SPDX-License-Identifier: MIT */
#include "script/seal.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "script/finalizer.h"
#include "script/require.h"
#include "script/runtime.h"
#include "script/task.h"

/* Its address is the key in the registry of {sealed table = its content}. */
static const char contents_key = 'c';

/* The libraries of Lua, whose tables are sealed with _G: who changed one would change everybody's. */
static const char *const libraries[] = {"coroutine", "debug", "io", "math", "os", "string", "table", "utf8", NULL};

/* ---- who is asking ---- */

static bool may_assign(lua_State *L) {
  const struct ls_runtime *rt = ls_runtime_of(L);
  const struct ls_task *task = rt->running;
  return task == NULL || task == rt->main_task || ls_require_is_loading(task);
}

/* Whether the chunk called source is the app's own code: relative to the working folder, or below the script's. */
static bool is_app_source(const struct ls_runtime *rt, const char *source) {
  if (*source != '@' || strncmp(source, "@luaserve/", 10) == 0)
    return false;
  if (rt->app_folder != NULL && strncmp(source + 1, rt->app_folder, strlen(rt->app_folder)) == 0)
    return true;
  return rt->app_folder == NULL && source[1] != '/';
}

static bool is_called_by_app(lua_State *L) {
  lua_Debug frame;
  return lua_getstack(L, 1, &frame) && lua_getinfo(L, "S", &frame) && is_app_source(ls_runtime_of(L), frame.source);
}

/* ---- the metatable of a sealed table ---- */

static int raise_sealed(lua_State *L, const char *library) {
  const char *name = luaL_tolstring(L, 2, NULL);
  if (library == NULL)
    return luaL_error(L,
                      "global '%s' cannot be assigned while requests are served: every request would share it; use a "
                      "local, req.locals, or a field of a module's own table",
                      name);
  return luaL_error(L,
                    "%s.%s cannot be assigned while requests are served: every request would get it; use a local "
                    "function, or assign it when the program starts",
                    library, name);
}

/* Upvalues: the content, the library's name or nil for _G. */
static int l_assign(lua_State *L) {
  if (!may_assign(L))
    return raise_sealed(L, lua_tostring(L, lua_upvalueindex(2)));
  lua_settop(L, 3);
  lua_settable(L, lua_upvalueindex(1));
  return 0;
}

/* Words of other languages. */
static const char *hint_for(const char *name) {
  static const char *const hints[][2] = {
      {"await", "nothing here needs it: a call that waits just waits"},
      {"async", "nothing here needs it: a call that waits just waits"},
      {"null", "Lua says nil, and json.null is the null of JSON"},
      {"undefined", "Lua says nil"},
      {"console", "print, or io.stderr:write"},
  };
  for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
    if (strcmp(hints[i][0], name) == 0)
      return hints[i][1];
  return NULL;
}

/* Behind the content, for names that it does not have. */
static int l_undefined(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING || !is_called_by_app(L))
    return 0;
  const char *hint = hint_for(lua_tostring(L, 2));
  if (hint != NULL)
    return luaL_error(L, "global '%s' is not defined: %s", lua_tostring(L, 2), hint);
  return luaL_error(
      L,
      "global '%s' is not defined: a local, or a field of a module's own table, is what lasts between requests "
      "(rawget(_G, '%s') asks without an error)",
      lua_tostring(L, 2), lua_tostring(L, 2));
}

/* Upvalue: the content. */
static int l_pairs(lua_State *L) {
  lua_getglobal(L, "next");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushnil(L);
  return 3;
}

static void move_content(lua_State *L, int from, int to) {
  lua_pushnil(L);
  while (lua_next(L, from) != 0) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, to);
  }
  lua_pushnil(L);
  while (lua_next(L, to) != 0) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, from);
  }
}

/* ---- functions replaced with the seal ---- */

/* Raw access to a sealed table means its content: puts that at index 1 instead. Whether it did. */
static bool redirect_to_content(lua_State *L) {
  if (ls_runtime_of(L)->globals != LS_GLOBALS_SEALED || !lua_istable(L, 1))
    return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &contents_key);
  lua_pushvalue(L, 1);
  bool sealed = lua_rawget(L, -2) == LUA_TTABLE;
  if (sealed)
    lua_replace(L, 1);
  else
    lua_pop(L, 1);
  lua_pop(L, 1);
  return sealed;
}

/* rawget, rawset, next, getmetatable: manual 6.1. */
static int l_rawget(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  redirect_to_content(L);
  lua_rawget(L, 1);
  return 1;
}

static int l_rawset(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 2);
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  lua_pushvalue(L, 1); /* the result, where it is the content that is written */
  redirect_to_content(L);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, 1);
  return 1;
}

static int l_next(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  redirect_to_content(L);
  if (lua_next(L, 1) != 0)
    return 2;
  lua_pushnil(L);
  return 1;
}

static int l_getmetatable(lua_State *L) {
  luaL_checkany(L, 1);
  redirect_to_content(L);
  if (!lua_getmetatable(L, 1)) {
    lua_pushnil(L);
    return 1;
  }
  luaL_getmetafield(L, 1, "__metatable");
  return 1;
}

/* setmetatable(table, metatable), manual 6.1; of a sealed table it is the content that gets it. */
static int l_setmetatable(lua_State *L) {
  int type = lua_type(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
  lua_settop(L, 2);
  lua_pushvalue(L, 1); /* the result */
  redirect_to_content(L);
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
    return luaL_error(L, "cannot change a protected metatable");
  if (type == LUA_TTABLE)
    ls_finalizer_wrap(L, 2);
  lua_pushvalue(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

static bool is_in_request(lua_State *L) {
  return ls_task_request(ls_runtime_of(L)->running) != NULL;
}

/* Calls the original, upvalue 1, with the arguments as they are. */
static int call_original(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

static int l_setlocale(lua_State *L) {
  if (is_in_request(L) && !lua_isnoneornil(L, 1))
    return luaL_error(L, "os.setlocale in a request would change every request's locale: call it at start-up");
  return call_original(L);
}

static int l_collectgarbage(lua_State *L) {
  const char *what = luaL_optstring(L, 1, "collect");
  if (is_in_request(L) && strcmp(what, "stop") == 0)
    return luaL_error(L, "collectgarbage('stop') in a request would stop it for every request: call it at start-up");
  return call_original(L);
}

static int l_sethook(lua_State *L) {
  if (is_in_request(L))
    return luaL_error(L, "debug.sethook in a request would take the hook that guards the server: use it in a script");
  return call_original(L);
}

/* Puts replacement, which has the original as upvalue 1, in its place; a program may have taken that away. */
static void wrap(lua_State *L, const char *library, const char *name, lua_CFunction replacement) {
  int top = lua_gettop(L);
  if (lua_getglobal(L, library) == LUA_TTABLE && lua_getfield(L, -1, name) == LUA_TFUNCTION) {
    lua_pushcclosure(L, replacement, 1);
    lua_setfield(L, -2, name);
  }
  lua_settop(L, top);
}

/* What would change the world of every request is refused in one. Before the seal the originals stand. */
static void guard_libraries(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"getmetatable", l_getmetatable}, {"next", l_next}, {"rawget", l_rawget}, {"rawset", l_rawset},
      {"setmetatable", l_setmetatable}, {NULL, NULL}};
  lua_pushglobaltable(L);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
  wrap(L, "_G", "collectgarbage", l_collectgarbage);
  wrap(L, "os", "setlocale", l_setlocale);
  wrap(L, "debug", "sethook", l_sethook);
}

/* ---- sealing ---- */

/* A metatable that the table had goes to the content; of _G without one, undefined names are an error there. */
static void set_content_metatable(lua_State *L, int table, int content, const char *library) {
  if (!lua_getmetatable(L, table)) {
    if (library != NULL)
      return;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_undefined);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, content);
}

static void note_content(lua_State *L, int table, int content) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &contents_key) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &contents_key);
  }
  lua_pushvalue(L, table);
  lua_pushvalue(L, content);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static void push_metatable(lua_State *L, int content, const char *library) {
  lua_createtable(L, 0, 3);
  lua_pushvalue(L, content);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, content);
  lua_pushstring(L, library); /* NULL: nil */
  lua_pushcclosure(L, l_assign, 2);
  lua_setfield(L, -2, "__newindex");
  lua_pushvalue(L, content);
  lua_pushcclosure(L, l_pairs, 1);
  lua_setfield(L, -2, "__pairs");
}

/* The table on top of the stack. library: its name; NULL: it is _G. The content takes its place on the stack. */
static void seal_table(lua_State *L, const char *library) {
  int table = lua_gettop(L), content = table + 1;
  lua_newtable(L);
  set_content_metatable(L, table, content, library);
  note_content(L, table, content);
  move_content(L, table, content);
  push_metatable(L, content, library);
  lua_setmetatable(L, table);
  lua_remove(L, table);
}

/* Methods of strings are looked up in the content at once. */
static void index_strings(lua_State *L, int content) {
  lua_pushliteral(L, "");
  if (lua_getmetatable(L, -1)) {
    lua_pushvalue(L, content);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void seal_library(lua_State *L, const char *name) {
  int top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, name) == LUA_TTABLE) { /* else the program has taken it away */
    seal_table(L, name);
    if (strcmp(name, LUA_STRLIBNAME) == 0)
      index_strings(L, lua_gettop(L));
  }
  lua_settop(L, top);
}

void ls_seal(lua_State *L) {
  struct ls_runtime *rt = ls_runtime_of(L);
  if (rt->globals != LS_GLOBALS_UNSEALED)
    return;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  guard_libraries(L);
  for (int i = 0; libraries[i] != NULL; i++)
    seal_library(L, libraries[i]);
  lua_pushglobaltable(L);
  seal_table(L, NULL);
  lua_pop(L, 1);
  rt->globals = LS_GLOBALS_SEALED;
}
