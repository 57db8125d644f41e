/* SPDX-License-Identifier: MIT */
/* shared: require "luaserve.shared": dictionaries that all Lua states of the process see. */
#include <errno.h>
#include <lauxlib.h>
#include <math.h>

#include "base/dict.h"
#include "base/error.h"
#include "bind/modules.h"
#include "loop/loop.h"
#include "script/clone.h"
#include "script/op.h"
#include "script/options.h"
#include "script/runtime.h"

#define DICT "luaserve.dict"
#define KEYS_MAX 1024
#define NS_PER_MS UINT64_C(1000000)

/* Upvalue 1 of every function: warm memory for what is copied in and out. */
struct scratch {
  struct ls_buf in, out;
};

static struct scratch *scratch_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

static struct ls_dict *check(lua_State *L) {
  struct ls_dict **handle = luaL_checkudata(L, 1, DICT);
  return *handle;
}

static struct ls_slice check_key(lua_State *L) {
  size_t len;
  luaL_checktype(L, 2, LUA_TSTRING);
  const char *key = lua_tolstring(L, 2, &len);
  return ls_slice(key, len);
}

/* ---- values ---- */

/* A table, or what cannot be stored at all: that raises, with the path to it. */
static void read_table(lua_State *L, int index, struct ls_dict_value *value) {
  struct ls_buf *in = &scratch_of(L)->in;
  ls_buf_clear(in);
  int status = ls_clone_encode(L, index, 1, "value", in);
  if (status == -EINVAL) {
    lua_pushlstring(L, ls_buf_bytes(in), in->len);
    luaL_error(L, "%s", lua_tostring(L, -1));
  }
  if (status != 0)
    luaL_error(L, "not enough memory");
  value->type = LS_DICT_TABLE;
  value->bytes = ls_slice(ls_buf_bytes(in), in->len);
}

static struct ls_dict_value check_value(lua_State *L, int index) {
  struct ls_dict_value value = {0};
  switch (lua_type(L, index)) {
  case LUA_TNONE:
  case LUA_TNIL:
    luaL_argerror(L, index, "a value; to remove one there is delete");
    break;
  case LUA_TBOOLEAN:
    value.integer = lua_toboolean(L, index);
    break;
  case LUA_TNUMBER:
    value.type = lua_isinteger(L, index) ? LS_DICT_INTEGER : LS_DICT_FLOAT;
    if (value.type == LS_DICT_INTEGER)
      value.integer = lua_tointeger(L, index);
    else
      value.number = lua_tonumber(L, index);
    break;
  case LUA_TSTRING:
    value.type = LS_DICT_STRING;
    value.bytes.ptr = lua_tolstring(L, index, &value.bytes.len);
    break;
  default:
    read_table(L, index, &value);
  }
  return value;
}

static int push_value(lua_State *L, const struct ls_dict_value *value) {
  switch (value->type) {
  case LS_DICT_BOOLEAN:
    lua_pushboolean(L, value->integer != 0);
    break;
  case LS_DICT_INTEGER:
    lua_pushinteger(L, value->integer);
    break;
  case LS_DICT_FLOAT:
    lua_pushnumber(L, value->number);
    break;
  case LS_DICT_STRING:
    lua_pushlstring(L, value->bytes.ptr, value->bytes.len);
    break;
  case LS_DICT_TABLE:
    if (ls_clone_decode(L, value->bytes.ptr, value->bytes.len) != 1)
      return luaL_error(L, "a value is damaged");
  }
  return 1;
}

/* nil, message, code for a value that does not fit; raises for memory. */
static int push_failure(lua_State *L, int code) {
  if (code == -ENOMEM)
    return luaL_error(L, "not enough memory");
  return ls_push_failure(L, code, "the dictionary takes up to %zu bytes for a key and its value",
                         ls_dict_largest(check(L)));
}

/* The option ttl of the table at index, in ns; 0: for ever. */
static uint64_t option_ttl(lua_State *L, int index) {
  return ls_option_seconds(L, index, "ttl", 0) * NS_PER_MS;
}

/* ---- methods ---- */

/* dict:get(key) -> value or nil. Counts as a use of it. */
static int l_get(lua_State *L) {
  struct ls_dict_value value;
  int status = ls_dict_get(check(L), check_key(L), &value, &scratch_of(L)->out);
  if (status < 0)
    return push_failure(L, status);
  if (status == 1)
    return push_value(L, &value);
  lua_pushnil(L);
  return 1;
}

static int set(lua_State *L, const char *name, enum ls_dict_when when) {
  static const char *const known[] = {"ttl", NULL};
  struct ls_dict *dict = check(L);
  struct ls_slice key = check_key(L);
  ls_options_check(L, 4, name, known);
  uint64_t ttl = option_ttl(L, 4);
  struct ls_dict_value value = check_value(L, 3);
  int status = ls_dict_set(dict, key, &value, ttl, when);
  if (status < 0)
    return push_failure(L, status);
  lua_pushboolean(L, status);
  return 1;
}

