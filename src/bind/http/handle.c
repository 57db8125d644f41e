/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "bind/http/hints.h"
#include "bind/http/impl.h"
#include "bind/json/json.h"
#include "script/options.h"

#define FIELDS_MAX 64

/* A field access is one lookup in a table that the __index closure holds; a getter stands there as the address of its
 * field, and so does a method in Lua until it is loaded. */

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

static bool is_handle(lua_State *L, int index, const char *type) {
  const struct ls_call_handle *handle = lua_touserdata(L, index);
  return lua_type(L, index) == LUA_TUSERDATA && lua_rawlen(L, index) == sizeof *handle && handle->type == type;
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
  return is_handle(L, 1, type) ? 0 : raise_dotted(L, 2, type, name + 4);
}

struct ls_call *ls_http_check(lua_State *L, int index, const char *type) {
  if (!is_handle(L, index, type))
    raise_not_self(L, index, type);
  const struct ls_call_handle *handle = lua_touserdata(L, index);
  if (handle->generation != handle->call->generation)
    luaL_error(L, "the request has ended");
  return handle->call;
}

struct ls_call *ls_http_find(lua_State *L, int index, const char *type) {
  const struct ls_call_handle *handle = is_handle(L, index, type) ? lua_touserdata(L, index) : NULL;
  return handle != NULL && handle->generation == handle->call->generation ? handle->call : NULL;
}

/* A name that is not there: most often misspelt. */
static int raise_unknown(lua_State *L) {
  const char *names[FIELDS_MAX + 1];
  int count = 0;
  const char *type = lua_touserdata(L, lua_upvalueindex(2));
  const char *owner = short_name(type);
  if (lua_type(L, 2) != LUA_TSTRING)
    return luaL_error(L, "%s has no field of type %s", owner, luaL_typename(L, 2));
  char snake[LS_NAME_SIZE];
  if (!ls_options_snake_case(lua_tostring(L, 2), snake))
    return luaL_error(L, "%s has no field '%s'", owner, lua_tostring(L, 2));
  const char *hint = ls_http_hint_for_name(type, snake);
  if (hint != NULL)
    return luaL_error(L, "%s has no field '%s': %s", owner, lua_tostring(L, 2), hint);
  for (lua_pushnil(L); count < FIELDS_MAX && lua_next(L, lua_upvalueindex(1)) != 0; lua_pop(L, 1))
    names[count++] = lua_tostring(L, -2);
  names[count] = NULL;
  const char *nearest = ls_options_nearest(snake, names);
  if (nearest != NULL)
    return luaL_error(L, "%s has no field '%s' (did you mean '%s'?)", owner, lua_tostring(L, 2), nearest);
  return luaL_error(L, "%s has no field '%s'", owner, lua_tostring(L, 2));
}

/* Pushes the method, and from now on the table of names has it. */
static int load_method(lua_State *L, const struct ls_http_field *field) {
  lua_getglobal(L, "require");
  lua_pushstring(L, field->module);
  lua_call(L, 1, 1);
  lua_getfield(L, -1, field->name);
  lua_pushvalue(L, -1);
  lua_setfield(L, lua_upvalueindex(1), field->name);
  return 1;
}

/* Upvalues: the table of names, the type's name. */
static int l_index(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2); /* the name stays for the error */
  switch (lua_rawget(L, lua_upvalueindex(1))) {
  case LUA_TLIGHTUSERDATA: {
    const struct ls_http_field *field = lua_touserdata(L, -1);
    if (field->module != NULL)
      return load_method(L, field);
    return field->get(L, ls_http_check(L, 1, lua_touserdata(L, lua_upvalueindex(2))));
  }
  case LUA_TNIL:
    lua_settop(L, 2);
    return raise_unknown(L);
  default:
    return 1;
  }
}

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
  lua_newtable(L);
  for (; fields->name != NULL; fields++) {
    if (fields->method != NULL)
      lua_pushcfunction(L, fields->method);
    else
      lua_pushlightuserdata(L, (void *)(uintptr_t)fields);
    lua_setfield(L, -2, fields->name);
  }
  lua_pushlightuserdata(L, (void *)(uintptr_t)name);
  lua_pushcclosure(L, l_index, 2);
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
