/* SPDX-License-Identifier: MIT */
/* options: those of http.create_server, from its table to the structs of the rooms below. */
#include <errno.h>
#include <string.h>

#include "bind/http/impl.h"
#include "http/proxy_header.h"
#include "script/options.h"

/* Pushes the option, unless it is absent or false. */
static bool get_option(lua_State *L, int index, const char *name) {
  if (lua_isnil(L, index))
    return false;
  lua_getfield(L, index, name);
  if (lua_toboolean(L, -1))
    return true;
  lua_pop(L, 1);
  return false;
}

/* stream_body = { [pattern] = bytes or false } */
static void read_body_rules(lua_State *L, int index, struct ls_body_rules *rules) {
  if (lua_isnil(L, index))
    return;
  int type = lua_getfield(L, index, "stream_body");
  if (type == LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  if (type != LUA_TTABLE)
    luaL_error(L, "create_server: option 'stream_body' must be a table, not a %s", luaL_typename(L, -1));
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    size_t len;
    int is_size = false;
    const char *pattern = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &len) : NULL;
    if (pattern == NULL)
      luaL_error(L, "create_server: the keys of 'stream_body' are patterns such as '/upload', not a %s",
                 luaL_typename(L, -2));
    bool unlimited = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    lua_Integer limit = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &is_size) : -1;
    if (!unlimited && (!is_size || limit < 0))
      luaL_error(L, "create_server: 'stream_body' of '%s' must be a size in bytes, or false for no limit", pattern);
    int status = ls_body_rules_add(rules, ls_slice(pattern, len), unlimited ? UINT64_MAX : (uint64_t)limit);
    if (status == -EINVAL)
      luaL_error(L, "create_server: '%s' in 'stream_body' is no pattern: '/path', '/path/*' or 'METHOD /path'",
                 pattern);
    if (status != 0)
      luaL_error(L, "not enough memory");
  }
  lua_pop(L, 1);
}

/* One entry of trust_proxy, at the top of the stack. */
static void add_proxy(lua_State *L, struct ls_cidr_set *set) {
  size_t len;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "option 'trust_proxy' must be an address or a list of them, such as '127.0.0.1', not a %s",
               luaL_typename(L, -1));
  const char *text = lua_tolstring(L, -1, &len);
  int status = ls_cidr_set_add(set, ls_slice(text, len));
  if (status == -EINVAL)
    luaL_error(
        L,
        "create_server: '%s' in 'trust_proxy' is no address, no range such as '10.0.0.0/8' (without bits behind its "
        "prefix), and not 'loopback', 'private' or 'unix'",
        text);
  if (status != 0)
    luaL_error(L, "not enough memory");
}

/* trust_proxy = "loopback" or { "10.0.0.0/8", ... }; false: nobody */
static void read_trust(lua_State *L, int index, struct ls_cidr_set *set) {
  if (!get_option(L, index, "trust_proxy"))
    return;
  if (!lua_istable(L, -1)) {
    add_proxy(L, set);
  } else {
    lua_Integer count = luaL_len(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_geti(L, -1, i);
      add_proxy(L, set);
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

static enum ls_forwarded_fields read_fields(lua_State *L, int index) {
  const char *kind = ls_option_string(L, index, "trust_fields", NULL);
  if (kind == NULL)
    return LS_FORWARDED_EITHER;
  if (strcmp(kind, "forwarded") != 0 && strcmp(kind, "x-forwarded") != 0)
    luaL_error(L, "create_server: option 'trust_fields' must be 'forwarded' or 'x-forwarded', not '%s'", kind);
  return *kind == 'f' ? LS_FORWARDED_RFC7239 : LS_FORWARDED_X;
}

/* The versions that are allowed. */
static uint8_t read_proxy_protocol(lua_State *L, int index) {
  uint8_t versions = 0;
  if (!get_option(L, index, "proxy_protocol"))
    return versions;
  const char *version = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  if (lua_isboolean(L, -1))
    versions = LS_PROXY_V1 | LS_PROXY_V2;
  else if (strcmp(version, "v1") == 0)
    versions = LS_PROXY_V1;
  else if (strcmp(version, "v2") == 0)
    versions = LS_PROXY_V2;
  else
    luaL_error(L, "create_server: option 'proxy_protocol' must be true, false, 'v1' or 'v2'");
  lua_pop(L, 1);
  return versions;
}

void ls_http_read_options(lua_State *L, int index, struct ls_http_server *server) {
  struct ls_server_options *options = &server->options;
  static const char *const known[] = {"header_timeout", "body_timeout",    "min_body_rate",    "keep_alive_timeout",
                                      "write_timeout",  "max_url",         "max_header_bytes", "max_headers",
                                      "max_body",       "max_connections", "max_requests",     "allow_trace",
                                      "stream_body",    "trust_proxy",     "trust_fields",     "proxy_protocol",
                                      "backlog",        "handler_timeout", "cancel_on_close",  NULL};
  ls_options_check(L, index, "create_server", known);
  struct ls_http_limits *limits = &options->limits;
  options->header_timeout = ls_option_seconds(L, index, "header_timeout", options->header_timeout);
  options->body_timeout = ls_option_seconds(L, index, "body_timeout", options->body_timeout);
  options->keep_alive_timeout = ls_option_seconds(L, index, "keep_alive_timeout", options->keep_alive_timeout);
  options->write_timeout = ls_option_seconds(L, index, "write_timeout", options->write_timeout);
  options->min_body_rate =
      (uint32_t)ls_option_integer(L, index, "min_body_rate", 0, UINT32_MAX, options->min_body_rate);
  limits->allow_trace = ls_option_boolean(L, index, "allow_trace", false);
  limits->max_url = (uint32_t)ls_option_integer(L, index, "max_url", 1, 1 << 20, limits->max_url);
  limits->max_header_bytes =
      (uint32_t)ls_option_integer(L, index, "max_header_bytes", 1, 1 << 24, limits->max_header_bytes);
  limits->max_headers = (uint32_t)ls_option_integer(L, index, "max_headers", 1, 10000, limits->max_headers);
  limits->max_body =
      (uint64_t)ls_option_integer(L, index, "max_body", 0, LUA_MAXINTEGER, (lua_Integer)limits->max_body);
  limits->max_requests = (uint32_t)ls_option_integer(L, index, "max_requests", 0, UINT32_MAX, limits->max_requests);
  options->max_connections =
      (uint32_t)ls_option_integer(L, index, "max_connections", 0, UINT32_MAX, options->max_connections);
  options->backlog = (int)ls_option_integer(L, index, "backlog", 1, 65535, options->backlog);
  read_body_rules(L, index, &options->body_rules);
  read_trust(L, index, &options->trust_proxy);
  options->trust_fields = read_fields(L, index);
  options->proxy_protocol = read_proxy_protocol(L, index);
  server->handler_timeout = ls_option_seconds(L, index, "handler_timeout", 0);
  server->cancel_on_close = ls_option_boolean(L, index, "cancel_on_close", false);
}
