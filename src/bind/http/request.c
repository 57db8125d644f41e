/* SPDX-License-Identifier: MIT */
/* request: req: what the client asked for. Bytes become Lua strings only where a handler looks. */
#include <string.h>

#include "bind/http/accept.h"
#include "bind/http/impl.h"
#include "bind/http/query.h"
#include "http/head.h"
#include "http/url.h"
#include "script/task.h"

static const struct ls_head *head_of(const struct ls_call *call) {
  return &call->request->exchange.head;
}

static int push_slice(lua_State *L, struct ls_slice slice) {
  lua_pushlstring(L, slice.len > 0 ? slice.ptr : "", slice.len);
  return 1;
}

/* It was split once before the handler was called. */
static struct ls_url url_of(const struct ls_call *call) {
  struct ls_url url = {0};
  struct ls_slice target = ls_head_url(head_of(call));
  if (ls_url_split(target, &url) != 0)
    url.path = target; /* CONNECT's host:port */
  return url;
}

/* ---- simple fields ---- */

/* req.method -> "GET". Case as sent; unknown methods are answered 501 before a handler sees them. */
static int get_method(lua_State *L, struct ls_call *call) {
  return push_slice(L, ls_head_method(head_of(call)));
}

/* req.url -> the request target as sent: "/a%20b?c=d", "http://host/path" or "*" */
static int get_url(lua_State *L, struct ls_call *call) {
  return push_slice(L, ls_head_url(head_of(call)));
}

static int push_path(lua_State *L, struct ls_call *call, bool decode) {
  struct ls_slice path = url_of(call).path;
  if (!decode && ls_url_is_normal(path))
    return push_slice(L, path);
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, path.len + 1);
  int64_t len = ls_url_normalise(path, out);
  if (len >= 0 && decode)
    len = (int64_t)ls_url_decode(ls_slice(out, (size_t)len), false, out);
  if (len < 0) { /* refused at the start, but for targets that are no paths */
    memcpy(out, path.ptr, path.len);
    len = (int64_t)path.len;
  }
  luaL_pushresultsize(&buffer, (size_t)len);
  return 1;
}

struct ls_slice ls_http_path(lua_State *L, struct ls_call *call) {
  struct ls_slice path = url_of(call).path;
  if (!ls_url_is_normal(path)) {
    push_path(L, call, false);
    path.ptr = lua_tolstring(L, -1, &path.len);
  }
  return path;
}

/* req.path -> "/a%20b"
 * Without the query and without dot segments ("/../%2e/x" is "/x"), but not decoded: split it first, then decode the
 * segments. Broken percent-encodings and %00 are answered 400 before a handler sees them. */
static int get_path(lua_State *L, struct ls_call *call) {
  return push_path(L, call, false);
}

/* req:decoded_path() -> "/a b"
 * The path with percent-encodings decoded: a slash in it may have been %2F, bytes may be no UTF-8. */
static int l_decoded_path(lua_State *L) {
  return push_path(L, ls_http_check(L, 1, ls_http_request_type), true);
}

/* req.scheme -> "https" or "http": as the client came, where a trusted proxy tells */
static int get_scheme(lua_State *L, struct ls_call *call) {
  lua_pushstring(L, ls_origin_of(call->request)->secure ? "https" : "http");
  return 1;
}

/* req.secure -> whether the client came over TLS: to a trusted proxy */
static int get_secure(lua_State *L, struct ls_call *call) {
  lua_pushboolean(L, ls_origin_of(call->request)->secure);
  return 1;
}

/* The host that the request itself names: an absolute target's replaces the field (RFC 9112 3.2.2). */
static struct ls_slice own_host(const struct ls_call *call) {
  struct ls_slice host = url_of(call).authority;
  return host.len != 0 ? host : ls_head_get(head_of(call), LS_FIELD_HOST);
}

