/* SPDX-License-Identifier: MIT */
#include "script/loader.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "script/embedded.h"
#include "script/module.h"

/* luaserve.app is lua/luaserve/app.lua, luaserve itself lua/luaserve/init.lua. */
static void push_path(lua_State *L, const char *name) {
  if (strcmp(name, "luaserve") == 0)
    name = "luaserve.init";
  luaL_gsub(L, name, ".", "/");
  lua_pushliteral(L, ".lua");
  lua_concat(L, 2);
}

static int load_from(lua_State *L, const char *folder, const char *name) {
  lua_pushfstring(L, "%s/", folder);
  push_path(L, name);
  lua_concat(L, 2);
  return luaL_loadfile(L, lua_tostring(L, -1));
}

/* package.preload's functions get (name, ":preload:") and return the module's value. */
static int l_load(lua_State *L) {
  const struct ls_embedded *module = lua_touserdata(L, lua_upvalueindex(1));
  const char *folder = getenv("LUASERVE_LUA");
  int status = folder != NULL ? load_from(L, folder, module->name)
                              : luaL_loadbufferx(L, module->source, module->size, module->chunk, "t");
  if (status != LUA_OK)
    return lua_error(L);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  ls_module_guard(L, module->name);
  return 1;
}

static void get_preload(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
}

static void add_embedded(lua_State *L, const struct ls_embedded *module) {
  get_preload(L);
  lua_pushlightuserdata(L, (void *)(uintptr_t)module);
  lua_pushcclosure(L, l_load, 1);
  lua_setfield(L, -2, module->name);
  lua_pop(L, 1);
}

void ls_loader_open(lua_State *L) {
  for (size_t i = 0; i < ls_embedded_count; i++)
    add_embedded(L, &ls_embedded_modules[i]);
}

void ls_loader_add_embedded(lua_State *L, const char *name) {
  for (size_t i = 0; i < ls_embedded_count; i++)
    if (strcmp(ls_embedded_modules[i].name, name) == 0)
      add_embedded(L, &ls_embedded_modules[i]);
}

/* Upvalues: the open function, the module's value once there is one. */
static int l_open_once(lua_State *L) {
  if (!lua_isnil(L, lua_upvalueindex(2))) {
    lua_pushvalue(L, lua_upvalueindex(2));
    return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  ls_module_guard(L, luaL_checkstring(L, 1));
  lua_pushvalue(L, -1);
  lua_replace(L, lua_upvalueindex(2));
  return 1;
}

void ls_loader_add(lua_State *L, const char *name, lua_CFunction open) {
  get_preload(L);
  lua_pushcfunction(L, open);
  lua_pushnil(L);
  lua_pushcclosure(L, l_open_once, 2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}