/* dict:set(key, value [, options]) -> true; or nil, message, "ETOOBIG"
 * Stores a boolean, number, string or table (which is copied) under a string. options: ttl, the seconds that it stays.
 * Raises for a value that cannot be copied, and for nil.
 *   dict:set("motd", "hello", { ttl = 60 }) */
static int l_set(lua_State *L) {
  return set(L, "dict:set", LS_DICT_ALWAYS);
}

/* dict:add(key, value [, options]) -> true, or false: there is one already. As set. */
static int l_add(lua_State *L) {
  return set(L, "dict:add", LS_DICT_IF_ABSENT);
}

/* dict:replace(key, value [, options]) -> true, or false: there is none. As set. */
static int l_replace(lua_State *L) {
  return set(L, "dict:replace", LS_DICT_IF_PRESENT);
}

/* dict:delete(key) -> whether it was there */
static int l_delete(lua_State *L) {
  lua_pushboolean(L, ls_dict_delete(check(L), check_key(L)));
  return 1;
}

static struct ls_dict_value check_number(lua_State *L, int index) {
  luaL_checktype(L, index, LUA_TNUMBER);
  return check_value(L, index);
}

/* dict:incr(key [, by [, options]]) -> number; or nil, message, code
 * Adds by (1 unless given) to a number, in one step that no other thread comes between, and returns the sum. options:
 * initial, where it begins if there is none, and ttl, how long it stays then. Fails with ENOENT if there is none and no
 * initial, EINVAL if it is no number, ETOOBIG.
 *   if dict:incr(address, 1, { initial = 0, ttl = 60 }) > 100 then return res:send(429, "") end */
static int l_incr(lua_State *L) {
  static const char *const known[] = {"initial", "ttl", NULL};
  struct ls_dict *dict = check(L);
  struct ls_slice key = check_key(L);
  struct ls_dict_value by = {.type = LS_DICT_INTEGER, .integer = 1}, initial, sum;
  if (!lua_isnoneornil(L, 3))
    by = check_number(L, 3);
  lua_settop(L, 4);
  ls_options_check(L, 4, "dict:incr", known);
  uint64_t ttl = option_ttl(L, 4);
  bool begins = !lua_isnil(L, 4) && lua_getfield(L, 4, "initial") != LUA_TNIL;
  if (begins && lua_type(L, -1) != LUA_TNUMBER)
    return luaL_error(L, "dict:incr: option 'initial' must be a number, not a %s", luaL_typename(L, -1));
  if (begins)
    initial = check_value(L, -1);
  int status = ls_dict_add(dict, key, &by, begins ? &initial : NULL, ttl, &sum);
  if (status == 1)
    return push_value(L, &sum);
  if (status == 0)
    return ls_push_failure(L, -ENOENT, "incr '%s'", key.ptr);
  return status == -EINVAL ? ls_push_failure(L, status, "incr '%s': the value is no number", key.ptr)
                           : push_failure(L, status);
}

/* What cas compares and stores: nil is none. */
static const struct ls_dict_value *check_scalar(lua_State *L, int index, struct ls_dict_value *value) {
  if (lua_isnil(L, index))
    return NULL;
  *value = check_value(L, index);
  if (value->type == LS_DICT_TABLE)
    luaL_argerror(L, index, "a boolean, number or string: tables are not compared");
  return value;
}

/* dict:cas(key, expected, value) -> true; or false and what is there
 * Stores value where expected is there now; nil stands for none: expected nil adds, value nil deletes. How long it stays is
 * kept. Raises for tables.
 *   local ok, has = dict:cas("leader", nil, my_name) */
static int l_cas(lua_State *L) {
  struct ls_dict *dict = check(L);
  struct ls_slice key = check_key(L);
  struct ls_dict_value expected, value, has;
  bool is_there;
  lua_settop(L, 4);
  int status = ls_dict_swap(dict, key, check_scalar(L, 3, &expected), check_scalar(L, 4, &value), &has, &is_there,
                            &scratch_of(L)->out);
  if (status < 0)
    return push_failure(L, status);
  lua_pushboolean(L, status);
  if (status == 1)
    return 1;
  if (is_there)
    push_value(L, &has);
  else
    lua_pushnil(L);
  return 2;
}

/* dict:ttl(key) -> seconds, or math.huge: for ever, or nil: it is not there */
static int l_ttl(lua_State *L) {
  int64_t ttl = ls_dict_ttl(check(L), check_key(L));
  if (ttl < 0)
    lua_pushnil(L);
  else
    lua_pushnumber(L, ttl == 0 ? HUGE_VAL : (lua_Number)ttl / 1e9);
  return 1;
}

/* dict:expire(key [, ttl]) -> whether it is there. It stays for ttl seconds from now; without, for ever. */
static int l_expire(lua_State *L) {
  struct ls_dict *dict = check(L);
  struct ls_slice key = check_key(L);
  uint64_t ttl = lua_isnoneornil(L, 3) ? 0 : ls_check_seconds(L, 3, 1);
  lua_pushboolean(L, ls_dict_expire(dict, key, ttl));
  return 1;
}