/* req.host -> "example.org:8080" or nil
 * What a trusted proxy says the client asked for; else from an absolute target, else from the Host field. Well-formed,
 * but what the client says: not to be trusted. nil: HTTP/1.0 without one. */
static int get_host(lua_State *L, struct ls_call *call) {
  struct ls_slice host = ls_origin_host(call->request);
  uint16_t port = host.len != 0 ? call->request->origin.host_port : 0;
  if (host.len == 0)
    host = own_host(call);
  if (host.ptr == NULL) {
    lua_pushnil(L);
    return 1;
  }
  push_slice(L, host);
  if (port != 0) {
    lua_pushfstring(L, ":%d", (int)port);
    lua_concat(L, 2);
  }
  return 1;
}

/* req.version -> "1.1" or "1.0" */
static int get_version(lua_State *L, struct ls_call *call) {
  lua_pushfstring(L, "%d.%d", head_of(call)->major, head_of(call)->minor);
  return 1;
}

/* req.peer_address -> "127.0.0.1", "::1", "" (a unix socket), or nil (it had left before anybody asked)
 * The other end of the connection: the nearest proxy, where there is one. */
static int get_peer_address(lua_State *L, struct ls_call *call) {
  if (ls_origin_learn_peer(call->request))
    lua_pushstring(L, call->request->origin.peer);
  else
    lua_pushnil(L);
  return 1;
}

/* req.peer_port -> integer; 0: a unix socket; nil as above */
static int get_peer_port(lua_State *L, struct ls_call *call) {
  if (ls_origin_learn_peer(call->request))
    lua_pushinteger(L, call->request->origin.peer_port);
  else
    lua_pushnil(L);
  return 1;
}

/* req.remote_address -> as req.peer_address, but of the client that trusted proxies tell of (see trust_proxy); nil also
 * where they do not tell who it is */
static int get_remote_address(lua_State *L, struct ls_call *call) {
  const struct ls_origin *origin = ls_origin_of(call->request);
  char text[LS_IP_TEXT_SIZE];
  if (origin->client == LS_CLIENT_IS_PEER)
    return get_peer_address(L, call);
  if (origin->client == LS_CLIENT_UNKNOWN) {
    lua_pushnil(L);
    return 1;
  }
  ls_ip_text(&origin->ip, text);
  lua_pushstring(L, text);
  return 1;
}

/* req.remote_port -> integer; 0: a unix socket; nil: as above, or the proxies tell none */
static int get_remote_port(lua_State *L, struct ls_call *call) {
  const struct ls_origin *origin = ls_origin_of(call->request);
  if (origin->client == LS_CLIENT_IS_PEER)
    return get_peer_port(L, call);
  bool is_told = origin->port != 0 || origin->ip.len == 0;
  if (origin->client == LS_CLIENT_UNKNOWN || !is_told)
    lua_pushnil(L);
  else
    lua_pushinteger(L, origin->port);
  return 1;
}

/* A table made when somebody looks. */
static int push_own_table(lua_State *L, int n) {
  if (lua_getiuservalue(L, 1, n) != LUA_TNIL)
    return 1;
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, n);
  return 1;
}

/* req.locals -> table
 * Empty at first: the place for what middleware wants to tell the handler, and for what code deep inside wants to know:
 * task.locals() gives the same table. */
static int get_locals(lua_State *L, struct ls_call *call) {
  ls_task_push_locals(L, &call->scope);
  return 1;
}

/* req.params -> table. Empty, until a router sets it to what the path's pattern has matched. */
static int get_params(lua_State *L, struct ls_call *call) {
  (void)call;
  return push_own_table(L, LS_HTTP_PARAMS);
}

/* req.closed -> whether the client has left before the answer was complete. What waits for it is told by req:on_close.
 *   while not req.closed do res:write(next_line()) end */
static int get_closed(lua_State *L, struct ls_call *call) {
  lua_pushboolean(L, call->gone);
  return 1;
}

/* ---- query ---- */

