/* SPDX-License-Identifier: MIT */
/* http: require "luaserve.http": servers whose handlers are Lua functions. */
#include "bind/http/http.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bind/http/events.h"
#include "bind/http/impl.h"
#include "bind/listen.h"
#include "bind/modules.h"
#include "bind/shutdown.h"
#include "script/handle.h"
#include "script/options.h"
#include "script/runtime.h"
#include "script/watchdog.h"

#define SERVER "luaserve.server"

/* Its address is the module's key in the registry. */
static const char module_key = 'm';

static struct ls_http_server *check(lua_State *L) {
  struct ls_http_server **handle = luaL_checkudata(L, 1, SERVER);
  if (*handle == NULL)
    luaL_error(L, "the server was collected already");
  return *handle;
}

static struct ls_http_server *check_open(lua_State *L) {
  struct ls_http_server *server = check(L);
  if (server->closed || server->closing)
    luaL_error(L, "the server is closed");
  return server;
}

/* ---- events ---- */

static void on_request(struct ls_server *server, struct ls_request *request) {
  ls_call_start(ls_server_user(server), request);
}

static void on_body(struct ls_request *request) {
  if (request->user != NULL)
    ls_call_on_body(request->user);
}

static void on_drain(struct ls_request *request) {
  if (request->user != NULL)
    ls_call_on_drain(request->user);
}

static void on_gone(struct ls_request *request) {
  if (request->user != NULL)
    ls_call_on_gone(request->user);
}

static void on_half_close(struct ls_request *request) {
  if (request->user != NULL)
    ls_call_on_half_close(request->user);
}

/* ---- closing ---- */

struct closer {
  struct ls_op op;
  struct ls_list link; /* in server->closers */
};

static int push_closed(lua_State *L, struct ls_op *op) {
  (void)op;
  lua_pushboolean(L, true);
  return 1;
}

static bool cancel_closer(struct ls_op *op) {
  ls_list_remove(&ls_container_of(op, struct closer, op)->link);
  return true;
}

static void free_closer(struct ls_op *op) {
  struct closer *closer = ls_container_of(op, struct closer, op);
  ls_list_remove(&closer->link);
  free(closer);
}

static const struct ls_op_type close_type = {
    .name = "server:close", .push = push_closed, .cancel = cancel_closer, .free = free_closer};

static void free_server(struct ls_http_server *server) {
  if (server->server != NULL)
    ls_server_free(server->server);
  ls_body_rules_dispose(&server->options.body_rules);
  ls_cidr_set_dispose(&server->options.trust_proxy);
  ls_routes_unref(server->options.routes);
  free(server);
}

static void free_if_over(struct ls_http_server *server) {
  if (server->closed && server->orphaned)
    free_server(server);
}

void ls_http_server_settle(struct ls_http_server *server) {
  struct ls_runtime *rt = server->module->rt;
  if (!server->closed || server->self == LUA_NOREF || !ls_list_is_empty(&server->calls) || server->telling != NULL ||
      rt->exiting)
    return;
  luaL_unref(rt->L, LUA_REGISTRYINDEX, server->self);
  server->self = LUA_NOREF;
}

static bool any_listens(const struct ls_http_module *module) {
  for (const struct ls_list *link = module->servers.next; link != &module->servers; link = link->next)
    if (ls_container_of(link, struct ls_http_server, link)->listening)
      return true;
  return false;
}

static void tell_closed(struct ls_http_server *server) {
  struct ls_http_module *module = server->module;
  struct ls_runtime *rt = module->rt;
  struct ls_list *link;
  while ((link = ls_list_shift(&server->closers)) != NULL)
    ls_op_done(&ls_container_of(link, struct closer, link)->op);
  ls_http_server_settle(server);
  if (module->on_shut_down != NULL && !any_listens(module)) {
    void (*done)(struct ls_runtime * rt) = module->on_shut_down;
    module->on_shut_down = NULL;
    done(rt);
  }
  ls_loop_drain(rt->loop);
}

/* An orphan's module may be gone. */
static void on_closed(struct ls_server *closed) {
  struct ls_http_server *server = ls_server_user(closed);
  server->closed = true;
  ls_list_remove(&server->link);
  if (server->orphaned)
    free_if_over(server);
  else
    tell_closed(server);
}

