/* SPDX-License-Identifier: MIT */
/* The UDP sockets of luaserve.net.
 *
 * Both kinds of wait begin with a plain call and only wait when the kernel says so: a receive nearly always does, a send
 * only for the address of a name and while the network card's queue is full. A datagram that was taken for a receive
 * stays in the socket until the results are pushed, so one that is given up loses nothing.
 *
 * As with net's other sockets the handle keeps the process alive only while somebody waits for it. */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bind/net/udp.h"
#include "loop/address.h"
#include "loop/loop.h"
#include "script/handle.h"
#include "script/options.h"
#include "script/runtime.h"

#define UDP "luaserve.udp"
#define KEPT_WHILE_EMPTY 4096 /* larger memory is given back once its datagram was read */

/* ---- waits ---- */

static bool is_waiting(const struct ls_net_udp_wait *wait) {
  return wait != NULL && !wait->ended;
}

/* Which events somebody waits for. */
static int wanted(const struct ls_net_udp *socket) {
  return (is_waiting(socket->receiver) ? UV_READABLE : 0) | (ls_list_is_empty(&socket->senders) ? 0 : UV_WRITABLE);
}

void ls_net_udp_update_ref(struct ls_net_udp *socket) {
  if (wanted(socket) != 0)
    uv_ref((uv_handle_t *)&socket->udp.poll);
  else
    uv_unref((uv_handle_t *)&socket->udp.poll);
}

void ls_net_udp_end_wait(struct ls_net_udp_wait *wait, int status) {
  ls_timer_stop(wait->op.rt->loop, &wait->timer);
  wait->status = status;
  wait->ended = true;
  ls_net_udp_update_ref(wait->socket);
  ls_op_done(&wait->op);
}

