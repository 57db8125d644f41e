/* SPDX-License-Identifier: MIT */
#include "script/module.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "script/options.h"

#define PREFIX "luaserve."
#define NAMES_MAX 64

/* ---- what was meant ---- */

/* Names of other systems, as snake_case, that are another word here. */
static const struct {
  const char *module, *name, *hint;
} foreign[] = {
    {"luaserve.app", "get", "local app = App.new(), and app:get(...)"},
    {"luaserve.app", "listen", "return App.new() from the script, or http.create_server(app):listen(8080)"},
    {"luaserve.app", "post", "local app = App.new(), and app:post(...)"},
    {"luaserve.app", "use", "local app = App.new(), and app:use(...)"},
    {"luaserve.crypto", "create_hash", "crypto.hash(\"sha256\", data), or crypto.hasher(\"sha256\")"},
    {"luaserve.crypto", "create_hmac", "crypto.hmac(\"sha256\", key, data), or crypto.hmacer(\"sha256\", key)"},
    {"luaserve.crypto", "md5", "crypto.hash(\"md5\", data)"},
    {"luaserve.crypto", "random_uuid", "crypto.uuid()"},
    {"luaserve.crypto", "sha1", "crypto.hash(\"sha1\", data)"},
    {"luaserve.crypto", "sha256", "crypto.hash(\"sha256\", data)"},
    {"luaserve.crypto", "timing_safe_equal", "crypto.equal(a, b)"},
    {"luaserve.fs", "create_read_stream", "fs.open(path)"},
    {"luaserve.fs", "create_write_stream", "fs.open(path, \"w\")"},
    {"luaserve.fs", "delete", "fs.unlink(path); fs.rm(path) for folders too"},
    {"luaserve.fs", "exists", "fs.stat(path), which is nil where there is nothing"},
    {"luaserve.fs", "list", "fs.readdir(path)"},
    {"luaserve.fs", "read", "fs.read_file(path)"},
    {"luaserve.fs", "remove", "fs.unlink(path); fs.rm(path) for folders too"},
    {"luaserve.fs", "write", "fs.write_file(path, text)"},
    {"luaserve.http", "get", "there is no HTTP client: net.connect, or process.run(\"curl\", ...)"},
    {"luaserve.http", "listen", "http.create_server(handler):listen(8080)"},
    {"luaserve.http", "request", "there is no HTTP client: net.connect, or process.run(\"curl\", ...)"},
    {"luaserve.json", "dumps", "json.encode(value)"},
    {"luaserve.json", "loads", "json.decode(text)"},
    {"luaserve.json", "parse", "json.decode(text)"},
    {"luaserve.json", "stringify", "json.encode(value)"},
    {"luaserve.jwt", "decode", "jwt.verify(token, ...)"},
    {"luaserve.jwt", "encode", "jwt.sign(claims, ...)"},
    {"luaserve.net", "create_connection", "net.connect(...)"},
    {"luaserve.net", "create_server", "net.listen(...)"},
    {"luaserve.process", "argv", "process.arguments"},
    {"luaserve.process", "next_tick", "timer.next_tick(f), of luaserve.timer"},
    {"luaserve.task", "sleep", "timer.sleep(seconds), of luaserve.timer"},
    {"luaserve.template", "render", "template.new { root = \"views\" }:render(name, values)"},
    {"luaserve.timer", "clear_interval", "t:cancel(), of what timer.every gave"},
    {"luaserve.timer", "clear_timeout", "t:cancel(), of what timer.after gave"},
    {"luaserve.timer", "set_immediate", "timer.immediate(f)"},
    {"luaserve.timer", "set_interval", "timer.every(seconds, f)"},
    {"luaserve.timer", "set_timeout", "timer.after(seconds, f)"},
    {"luaserve.validate", "bool", "validate.boolean()"},
    {"luaserve.validate", "int", "validate.integer()"},
    {"luaserve.validate", "str", "validate.string()"},
};

/* What is there in some threads only, and nil in the others. */
static bool is_optional(const char *module, const char *name) {
  return strcmp(module, "luaserve.worker") == 0 && strcmp(name, "parent") == 0;
}

static const char *foreign_hint(const char *module, const char *name) {
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
    if (strcmp(foreign[i].module, module) == 0 && strcmp(foreign[i].name, name) == 0)
      return foreign[i].hint;
  return NULL;
}

/* The name in the table at index 1 that is nearest, or NULL. */
static const char *nearest_field(lua_State *L, const char *name) {
  const char *names[NAMES_MAX + 1];
  int count = 0;
  for (lua_pushnil(L); count < NAMES_MAX && lua_next(L, 1) != 0; lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING && *lua_tostring(L, -2) != '_')
      names[count++] = lua_tostring(L, -2);
  names[count] = NULL;
  return ls_options_nearest(name, names);
}

int ls_module_no_field(lua_State *L, const char *module) {
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "_";
  char snake[LS_NAME_SIZE];
  if (*name == '_' || is_optional(module, name)) {
    lua_pushnil(L);
    return 1;
  }
  if (!ls_options_snake_case(name, snake))
    return luaL_error(L, "%s has no '%s'", module, name);
  const char *hint = foreign_hint(module, snake);
  if (hint != NULL)
    return luaL_error(L, "%s has no '%s': %s", module, name, hint);
  const char *nearest = nearest_field(L, snake);
  if (nearest != NULL)
    return luaL_error(L, "%s has no '%s' (did you mean '%s'?)", module, name, nearest);
  return luaL_error(L, "%s has no '%s'", module, name);
}

/* ---- the guard ---- */

/* Upvalue: the module's name. */
static int l_no_field(lua_State *L) {
  return ls_module_no_field(L, lua_tostring(L, lua_upvalueindex(1)));
}

static bool is_for_users(const char *name) {
  size_t len = strlen(PREFIX);
  return strncmp(name, PREFIX, len) == 0 && strchr(name + len, '.') == NULL;
}

void ls_module_guard(lua_State *L, const char *name) {
  if (!is_for_users(name) || !lua_istable(L, -1))
    return;
  if (luaL_getmetafield(L, -1, "__index") != LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  if (!lua_getmetatable(L, -1)) {
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "luaserve.module");
    lua_setfield(L, -2, "__name");
  }
  lua_pushstring(L, name);
  lua_pushcclosure(L, l_no_field, 1);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}
