/* SPDX-License-Identifier: MIT */
/* trust: the options of http.create_server for servers behind a proxy. */
#include <errno.h>
#include <string.h>

#include "bind/http/impl.h"
#include "http/proxy_header.h"
#include "script/options.h"

/* One entry of trust_proxy, at the top of the stack. */
static void add_proxy(lua_State *L, struct ls_cidr_set *set) {
  size_t len;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "option 'trust_proxy' must be an address or a list of them, such as '127.0.0.1', not a %s",
               luaL_typename(L, -1));
  const char *text = lua_tolstring(L, -1, &len);
  int status = ls_cidr_set_add(set, ls_slice(text, len));
  if (status == -EINVAL)
    luaL_error(L,
               "create_server: '%s' in 'trust_proxy' is no address, no range such as '10.0.0.0/8' (without bits behind "
               "its prefix), and not 'loopback', 'private' or 'unix'",
               text);
  if (status != 0)
    luaL_error(L, "not enough memory");
}

/* trust_proxy = "loopback" or { "10.0.0.0/8", ... }; false: nobody. At the top of the stack. */
static void read_proxies(lua_State *L, struct ls_cidr_set *set) {
  if (!lua_toboolean(L, -1))
    return;
  if (!lua_istable(L, -1)) {
    add_proxy(L, set);
    return;
  }
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    if (!lua_isinteger(L, -2))
      luaL_error(L, "create_server: 'trust_proxy' is a list, without the key '%s'", luaL_tolstring(L, -2, NULL));
    add_proxy(L, set);
  }
}

static enum ls_forwarded_fields read_fields(lua_State *L, int index) {
  const char *kind = ls_option_string(L, index, "trust_fields", NULL);
  if (kind == NULL)
    return LS_FORWARDED_EITHER;
  if (strcmp(kind, "forwarded") != 0 && strcmp(kind, "x-forwarded") != 0)
    luaL_error(L, "create_server: option 'trust_fields' must be 'forwarded' or 'x-forwarded', not '%s'", kind);
  return *kind == 'f' ? LS_FORWARDED_RFC7239 : LS_FORWARDED_X;
}

/* proxy_protocol = true, "v1" or "v2", at the top of the stack: the versions that are allowed. */
static uint8_t read_versions(lua_State *L) {
  const char *version = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  if (!lua_toboolean(L, -1))
    return 0;
  if (lua_isboolean(L, -1))
    return LS_PROXY_V1 | LS_PROXY_V2;
  if (strcmp(version, "v1") == 0)
    return LS_PROXY_V1;
  if (strcmp(version, "v2") != 0)
    luaL_error(L, "create_server: option 'proxy_protocol' must be true, false, 'v1' or 'v2'");
  return LS_PROXY_V2;
}

void ls_http_read_trust(lua_State *L, int index, struct ls_server_options *options) {
  if (lua_isnil(L, index))
    return;
  options->trust_fields = read_fields(L, index);
  lua_getfield(L, index, "trust_proxy");
  read_proxies(L, &options->trust_proxy);
  lua_getfield(L, index, "proxy_protocol");
  options->proxy_protocol = read_versions(L);
  lua_pop(L, 2);
}