/* req.query -> { name = value }
 * Decoded ('+' is a space); of a repeated name the first value, "" without '='. Made when first looked at.
 *   local page = tonumber(req.query.page) or 1 */
static int get_query(lua_State *L, struct ls_call *call) {
  if (lua_getiuservalue(L, 1, LS_HTTP_QUERY) != LUA_TNIL)
    return 1;
  ls_query_push_table(L, url_of(call).query);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, LS_HTTP_QUERY);
  return 1;
}

/* req:query_all(name) -> { value, ... }. All values of the name, in their order. */
static int l_query_all(lua_State *L) {
  struct ls_call *call = ls_http_check(L, 1, ls_http_request_type);
  luaL_checkstring(L, 2);
  ls_query_push_all(L, url_of(call).query, 2);
  return 1;
}

/* ---- headers ---- */

/* req.headers -> object
 * req.headers[name], any case, gives the value or nil; a repeated field is joined by ", ", Cookie by "; ". pairs goes
 * over
 * them with names in lower case. It cannot be changed.
 *   if req.headers["content-type"] == "application/json" then ... end */
static int get_headers(lua_State *L, struct ls_call *call) {
  if (lua_getiuservalue(L, 1, LS_HTTP_HEADERS) != LUA_TNIL)
    return 1;
  ls_http_push_handle(L, call, ls_http_headers_type, call->module->headers_type, 0);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, LS_HTTP_HEADERS);
  return 1;
}

/* All values of the name that field first has, joined; Cookie has a separator of its own (RFC 9113 8.2.3). */
static void push_joined(lua_State *L, const struct ls_head *head, uint32_t first) {
  struct ls_slice name = ls_head_name(head, first);
  int next = ls_head_find(head, name, first + 1);
  if (next < 0) {
    push_slice(L, ls_head_value(head, first));
    return;
  }
  const char *separator = head->fields[first].id == LS_FIELD_COOKIE ? "; " : ", ";
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  for (int i = (int)first; i >= 0; i = ls_head_find(head, name, (uint32_t)i + 1)) {
    struct ls_slice value = ls_head_value(head, (uint32_t)i);
    if (i != (int)first)
      luaL_addlstring(&buffer, separator, 2);
    luaL_addlstring(&buffer, value.ptr, value.len);
  }
  luaL_pushresult(&buffer);
}

/* req.headers[name] -> string or nil */
static int l_headers_index(lua_State *L) {
  const struct ls_head *head = head_of(ls_http_check(L, 1, ls_http_headers_type));
  size_t len;
  const char *name = luaL_checklstring(L, 2, &len);
  int found = ls_head_find(head, ls_slice(name, len), 0);
  if (found < 0)
    lua_pushnil(L);
  else
    push_joined(L, head, (uint32_t)found);
  return 1;
}

static void push_lower(lua_State *L, struct ls_slice name) {
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, name.len);
  for (size_t i = 0; i < name.len; i++)
    out[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] | 0x20) : name.ptr[i];
  luaL_pushresultsize(&buffer, name.len);
}

/* The iterator of pairs(req.headers). */
static int l_next(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (lua_next(L, 1))
    return 2;
  lua_pushnil(L);
  return 1;
}

/* pairs(req.headers): lower-case name, joined value */
static int l_headers_pairs(lua_State *L) {
  const struct ls_head *head = head_of(ls_http_check(L, 1, ls_http_headers_type));
  lua_pushcfunction(L, l_next);
  lua_newtable(L);
  for (uint32_t i = 0; i < head->count; i++) {
    push_lower(L, ls_head_name(head, i));
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TNIL) {
      lua_pop(L, 1);
      push_joined(L, head, i);
      lua_rawset(L, -3);
    } else {
      lua_pop(L, 2);
    }
  }
  lua_pushnil(L);
  return 3;
}

/* req.headers[name] = value raises. */
static int l_headers_newindex(lua_State *L) {
  return luaL_error(L, "the headers of a request cannot be changed");
}