static void begin_close(struct ls_http_server *server, uint64_t grace_ms) {
  server->closing = true;
  ls_events_end_all(server);
  ls_server_close(server->server, grace_ms);
}

bool ls_http_shutdown(struct ls_runtime *rt, uint64_t grace_ms, void (*done)(struct ls_runtime *rt)) {
  lua_rawgetp(rt->L, LUA_REGISTRYINDEX, &module_key);
  struct ls_http_module *module = lua_touserdata(rt->L, -1);
  lua_pop(rt->L, 1);
  if (module == NULL || !any_listens(module))
    return false;
  module->on_shut_down = done;
  for (struct ls_list *link = module->servers.next; link != &module->servers; link = link->next)
    begin_close(ls_container_of(link, struct ls_http_server, link), grace_ms);
  return true;
}

/* server:close([grace] [, callback]) -> true
 * Async. Stops listening, closes idle connections, lets requests under way be answered (with Connection: close), and
 * returns when the last connection has closed. What is not over after grace seconds (10; 0: at once) is reset; its
 * handlers run on and find the client gone. Closing a closed server is harmless; a second call can only shorten the
 * grace. Raises for a grace that is negative or no number.
 *   server:close(2.5) */
static int l_close(lua_State *L) {
  static const uint64_t default_grace = 10000;
  int callback_index = lua_isfunction(L, 2) ? 2 : 3;
  ls_op_check(L, callback_index, "server:close");
  struct ls_http_server *server = check(L);
  uint64_t grace = default_grace;
  if (callback_index == 3 && !lua_isnoneornil(L, 2))
    grace = ls_check_seconds(L, 2, 0) / 1000000;
  struct closer *closer = ls_op_alloc(L, sizeof *closer);
  ls_op_init(L, &closer->op, &close_type);
  ls_list_init(&closer->link);
  if (server->closed) {
    ls_op_done(&closer->op);
  } else {
    ls_list_push(&server->closers, &closer->link);
    begin_close(server, grace);
  }
  return ls_op_await(L, &closer->op, callback_index);
}

/* The last resort, and the way of every server when Lua goes. */
static int l_gc(lua_State *L) {
  struct ls_http_server **handle = luaL_checkudata(L, 1, SERVER);
  struct ls_http_server *server = *handle;
  if (server == NULL)
    return 0;
  *handle = NULL;
  while (!ls_list_is_empty(&server->calls))
    ls_call_forsake(ls_container_of(server->calls.next, struct ls_call, link));
  ls_http_drop_refusals(server);
  luaL_unref(L, LUA_REGISTRYINDEX, server->on_refuse);
  luaL_unref(L, LUA_REGISTRYINDEX, server->handler);
  ls_list_remove(&server->link);
  server->orphaned = true;
  if (server->server == NULL)
    free_server(server);
  else if (server->closed)
    free_if_over(server);
  else
    ls_server_close(server->server, 0);
  return 0;
}

/* <close>: as server:close(0), but waits for nothing.
 *   local server <close> = http.create_server(handler) */
static int l_close_now(lua_State *L) {
  struct ls_http_server *const *handle = luaL_checkudata(L, 1, SERVER);
  if (*handle != NULL && !(*handle)->closed) /* a finalizer may come later than the server's own */
    begin_close(*handle, 0);
  return 0;
}

/* ---- methods ---- */

/* Of systemd's sockets it takes all that fit. */
static int listen_all(struct ls_http_server *server, const struct ls_listen_options *options) {
  int status = ls_server_listen(server->server, options);
  if (status != 0 || !options->systemd)
    return status;
  while (status == 0)
    status = ls_server_listen(server->server, options);
  return status == -ENOENT ? 0 : status;
}

