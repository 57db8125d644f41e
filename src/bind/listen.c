/* SPDX-License-Identifier: MIT */
#include "bind/listen.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "script/op.h"
#include "script/options.h"

static struct ls_listen_options check_port(lua_State *L, int index) {
  lua_Integer port = luaL_checkinteger(L, index);
  luaL_argcheck(L, port >= 0 && port <= 65535, index, "a port is from 0 to 65535");
  return (struct ls_listen_options){.port = (int)port};
}

/* systemd = true, or a name */
static void read_systemd(lua_State *L, int index, struct ls_listen_options *options) {
  int type = lua_getfield(L, index, "systemd");
  if (type != LUA_TNIL && type != LUA_TBOOLEAN && type != LUA_TSTRING)
    luaL_error(L, "option 'systemd' must be true or the name of a socket, not a %s", luaL_typename(L, -1));
  options->systemd = lua_toboolean(L, -1);
  options->systemd_name = type == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  lua_pop(L, 1);
}

/* There is one place, and options that make no sense there are errors. */
static void check_place(lua_State *L, const char *what, const struct ls_listen_options *options) {
  bool is_tcp = options->host != NULL || options->port >= 0;
  bool is_inherited = options->has_fd || options->systemd;
  if (is_tcp + (options->path != NULL) + options->has_fd + options->systemd != 1)
    luaL_error(L, "%s: either path, or host and port, or fd, or systemd", what);
  if (options->mode != 0 && options->path == NULL)
    luaL_error(L, "%s: mode is for a path", what);
  if (options->reuse_port && !is_tcp)
    luaL_error(L, "%s: reuse_port is for host and port", what);
  if (options->ipv6_only && !is_tcp)
    luaL_error(L, "%s: ipv6_only is for host and port", what);
  if (options->backlog != 0 && is_inherited)
    luaL_error(L, "%s: backlog is for who has opened the socket", what);
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
      .reuse_port = ls_option_boolean(L, index, "reuse_port", false),
      .ipv6_only = ls_option_boolean(L, index, "ipv6_only", false),
      .fd = (int)ls_option_integer(L, index, "fd", 0, INT_MAX, -1),
  };
  options.has_fd = options.fd >= 0;
  read_systemd(L, index, &options);
  check_place(L, what, &options);
  if (options.port < 0)
    options.port = 0;
  return options;
}

int ls_push_listen_failure(lua_State *L, int code, const struct ls_listen_options *options) {
  const char *host = options->host != NULL ? options->host : "*";
  if (options->path != NULL)
    return ls_push_failure(L, code, "listen %s", options->path);
  if (options->has_fd)
    return ls_push_failure(L, code, "listen fd:%d%s", options->fd, code == -EINVAL ? " (it does not listen)" : "");
  if (options->systemd)
    return ls_push_failure(L, code, "listen systemd%s%s%s", options->systemd_name != NULL ? ":" : "",
                           options->systemd_name != NULL ? options->systemd_name : "",
                           code == -ENOENT ? " (systemd has passed no such socket)" : "");
  return ls_push_failure(L, code, strchr(host, ':') != NULL ? "listen [%s]:%d" : "listen %s:%d", host, options->port);
}

/* ---- as text ---- */

static bool read_number(const char *text, long max, int *number) {
  char *end;
  if (*text < '0' || *text > '9')
    return false;
  errno = 0;
  long value = strtol(text, &end, 10);
  *number = (int)value;
  return errno == 0 && *end == '\0' && value <= max;
}

/* host:port, [ipv6]:port; no host or "*": all addresses. */
static bool parse_host(const char *text, char *host, size_t size, struct ls_listen_options *options) {
  bool is_literal = *text == '[';
  const char *colon = is_literal ? strstr(text, "]:") : strchr(text, ':');
  if (colon == NULL || !read_number(colon + is_literal + 1, 65535, &options->port))
    return false;
  const char *start = text + is_literal;
  size_t len = (size_t)(colon - start);
  if (len >= size || (is_literal && memchr(start, ':', len) == NULL))
    return false;
  memcpy(host, start, len);
  host[len] = '\0';
  bool is_any = !is_literal && (len == 0 || strcmp(host, "*") == 0);
  options->host = is_any ? NULL : host;
  return true;
}

bool ls_listen_parse(const char *text, char *host, size_t size, struct ls_listen_options *options) {
  *options = (struct ls_listen_options){.port = 0};
  if (strncmp(text, "unix:", 5) == 0) {
    options->path = text + 5;
    return *options->path != '\0';
  }
  if (strncmp(text, "fd:", 3) == 0) {
    options->has_fd = true;
    return read_number(text + 3, INT_MAX, &options->fd);
  }
  options->systemd = strcmp(text, "systemd") == 0 || strncmp(text, "systemd:", 8) == 0;
  if (!options->systemd)
    return parse_host(text, host, size, options);
  options->systemd_name = text[7] == ':' ? text + 8 : NULL;
  return options->systemd_name == NULL || *options->systemd_name != '\0';
}

static void set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value); /* nil where there is none */
  lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, int value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

void ls_push_listen(lua_State *L, const struct ls_listen_options *options) {
  lua_createtable(L, 0, 2);
  set_string(L, "host", options->host);
  set_string(L, "path", options->path);
  set_string(L, "systemd", options->systemd_name);
  if (options->systemd && options->systemd_name == NULL) {
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "systemd");
  }
  if (options->has_fd)
    set_integer(L, "fd", options->fd);
  if (options->path == NULL && !options->has_fd && !options->systemd)
    set_integer(L, "port", options->port);
}