/* req:header_list() -> { { name, value }, ... } as sent: order, case and repetitions */
static int l_header_list(lua_State *L) {
  const struct ls_head *head = head_of(ls_http_check(L, 1, ls_http_request_type));
  lua_createtable(L, (int)head->count, 0);
  for (uint32_t i = 0; i < head->count; i++) {
    lua_createtable(L, 2, 0);
    push_slice(L, ls_head_name(head, i));
    lua_rawseti(L, -2, 1);
    push_slice(L, ls_head_value(head, i));
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

int ls_http_make_headers_type(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__index", l_headers_index}, {"__pairs", l_headers_pairs}, {"__newindex", l_headers_newindex}, {NULL, NULL}};
  static const struct ls_http_field none[] = {{.name = NULL}};
  return ls_http_make_type(L, ls_http_headers_type, none, metamethods);
}

/* ---- leaving ---- */

/* req.params = table; any other name raises. */
static int l_newindex(lua_State *L) {
  ls_http_check(L, 1, ls_http_request_type);
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "params") != 0)
    return luaL_error(L, "req.%s cannot be set; req.locals is the place for a request's own values", name);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  lua_setiuservalue(L, 1, LS_HTTP_PARAMS);
  return 0;
}

int ls_http_make_request_type(lua_State *L) {
  static const struct ls_http_field fields[] = {
      LS_HTTP_GETTER("method", get_method),
      LS_HTTP_GETTER("url", get_url),
      LS_HTTP_GETTER("path", get_path),
      LS_HTTP_GETTER("query", get_query),
      LS_HTTP_GETTER("headers", get_headers),
      LS_HTTP_GETTER("scheme", get_scheme),
      LS_HTTP_GETTER("secure", get_secure),
      LS_HTTP_GETTER("host", get_host),
      LS_HTTP_GETTER("version", get_version),
      LS_HTTP_GETTER("remote_address", get_remote_address),
      LS_HTTP_GETTER("remote_port", get_remote_port),
      LS_HTTP_GETTER("peer_address", get_peer_address),
      LS_HTTP_GETTER("peer_port", get_peer_port),
      LS_HTTP_GETTER("closed", get_closed),
      LS_HTTP_GETTER("params", get_params),
      LS_HTTP_GETTER("locals", get_locals),
      LS_HTTP_METHOD("decoded_path", l_decoded_path),
      LS_HTTP_METHOD("query_all", l_query_all),
      LS_HTTP_METHOD("header_list", l_header_list),
      LS_HTTP_METHOD("body", ls_http_l_body),
      LS_HTTP_METHOD("json", ls_http_l_json),
      LS_HTTP_METHOD("form", ls_http_l_form),
      LS_HTTP_METHOD("chunks", ls_http_l_chunks),
      LS_HTTP_METHOD("on_close", ls_http_l_on_close),
      LS_HTTP_METHOD("on_end", ls_http_l_on_end),
      LS_HTTP_IN_LUA("cookie", "luaserve.core.request.cookie"),
      LS_HTTP_IN_LUA("cookies", "luaserve.core.request.cookie"),
      LS_HTTP_IN_LUA("signed_cookie", "luaserve.core.request.cookie"),
      LS_HTTP_IN_LUA("multipart", "luaserve.core.request.multipart"),
      LS_HTTP_IN_LUA("multipart_form", "luaserve.core.request.multipart"),
      LS_HTTP_IN_LUA("validate", "luaserve.core.request.validate"),
      LS_HTTP_METHOD("accepts", ls_http_l_accepts),
      LS_HTTP_METHOD("accepts_encoding", ls_http_l_accepts_encoding),
      LS_HTTP_METHOD("accepts_language", ls_http_l_accepts_language),
      {.name = NULL},
  };
  static const luaL_Reg metamethods[] = {{"__newindex", l_newindex}, {NULL, NULL}};
  return ls_http_make_type(L, ls_http_request_type, fields, metamethods);
}