/* server:listen(port | options) -> server; or nil, message, code
 * Starts to accept connections; may be called several times, for several addresses. A running server keeps the process
 * alive (see unref).
 *   port      0 to 65535; 0: one that is free, which server:address() tells. On all addresses, IPv6 and IPv4
 *   host      the address or the name to listen on
 *   path      a unix socket instead of host and port; a file left by a dead server is replaced
 *   mode      permissions of the socket's file, such as tonumber("660", 8); without it the umask decides
 *   fd        a socket instead that listens already, TCP or unix: the server's from now on
 *   systemd   instead, the sockets that systemd has passed: true for all, or the name of some
 *   backlog   connections that the kernel holds until they are accepted (the option of create_server)
 *   reuse_port  other processes may listen on the port too (SO_REUSEPORT)
 *   ipv6_only   no IPv4 on an IPv6 address
 * Codes: EADDRINUSE, EACCES, EADDRNOTAVAIL, EMFILE; ENOENT: the folder of a path, or systemd has passed nothing; of an
 * fd EBADF, ENOTSOCK, EPROTOTYPE (no stream), EINVAL (it does not listen), EEXIST (it is listened on already). Raises
 * for options that make no sense and when the server is closed.
 *   assert(server:listen { host = "127.0.0.1", port = 8080 }) */
static int l_listen(lua_State *L) {
  struct ls_http_server *server = check_open(L);
  static const char *const known[] = {"backlog", "fd",   "host",       "ipv6_only", "mode",
                                      "path",    "port", "reuse_port", "systemd",   NULL};
  struct ls_listen_options options = ls_check_listen(L, 2, "server:listen", known);
  if (!lua_isnoneornil(L, 3))
    return luaL_error(L, "server:listen takes a port or options and nothing more: it has listened when it returns");
  if (server->self == LUA_NOREF) {
    lua_pushvalue(L, 1);
    server->self = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  int status = listen_all(server, &options);
  if (status != 0) {
    if (!server->listening) {
      luaL_unref(L, LUA_REGISTRYINDEX, server->self);
      server->self = LUA_NOREF;
    }
    return ls_push_listen_failure(L, status, &options);
  }
  server->listening = true;
  ls_shutdown_watch(server->module->rt);
  ls_watchdog_start(server->module->rt);
  lua_settop(L, 1);
  return 1;
}

/* Where the n-th listener, from 1 on, listens. False: it does not, or there is none. */
static bool get_address(const struct ls_http_server *server, lua_Integer n, char *text, size_t size, int *port) {
  return !server->closed && !server->closing && n >= 1 && n <= INT_MAX &&
         ls_server_address(server->server, (unsigned)n - 1, text, size, port) == 0;
}

/* server:address([n]) -> { host =, port = } | { path = } | nil
 * Where it listens, fit for net.connect: the first address, or the n-th, where there are several. nil past the last,
 * before listen and after close. */
static int l_address(lua_State *L) {
  struct ls_http_server *server = check(L);
  lua_Integer n = luaL_optinteger(L, 2, 1);
  char text[256];
  int port = 0;
  if (!get_address(server, n, text, sizeof text, &port)) {
    lua_pushnil(L);
    return 1;
  }
  bool is_unix = ls_server_is_unix(server->server, (unsigned)n - 1);
  lua_createtable(L, 0, 2);
  lua_pushstring(L, text);
  lua_setfield(L, -2, is_unix ? "path" : "host");
  if (!is_unix) {
    lua_pushinteger(L, port);
    lua_setfield(L, -2, "port");
  }
  return 1;
}

/* server:connections() -> integer
 * Open connections, idle ones too. */
static int l_connections(lua_State *L) {
  struct ls_http_server *server = check(L);
  lua_pushinteger(L, server->closed ? 0 : (lua_Integer)ls_server_connections(server->server));
  return 1;
}

static int set_ref(lua_State *L, bool ref) {
  struct ls_http_server *server = check(L);
  if (!server->closed)
    ls_server_set_ref(server->server, ref);
  lua_settop(L, 1);
  return 1;
}

/* server:ref() -> server. Its listening keeps the process alive, as it does at first. */
static int l_ref(lua_State *L) {
  return set_ref(L, true);
}

/* server:unref() -> server. The process may end while it listens, and while it has connections. */
static int l_unref(lua_State *L) {
  return set_ref(L, false);
}

/* tostring(server) -> "http server (127.0.0.1:8080)", "(/run/app.sock)", "(not listening)" or "(closed)" */
static int l_tostring(lua_State *L) {
  struct ls_http_server *server = check(L);
  char text[256];
  int port = 0;
  if (server->closed || server->closing)
    lua_pushliteral(L, "http server (closed)");
  else if (!get_address(server, 1, text, sizeof text, &port))
    lua_pushliteral(L, "http server (not listening)");
  else if (ls_server_is_unix(server->server, 0))
    lua_pushfstring(L, "http server (%s)", text);
  else
    lua_pushfstring(L, strchr(text, ':') != NULL ? "http server ([%s]:%d)" : "http server (%s:%d)", text, port);
  return 1;
}

/* ---- making one ---- */

/* The userdata first, so that a server which does not come about is freed with it. */
static struct ls_http_server *push_server(lua_State *L, struct ls_http_module *module) {
  struct ls_http_server **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, SERVER);
  struct ls_http_server *server = malloc(sizeof *server);
  if (server == NULL)
    luaL_error(L, "not enough memory");
  *server = (struct ls_http_server){.module = module, .handler = LUA_NOREF, .on_refuse = LUA_NOREF, .self = LUA_NOREF};
  ls_list_init(&server->refusals);
  ls_list_init(&server->link);
  ls_list_init(&server->calls);
  ls_list_init(&server->closers);
  ls_server_options_init(&server->options);
  *handle = server;
  return server;
}

