/* SPDX-License-Identifier: MIT */
#include "script/options.h"

#include <ctype.h>
#include <lauxlib.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#define NS_PER_SECOND 1e9
#define MAX_SECONDS 2147483.647 /* 2^31 - 1 ms */
#define NAME_MAX_LENGTH 40

/* ---- the option probably meant ---- */

static unsigned min3(unsigned a, unsigned b, unsigned c) {
  unsigned least = a < b ? a : b;
  return least < c ? least : c;
}

/* Levenshtein distance, one row at a time; where a name is long, as of a file it may be, so is the way to it. */
static unsigned distance(const char *a, const char *b) {
  unsigned row[NAME_MAX_LENGTH + 1];
  size_t length = strlen(b);
  if (strlen(a) > NAME_MAX_LENGTH || length > NAME_MAX_LENGTH)
    return UINT_MAX;
  for (unsigned j = 0; j <= length; j++)
    row[j] = j;
  for (unsigned i = 1; *a != '\0'; a++, i++) {
    unsigned diagonal = row[0];
    row[0] = i;
    for (unsigned j = 1; j <= length; j++) {
      unsigned above = row[j];
      row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (*a != b[j - 1]));
      diagonal = above;
    }
  }
  return row[length];
}

const char *ls_options_nearest(const char *name, const char *const *known) {
  const char *best = NULL;
  unsigned best_distance = 4; /* further away is another word */
  for (; *known != NULL; known++) {
    unsigned d = distance(name, *known);
    bool is_better = d < best_distance || (best != NULL && d == best_distance && strcmp(*known, best) < 0);
    if (is_better && d < strlen(*known) && d < strlen(name)) {
      best = *known;
      best_distance = d;
    }
  }
  return best;
}

bool ls_options_snake_case(const char *name, char snake[LS_NAME_SIZE]) {
  size_t len = 0;
  for (const char *at = name; *at != '\0'; at++) {
    if (len + 2 >= LS_NAME_SIZE)
      return false;
    if (isupper((unsigned char)*at) && at > name && islower((unsigned char)at[-1]))
      snake[len++] = '_';
    snake[len++] = (char)tolower((unsigned char)*at);
  }
  if (len > 5 && memcmp(snake + len - 5, "_sync", 5) == 0)
    len -= 5;
  snake[len] = '\0';
  return true;
}

static int raise_unknown(lua_State *L, const char *what, const char *name, const char *const *known) {
  const char *nearest = ls_options_nearest(name, known);
  if (nearest != NULL)
    return luaL_error(L, "%s: unknown option '%s' (did you mean '%s'?)", what, name, nearest);
  return luaL_error(L, "%s: unknown option '%s'", what, name);
}

static bool is_known(const char *name, const char *const *known) {
  for (; *known != NULL; known++)
    if (strcmp(name, *known) == 0)
      return true;
  return false;
}

void ls_options_check(lua_State *L, int index, const char *what, const char *const *known) {
  if (lua_isnoneornil(L, index))
    return;
  luaL_checktype(L, index, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "%s: options have names, not a %s", what, luaL_typename(L, -1));
    else if (!is_known(lua_tostring(L, -1), known))
      raise_unknown(L, what, lua_tostring(L, -1), known);
  }
}

/* ---- values ---- */

static int get(lua_State *L, int index, const char *name) {
  if (!lua_istable(L, index)) {
    lua_pushnil(L);
    return LUA_TNIL;
  }
  return lua_getfield(L, index, name);
}

/* The value on top as it is written in Lua: strings in quotes. */
static const char *push_described(lua_State *L) {
  bool is_string = lua_type(L, -1) == LUA_TSTRING;
  const char *text = luaL_tolstring(L, -1, NULL);
  return is_string ? lua_pushfstring(L, "'%s'", text) : text;
}

bool ls_option_boolean(lua_State *L, int index, const char *name, bool fallback) {
  int type = get(L, index, name);
  bool value = type == LUA_TNIL ? fallback : lua_toboolean(L, -1);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    luaL_error(L, "option '%s' must be true or false, not a %s", name, luaL_typename(L, -1));
  lua_pop(L, 1);
  return value;
}

lua_Integer ls_option_integer(lua_State *L, int index, const char *name, lua_Integer min, lua_Integer max,
                              lua_Integer fallback) {
  lua_Integer value = fallback;
  if (get(L, index, name) != LUA_TNIL) {
    int exact;
    value = lua_tointegerx(L, -1, &exact);
    if (!exact || lua_type(L, -1) != LUA_TNUMBER)
      luaL_error(L, "option '%s' must be an integer, not %s", name, push_described(L));
    if (value < min || value > max)
      luaL_error(L, "option '%s' must be from %I to %I, not %I", name, (LUAI_UACINT)min, (LUAI_UACINT)max,
                 (LUAI_UACINT)value);
  }
  lua_pop(L, 1);
  return value;
}

uint64_t ls_option_seconds(lua_State *L, int index, const char *name, uint64_t fallback_ms) {
  uint64_t value = fallback_ms;
  int type = get(L, index, name);
  if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) {
    value = 0;
  } else if (type != LUA_TNIL) {
    lua_Number seconds = lua_tonumber(L, -1);
    if (type != LUA_TNUMBER || !(seconds >= 0 && seconds <= MAX_SECONDS))
      luaL_error(L, "option '%s' must be seconds from 0 to %f (or false: none), not %s", name, MAX_SECONDS,
                 push_described(L));
    value = (uint64_t)ceil(seconds * 1000);
  }
  lua_pop(L, 1);
  return value;
}

struct ls_slice ls_option_bytes(lua_State *L, int index, const char *name) {
  struct ls_slice bytes = {0};
  int type = get(L, index, name);
  if (type != LUA_TNIL && type != LUA_TSTRING)
    luaL_error(L, "option '%s' must be a string, not a %s", name, luaL_typename(L, -1));
  if (type == LUA_TSTRING)
    bytes.ptr = lua_tolstring(L, -1, &bytes.len);
  lua_pop(L, 1);
  return bytes;
}

const char *ls_option_string(lua_State *L, int index, const char *name, const char *fallback) {
  struct ls_slice bytes = ls_option_bytes(L, index, name);
  if (bytes.ptr != NULL && strlen(bytes.ptr) != bytes.len)
    luaL_error(L, "option '%s' must not have a NUL in it", name);
  return bytes.ptr != NULL ? bytes.ptr : fallback;
}

uint64_t ls_check_seconds(lua_State *L, int index, uint64_t min_ns) {
  lua_Number seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, seconds >= 0 && seconds <= MAX_SECONDS, index, "seconds must be from 0 to 2147483.647");
  uint64_t ns = (uint64_t)ceil(seconds * NS_PER_SECOND);
  return ns < min_ns ? min_ns : ns;
}
