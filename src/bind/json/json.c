/* SPDX-License-Identifier: MIT */
/* json: the module around the codec: encode and decode with their options, json.null, and the marks that tell an array
 * from an object where the content cannot (an empty table).
 *
 *   local json = require "luaserve.json"
 *   json.encode({users = json.array(), next = json.null})   --> {"users":[],"next":null}
 *   json.decode('[1, 2.5, "x", null]')                      --> {1, 2.5, "x", json.null}
 */
#include "bind/json/json.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "bind/json/impl.h"
#include "script/marks.h"

#define BOX_TYPE "luaserve.json.buffer"

bool ls_json_box_grow(struct ls_json_box *box, size_t extra) {
  size_t cap = box->cap < 512 ? 512 : box->cap;
  char *data;
  if (extra > SIZE_MAX / 4 - box->len) {
    return false;
  }
  while (cap - box->len < extra)
    cap *= 2;
  data = realloc(box->data, cap);
  if (data == NULL) {
    return false;
  }
  box->data = data;
  box->cap = cap;
  return true;
}

void ls_json_box_release(struct ls_json_box *box) {
  box->busy = false;
  if (box->cap > LS_JSON_KEEP) {
    free(box->data);
    box->data = NULL;
    box->cap = box->len = 0;
  }
}

static int l_box_gc(lua_State *L) {
  struct ls_json_box *box = luaL_checkudata(L, 1, BOX_TYPE);
  free(box->data);
  box->data = NULL;
  box->len = box->cap = 0;
  box->closed = true;
  return 0;
}

struct ls_json_box *ls_json_box_new(lua_State *L, const struct ls_json_box *from) {
  struct ls_json_box *box = lua_newuserdatauv(L, sizeof *box, 1);
  memset(box, 0, sizeof *box);
  if (from != NULL) {
    box->null = from->null;
    box->array_mt = from->array_mt;
    box->object_mt = from->object_mt;
  }
  for (int i = 0; i < LS_JSON_KEYS; i++)
    box->keys[i].id = (uintptr_t)&box->keys[i]; /* where no string is; NULL stands for what has no address */
  if (luaL_newmetatable(L, BOX_TYPE)) {
    lua_pushcfunction(L, l_box_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  lua_createtable(L, LS_JSON_KEYS, 0);
  lua_setiuservalue(L, -2, 1);
  return box;
}

void ls_json_box_check(lua_State *L, const struct ls_json_box *box) {
  if (box->closed) {
    luaL_error(L, "luaserve.json cannot be used while the Lua state closes");
  }
}

struct ls_json_box *ls_json_box_claim(lua_State *L) {
  struct ls_json_box *box = lua_touserdata(L, lua_upvalueindex(1));
  ls_json_box_check(L, box);
  if (box->busy) {
    box = ls_json_box_new(L, box);
    lua_copy(L, -1, lua_upvalueindex(1));
  } else {
    lua_pushvalue(L, lua_upvalueindex(1));
  }
  box->busy = true;
  box->len = 0;
  return box;
}

void ls_json_box_learn(lua_State *L, int box, struct ls_json_key *key, uint64_t id, int index, struct ls_slice text) {
  const struct ls_json_box *owner = lua_touserdata(L, box);
  lua_pushvalue(L, index);
  lua_getiuservalue(L, box, 1);
  lua_insert(L, -2);
  lua_rawseti(L, -2, key - owner->keys + 1);
  lua_pop(L, 1);
  key->id = id;
  key->len = (unsigned char)text.len;
  memcpy(key->text, text.ptr, text.len);
}

/* The integer at the top of the stack as the option called name. */
static int check_integer(lua_State *L, const char *what, const char *name, int min, int max) {
  int is_integer;
  lua_Integer value = lua_tointegerx(L, -1, &is_integer);
  if (lua_type(L, -1) != LUA_TNUMBER || !is_integer || value < min || value > max) {
    luaL_error(L, "%s: option '%s' is an integer from %d to %d", what, name, min, max);
  }
  return (int)value;
}

static bool check_boolean(lua_State *L, const char *what, const char *name) {
  if (!lua_isboolean(L, -1)) {
    luaL_error(L, "%s: option '%s' is a boolean, not a %s", what, name, luaL_typename(L, -1));
  }
  return lua_toboolean(L, -1);
}

/* One option: its name and value are on top of the stack. */
static void read_option(lua_State *L, struct ls_json_options *options, bool encode) {
  const char *what = encode ? "json.encode" : "json.decode";
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2);
  if (strcmp(name, "max_depth") == 0) {
    options->max_depth = check_integer(L, what, name, 1, LS_JSON_MAX_DEPTH);
  } else if (encode && strcmp(name, "indent") == 0) {
    options->indent =
        lua_isboolean(L, -1) ? 2 * lua_toboolean(L, -1) : check_integer(L, what, name, 0, LS_JSON_MAX_INDENT);
  } else if (encode && strcmp(name, "sort_keys") == 0) {
    options->sort_keys = check_boolean(L, what, name);
  } else if (encode && strcmp(name, "replace_invalid") == 0) {
    options->replace_invalid = check_boolean(L, what, name);
  } else {
    luaL_error(L, "%s: unknown option '%s' (known: max_depth%s)", what, name,
               encode ? ", indent, replace_invalid, sort_keys" : "");
  }
}

static struct ls_json_options read_options(lua_State *L, bool encode) {
  struct ls_json_options options = {.max_depth = LS_JSON_DEFAULT_DEPTH};
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1))
      read_option(L, &options, encode);
  }
  return options;
}

