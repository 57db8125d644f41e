/* SPDX-License-Identifier: MIT */
/* Sending and connecting of net.udp's sockets: done at once as a rule. What has to wait, for a name or for room, is
 * copied and stands in the socket's list until it is done. */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "base/error.h"
#include "bind/net/udp.h"
#include "loop/address.h"
#include "loop/loop.h"
#include "script/runtime.h"

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
  struct ls_net_udp_wait wait; /* first: it is allocated and freed as one */
  struct ls_list link;
  struct ls_net_name *name; /* being looked up */
  struct request request;   /* pointing into bytes */
  bool is_lookup_failure;
  char bytes[]; /* data, then host */
};

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
  ls_net_udp_end_wait(&send->wait, status);
}

static void end_all(struct ls_list *list, int status) {
  while (!ls_list_is_empty(list))
    end_send(ls_container_of(list->next, struct send, link), status);
}

void ls_net_udp_end_sends(struct ls_net_udp *socket, int status) {
  end_all(&socket->senders, status);
  end_all(&socket->lookups, status);
}

static int connect_to(struct ls_net_udp *socket, const struct sockaddr_storage *to) {
  int code = ls_udp_connect(&socket->udp, (const struct sockaddr *)to);
  if (code != 0)
    return code;
  socket->connected = true;
  ls_net_udp_tell(to, &socket->peer);
  ls_net_udp_note_address(socket); /* the system has chosen the way now */
  return 0;
}

/* Does it at once: 0, a negative code, or -EAGAIN when it must wait. */
static int attempt(struct ls_net_udp *socket, const struct request *request) {
  if (request->is_connect)
    return connect_to(socket, &request->to);
  const struct sockaddr *to = request->host != NULL ? (const struct sockaddr *)&request->to : NULL;
  return ls_udp_send(&socket->udp, request->data, request->size, to);
}

/* Tries, and either ends it or leaves it in the list, watching. */
static void go_on(struct send *send) {
  struct ls_net_udp *socket = send->wait.socket;
  int code = attempt(socket, &send->request);
  if (code != -EAGAIN) {
    end_send(send, code);
    return;
  }
  ls_udp_watch(&socket->udp, UV_WRITABLE);
  ls_net_udp_update_ref(socket);
}

void ls_net_udp_try_sends(struct ls_net_udp *socket) {
  struct ls_list waiting;
  ls_list_init(&waiting);
  ls_list_move(&waiting, &socket->senders);
  for (struct ls_list *link; (link = ls_list_shift(&waiting)) != NULL;) {
    struct send *send = ls_container_of(link, struct send, link);
    ls_list_push(&socket->senders, link);
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
  ls_list_remove(&send->link);
  ls_list_push(&send->wait.socket->senders, &send->link);
  go_on(send);
}

static int push_request_failure(lua_State *L, const struct ls_net_udp *socket, const struct request *request,
                                int code) {
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
  ls_net_udp_free_wait(&send_of(op)->wait);
}

static void on_send_timeout(struct ls_timer *timer) {
  end_send(ls_container_of(timer, struct send, wait.timer), UV_ETIMEDOUT);
}

/* In the list of its socket, with copies of data and host. */
static struct send *new_send(lua_State *L, struct ls_net_udp *socket, const struct request *request) {
  static const struct ls_op_type send_type = {"udp:send", push_send, cancel_send, free_send};
  static const struct ls_op_type connect_type = {"udp:connect", push_send, cancel_send, free_send};
  size_t host_size = request->host != NULL ? strlen(request->host) + 1 : 0;
  const struct ls_op_type *type = request->is_connect ? &connect_type : &send_type;
  struct ls_net_udp_wait *wait =
      ls_net_udp_new_wait(L, sizeof(struct send) + request->size + host_size, type, socket, on_send_timeout);
  struct send *send = ls_container_of(wait, struct send, wait);
  send->request = *request;
  send->request.data = memcpy(send->bytes, request->size > 0 ? request->data : "", request->size);
  if (host_size > 0)
    send->request.host = memcpy(send->bytes + request->size, request->host, host_size);
  ls_list_init(&send->link);
  ls_list_push(request->is_name ? &socket->lookups : &socket->senders, &send->link);
  return send;
}

static int start_lookup(struct send *send) {
  struct ls_net_udp *socket = send->wait.socket;
  send->name = ls_net_name_new(send->request.host, socket->udp.lookup, send, on_found);
  return send->name == NULL ? -ENOMEM : ls_net_name_start(send->name, socket->rt->loop);
}

/* For what could not be done at once, or must not end at once. code: how the attempt ended. */
static int wait_for_send(lua_State *L, struct ls_net_udp *socket, const struct request *request, int code) {
  struct send *send = new_send(L, socket, request);
  bool waits = request->is_name || code == -EAGAIN;
  if (request->is_name)
    code = start_lookup(send);
  else if (waits)
    ls_udp_watch(&socket->udp, UV_WRITABLE);
  int clock = waits ? ls_net_udp_start_clock(&send->wait) : 0;
  if (!waits || (request->is_name && code != 0))
    end_send(send, code);
  else if (clock != 0)
    end_send(send, clock);
  else
    ls_net_udp_update_ref(socket);
  return ls_op_await(L, &send->wait.op, request->callback_index);
}

static int start_send(lua_State *L, struct ls_net_udp *socket, const struct request *request) {
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
int ls_net_udp_l_send(lua_State *L) {
  struct ls_net_udp *socket = ls_net_udp_check(L);
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
int ls_net_udp_l_connect(lua_State *L) {
  struct ls_net_udp *socket = ls_net_udp_check(L);
  struct request request = {.is_connect = true};
  check_host(L, 2, &request);
  ls_op_check(L, request.callback_index, "udp:connect");
  return start_send(L, socket, &request);
}
