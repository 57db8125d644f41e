/* SPDX-License-Identifier: MIT */
/* table.concat, insert, move and remove of Lua 5.4 (manual, 6.6): their counts come from a __len or the caller. */
#include <lauxlib.h>
#include <stdbool.h>

#include "script/bounded.h"
#include "script/interrupt.h"

/* ---- what is as good as a table ---- */

static bool has_metamethod(lua_State *L, int metatable, const char *name) {
  lua_pushstring(L, name);
  bool has = lua_rawget(L, metatable) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}

static bool is_like_table(lua_State *L, int arg, unsigned needs) {
  if (!lua_getmetatable(L, arg))
    return false;
  int metatable = lua_gettop(L);
  bool is = ((needs & LS_TABLE_READ) == 0 || has_metamethod(L, metatable, "__index")) &&
            ((needs & LS_TABLE_WRITE) == 0 || has_metamethod(L, metatable, "__newindex")) &&
            ((needs & LS_TABLE_LEN) == 0 || has_metamethod(L, metatable, "__len"));
  lua_pop(L, 1);
  return is;
}

static void check_table(lua_State *L, int arg, unsigned needs) {
  if (lua_type(L, arg) != LUA_TTABLE && !is_like_table(L, arg, needs))
    luaL_checktype(L, arg, LUA_TTABLE);
}

lua_Integer ls_bounded_len(lua_State *L, int arg, unsigned needs) {
  check_table(L, arg, needs | LS_TABLE_LEN);
  return luaL_len(L, arg);
}

/* ---- moving ---- */

/* to[j] = from[i] */
static inline void copy_element(lua_State *L, int from, lua_Integer i, int to, lua_Integer j) {
  if (i % LS_BOUNDED_STEPS == 0)
    ls_interrupt_poll(L);
  lua_geti(L, from, i);
  lua_seti(L, to, j);
}

static int l_insert(lua_State *L) {
  lua_Integer end = (lua_Integer)((lua_Unsigned)ls_bounded_len(L, 1, LS_TABLE_READ | LS_TABLE_WRITE) + 1);
  lua_Integer position = end;
  int arguments = lua_gettop(L);
  if (arguments != 2 && arguments != 3)
    return luaL_error(L, "wrong number of arguments to 'insert'");
  if (arguments == 3) {
    position = luaL_checkinteger(L, 2);
    luaL_argcheck(L, (lua_Unsigned)position - 1 < (lua_Unsigned)end, 2, "position out of bounds");
    for (lua_Integer i = end; i > position; i--)
      copy_element(L, 1, i - 1, 1, i);
  }
  lua_seti(L, 1, position);
  return 0;
}

static int l_remove(lua_State *L) {
  lua_Integer len = ls_bounded_len(L, 1, LS_TABLE_READ | LS_TABLE_WRITE);
  lua_Integer position = luaL_optinteger(L, 2, len);
  if (position != len)
    luaL_argcheck(L, (lua_Unsigned)position - 1 <= (lua_Unsigned)len, 2, "position out of bounds");
  lua_geti(L, 1, position);
  for (; position < len; position++)
    copy_element(L, 1, position + 1, 1, position);
  lua_pushnil(L);
  lua_seti(L, 1, position);
  return 1;
}

/* Upwards wherever that does not overwrite what is still to be moved: tables grow better so. */
static void move(lua_State *L, lua_Integer first, lua_Integer last, int to, lua_Integer at) {
  lua_Integer count = last - first + 1;
  if (at > last || at <= first || (to != 1 && !lua_compare(L, 1, to, LUA_OPEQ))) {
    for (lua_Integer i = 0; i < count; i++)
      copy_element(L, 1, first + i, to, at + i);
  } else {
    for (lua_Integer i = count - 1; i >= 0; i--)
      copy_element(L, 1, first + i, to, at + i);
  }
}

static int l_move(lua_State *L) {
  lua_Integer first = luaL_checkinteger(L, 2);
  lua_Integer last = luaL_checkinteger(L, 3);
  lua_Integer at = luaL_checkinteger(L, 4);
  int to = lua_isnoneornil(L, 5) ? 1 : 5;
  check_table(L, 1, LS_TABLE_READ);
  check_table(L, to, LS_TABLE_WRITE);
  if (last >= first) {
    luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3, "too many elements to move");
    luaL_argcheck(L, at <= LUA_MAXINTEGER - (last - first), 4, "destination wrap around");
    move(L, first, last, to, at);
  }
  lua_pushvalue(L, to);
  return 1;
}

/* ---- concat ---- */

static void add_element(lua_State *L, luaL_Buffer *out, lua_Integer i) {
  if (i % LS_BOUNDED_STEPS == 0)
    ls_interrupt_poll(L);
  lua_geti(L, 1, i);
  if (!lua_isstring(L, -1))
    luaL_error(L, "invalid value (%s) at index %I in table for 'concat'", luaL_typename(L, -1), (LUAI_UACINT)i);
  luaL_addvalue(out);
}

static int l_concat(lua_State *L) {
  lua_Integer len = ls_bounded_len(L, 1, LS_TABLE_READ);
  size_t separator_len;
  const char *separator = luaL_optlstring(L, 2, "", &separator_len);
  lua_Integer i = luaL_optinteger(L, 3, 1);
  lua_Integer last = luaL_optinteger(L, 4, len);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  for (; i < last; i++) {
    add_element(L, &out, i);
    luaL_addlstring(&out, separator, separator_len);
  }
  if (i == last)
    add_element(L, &out, i);
  luaL_pushresult(&out);
  return 1;
}

void ls_bounded_table_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"concat", l_concat}, {"insert", l_insert}, {"move", l_move}, {"remove", l_remove}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