/* An app is asked once how it is served: the metamethod __serve(app, options) -> handler, options, routes. They take its
 * place and that of the options, at 1 and 2; the routes, or NULL. */
static struct ls_routes *ask_app(lua_State *L) {
  if (luaL_getmetafield(L, 2, "__serve") == LUA_TNIL)
    return NULL;
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 1);
  lua_call(L, 2, 3);
  lua_copy(L, 3, 2);
  lua_copy(L, 4, 1);
  return ls_http_check_routes(L, 5); /* kept for the length of the call */
}

/* http.create_server([options,] handler) -> server
 * A server that calls handler(req, res) in a task of its own for every request; handler is a function or an object that
 * can be called. Nothing is open before server:listen. Times are seconds, false or 0: none. Sizes are bytes.
 *   header_timeout      10     for a whole request head, from its first byte (of the first: from the connection)
 *   body_timeout        30     between two reads of a body that the handler waits for
 *   min_body_rate       100    bytes a second of such a body, over each body_timeout; 0: any
 *   keep_alive_timeout  15     idle, between requests
 *   write_timeout       30     between two writes that made progress
 *   handler_timeout     false  for the handler and what it started; then 504 and they are cancelled
 *   max_url             8192   request target; over it 414
 *   max_header_bytes    16384  header fields in all; over it 431. Chunk extensions and trailers have as much
 *   max_headers         100    header fields; over it 431
 *   max_body            1 MiB  request body; over it 413: at once where Content-Length says so, else req:body() fails
 *   stream_body         none   { [pattern] = bytes or false (no limit) }: other limits than max_body, by path: "/upload",
 *                              "PUT /files*" (all paths that begin so); the most specific one counts
 *   compress            false  codes responses (RFC 9110 8.4): true, or { encodings =, min_size =, level =, quality = }
 *   decompress          false  decodes bodies of requests that are coded
 *   allow_trace         false  hands TRACE requests to the handler; else 501
 *   max_requests        0      per connection, 0: no limit. The last answer says Connection: close
 *   max_connections     0      at a time, 0: no limit. Over it a connection is answered 503 and closed
 *   backlog             0      see listen; 0: as many as the system allows
 *   trust_proxy         none   the proxies whose Forwarded and X-Forwarded-* fields are believed: a list of addresses,
 *                              ranges ("10.0.0.0/8"), "loopback", "private", "unix"; or one of them
 *   trust_fields        none   "forwarded" or "x-forwarded": believe only this kind; without it both, where they agree
 *   proxy_protocol      false  every connection has to begin with a PROXY header: "v1", "v2", or true for either; only
 *                              those of trust_proxy may, where that is given
 *   on_refuse           none   a function that is told of each answer that the server gives itself, for logs
 *   cancel_on_close     false  cancels the handler when the client leaves, also by a half-close
 * An error of the handler is answered 500 and logged; where its request body had failed before (too large, too slow,
 * broken), 413, 408 or 400. A handler that ends without an answer, and without res:later(), is answered 500. If some of
 * the response has left by then the connection is reset, so that the client can tell.
 * Raises for unknown or mistyped options.
 *   http.create_server({ max_body = 10 << 20 }, function(req, res) res:send("hello") end):listen(8080) */
