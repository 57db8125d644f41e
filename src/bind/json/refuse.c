/* SPDX-License-Identifier: MIT */
/* refuse: how the encoder says what it cannot write, and where in the value that is. */
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#include "bind/json/encode.h"
#include "script/path.h"

/* Fills frames from the root on; returns how many there are. */
static int list_frames(const struct ls_json_encoder *e, const struct ls_json_frame **frames) {
  int n = 0, i = 0;
  for (const struct ls_json_frame *f = e->frame; f != NULL; f = f->up)
    n++;
  for (const struct ls_json_frame *f = e->frame; f != NULL; f = f->up)
    frames[n - ++i] = f;
  return n;
}

void ls_json_refuse(struct ls_json_encoder *e, const char *what, const char *hint) {
  const struct ls_json_frame *frames[LS_JSON_MAX_DEPTH + 1];
  struct ls_path path;
  int n = list_frames(e, frames);
  ls_path_init(&path, "$", n);
  for (int i = 0; i < n; i++) {
    if (frames[i]->key == 0)
      ls_path_add_index(&path, frames[i]->index);
    else
      ls_path_add_key(&path, e->L, frames[i]->key);
  }
  ls_json_box_release(e->box);
  luaL_where(e->L, 1);
  lua_pushfstring(e->L, "%s at ", what);
  lua_pushlstring(e->L, path.text, path.len);
  lua_pushstring(e->L, hint);
  lua_concat(e->L, 4);
  lua_error(e->L);
  abort(); /* lua_error does not return, which its prototype does not say */
}

void ls_json_refuse_depth(struct ls_json_encoder *e) {
  const struct ls_json_frame *frames[LS_JSON_MAX_DEPTH + 1];
  int n = list_frames(e, frames);
  const void *innermost = lua_topointer(e->L, -1);
  for (int i = 1; i <= n; i++) {
    const void *table = i < n ? lua_topointer(e->L, frames[i]->table) : innermost;
    for (int j = 0; j < i; j++) {
      if (lua_topointer(e->L, frames[j]->table) == table) {
        e->frame = frames[i - 1];
        ls_json_refuse(e, "cannot encode a table that contains itself", "");
      }
    }
  }
  ls_json_refuse(e, lua_pushfstring(e->L, "cannot encode tables nested deeper than %d", e->options.max_depth),
                 " (option max_depth)");
}

/* The key below the top of the stack is no string and no index. */
static _Noreturn void refuse_key(struct ls_json_encoder *e) {
  const char *type = luaL_typename(e->L, -2);
  lua_pushvalue(e->L, -2);
  if (lua_type(e->L, -1) == LUA_TNUMBER) {
    type = lua_pushfstring(e->L, "key %s", lua_tostring(e->L, -1));
  } else {
    type = lua_pushfstring(e->L, "%s as a key", type);
  }
  ls_json_refuse(e, lua_pushfstring(e->L, "cannot encode a table with a %s", type), ": keys are strings, or 1 to n");
}

/* What the keys of a table are, of those that may be. */
struct keys {
  lua_Integer count, largest; /* of the indices */
  const char *name;           /* a string, if there is one */
};

static struct keys list_keys(struct ls_json_encoder *e, int table) {
  lua_State *L = e->L;
  struct keys keys = {0};
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1) {
      keys.largest = lua_tointeger(L, -2) > keys.largest ? lua_tointeger(L, -2) : keys.largest;
      keys.count++;
    } else if (lua_type(L, -2) == LUA_TSTRING) {
      keys.name = lua_tostring(L, -2);
    } else {
      refuse_key(e);
    }
  }
  return keys;
}

static _Noreturn void refuse_hole(struct ls_json_encoder *e, int table, lua_Integer largest) {
  lua_State *L = e->L;
  lua_Integer hole = 1;
  for (; lua_rawgeti(L, table, hole) != LUA_TNIL; hole++)
    lua_pop(L, 1);
  ls_json_refuse(e,
                 lua_pushfstring(L, "cannot encode an array with a hole: index %I is set and %I is not",
                                 (LUAI_UACINT)largest, (LUAI_UACINT)hole),
                 ": fill holes with json.null, or make the keys strings");
}

void ls_json_refuse_table(struct ls_json_encoder *e, int table) {
  lua_State *L = e->L;
  enum ls_json_mark mark = ls_json_mark_of(e, table);
  struct keys keys = list_keys(e, table);
  LUAI_UACINT largest = (LUAI_UACINT)keys.largest;
  if (keys.name != NULL && mark == LS_JSON_ARRAY)
    ls_json_refuse(e, lua_pushfstring(L, "cannot encode the key '%s' of a table marked as an array", keys.name), "");
  if (keys.count > 0 && mark == LS_JSON_OBJECT)
    ls_json_refuse(e, lua_pushfstring(L, "cannot encode the key %I of a table marked as an object", largest),
                   ": make it a string with tostring");
  if (keys.name != NULL)
    ls_json_refuse(
        e, lua_pushfstring(L, "cannot encode a table with both the key '%s' and the index %I", keys.name, largest),
        ": use string keys only, or 1 to n only");
  refuse_hole(e, table, keys.largest);
}

void ls_json_refuse_type(struct ls_json_encoder *e) {
  if (lua_isnil(e->L, -1))
    ls_json_refuse(e, "cannot encode nil", ": use json.null");
  ls_json_refuse(e, lua_pushfstring(e->L, "cannot encode a %s", luaL_typename(e->L, -1)), "");
}

void ls_json_refuse_number(struct ls_json_encoder *e, double value) {
  ls_json_refuse(e, isnan(value) ? "cannot encode nan" : "cannot encode inf", ": JSON has no such number");
}