/* ---- encode and decode ---- */

/* Pushes a box with the text that the arguments of json.encode ask for. */
static struct ls_json_box *push_text(lua_State *L) {
  luaL_checkany(L, 1);
  struct ls_json_options options = read_options(L, true);
  return ls_json_encode(L, &options);
}

static int l_write(lua_State *L) {
  push_text(L);
  return 1;
}

struct ls_slice ls_json_text(lua_State *L, int index) {
  const struct ls_json_box *box = lua_touserdata(L, index);
  return ls_slice(box->data, box->len);
}

void ls_json_release(lua_State *L, int index) {
  ls_json_box_release(lua_touserdata(L, index));
}

/* json.encode(value [, options]) -> string
 *
 * Raises, with the path to it, for what JSON cannot hold: functions, NaN, tables with holes or mixed keys, strings that
 * are not UTF-8, tables that contain themselves. Metamethods are not called. Options: indent (true, or spaces for each
 * level), sort_keys, max_depth (128), replace_invalid (bytes of strings and keys that are no UTF-8 become U+FFFD each).
 *
 *   json.encode({id = 7, tags = {"a", "b"}}, {sort_keys = true})   --> {"id":7,"tags":["a","b"]} */
static int l_encode(lua_State *L) {
  struct ls_json_box *box = push_text(L);
  lua_pushlstring(L, box->data, box->len);
  ls_json_box_release(box);
  return 1;
}

/* json.decode(text [, options]) -> value, or nil, message, "EJSON"
 *
 * null is json.null; a number without fraction and exponent is an integer where it fits in 64 bits; arrays carry
 * json.array_mt. Options: max_depth (128).
 *
 *   local value, err = json.decode(body)
 *   if not value and err then return res:send(400, err) end */
static int l_decode(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  struct ls_json_options options = read_options(L, false);
  return ls_json_decode(L, &options);
}

/* The table argument, or a new one, with upvalue 1 as metatable; the marks may replace each other. */
static int mark_table(lua_State *L) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (lua_getmetatable(L, 1)) {
    bool ours = lua_rawequal(L, -1, lua_upvalueindex(1)) || lua_rawequal(L, -1, lua_upvalueindex(2));
    luaL_argcheck(L, ours, 1, "the table has a metatable already");
    lua_settop(L, 1);
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, 1);
  return 1;
}

/* json.array([t]) -> t, marked: it encodes as an array even when it is empty. */
static int l_array(lua_State *L) {
  return mark_table(L);
}

/* json.object([t]) -> t, marked: it encodes as an object, and an index 1 in it is an error rather than an array. */
static int l_object(lua_State *L) {
  return mark_table(L);
}

static void set_marker(lua_State *L, int module, const char *name, lua_CFunction function, int mark, int other) {
  lua_pushvalue(L, mark);
  lua_pushvalue(L, other);
  lua_pushcclosure(L, function, 2);
  lua_setfield(L, module, name);
}

/* Each has a box of its own; decode also pushes null and the array mark. */
static void push_codec(lua_State *L, lua_CFunction function) {
  struct ls_json_box *box = ls_json_box_new(L, NULL);
  ls_marks_push_null(L);
  ls_marks_push_metatable(L, LS_MARK_ARRAY);
  ls_marks_push_metatable(L, LS_MARK_OBJECT);
  box->null = lua_touserdata(L, -3);
  box->array_mt = lua_topointer(L, -2);
  box->object_mt = lua_topointer(L, -1);
  lua_pushcclosure(L, function, 4);
}

void ls_json_push_writer(lua_State *L) {
  push_codec(L, l_write);
}

int luaopen_luaserve_json(lua_State *L) {
  lua_newtable(L);
  int module = lua_gettop(L);
  ls_marks_push_null(L);
  ls_marks_push_metatable(L, LS_MARK_ARRAY);
  ls_marks_push_metatable(L, LS_MARK_OBJECT);
  set_marker(L, module, "array", l_array, module + 2, module + 3);
  set_marker(L, module, "object", l_object, module + 3, module + 2);
  lua_pushvalue(L, module + 1);
  lua_setfield(L, module, "null");
  lua_pushvalue(L, module + 2);
  lua_setfield(L, module, "array_mt");
  push_codec(L, l_encode);
  lua_setfield(L, module, "encode");
  push_codec(L, l_decode);
  lua_setfield(L, module, "decode");
  lua_settop(L, module);
  return 1;
}