static int l_create_server(lua_State *L) {
  static const struct ls_handler handler = {.on_request = on_request,
                                            .on_body = on_body,
                                            .on_drain = on_drain,
                                            .on_gone = on_gone,
                                            .on_half_close = on_half_close,
                                            .on_refused = ls_http_on_refused,
                                            .on_closed = on_closed};
  if (ls_is_callable(L, 1)) {
    lua_settop(L, 1);
    lua_pushnil(L);
    lua_insert(L, 1);
  }
  if (!ls_is_callable(L, 2)) /* the only argument, or the second after the options */
    luaL_typeerror(L, lua_istable(L, 1) ? 2 : 1, "function");
  lua_settop(L, 2);
  char where[sizeof((struct ls_http_server *)NULL)->where];
  ls_http_note_where(L, 2, where, sizeof where);
  struct ls_routes *routes = ask_app(L);
  struct ls_http_server *server = push_server(L, lua_touserdata(L, lua_upvalueindex(1)));
  memcpy(server->where, where, sizeof where);
  server->options.routes = routes != NULL ? ls_routes_ref(routes) : NULL;
  ls_http_read_options(L, 1, server);
  lua_pushvalue(L, 2);
  server->handler = luaL_ref(L, LUA_REGISTRYINDEX);
  server->server = ls_server_new(server->module->rt->loop, &server->options, &handler, server);
  if (server->server == NULL)
    return luaL_error(L, "not enough memory");
  ls_list_push(&server->module->servers, &server->link);
  return 1;
}

/* ---- the module ---- */

static void free_pool(struct ls_remains *remains) {
  struct ls_call_pool *pool = ls_container_of(remains, struct ls_call_pool, remains);
  struct ls_list *link;
  while ((link = ls_list_shift(&pool->calls)) != NULL) {
    struct ls_call *call = ls_container_of(link, struct ls_call, link);
    free(call->trace);
    free(call);
  }
  free(pool);
}

static struct ls_call_pool *new_pool(lua_State *L) {
  struct ls_call_pool *pool = malloc(sizeof *pool);
  if (pool == NULL)
    luaL_error(L, "not enough memory");
  pool->remains.free = free_pool;
  ls_list_init(&pool->calls);
  ls_runtime_leave(ls_runtime_of(L), &pool->remains);
  return pool;
}

static int l_module_gc(lua_State *L) {
  struct ls_http_module *module = lua_touserdata(L, 1);
  free(module->chunk);
  module->chunk = NULL;
  return 0;
}

static struct ls_http_module *push_module(lua_State *L) {
  struct ls_http_module *module = lua_newuserdatauv(L, sizeof *module, 0);
  *module = (struct ls_http_module){
      .rt = ls_runtime_of(L), .json_encode = LUA_NOREF, .json_decode = LUA_NOREF, .json_writer = LUA_NOREF};
  ls_list_init(&module->servers);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_module_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  module->pool = new_pool(L);
  lua_pushvalue(L, -1); /* registered for good */
  lua_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
  module->request_type = ls_http_make_request_type(L);
  module->response_type = ls_http_make_response_type(L);
  module->headers_type = ls_http_make_headers_type(L);
  ls_events_make_type(L);
  return module;
}

int luaopen_luaserve_http(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"listen", l_listen}, {"close", l_close}, {"address", l_address}, {"connections", l_connections}, {"ref", l_ref},
      {"unref", l_unref},   {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", l_gc}, {"__close", l_close_now}, {"__tostring", l_tostring}, {NULL, NULL}};
  ls_handle_type(L, SERVER, methods, metamethods);
  lua_newtable(L);
  push_module(L);
  lua_pushcclosure(L, l_create_server, 1);
  lua_setfield(L, -2, "create_server");
  return 1;
}

/* require "luaserve.core.request": for methods of req and res that are written in Lua. */
int luaopen_luaserve_core_request(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"check_self", ls_http_l_check_self}, {"cookie", ls_http_l_cookie}, {"reject", ls_http_l_reject}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
