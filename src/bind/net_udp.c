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
#include "bind/net_impl.h"
#include "loop/address.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "loop/udp.h"
#include "script/handle.h"
#include "script/op.h"
#include "script/options.h"
#include "script/runtime.h"

#define UDP "luaserve.udp"
#define KEPT_WHILE_EMPTY 4096 /* larger memory is given back once its datagram was read */

/* Behind its userdata; owned by that and by the handle, as a stream socket is. */
struct udp {
  struct ls_udp udp;
  struct ls_runtime *rt;
  struct ls_buf in; /* the datagram that was taken for a receive, if holding */
  struct sockaddr_storage from;
  bool holding;
  bool connected;
  struct wait *receiver;
  struct ls_list senders; /* struct send.link: waiting for the socket or for a name */
  unsigned owners;
  uint64_t timeout_ns;           /* of each wait; 0: none */
  struct ls_net_address address; /* its own end, also once it is closed */
  struct ls_net_address peer;    /* if connected */
};

/* A waiting receive; a waiting send begins with one. */
struct wait {
  struct ls_op op;
  struct udp *socket;
  struct ls_timer timer;
  int self;   /* registry reference of the socket's userdata */
  int status; /* once ended */
  bool ended;
};

/* What a send or a connect was asked for. */
struct request {
  bool is_connect;
  bool is_name; /* to is not known before the lookup */
  const char *data;
  size_t size;
  const char *host; /* NULL: where the socket is connected to */
  int port;
  struct sockaddr_storage to;
  int callback_index;
};

struct send {
  struct wait wait; /* first: it is allocated and freed as one */
  struct ls_list link;
  struct ls_net_name *name; /* being looked up */
  struct request request;   /* pointing into bytes */
  bool is_lookup_failure;
  char bytes[]; /* data, then host */
};

/* ---- waits ---- */

static bool is_waiting(const struct wait *wait) {
  return wait != NULL && !wait->ended;
}

/* Which events somebody waits for. */
static int wanted(const struct udp *socket) {
  int events = is_waiting(socket->receiver) ? UV_READABLE : 0;
  for (const struct ls_list *link = socket->senders.next; link != &socket->senders; link = link->next) {
    if (ls_container_of(link, struct send, link)->name == NULL)
      events |= UV_WRITABLE;
  }
  return events;
}

static void update_ref(struct udp *socket) {
  if (wanted(socket) != 0)
    uv_ref((uv_handle_t *)&socket->udp.poll);
  else
    uv_unref((uv_handle_t *)&socket->udp.poll);
}

static void end_wait(struct wait *wait, int status) {
  ls_timer_stop(wait->op.rt->loop, &wait->timer);
  wait->status = status;
  wait->ended = true;
  update_ref(wait->socket);
  ls_op_done(&wait->op);
}

