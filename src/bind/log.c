/* SPDX-License-Identifier: MIT */
/* require "luaserve.core.log": the log of the process (base/log.h): lines for it from modules in Lua; and kept instead
 * of written, for specs that want to see what a server said. */
#include "base/log.h"

#include <lauxlib.h>

#include "base/buf.h"
#include "bind/modules.h"
#include "loop/loop.h"
#include "script/runtime.h"

static struct ls_log *log_of(lua_State *L) {
  return ls_runtime_of(L)->loop->log;
}

/* log.keep(on)
 * From now on lines are kept, up to a megabyte of them, and not written; or written again. */
static int l_keep(lua_State *L) {
  luaL_checktype(L, 1, LUA_TBOOLEAN);
  ls_log_keep(log_of(L), lua_toboolean(L, 1));
  return 0;
}

static int l_push(lua_State *L) {
  const struct ls_buf *text = lua_touserdata(L, 1);
  lua_pushlstring(L, text->len > 0 ? ls_buf_bytes(text) : "", text->len);
  return 1;
}

/* log.take() -> string
 * The lines that were kept since the last time. */
static int l_take(lua_State *L) {
  struct ls_buf text;
  lua_pushcfunction(L, l_push);
  ls_log_take(log_of(L), &text);
  lua_pushlightuserdata(L, &text);
  int status = lua_pcall(L, 1, 1, 0);
  ls_buf_dispose(&text);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* log.warn(text)
 * One entry of the log. */
static int l_warn(lua_State *L) {
  ls_log_write(log_of(L), LS_LOG_WARN, "%s", luaL_checkstring(L, 1));
  return 0;
}

int luaopen_luaserve_core_log(lua_State *L) {
  static const luaL_Reg functions[] = {{"keep", l_keep}, {"take", l_take}, {"warn", l_warn}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