/* dict:keys([max]) -> { key, ... }. Up to max (1024), in no order. Holds up other threads, a part of the dictionary at a
 * time. */
static int l_keys(lua_State *L) {
  struct ls_dict *dict = check(L);
  lua_Integer max = luaL_optinteger(L, 2, KEYS_MAX);
  luaL_argcheck(L, max >= 0, 2, "a number of keys");
  struct ls_buf *out = &scratch_of(L)->out;
  ls_buf_clear(out);
  int64_t count = ls_dict_keys(dict, (size_t)max, out);
  if (count < 0)
    return push_failure(L, (int)count);
  lua_createtable(L, count < INT32_MAX ? (int)count : 0, 0);
  const char *at = out->len != 0 ? ls_buf_bytes(out) : NULL;
  for (lua_Integer i = 1; i <= count; i++) {
    uint32_t len;
    memcpy(&len, at, sizeof len);
    lua_pushlstring(L, at + sizeof len, len);
    lua_rawseti(L, -2, i);
    at += sizeof len + len;
  }
  return 1;
}

/* dict:clear(). Removes everything. */
static int l_clear(lua_State *L) {
  ls_dict_clear(check(L));
  return 0;
}

static void set_integer(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

/* dict:stats() -> { count =, bytes =, max_bytes =, hits =, misses =, evictions =, expirations = } */
static int l_stats(lua_State *L) {
  struct ls_dict_stats stats;
  ls_dict_stats(check(L), &stats);
  lua_createtable(L, 0, 7);
  set_integer(L, "count", stats.count);
  set_integer(L, "bytes", stats.bytes);
  set_integer(L, "max_bytes", stats.max_bytes);
  set_integer(L, "hits", stats.hits);
  set_integer(L, "misses", stats.misses);
  set_integer(L, "evictions", stats.evictions);
  set_integer(L, "expirations", stats.expirations);
  return 1;
}

/* tostring(dict) -> "dict (sessions)" */
static int l_tostring(lua_State *L) {
  struct ls_slice name = ls_dict_name(check(L));
  lua_pushliteral(L, "dict (");
  lua_pushlstring(L, name.ptr, name.len);
  lua_pushliteral(L, ")");
  lua_concat(L, 3);
  return 1;
}

/* ---- the module ---- */

/* shared.dict(name [, options]) -> dict
 * The dictionary of that name, which every state of the process gets by it. options: max_bytes, the memory it may take, with
 * some 150 bytes for each key (1 MiB, or what it has; at least 4 KiB). Raises where it has another size.
 *   local sessions = shared.dict("sessions", { max_bytes = 16 << 20 }) */
static int l_dict(lua_State *L) {
  static const char *const known[] = {"max_bytes", NULL};
  size_t len, has = 0;
  const char *name = luaL_checklstring(L, 1, &len);
  ls_options_check(L, 2, "shared.dict", known);
  size_t max_bytes = (size_t)ls_option_integer(L, 2, "max_bytes", 4096, INT64_C(1) << 40, 0);
  struct ls_dict **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  int error;
  *handle = ls_dicts_open(ls_runtime_of(L)->loop->dicts, ls_slice(name, len), max_bytes, &has, &error);
  if (error == -EEXIST)
    return luaL_error(L, "shared.dict: '%s' is there with max_bytes = %I, not %I", name, (LUAI_UACINT)has,
                      (LUAI_UACINT)max_bytes);
  if (*handle == NULL)
    return luaL_error(L, "not enough memory");
  luaL_setmetatable(L, DICT);
  return 1;
}

static int l_scratch_gc(lua_State *L) {
  struct scratch *scratch = lua_touserdata(L, 1);
  ls_buf_dispose(&scratch->in);
  ls_buf_dispose(&scratch->out);
  return 0;
}

static void push_scratch(lua_State *L) {
  struct scratch *scratch = lua_newuserdatauv(L, sizeof *scratch, 0);
  *scratch = (struct scratch){0};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_scratch_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

int luaopen_luaserve_shared(lua_State *L) {
  static const luaL_Reg methods[] = {{"get", l_get},       {"set", l_set},   {"add", l_add},     {"replace", l_replace},
                                     {"delete", l_delete}, {"incr", l_incr}, {"cas", l_cas},     {"ttl", l_ttl},
                                     {"expire", l_expire}, {"keys", l_keys}, {"clear", l_clear}, {"stats", l_stats},
                                     {NULL, NULL}};
  luaL_newmetatable(L, DICT);
  lua_pushcfunction(L, l_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, DICT);
  lua_setfield(L, -2, "__metatable");
  lua_newtable(L);
  push_scratch(L);
  luaL_setfuncs(L, methods, 1);
  lua_setfield(L, -2, "__index");
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_dict);
  lua_setfield(L, -2, "dict");
  return 1;
}
