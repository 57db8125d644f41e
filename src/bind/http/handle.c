/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "bind/http/hints.h"
#include "bind/http/impl.h"
#include "bind/json/json.h"
#include "script/options.h"

#define SLOT_BITS 7
#define SLOTS (1 << SLOT_BITS)
#define FIELDS_MAX (SLOTS / 2)

/* The names of a type. Lua has one string of each short name, so names are told apart by their addresses: by way of a table
 * of Lua's an access would take half as much again. The strings stay because the upvalue METHODS has them. */
struct names {
  const char *type;
  const struct ls_http_field *fields;
  struct slot {
    const void *name;
    const struct ls_http_field *field;
  } slots[SLOTS]; /* by the hash of the address; at least half of them are empty */
};

/* The upvalues of an __index: its struct names; and a table of all names, which has the methods, of those that are written in
 * Lua the ones that were looked up so far, and false for the rest. */
enum { UP_NAMES = 1, UP_METHODS };

const char ls_http_request_type[] = "luaserve.request";
const char ls_http_response_type[] = "luaserve.response";
const char ls_http_headers_type[] = "luaserve.request.headers";

void ls_http_push_handle(lua_State *L, struct ls_call *call, const char *type, int metatable, int uservalues) {
  struct ls_call_handle *handle = lua_newuserdatauv(L, sizeof *handle, uservalues);
  *handle = (struct ls_call_handle){.type = type, .call = call, .generation = call->generation};
  lua_rawgeti(L, LUA_REGISTRYINDEX, metatable);
  lua_setmetatable(L, -2);
}

static const char *short_name(const char *type) {
  return type == ls_http_request_type ? "req" : type == ls_http_response_type ? "res" : "req.headers";
}

/* NULL: the value is another. A light userdata has no length. */
static const struct ls_call_handle *find_handle(lua_State *L, int index, const char *type) {
  const struct ls_call_handle *handle = lua_touserdata(L, index);
  return handle != NULL && lua_rawlen(L, index) == sizeof *handle && handle->type == type ? handle : NULL;
}

/* level: as for error. */
static int raise_dotted(lua_State *L, int level, const char *type, const char *name) {
  const char *owner = short_name(type);
  luaL_where(L, level);
  lua_pushfstring(L, "'%s' is a method: %s:%s(...), with a colon, not %s.%s(...)", name, owner, name, owner, name);
  lua_concat(L, 2);
  return lua_error(L);
}

/* The call says by which name the function was called, and whether as a method. */
static int raise_not_self(lua_State *L, int index, const char *type) {
  lua_Debug info;
  if (index != 1 || !lua_getstack(L, 0, &info))
    return luaL_typeerror(L, index, type);
  lua_getinfo(L, "n", &info);
  if (info.name == NULL || strcmp(info.namewhat, "field") != 0)
    return luaL_typeerror(L, index, type);
  return raise_dotted(L, 1, type, info.name);
}

/* check_self(value, name): of luaserve.core.request, for methods that are written in Lua. name: "req:cookie". Raises, for who
 * called the method, unless value is a req, or a res. */
int ls_http_l_check_self(lua_State *L) {
  const char *name = luaL_checkstring(L, 2);
  const char *type = strncmp(name, "res:", 4) == 0 ? ls_http_response_type : ls_http_request_type;
  return find_handle(L, 1, type) != NULL ? 0 : raise_dotted(L, 2, type, name + 4);
}

struct ls_call *ls_http_check(lua_State *L, int index, const char *type) {
  const struct ls_call_handle *handle = find_handle(L, index, type);
  if (handle == NULL) {
    raise_not_self(L, index, type);
    return NULL;
  }
  if (handle->generation != handle->call->generation)
    luaL_error(L, "the request has ended");
  return handle->call;
}

struct ls_call *ls_http_find(lua_State *L, int index, const char *type) {
  const struct ls_call_handle *handle = find_handle(L, index, type);
  return handle != NULL && handle->generation == handle->call->generation ? handle->call : NULL;
}

/* ---- fields ---- */

/* A name that is not there: most often misspelt. */
static int raise_unknown(lua_State *L, const struct names *names) {
  const char *known[FIELDS_MAX + 1] = {NULL};
  const char *owner = short_name(names->type);
  if (lua_type(L, 2) != LUA_TSTRING)
    return luaL_error(L, "%s has no field of type %s", owner, luaL_typename(L, 2));
  char snake[LS_NAME_SIZE];
  if (!ls_options_snake_case(lua_tostring(L, 2), snake))
    return luaL_error(L, "%s has no field '%s'", owner, lua_tostring(L, 2));
  const char *hint = ls_http_hint_for_name(names->type, snake);
  if (hint != NULL)
    return luaL_error(L, "%s has no field '%s': %s", owner, lua_tostring(L, 2), hint);
  for (int i = 0; names->fields[i].name != NULL; i++)
    known[i] = names->fields[i].name;
  const char *nearest = ls_options_nearest(snake, known);
  if (nearest != NULL)
    return luaL_error(L, "%s has no field '%s' (did you mean '%s'?)", owner, lua_tostring(L, 2), nearest);
  return luaL_error(L, "%s has no field '%s'", owner, lua_tostring(L, 2));
}

