/* SPDX-License-Identifier: MIT */
/* require "luaserve.net": TCP, unix and UDP sockets. Here: listening; connecting is in connect.c, the sockets are in
 * socket.c and udp.c. */
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/listen.h"
#include "bind/modules.h"
#include "bind/net/impl.h"
#include "loop/listener.h"
#include "loop/loop.h"
#include "script/handle.h"
#include "script/op.h"
#include "script/options.h"
#include "script/runtime.h"
#include "script/task.h"
#include "script/watchdog.h"

#define SERVER "luaserve.net_server"

/* Behind its userdata, whose user value 1 is the handler, and which is in the registry while it listens. */
struct ls_net_server {
  struct ls_listener listener;
  struct ls_runtime *rt;
  struct ls_list incoming; /* ls_net_socket.incoming: accepted, their tasks have not begun */
  unsigned owners;         /* the listener's handles, the userdata, and each open connection */
  unsigned connections;    /* open ones */
  unsigned max_connections;
  int self; /* registry reference while it listens */
};

static void release_server(struct ls_net_server *server) {
  if (--server->owners == 0)
    free(server);
}

static void join_server(struct ls_net_server *server, struct ls_net_socket *socket) {
  socket->server = server;
  server->owners++;
  if (++server->connections >= server->max_connections)
    ls_listener_pause(&server->listener);
}

void ls_net_server_leave(struct ls_net_socket *socket) {
  struct ls_net_server *server = socket->server;
  socket->server = NULL;
  if (server->connections-- == server->max_connections)
    ls_listener_resume(&server->listener);
  release_server(server);
}

static void on_server_closed(struct ls_listener *listener) {
  release_server(ls_container_of(listener, struct ls_net_server, listener));
}

static void forget_incoming(struct ls_net_socket *socket) {
  ls_list_remove(&socket->incoming);
  socket->task = NULL;
  ls_net_socket_discard(socket);
}

static void close_server(struct ls_net_server *server) {
  if (server->listener.closing)
    return;
  ls_listener_close(&server->listener);
  while (!ls_list_is_empty(&server->incoming)) {
    struct ls_net_socket *socket = ls_container_of(server->incoming.next, struct ls_net_socket, incoming);
    ls_task_drop(socket->task);
    forget_incoming(socket);
  }
  luaL_unref(server->rt->L, LUA_REGISTRYINDEX, server->self);
  server->self = LUA_NOREF;
}

/* Inside the connection's task. From the point where the userdata has the socket, it owns it. */
static int l_handle(lua_State *L) {
  struct ls_net_socket *socket = lua_touserdata(L, 1);
  luaL_checkstack(L, 8, NULL);
  struct ls_net_socket **slot = ls_net_socket_push(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, socket->server->self);
  lua_getiuservalue(L, -1, 1);
  lua_replace(L, -2);
  lua_insert(L, -2);
  *slot = socket;
  ls_list_remove(&socket->incoming);
  socket->task->data = NULL;
  socket->task = NULL;
  lua_callk(L, 1, 0, 0, ls_task_return_nothing);
  return 0;
}

/* With data still set the task has ended before its handler began: cancelled, or out of memory. */
static void on_handler_end(struct ls_task *task, lua_State *L, int status) {
  struct ls_net_socket *socket = task->data;
  task->data = NULL;
  if (socket != NULL)
    forget_incoming(socket);
  ls_task_end_logged(task, L, status);
}

static void on_accept(struct ls_listener *listener, int fd) {
  struct ls_net_server *server = ls_container_of(listener, struct ls_net_server, listener);
  int code;
  struct ls_net_socket *socket = ls_net_socket_open(server->rt, fd, listener->family, &code);
  if (socket == NULL)
    return;
  struct ls_task *task = ls_task_take(server->rt, &server->rt->root, true);
  if (task == NULL) {
    ls_log_write(server->rt->loop->log, LS_LOG_ERROR, "out of memory: a connection is closed unhandled");
    ls_net_socket_discard(socket);
    return;
  }
  join_server(server, socket);
  socket->task = task;
  task->data = socket;
  ls_list_push(&server->incoming, &socket->incoming);
  ls_task_start_c(task, l_handle, socket, on_handler_end);
}

/* The listener closes it: there is no descriptor to serve it with. */
static void on_refused(struct ls_listener *listener, int fd) {
  (void)listener, (void)fd;
}

/* A server behind the pushed userdata; raises when memory is short. */
static struct ls_net_server *new_server(lua_State *L) {
  struct ls_net_server **slot = lua_newuserdatauv(L, sizeof *slot, 1);
  *slot = NULL;
  luaL_setmetatable(L, SERVER);
  struct ls_net_server *server = calloc(1, sizeof *server);
  if (server == NULL) {
    luaL_error(L, "not enough memory");
    return NULL;
  }
  server->rt = ls_runtime_of(L);
  server->self = LUA_NOREF;
  server->owners = 1;
  server->listener.closing = true; /* until it listens */
  server->listener.on_accept = on_accept;
  server->listener.on_refused = on_refused;
  server->listener.on_closed = on_server_closed;
  ls_list_init(&server->incoming);
  *slot = server;
  return server;
}