struct ls_net_udp_wait *ls_net_udp_new_wait(lua_State *L, size_t size, const struct ls_op_type *type,
                                            struct ls_net_udp *socket, void (*on_timeout)(struct ls_timer *timer)) {
  lua_pushvalue(L, 1);
  int self = luaL_ref(L, LUA_REGISTRYINDEX);
  struct ls_net_udp_wait *wait = calloc(1, size);
  if (wait == NULL) {
    luaL_unref(L, LUA_REGISTRYINDEX, self);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  ls_op_init(L, &wait->op, type);
  wait->socket = socket;
  wait->self = self;
  wait->timer.fire = on_timeout;
  return wait;
}

int ls_net_udp_start_clock(struct ls_net_udp_wait *wait) {
  const struct ls_net_udp *socket = wait->socket;
  return socket->timeout_ns == 0 ? 0 : ls_timer_start(socket->rt->loop, &wait->timer, socket->timeout_ns);
}

void ls_net_udp_free_wait(struct ls_net_udp_wait *wait) {
  ls_timer_stop(wait->op.rt->loop, &wait->timer);
  ls_net_udp_update_ref(wait->socket);
  luaL_unref(wait->op.rt->L, LUA_REGISTRYINDEX, wait->self);
  free(wait);
}

/* ---- the socket ---- */

static void release(struct ls_net_udp *socket) {
  if (--socket->owners > 0)
    return;
  ls_buf_dispose(&socket->in);
  free(socket);
}

static void on_closed(struct ls_udp *udp) {
  release(ls_container_of(udp, struct ls_net_udp, udp));
}

struct ls_net_udp *ls_net_udp_check(lua_State *L) {
  struct ls_net_udp **slot = luaL_checkudata(L, 1, UDP);
  if (*slot == NULL)
    luaL_error(L, "the socket was collected already");
  return *slot;
}

static int push_udp_failure(lua_State *L, const struct ls_net_udp *socket, int code, const char *verb) {
  char text[LS_NET_FORMAT_SIZE];
  ls_net_address_format(&socket->address, text, sizeof text);
  return ls_push_failure(L, code, "%s %s", verb, text);
}

void ls_net_udp_tell(const struct sockaddr_storage *from, struct ls_net_address *address) {
  *address = (struct ls_net_address){.port = 0};
  if (ls_address_text((const struct sockaddr *)from, address->text, sizeof address->text, &address->port) != 0)
    address->text[0] = '\0';
}

void ls_net_udp_note_address(struct ls_net_udp *socket) {
  struct sockaddr_storage address;
  if (ls_udp_address(&socket->udp, &address) == 0)
    ls_net_udp_tell(&address, &socket->address);
}

/* ---- receiving ---- */

/* Takes a datagram into the socket. 0, or a negative code. */
static int fetch(struct ls_net_udp *socket) {
  char bytes[LS_UDP_MAX]; /* not the loop's buffer: what another callback has there may still be read */
  if (socket->holding)
    return 0;
  ssize_t n = ls_udp_receive(&socket->udp, bytes, sizeof bytes, &socket->from);
  if (n < 0)
    return (int)n;
  ls_buf_clear(&socket->in);
  int code = ls_buf_append(&socket->in, bytes, (size_t)n);
  socket->holding = code == 0;
  return code;
}

static int push_datagram(lua_State *L, struct ls_net_udp *socket) {
  struct ls_net_address from;
  ls_net_udp_tell(&socket->from, &from);
  lua_pushlstring(L, socket->in.len > 0 ? ls_buf_bytes(&socket->in) : "", socket->in.len);
  ls_net_address_push(L, &from);
  socket->holding = false;
  ls_buf_clear(&socket->in);
  if (socket->in.cap > KEPT_WHILE_EMPTY)
    ls_buf_dispose(&socket->in);
  return 2;
}

static void try_receiver(struct ls_net_udp *socket) {
  if (!is_waiting(socket->receiver))
    return;
  int code = fetch(socket);
  if (code != -EAGAIN)
    ls_net_udp_end_wait(socket->receiver, code);
}

static void leave_receiver(struct ls_net_udp_wait *wait) {
  if (wait->socket->receiver == wait)
    wait->socket->receiver = NULL;
}

static int push_receive(lua_State *L, struct ls_op *op) {
  struct ls_net_udp_wait *wait = ls_container_of(op, struct ls_net_udp_wait, op);
  leave_receiver(wait);
  if (wait->status != 0)
    return push_udp_failure(L, wait->socket, wait->status, "receive");
  return push_datagram(L, wait->socket);
}

static bool cancel_receive(struct ls_op *op) {
  leave_receiver(ls_container_of(op, struct ls_net_udp_wait, op));
  return true;
}

static void free_receive(struct ls_op *op) {
  struct ls_net_udp_wait *wait = ls_container_of(op, struct ls_net_udp_wait, op);
  leave_receiver(wait);
  ls_net_udp_free_wait(wait);
}

static void on_receive_timeout(struct ls_timer *timer) {
  ls_net_udp_end_wait(ls_container_of(timer, struct ls_net_udp_wait, timer), UV_ETIMEDOUT);
}

/* udp:receive([callback]) -> data, {host =, port =}
 * Async. The next datagram and where it came from; waits until there is one. Datagrams that nobody receives wait in the
 * system's queue (option receive_buffer), and are dropped and counted (udp:dropped) when that is full.
 * Fails with nil, message, code: "ETIMEDOUT" (set_timeout), "ECLOSED" (closed here), "ECONNREFUSED" (connected, and
 * nobody received what was sent before). One receive at a time: a second one raises.
 *   local data, from = assert(sock:receive())
 *   sock:send("you said " .. data, from.host, from.port) */
static int l_receive(lua_State *L) {
  static const struct ls_op_type type = {"udp:receive", push_receive, cancel_receive, free_receive};
  struct ls_net_udp *socket = ls_net_udp_check(L);
  ls_op_check(L, 2, type.name);
  if (socket->receiver != NULL)
    return luaL_error(L, "udp:receive: another receive of this socket has not ended yet");
  if (socket->udp.closing)
    return push_udp_failure(L, socket, LS_ECLOSED, "receive");
  int code = fetch(socket);
  if (code == 0 && !lua_isfunction(L, 2) && ls_loop_may_inline(socket->rt->loop))
    return push_datagram(L, socket);
  struct ls_net_udp_wait *wait = ls_net_udp_new_wait(L, sizeof *wait, &type, socket, on_receive_timeout);
  socket->receiver = wait;
  int clock = code == -EAGAIN ? ls_net_udp_start_clock(wait) : 0;
  if (code != -EAGAIN || clock != 0) {
    ls_net_udp_end_wait(wait, clock != 0 ? clock : code);
  } else {
    ls_udp_watch(&socket->udp, UV_READABLE);
    ls_net_udp_update_ref(socket);
  }
  return ls_op_await(L, &wait->op, 2);
}

/* ---- events ---- */

static void on_ready(struct ls_udp *udp, int events) {
  struct ls_net_udp *socket = ls_container_of(udp, struct ls_net_udp, udp);
  int before = wanted(socket);
  if (events & UV_READABLE)
    try_receiver(socket);
  if (events & UV_WRITABLE)
    ls_net_udp_try_sends(socket);
  /* Reading goes on being watched until a datagram comes that nobody waits for: the next receive is near, as a rule. */
  if ((events & ~before) != 0)
    ls_udp_watch_only(udp, wanted(socket));
  else
    ls_udp_watch(udp, wanted(socket));
}

/* ---- closing ---- */

static void close_udp(struct ls_net_udp *socket) {
  if (socket->udp.closing)
    return;
  ls_udp_close(&socket->udp);
  if (is_waiting(socket->receiver))
    ls_net_udp_end_wait(socket->receiver, LS_ECLOSED);
  ls_net_udp_end_sends(socket, LS_ECLOSED);
}

/* udp:close() -> true
 * What waits for the socket gets nil, message, "ECLOSED". A second close does nothing. */
static int l_close(lua_State *L) {
  close_udp(ls_net_udp_check(L));
  lua_pushboolean(L, 1);
  return 1;
}

static int l_gc(lua_State *L) {
  struct ls_net_udp **slot = luaL_checkudata(L, 1, UDP);
  struct ls_net_udp *socket = *slot;
  *slot = NULL;
  if (socket == NULL)
    return 0;
  close_udp(socket);
  release(socket);
  return 0;
}

/* ---- settings and names ---- */

static struct sockaddr_storage check_group(lua_State *L) {
  struct sockaddr_storage group;
  const char *text = luaL_checkstring(L, 2);
  luaL_argcheck(L, ls_address_parse(text, 0, &group) == 0, 2, "a group is a numeric address");
  return group;
}

typedef int membership_call(struct ls_udp *udp, const struct sockaddr *group, const char *interface);

static int change_membership(lua_State *L, membership_call *change, const char *verb) {
  struct ls_net_udp *socket = ls_net_udp_check(L);
  struct sockaddr_storage group = check_group(L);
  const char *interface = luaL_optstring(L, 3, NULL);
  int code = socket->udp.closing ? LS_ECLOSED : change(&socket->udp, (struct sockaddr *)&group, interface);
  if (code != 0)
    return ls_push_failure(L, code, "%s %s", verb, lua_tostring(L, 2));
  lua_pushboolean(L, 1);
  return 1;
}

/* udp:join(group [, interface]) -> true
 * Receives what is sent to the multicast group ("239.1.2.3", "ff02::1234") and the socket's port. interface: a name
 * ("eth0") or an address of this machine; without it the system chooses.
 * Fails with nil, message, code: "EINVAL" (no group), "ENODEV" (no such interface), "EADDRINUSE" (joined already). */
static int l_join(lua_State *L) {
  return change_membership(L, ls_udp_join, "join");
}

/* udp:leave(group [, interface]) -> true
 * The same arguments as udp:join. Fails with nil, message, "EADDRNOTAVAIL" when it had not joined. */
static int l_leave(lua_State *L) {
  return change_membership(L, ls_udp_leave, "leave");
}

static int set(lua_State *L, int call(struct ls_udp *udp, int value), int value, const char *verb) {
  struct ls_net_udp *socket = ls_net_udp_check(L);
  int code = socket->udp.closing ? LS_ECLOSED : call(&socket->udp, value);
  if (code != 0)
    return push_udp_failure(L, socket, code, verb);
  lua_pushboolean(L, 1);
  return 1;
}

static bool check_boolean(lua_State *L, int index) {
  luaL_checktype(L, index, LUA_TBOOLEAN);
  return lua_toboolean(L, index);
}

/* udp:set_multicast_ttl(hops) -> true
 * How many routers multicast datagrams may pass, 0 to 255 (1 at first: none). */
static int l_set_multicast_ttl(lua_State *L) {
  lua_Integer ttl = luaL_checkinteger(L, 2);
  luaL_argcheck(L, ttl >= 0 && ttl <= 255, 2, "hops are from 0 to 255");
  return set(L, ls_udp_set_multicast_ttl, (int)ttl, "set_multicast_ttl");
}

/* udp:set_multicast_loop(on) -> true
 * Whether this machine gets its own multicast datagrams (it does at first). */
static int l_set_multicast_loop(lua_State *L) {
  return set(L, ls_udp_set_multicast_loop, check_boolean(L, 2), "set_multicast_loop");
}

/* udp:set_broadcast(on) -> true
 * Whether datagrams may go to broadcast addresses (they may not at first: "EACCES"). */
static int l_set_broadcast(lua_State *L) {
  return set(L, ls_udp_set_broadcast, check_boolean(L, 2), "set_broadcast");
}

/* udp:set_multicast_interface(interface | nil) -> true
 * Where multicast datagrams leave: a name ("eth0") or an address of this machine; nil: the system chooses.
 * Fails with nil, message, "ENODEV" when there is no such interface. */
static int l_set_multicast_interface(lua_State *L) {
  struct ls_net_udp *socket = ls_net_udp_check(L);
  const char *interface = luaL_optstring(L, 2, NULL);
  int code = socket->udp.closing ? LS_ECLOSED : ls_udp_set_multicast_interface(&socket->udp, interface);
  if (code != 0)
    return push_udp_failure(L, socket, code, "set_multicast_interface");
  lua_pushboolean(L, 1);
  return 1;
}

/* udp:set_timeout(seconds | nil) -> udp
 * From now on a receive, send or connect that takes longer ends with nil, message, "ETIMEDOUT"; nil: no bound (as at
 * first). */
static int l_set_timeout(lua_State *L) {
  struct ls_net_udp *socket = ls_net_udp_check(L);
  socket->timeout_ns = lua_isnoneornil(L, 2) ? 0 : ls_check_seconds(L, 2, 1);
  lua_settop(L, 1);
  return 1;
}

/* udp:dropped() -> integer
 * How many datagrams came for this socket and were dropped, nearly all because its queue was full.
 * Fails with nil, message, code on a closed one. */
static int l_dropped(lua_State *L) {
  struct ls_net_udp *socket = ls_net_udp_check(L);
  uint64_t count;
  int code = socket->udp.closing ? LS_ECLOSED : ls_udp_dropped(&socket->udp, &count);
  if (code != 0)
    return push_udp_failure(L, socket, code, "dropped");
  lua_pushinteger(L, (lua_Integer)count);
  return 1;
}

/* udp:address() -> {host =, port =}
 * The socket's own end. Fails with nil, message, code on a closed one. */
static int l_address(lua_State *L) {
  struct ls_net_udp *socket = ls_net_udp_check(L);
  if (socket->udp.closing)
    return push_udp_failure(L, socket, LS_ECLOSED, "address");
  ls_net_address_push(L, &socket->address);
  return 1;
}

/* udp:peer() -> {host =, port =}, or nil while it is not connected */
static int l_peer(lua_State *L) {
  const struct ls_net_udp *socket = ls_net_udp_check(L);
  if (socket->connected)
    ls_net_address_push(L, &socket->peer);
  else
    lua_pushnil(L);
  return 1;
}

static int l_tostring(lua_State *L) {
  struct ls_net_udp **slot = luaL_checkudata(L, 1, UDP);
  char text[LS_NET_FORMAT_SIZE] = "none";
  if (*slot != NULL)
    ls_net_address_format(&(*slot)->address, text, sizeof text);
  lua_pushfstring(L, "udp (%s%s)", text, *slot == NULL || (*slot)->udp.closing ? ", closed" : "");
  return 1;
}

/* ---- net.udp ---- */

struct options {
  struct ls_udp_options udp;
  const char *host;
  struct sockaddr_storage address;
};

static void check_options(lua_State *L, struct options *options) {
  static const char *const known[] = {"host", "port", "receive_buffer", "reuse_address", NULL};
  ls_options_check(L, 1, "net.udp", known);
  *options = (struct options){.host = ls_option_string(L, 1, "host", NULL)};
  options->udp.port = (int)ls_option_integer(L, 1, "port", 0, 65535, 0);
  options->udp.reuse_address = ls_option_boolean(L, 1, "reuse_address", false);
  options->udp.receive_buffer = (int)ls_option_integer(L, 1, "receive_buffer", 1, 1 << 30, 0);
  if (options->host == NULL)
    return;
  if (ls_address_parse(options->host, options->udp.port, &options->address) != 0)
    luaL_error(L, "option 'host' must be a numeric address of this machine, not '%s'", options->host);
  options->udp.address = (struct sockaddr *)&options->address;
}

static int push_open_failure(lua_State *L, int code, const struct options *options) {
  const char *host = options->host != NULL ? options->host : "*";
  return ls_push_failure(L, code, strchr(host, ':') != NULL ? "udp [%s]:%d" : "udp %s:%d", host, options->udp.port);
}

/* net.udp([{host =, port =, reuse_address =, receive_buffer =}]) -> udp
 * A datagram socket. host: the numeric address to receive at; without it every address of this machine, and it sends
 * over IPv6 and IPv4. port 0 (default): a free one, see udp:address. reuse_address: several sockets that have it share
 * the port (multicast). receive_buffer: bytes of the queue of datagrams that nobody has received yet (the system's
 * default and limit: net.core.rmem_default and rmem_max).
 * Does not wait. Fails with nil, message, code: "EADDRINUSE", "EADDRNOTAVAIL", "EACCES" (a port below 1024).
 *   local sock <close> = assert(net.udp({host = "127.0.0.1", port = 9999})) */
int ls_net_l_udp(lua_State *L) {
  struct options options;
  check_options(L, &options);
  struct ls_net_udp **slot = lua_newuserdatauv(L, sizeof *slot, 0);
  *slot = NULL;
  luaL_setmetatable(L, UDP);
  struct ls_net_udp *socket = ls_op_alloc(L, sizeof *socket);
  socket->rt = ls_runtime_of(L);
  socket->udp.on_ready = on_ready;
  socket->udp.on_closed = on_closed;
  ls_list_init(&socket->senders);
  ls_list_init(&socket->lookups);
  int code = ls_udp_open(socket->rt->loop, &socket->udp, &options.udp);
  if (code != 0) {
    free(socket);
    return push_open_failure(L, code, &options);
  }
  socket->owners = 2;
  ls_net_udp_update_ref(socket);
  ls_net_udp_note_address(socket);
  *slot = socket;
  return 1;
}

void ls_net_udp_open_type(lua_State *L) {
  static const luaL_Reg methods[] = {{"address", l_address},
                                     {"close", l_close},
                                     {"connect", ls_net_udp_l_connect},
                                     {"dropped", l_dropped},
                                     {"join", l_join},
                                     {"leave", l_leave},
                                     {"peer", l_peer},
                                     {"receive", l_receive},
                                     {"send", ls_net_udp_l_send},
                                     {"set_broadcast", l_set_broadcast},
                                     {"set_multicast_interface", l_set_multicast_interface},
                                     {"set_multicast_loop", l_set_multicast_loop},
                                     {"set_multicast_ttl", l_set_multicast_ttl},
                                     {"set_timeout", l_set_timeout},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", l_close}, {"__gc", l_gc}, {"__tostring", l_tostring}, {NULL, NULL}};
  ls_handle_type(L, UDP, methods, metamethods);
}
