/* SPDX-License-Identifier: MIT */
#include "bind/listen.h"

#include <lauxlib.h>
#include <string.h>

#include "script/op.h"
#include "script/options.h"

static struct ls_listen_options check_port(lua_State *L, int index) {
  lua_Integer port = luaL_checkinteger(L, index);
  luaL_argcheck(L, port >= 0 && port <= 65535, index, "a port is from 0 to 65535");
  return (struct ls_listen_options){.port = (int)port};
}

struct ls_listen_options ls_check_listen(lua_State *L, int index, const char *what, const char *const *known) {
  if (!lua_istable(L, index))
    return check_port(L, index);
  ls_options_check(L, index, what, known);
  struct ls_listen_options options = {
      .host = ls_option_string(L, index, "host", NULL),
      .path = ls_option_string(L, index, "path", NULL),
      .port = (int)ls_option_integer(L, index, "port", 0, 65535, -1),
      .backlog = (int)ls_option_integer(L, index, "backlog", 1, 65535, 0),
      .mode = (mode_t)ls_option_integer(L, index, "mode", 1, 0777, 0),
  };
  bool is_tcp = options.host != NULL || options.port >= 0;
  if (is_tcp == (options.path != NULL))
    luaL_error(L, "%s: either path, or host and port", what);
  if (options.mode != 0 && options.path == NULL)
    luaL_error(L, "%s: mode is for a path", what);
  if (options.port < 0)
    options.port = 0;
  return options;
}

int ls_push_listen_failure(lua_State *L, int code, const struct ls_listen_options *options) {
  if (options->path != NULL)
    return ls_push_failure(L, code, "listen %s", options->path);
  const char *host = options->host != NULL ? options->host : "*";
  return ls_push_failure(L, code, strchr(host, ':') != NULL ? "listen [%s]:%d" : "listen %s:%d", host, options->port);
}