/* net.listen(port | {host =, port =, path =, mode =, fd =, systemd =, backlog =, reuse_port =, ipv6_only =,
 * max_connections =}, handler) -> server
 * Calls handler(socket) for every connection, in a task of its own; an error in it is logged. port 0: a free one, see
 * server:address. No host: every address of this machine. path: a unix socket; the file of a dead server is replaced;
 * mode: its permissions (tonumber("600", 8)). fd: a socket that listens already, the server's from now on; systemd: one
 * that systemd has passed (true: the first that nobody has taken; or its name). reuse_port: other processes may listen
 * on the port too. ipv6_only: no IPv4 on an IPv6 address. max_connections: with that many open the next ones wait in
 * the system's queue, which has backlog places. A peer that ends its half (shutdown) can still be written to: the
 * handler decides.
 * The socket is the handler's: it is closed by sock:close(), by <close>, or when it is collected, which may be late.
 * Does not wait (a host that is a name is looked up right here). Fails with nil, message, code: "EADDRINUSE", "EACCES".
 *   net.listen(7, function(sock)
 *     local sock <close> = sock
 *     for data in function() return sock:read() end do sock:write(data) end
 *   end) */
static int l_listen(lua_State *L) {
  static const char *const known[] = {
      "backlog", "fd", "host", "ipv6_only", "max_connections", "mode", "path", "port", "reuse_port", "systemd", NULL};
  struct ls_listen_options options = ls_check_listen(L, 1, "net.listen", known);
  unsigned max_connections = (unsigned)ls_option_integer(L, 1, "max_connections", 1, INT_MAX, UINT_MAX);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  struct ls_net_server *server = new_server(L);
  server->max_connections = max_connections;
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, -1);
  int self = luaL_ref(L, LUA_REGISTRYINDEX);
  int status = ls_listener_start(server->rt->loop, &server->listener, &options);
  if (status != 0) {
    server->listener.closing = true;
    luaL_unref(L, LUA_REGISTRYINDEX, self);
    return ls_push_listen_failure(L, status, &options);
  }
  server->self = self;
  server->owners++;
  ls_watchdog_start(server->rt);
  return 1;
}

static struct ls_net_server *check_server(lua_State *L) {
  struct ls_net_server **slot = luaL_checkudata(L, 1, SERVER);
  if (*slot == NULL)
    luaL_error(L, "the server was collected already");
  return *slot;
}

/* server:close() -> true
 * No new connections; those that there are go on. A unix socket's file is removed. A second close does nothing. */
static int l_server_close(lua_State *L) {
  close_server(check_server(L));
  lua_pushboolean(L, 1);
  return 1;
}

static int l_server_gc(lua_State *L) {
  struct ls_net_server **slot = luaL_checkudata(L, 1, SERVER);
  struct ls_net_server *server = *slot;
  *slot = NULL;
  if (server == NULL)
    return 0;
  close_server(server);
  release_server(server);
  return 0;
}

static bool get_address(const struct ls_net_server *server, struct ls_net_address *address) {
  *address = (struct ls_net_address){.is_path = server->listener.family == AF_UNIX};
  return !server->listener.closing &&
         ls_listener_address(&server->listener, address->text, sizeof address->text, &address->port) == 0;
}

/* server:address() -> {host =, port =}, {path =} for a unix socket, or nil once it is closed */
static int l_server_address(lua_State *L) {
  struct ls_net_address address;
  if (get_address(check_server(L), &address))
    ls_net_address_push(L, &address);
  else
    lua_pushnil(L);
  return 1;
}

static void set_count(lua_State *L, const char *name, uint64_t count) {
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, name);
}

/* server:stats() -> {connections =, accepted =, refused =}
 * How many of its connections are open now; how many came; how many were closed unseen, because the process had no
 * descriptor left for them (EMFILE). Also after it was closed. */
static int l_server_stats(lua_State *L) {
  const struct ls_net_server *server = check_server(L);
  lua_createtable(L, 0, 3);
  set_count(L, "connections", server->connections);
  set_count(L, "accepted", server->listener.accepted);
  set_count(L, "refused", server->listener.refused);
  return 1;
}

static int set_server_ref(lua_State *L, bool ref) {
  struct ls_net_server *server = check_server(L);
  if (!server->listener.closing)
    ls_listener_set_ref(&server->listener, ref);
  lua_settop(L, 1);
  return 1;
}

/* server:ref(), server:unref() -> server
 * Whether it keeps the process alive while it listens (it does at first). */
static int l_server_ref(lua_State *L) {
  return set_server_ref(L, true);
}

static int l_server_unref(lua_State *L) {
  return set_server_ref(L, false);
}

static int l_server_tostring(lua_State *L) {
  struct ls_net_server **slot = luaL_checkudata(L, 1, SERVER);
  struct ls_net_address address;
  char text[LS_NET_FORMAT_SIZE] = "closed";
  if (*slot != NULL && get_address(*slot, &address))
    ls_net_address_format(&address, text, sizeof text);
  lua_pushfstring(L, "server (%s)", text);
  return 1;
}

static void open_server_type(lua_State *L) {
  static const luaL_Reg methods[] = {{"address", l_server_address}, {"close", l_server_close}, {"ref", l_server_ref},
                                     {"stats", l_server_stats},     {"unref", l_server_unref}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", l_server_close}, {"__gc", l_server_gc}, {"__tostring", l_server_tostring}, {NULL, NULL}};
  ls_handle_type(L, SERVER, methods, metamethods);
}

int luaopen_luaserve_net(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"connect", ls_net_l_connect}, {"listen", l_listen}, {"udp", ls_net_l_udp}, {NULL, NULL}};
  ls_net_socket_open_type(L);
  ls_net_udp_open_type(L);
  open_server_type(L);
  luaL_newlib(L, functions);
  return 1;
}