/* Where the name at this address is, or belongs. */
static size_t find_slot(const struct names *names, const void *name) {
  size_t i = (size_t)((uint64_t)(uintptr_t)name * UINT64_C(0x9E3779B97F4A7C15) >> (64 - SLOT_BITS));
  while (names->slots[i].name != name && names->slots[i].name != NULL)
    i = (i + 1) % SLOTS;
  return i;
}

/* Pushes the method, which is loaded when it is looked up for the first time. */
static int push_from_lua(lua_State *L, const struct ls_http_field *field) {
  if (lua_getfield(L, lua_upvalueindex(UP_METHODS), field->name) == LUA_TFUNCTION)
    return 1;
  lua_getglobal(L, "require");
  lua_pushstring(L, field->module);
  lua_call(L, 1, 1);
  lua_getfield(L, -1, field->name);
  lua_pushvalue(L, -1);
  lua_setfield(L, lua_upvalueindex(UP_METHODS), field->name);
  return 1;
}

static int l_index(lua_State *L) {
  const struct names *names = lua_touserdata(L, lua_upvalueindex(UP_NAMES));
  const struct ls_http_field *field = names->slots[find_slot(names, lua_topointer(L, 2))].field;
  if (field == NULL)
    return raise_unknown(L, names);
  if (field->get != NULL)
    return field->get(L, ls_http_check(L, 1, names->type));
  if (field->method == NULL)
    return push_from_lua(L, field);
  lua_pushcfunction(L, field->method);
  return 1;
}

/* Pushes the __index of the type. */
static void push_index(lua_State *L, const char *type, const struct ls_http_field *fields) {
  struct names *names = lua_newuserdatauv(L, sizeof *names, 0);
  *names = (struct names){.type = type, .fields = fields};
  lua_newtable(L);
  for (; fields->name != NULL; fields++) {
    assert(fields - names->fields < FIELDS_MAX);
    lua_pushstring(L, fields->name);
    const void *name = lua_topointer(L, -1);
    names->slots[find_slot(names, name)] = (struct slot){name, fields};
    if (fields->method != NULL)
      lua_pushcfunction(L, fields->method);
    else
      lua_pushboolean(L, false);
    lua_rawset(L, -3);
  }
  lua_pushcclosure(L, l_index, UP_METHODS);
}

/* ---- types ---- */

/* tostring(req), tostring(res) -> "luaserve.request (GET /path)", or "(ended)" where using it raises "the request has
 * ended" */
static int l_tostring(lua_State *L) {
  const struct ls_call_handle *handle = lua_touserdata(L, 1);
  if (handle->generation != handle->call->generation) {
    lua_pushfstring(L, "%s (ended)", handle->type);
  } else {
    char text[256];
    ls_call_describe(handle->call, text, sizeof text);
    lua_pushfstring(L, "%s (%s)", handle->type, text);
  }
  return 1;
}

int ls_http_make_type(lua_State *L, const char *name, const struct ls_http_field *fields, const luaL_Reg *metamethods) {
  lua_newtable(L);
  push_index(L, name, fields);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "locked");
  lua_setfield(L, -2, "__metatable");
  luaL_setfuncs(L, metamethods, 0);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

void ls_http_note_where(lua_State *L, int handler, char *where, size_t size) {
  lua_Debug info;
  if (lua_type(L, handler) != LUA_TFUNCTION) {
    snprintf(where, size, "a callable %s", luaL_typename(L, handler));
    return;
  }
  lua_pushvalue(L, handler);
  lua_getinfo(L, ">S", &info);
  if (*info.what == 'C')
    snprintf(where, size, "a C function");
  else
    snprintf(where, size, "%s:%d", info.short_src, info.linedefined);
}

void ls_http_push_json(lua_State *L, struct ls_http_module *module, bool encode) {
  if (module->json_encode == LUA_NOREF) {
    lua_getglobal(L, "require");
    lua_pushliteral(L, "luaserve.json");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "decode");
    module->json_decode = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_getfield(L, -1, "encode");
    module->json_encode = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, encode ? module->json_encode : module->json_decode);
}

void ls_http_push_json_writer(lua_State *L, struct ls_http_module *module) {
  if (module->json_writer == LUA_NOREF) {
    ls_json_push_writer(L);
    module->json_writer = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, module->json_writer);
}