/* A wait of size bytes for the socket at index 1. Raises when memory is short. */
static struct wait *new_wait(lua_State *L, size_t size, const struct ls_op_type *type, struct udp *socket,
                             void (*on_timeout)(struct ls_timer *timer)) {
  lua_pushvalue(L, 1);
  int self = luaL_ref(L, LUA_REGISTRYINDEX);
  struct wait *wait = calloc(1, size);
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

/* Starts the clock of a wait that has not ended; what if it cannot is the caller's. */
static int start_clock(struct wait *wait) {
  const struct udp *socket = wait->socket;
  return socket->timeout_ns == 0 ? 0 : ls_timer_start(socket->rt->loop, &wait->timer, socket->timeout_ns);
}

static void free_wait(struct wait *wait) {
  ls_timer_stop(wait->op.rt->loop, &wait->timer);
  update_ref(wait->socket);
  luaL_unref(wait->op.rt->L, LUA_REGISTRYINDEX, wait->self);
  free(wait);
}

/* ---- the socket ---- */

static void release(struct udp *socket) {
  if (--socket->owners > 0)
    return;
  ls_buf_dispose(&socket->in);
  free(socket);
}

static void on_closed(struct ls_udp *udp) {
  release(ls_container_of(udp, struct udp, udp));
}

static struct udp *check_udp(lua_State *L) {
  struct udp **slot = luaL_checkudata(L, 1, UDP);
  if (*slot == NULL)
    luaL_error(L, "the socket was collected already");
  return *slot;
}

static int push_udp_failure(lua_State *L, const struct udp *socket, int code, const char *verb) {
  char text[LS_NET_FORMAT_SIZE];
  ls_net_address_format(&socket->address, text, sizeof text);
  return ls_push_failure(L, code, "%s %s", verb, text);
}

static void format_address(const struct sockaddr_storage *from, struct ls_net_address *address) {
  *address = (struct ls_net_address){.port = 0};
  if (ls_address_text((const struct sockaddr *)from, address->text, sizeof address->text, &address->port) != 0)
    address->text[0] = '\0';
}

static void note_own_address(struct udp *socket) {
  struct sockaddr_storage address;
  if (ls_udp_address(&socket->udp, &address) == 0)
    format_address(&address, &socket->address);
}

/* ---- receiving ---- */

/* Takes a datagram into the socket. 0, or a negative code. */
static int fetch(struct udp *socket) {
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

static int push_datagram(lua_State *L, struct udp *socket) {
  struct ls_net_address from;
  format_address(&socket->from, &from);
  lua_pushlstring(L, socket->in.len > 0 ? ls_buf_bytes(&socket->in) : "", socket->in.len);
  ls_net_address_push(L, &from);
  socket->holding = false;
  ls_buf_clear(&socket->in);
  if (socket->in.cap > KEPT_WHILE_EMPTY)
    ls_buf_dispose(&socket->in);
  return 2;
}

static void try_receiver(struct udp *socket) {
  if (!is_waiting(socket->receiver))
    return;
  int code = fetch(socket);
  if (code != -EAGAIN)
    end_wait(socket->receiver, code);
}

static void leave_receiver(struct wait *wait) {
  if (wait->socket->receiver == wait)
    wait->socket->receiver = NULL;
}

static int push_receive(lua_State *L, struct ls_op *op) {
  struct wait *wait = ls_container_of(op, struct wait, op);
  leave_receiver(wait);
  if (wait->status != 0)
    return push_udp_failure(L, wait->socket, wait->status, "receive");
  return push_datagram(L, wait->socket);
}

static bool cancel_receive(struct ls_op *op) {
  leave_receiver(ls_container_of(op, struct wait, op));
  return true;
}

static void free_receive(struct ls_op *op) {
  struct wait *wait = ls_container_of(op, struct wait, op);
  leave_receiver(wait);
  free_wait(wait);
}

static void on_receive_timeout(struct ls_timer *timer) {
  end_wait(ls_container_of(timer, struct wait, timer), UV_ETIMEDOUT);
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
  struct udp *socket = check_udp(L);
  ls_op_check(L, 2, type.name);
  if (socket->receiver != NULL)
    return luaL_error(L, "udp:receive: another receive of this socket has not ended yet");
  if (socket->udp.closing)
    return push_udp_failure(L, socket, LS_ECLOSED, "receive");
  int code = fetch(socket);
  if (code == 0 && !lua_isfunction(L, 2) && ls_loop_may_inline(socket->rt->loop))
    return push_datagram(L, socket);
  struct wait *wait = new_wait(L, sizeof *wait, &type, socket, on_receive_timeout);
  socket->receiver = wait;
  int clock = code == -EAGAIN ? start_clock(wait) : 0;
  if (code != -EAGAIN || clock != 0) {
    end_wait(wait, clock != 0 ? clock : code);
  } else {
    ls_udp_watch(&socket->udp, UV_READABLE);
    update_ref(socket);
  }
  return ls_op_await(L, &wait->op, 2);
}

/* ---- sending ---- */

static struct send *send_of(struct ls_op *op) {
  return ls_container_of(op, struct send, wait.op);
}

/* Nothing more will be done for it. */
static void leave_senders(struct send *send) {
  ls_list_remove(&send->link);
  ls_net_name_drop(send->name);
  send->name = NULL;
}

static void end_send(struct send *send, int status) {
  leave_senders(send);
  end_wait(&send->wait, status);
}

static int connect_to(struct udp *socket, const struct sockaddr_storage *to) {
  int code = ls_udp_connect(&socket->udp, (const struct sockaddr *)to);
  if (code != 0)
    return code;
  socket->connected = true;
  format_address(to, &socket->peer);
  note_own_address(socket); /* the system has chosen the way now */
  return 0;
}

/* Does it at once: 0, a negative code, or -EAGAIN when it must wait. */
static int attempt(struct udp *socket, const struct request *request) {
  if (request->is_connect)
    return connect_to(socket, &request->to);
  const struct sockaddr *to = request->host != NULL ? (const struct sockaddr *)&request->to : NULL;
  return ls_udp_send(&socket->udp, request->data, request->size, to);
}

/* Tries, and either ends it or leaves it in the list, watching. */
static void go_on(struct send *send) {
  struct udp *socket = send->wait.socket;
  int code = attempt(socket, &send->request);
  if (code != -EAGAIN) {
    end_send(send, code);
    return;
  }
  ls_udp_watch(&socket->udp, UV_WRITABLE);
  update_ref(socket);
}

static void try_senders(struct udp *socket) {
  struct ls_list waiting;
  ls_list_init(&waiting);
  ls_list_move(&waiting, &socket->senders);
  for (struct ls_list *link; (link = ls_list_shift(&waiting)) != NULL;) {
    struct send *send = ls_container_of(link, struct send, link);
    ls_list_push(&socket->senders, link);
    if (send->name == NULL)
      go_on(send);
  }
}

static void on_found(void *owner) {
  struct send *send = owner;
  struct ls_net_name *name = send->name;
  const struct ls_lookup *lookup = &name->lookup;
  if (lookup->status != 0) {
    send->is_lookup_failure = true;
    end_send(send, lookup->status);
    return;
  }
  memcpy(&send->request.to, lookup->found->ai_addr, lookup->found->ai_addrlen);
  ls_address_set_port(&send->request.to, send->request.port);
  send->name = NULL;
  ls_net_name_drop(name);
  go_on(send);
}

static int push_request_failure(lua_State *L, const struct udp *socket, const struct request *request, int code) {
  const char *verb = request->is_connect ? "connect" : "send";
  char text[LS_NET_FORMAT_SIZE];
  if (request->host != NULL)
    return ls_push_failure(L, code, strchr(request->host, ':') != NULL ? "%s [%s]:%d" : "%s %s:%d", verb, request->host,
                           request->port);
  ls_net_address_format(&socket->peer, text, sizeof text);
  return ls_push_failure(L, code, "%s %s", verb, text);
}

static int push_send(lua_State *L, struct ls_op *op) {
  const struct send *send = send_of(op);
  int code = send->wait.status;
  if (code != 0 && send->is_lookup_failure)
    return ls_push_failure(L, code, "lookup '%s'", send->request.host);
  if (code != 0)
    return push_request_failure(L, send->wait.socket, &send->request, code);
  lua_pushboolean(L, 1);
  return 1;
}

static bool cancel_send(struct ls_op *op) {
  leave_senders(send_of(op));
  return true;
}

static void free_send(struct ls_op *op) {
  leave_senders(send_of(op));
  free_wait(&send_of(op)->wait);
}

static void on_send_timeout(struct ls_timer *timer) {
  end_send(ls_container_of(timer, struct send, wait.timer), UV_ETIMEDOUT);
}

/* In the list of its socket, with copies of data and host. */
static struct send *new_send(lua_State *L, struct udp *socket, const struct request *request) {
  static const struct ls_op_type send_type = {"udp:send", push_send, cancel_send, free_send};
  static const struct ls_op_type connect_type = {"udp:connect", push_send, cancel_send, free_send};
  size_t host_size = request->host != NULL ? strlen(request->host) + 1 : 0;
  const struct ls_op_type *type = request->is_connect ? &connect_type : &send_type;
  struct wait *wait = new_wait(L, sizeof(struct send) + request->size + host_size, type, socket, on_send_timeout);
  struct send *send = ls_container_of(wait, struct send, wait);
  send->request = *request;
  send->request.data = memcpy(send->bytes, request->size > 0 ? request->data : "", request->size);
  if (host_size > 0)
    send->request.host = memcpy(send->bytes + request->size, request->host, host_size);
  ls_list_init(&send->link);
  ls_list_push(&socket->senders, &send->link);
  return send;
}

static int start_lookup(struct send *send) {
  struct udp *socket = send->wait.socket;
  send->name = ls_net_name_new(send->request.host, socket->udp.lookup, send, on_found);
  return send->name == NULL ? -ENOMEM : ls_net_name_start(send->name, socket->rt->loop);
}

/* For what could not be done at once, or must not end at once. code: how the attempt ended. */
static int wait_for_send(lua_State *L, struct udp *socket, const struct request *request, int code) {
  struct send *send = new_send(L, socket, request);
  bool waits = request->is_name || code == -EAGAIN;
  if (request->is_name)
    code = start_lookup(send);
  else if (waits)
    ls_udp_watch(&socket->udp, UV_WRITABLE);
  int clock = waits ? start_clock(&send->wait) : 0;
  if (!waits || (request->is_name && code != 0))
    end_send(send, code);
  else if (clock != 0)
    end_send(send, clock);
  else
    update_ref(socket);
  return ls_op_await(L, &send->wait.op, request->callback_index);
}

static int start_send(lua_State *L, struct udp *socket, const struct request *request) {
  int code = -EAGAIN;
  if (socket->udp.closing)
    return push_request_failure(L, socket, request, LS_ECLOSED);
  if (!request->is_name)
    code = attempt(socket, request);
  if (code == -EAGAIN || lua_isfunction(L, request->callback_index) || !ls_loop_may_inline(socket->rt->loop))
    return wait_for_send(L, socket, request, code);
  if (code != 0)
    return push_request_failure(L, socket, request, code);
  lua_pushboolean(L, 1);
  return 1;
}

static void check_host(lua_State *L, int index, struct request *request) {
  size_t size;
  request->host = luaL_checklstring(L, index, &size);
  luaL_argcheck(L, size > 0 && strlen(request->host) == size, index, "a host must not be empty or have a NUL in it");
  lua_Integer port = luaL_checkinteger(L, index + 1);
  luaL_argcheck(L, port >= 1 && port <= 65535, index + 1, "a port is from 1 to 65535");
  request->port = (int)port;
  request->is_name = ls_address_parse(request->host, request->port, &request->to) != 0;
  request->callback_index = index + 2;
}

/* udp:send(data [, host, port] [, callback]) -> true
 * Async. Sends one datagram to host (an address, or a name: its first address), or where the socket is connected to.
 * Waits only for the name and while the system has no room. That it was sent does not mean that it arrives.
 * Fails with nil, message, code: "EMSGSIZE" (over 65507 bytes), "ENETUNREACH", "EACCES" (broadcast, see set_broadcast),
 * "EAI_NONAME" (no such name), "ECONNREFUSED" (connected: an earlier datagram met nobody), "ETIMEDOUT", "ECLOSED".
 *   assert(sock:send("hello", "127.0.0.1", 9999)) */
static int l_send(lua_State *L) {
  struct udp *socket = check_udp(L);
  struct request request = {.callback_index = 3};
  request.data = luaL_checklstring(L, 2, &request.size);
  if (!lua_isnoneornil(L, 3) && !lua_isfunction(L, 3))
    check_host(L, 3, &request);
  ls_op_check(L, request.callback_index, "udp:send");
  if (request.host == NULL && !socket->connected)
    return luaL_error(L, "udp:send: give host and port, or connect the socket first");
  return start_send(L, socket, &request);
}

/* udp:connect(host, port [, callback]) -> true
 * Async, for a name. From now on the socket receives from that address only, udp:send needs no host, and failures that
 * the other machine reports come back ("ECONNREFUSED"). Nothing is sent. Fails with nil, message, code. */
static int l_connect(lua_State *L) {
  struct udp *socket = check_udp(L);
  struct request request = {.is_connect = true};
  check_host(L, 2, &request);
  ls_op_check(L, request.callback_index, "udp:connect");
  return start_send(L, socket, &request);
}

/* ---- events ---- */

static void on_ready(struct ls_udp *udp, int events) {
  struct udp *socket = ls_container_of(udp, struct udp, udp);
  int before = wanted(socket);
  if (events & UV_READABLE)
    try_receiver(socket);
  if (events & UV_WRITABLE)
    try_senders(socket);
  /* Reading goes on being watched until a datagram comes that nobody waits for: the next receive is near, as a rule. */
  if ((events & ~before) != 0)
    ls_udp_watch_only(udp, wanted(socket));
  else
    ls_udp_watch(udp, wanted(socket));
}

/* ---- closing ---- */

static void close_udp(struct udp *socket) {
  if (socket->udp.closing)
    return;
  ls_udp_close(&socket->udp);
  if (is_waiting(socket->receiver))
    end_wait(socket->receiver, LS_ECLOSED);
  while (!ls_list_is_empty(&socket->senders))
    end_send(ls_container_of(socket->senders.next, struct send, link), LS_ECLOSED);
}

/* udp:close() -> true
 * What waits for the socket gets nil, message, "ECLOSED". A second close does nothing. */
static int l_close(lua_State *L) {
  close_udp(check_udp(L));
  lua_pushboolean(L, 1);
  return 1;
}

static int l_gc(lua_State *L) {
  struct udp **slot = luaL_checkudata(L, 1, UDP);
  struct udp *socket = *slot;
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
  struct udp *socket = check_udp(L);
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
  struct udp *socket = check_udp(L);
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
  struct udp *socket = check_udp(L);
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
  struct udp *socket = check_udp(L);
  socket->timeout_ns = lua_isnoneornil(L, 2) ? 0 : ls_check_seconds(L, 2, 1);
  lua_settop(L, 1);
  return 1;
}

/* udp:dropped() -> integer
 * How many datagrams came for this socket and were dropped, nearly all because its queue was full.
 * Fails with nil, message, code on a closed one. */
static int l_dropped(lua_State *L) {
  struct udp *socket = check_udp(L);
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
  struct udp *socket = check_udp(L);
  if (socket->udp.closing)
    return push_udp_failure(L, socket, LS_ECLOSED, "address");
  ls_net_address_push(L, &socket->address);
  return 1;
}

/* udp:peer() -> {host =, port =}, or nil while it is not connected */
static int l_peer(lua_State *L) {
  const struct udp *socket = check_udp(L);
  if (socket->connected)
    ls_net_address_push(L, &socket->peer);
  else
    lua_pushnil(L);
  return 1;
}

static int l_tostring(lua_State *L) {
  struct udp **slot = luaL_checkudata(L, 1, UDP);
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
  struct udp **slot = lua_newuserdatauv(L, sizeof *slot, 0);
  *slot = NULL;
  luaL_setmetatable(L, UDP);
  struct udp *socket = ls_op_alloc(L, sizeof *socket);
  socket->rt = ls_runtime_of(L);
  socket->udp.on_ready = on_ready;
  socket->udp.on_closed = on_closed;
  ls_list_init(&socket->senders);
  int code = ls_udp_open(socket->rt->loop, &socket->udp, &options.udp);
  if (code != 0) {
    free(socket);
    return push_open_failure(L, code, &options);
  }
  socket->owners = 2;
  update_ref(socket);
  note_own_address(socket);
  *slot = socket;
  return 1;
}

void ls_net_udp_open_type(lua_State *L) {
  static const luaL_Reg methods[] = {{"address", l_address},
                                     {"close", l_close},
                                     {"connect", l_connect},
                                     {"dropped", l_dropped},
                                     {"join", l_join},
                                     {"leave", l_leave},
                                     {"peer", l_peer},
                                     {"receive", l_receive},
                                     {"send", l_send},
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
