/* SPDX-License-Identifier: MIT */
/* options: those of http.create_server, from its table to the structs of the rooms below. */
#include <errno.h>

#include "bind/http/impl.h"
#include "script/options.h"

/* Pushes an option of the table at index, which may be nil; its type. The caller of all these clears the stack. */
static int push_option(lua_State *L, int index, const char *name) {
  if (!lua_isnil(L, index))
    return lua_getfield(L, index, name);
  lua_pushnil(L);
  return LUA_TNIL;
}

/* stream_body = { [pattern] = bytes or false } */
static void read_body_rules(lua_State *L, int index, struct ls_body_rules *rules) {
  int type = push_option(L, index, "stream_body");
  if (type == LUA_TNIL)
    return;
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
}

/* The table at the top: { "br", "gzip" }. */
static void read_codings(lua_State *L, const char *what, struct ls_encode_options *encode) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  if (count < 1 || count > LS_CODINGS - 1)
    luaL_error(L, "%s: 'encodings' of 'compress' must name one to three of 'br', 'gzip' and 'deflate'", what);
  encode->count = 0;
  for (lua_Integer i = 1; i <= count; i++) {
    enum ls_coding coding = LS_CODING_IDENTITY;
    lua_rawgeti(L, -1, i);
    const char *name = lua_tostring(L, -1);
    if (name == NULL || !ls_coding_find(ls_slice_of(name), &coding) || coding == LS_CODING_IDENTITY)
      luaL_error(L, "%s: '%s' in 'encodings' of 'compress' is none of 'br', 'gzip' and 'deflate'", what,
                 luaL_tolstring(L, -1, NULL));
    encode->codings[encode->count++] = coding;
    lua_pop(L, 1);
  }
}

void ls_http_read_compress(lua_State *L, const char *what, struct ls_encode_options *encode) {
  static const char *const known[] = {"encodings", "level", "min_size", "quality", NULL};
  static const enum ls_coding all[] = {LS_CODING_BROTLI, LS_CODING_GZIP, LS_CODING_DEFLATE};
  int type = lua_type(L, -1);
  if (type != LUA_TBOOLEAN && type != LUA_TTABLE)
    luaL_error(L, "%s: option 'compress' must be true, false or a table, not a %s", what, luaL_typename(L, -1));
  if (!lua_toboolean(L, -1)) {
    encode->count = 0;
  } else if (encode->count == 0) {
    memcpy(encode->codings, all, sizeof all);
    encode->count = LS_CODINGS - 1;
  }
  if (type == LUA_TTABLE) {
    int options = lua_gettop(L);
    ls_options_check(L, options, lua_pushfstring(L, "%s: compress", what), known);
    encode->min_size = (uint32_t)ls_option_integer(L, options, "min_size", 0, UINT32_MAX, encode->min_size);
    encode->level = (int)ls_option_integer(L, options, "level", 1, 9, encode->level);
    encode->quality = (int)ls_option_integer(L, options, "quality", 0, 11, encode->quality);
    if (lua_getfield(L, options, "encodings") == LUA_TTABLE)
      read_codings(L, what, encode);
    else if (!lua_isnil(L, -1))
      luaL_error(L, "%s: 'encodings' of 'compress' must be a table, not a %s", what, luaL_typename(L, -1));
  }
}

static void read_on_refuse(lua_State *L, int index, struct ls_http_server *server) {
  if (push_option(L, index, "on_refuse") == LUA_TNIL)
    return;
  if (!lua_isfunction(L, -1))
    luaL_error(L, "create_server: option 'on_refuse' must be a function, not a %s", luaL_typename(L, -1));
  server->on_refuse = luaL_ref(L, LUA_REGISTRYINDEX);
  server->options.tell_refusals = true;
}

void ls_http_read_options(lua_State *L, int index, struct ls_http_server *server) {
  struct ls_server_options *options = &server->options;
  static const char *const known[] = {"header_timeout",
                                      "body_timeout",
                                      "min_body_rate",
                                      "keep_alive_timeout",
                                      "write_timeout",
                                      "max_url",
                                      "max_header_bytes",
                                      "max_headers",
                                      "max_body",
                                      "max_connections",
                                      "max_requests",
                                      "allow_trace",
                                      "stream_body",
                                      "compress",
                                      "decompress",
                                      "trust_proxy",
                                      "trust_fields",
                                      "proxy_protocol",
                                      "backlog",
                                      "handler_timeout",
                                      "cancel_on_close",
                                      "on_refuse",
                                      NULL};
  int top = lua_gettop(L);
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
  options->decompress = ls_option_boolean(L, index, "decompress", false);
  if (push_option(L, index, "compress") != LUA_TNIL)
    ls_http_read_compress(L, "create_server", &options->encode);
  read_body_rules(L, index, &options->body_rules);
  ls_http_read_trust(L, index, options);
  read_on_refuse(L, index, server);
  server->handler_timeout = ls_option_seconds(L, index, "handler_timeout", 0);
  server->cancel_on_close = ls_option_boolean(L, index, "cancel_on_close", false);
  lua_settop(L, top);
}
