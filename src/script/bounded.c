/* SPDX-License-Identifier: MIT */
#include "script/bounded.h"

#include <lauxlib.h>
#include <lualib.h>

void ls_bounded_open(lua_State *L) {
  lua_getglobal(L, LUA_STRLIBNAME);
  ls_bounded_string_open(L);
  lua_getglobal(L, LUA_TABLIBNAME);
  ls_bounded_table_open(L);
  ls_bounded_sort_open(L);
  lua_pop(L, 2);
}
