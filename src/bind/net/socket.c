/* SPDX-License-Identifier: MIT */
/* The sockets of luaserve.net: their life, writing, names.
 *
 * A write is tried at once; what the kernel does not take is copied and queued, and the writer waits until it is gone.
 * The handle keeps the process alive only while somebody waits for it: what was read ahead is for nobody yet. */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "bind/net/impl.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "script/handle.h"
#include "script/op.h"
#include "script/options.h"
#include "script/runtime.h"

#define SOCKET "luaserve.socket"

/* ---- waits ---- */

static void update_ref(struct ls_net_socket *socket) {
  ls_stream_set_ref(&socket->stream, ls_net_is_waiting(socket->reader) || ls_net_is_waiting(socket->writer));
}

void ls_net_wait_end(struct ls_net_wait *wait, int status) {
  ls_timer_stop(wait->op.rt->loop, &wait->timer);
  wait->status = status;
  wait->ended = true;
  update_ref(wait->socket);
  ls_op_done(&wait->op);
}

/* The next read or write may begin. */
void ls_net_wait_leave(struct ls_net_wait *wait) {
  if (*wait->slot != wait)
    return;
  *wait->slot = NULL;
  update_ref(wait->socket);
}

bool ls_net_wait_cancel(struct ls_op *op) {
  struct ls_net_wait *wait = ls_container_of(op, struct ls_net_wait, op);
  ls_timer_stop(op->rt->loop, &wait->timer);
  ls_net_wait_leave(wait);
  return true;
}

void ls_net_wait_free(struct ls_op *op) {
  struct ls_net_wait *wait = ls_container_of(op, struct ls_net_wait, op);
  ls_net_wait_leave(wait);
  luaL_unref(op->rt->L, LUA_REGISTRYINDEX, wait->self);
  free(wait);
}

static void on_timeout(struct ls_timer *timer) {
  ls_net_wait_end(ls_container_of(timer, struct ls_net_wait, timer), UV_ETIMEDOUT);
}

/* A wait of size bytes for the socket at index 1, in its slot, not awaited yet. */
struct ls_net_wait *ls_net_wait_new(lua_State *L, size_t size, const struct ls_op_type *type,
                                    struct ls_net_socket *socket, struct ls_net_wait **slot) {
  lua_pushvalue(L, 1);
  int self = luaL_ref(L, LUA_REGISTRYINDEX);
  struct ls_net_wait *wait = calloc(1, size);
  if (wait == NULL) {
    luaL_unref(L, LUA_REGISTRYINDEX, self);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  ls_op_init(L, &wait->op, type);
  wait->socket = socket;
  wait->slot = slot;
  wait->self = self;
  wait->timer.fire = on_timeout;
  *slot = wait;
  return wait;
}

/* The last step of a call whose work has been started (or has ended already). */
int ls_net_await(lua_State *L, struct ls_net_wait *wait, int callback_index) {
  struct ls_net_socket *socket = wait->socket;
  if (!wait->ended) {
    update_ref(socket);
    int status = socket->timeout_ns == 0 ? 0 : ls_timer_start(socket->rt->loop, &wait->timer, socket->timeout_ns);
    if (status != 0)
      ls_net_wait_end(wait, status);
  }
  return ls_op_await(L, &wait->op, callback_index);
}

/* ---- the life of a socket ---- */

static void release(struct ls_net_socket *socket) {
  if (--socket->owners > 0)
    return;
  ls_buf_dispose(&socket->in);
  free(socket);
}

static void on_closed(struct ls_stream *stream) {
  release(ls_container_of(stream, struct ls_net_socket, stream));
}

static void close_socket(struct ls_net_socket *socket, bool reset) {
  if (socket->stream.closing)
    return;
  if (reset)
    ls_stream_reset(&socket->stream);
  else
    ls_stream_close(&socket->stream);
  if (socket->server != NULL)
    ls_net_server_leave(socket);
  if (ls_net_is_waiting(socket->reader))
    ls_net_wait_end(socket->reader, LS_ECLOSED);
  if (ls_net_is_waiting(socket->writer))
    ls_net_wait_end(socket->writer, LS_ECLOSED);
}

void ls_net_socket_discard(struct ls_net_socket *socket) {
  close_socket(socket, false);
  release(socket);
}

typedef int name_call(int fd, struct sockaddr *address, socklen_t *len);

static int ask_address(struct ls_net_socket *socket, name_call *name, struct ls_net_address *address) {
  struct sockaddr_storage storage = {0};
  socklen_t len = sizeof storage;
  address->port = 0;
  address->text[0] = '\0';
  address->is_path = socket->family == AF_UNIX;
  if (socket->stream.closing)
    return LS_ECLOSED;
  if (name(socket->stream.fd, (struct sockaddr *)&storage, &len) != 0)
    return -errno;
  if (!address->is_path)
    return ls_address_text((struct sockaddr *)&storage, address->text, sizeof address->text, &address->port);
  const struct sockaddr_un *path = (struct sockaddr_un *)&storage;
  memcpy(address->text, path->sun_path, sizeof path->sun_path);
  address->text[sizeof path->sun_path] = '\0';
  return 0;
}

static void on_written(struct ls_stream *stream, int status);

struct ls_net_socket *ls_net_socket_open(struct ls_runtime *rt, int fd, int family, int *code) {
  static const struct ls_stream_events events = {ls_net_on_read, ls_net_on_end, on_written, on_closed};
  struct ls_net_socket *socket = calloc(1, sizeof *socket);
  if (socket == NULL) {
    close(fd);
    *code = -ENOMEM;
    return NULL;
  }
  socket->rt = rt;
  socket->family = family;
  socket->owners = 2;
  ls_list_init(&socket->incoming);
  *code = ls_stream_open(rt->loop, &socket->stream, fd, family, &events);
  if (*code != 0) {
    release(socket);
    return NULL;
  }
  update_ref(socket);
  ask_address(socket, getpeername, &socket->peer); /* a peer that has left already is told by the first read */
  return socket;
}

struct ls_net_socket **ls_net_socket_push(lua_State *L) {
  struct ls_net_socket **slot = lua_newuserdatauv(L, sizeof *slot, 0);
  *slot = NULL;
  luaL_setmetatable(L, SOCKET);
  return slot;
}

struct ls_net_socket *ls_net_check(lua_State *L) {
  struct ls_net_socket **slot = luaL_checkudata(L, 1, SOCKET);
  if (*slot == NULL)
    luaL_error(L, "the socket was collected already");
  return *slot;
}

int ls_net_push_failure(lua_State *L, const struct ls_net_socket *socket, int code, const char *verb) {
  char peer[LS_NET_FORMAT_SIZE];
  ls_net_address_format(&socket->peer, peer, sizeof peer);
  return ls_push_failure(L, code, "%s %s", verb, peer);
}

/* ---- writing ---- */

static void on_written(struct ls_stream *stream, int status) {
  struct ls_net_socket *socket = ls_container_of(stream, struct ls_net_socket, stream);
  socket->queued--;
  if (status != 0)
    socket->write_status = status;
  /* The writer's own bytes are the last in the queue: before them may stand those of one that gave up. */
  if (ls_net_is_waiting(socket->writer) && (status != 0 || socket->queued == 0))
    ls_net_wait_end(socket->writer, status);
}

static int push_write(lua_State *L, struct ls_op *op) {
  struct ls_net_wait *wait = ls_container_of(op, struct ls_net_wait, op);
  ls_net_wait_leave(wait);
  if (wait->status != 0)
    return ls_net_push_failure(L, wait->socket, wait->status, "write");
  lua_pushboolean(L, 1);
  return 1;
}

static int queue_rest(struct ls_net_socket *socket, const char *data, size_t size) {
  struct ls_buf bytes;
  ls_buf_init(&bytes);
  int code = ls_buf_append(&bytes, data, size);
  if (code == 0)
    code = ls_stream_write(&socket->stream, &bytes, NULL);
  if (code == 0)
    socket->queued++;
  return code;
}

/* A write that cannot end at once: size bytes are left (0 where only fairness or a callback asks for a wait). */
static int wait_for_write(lua_State *L, struct ls_net_socket *socket, const char *data, size_t size) {
  static const struct ls_op_type type = {"socket:write", push_write, ls_net_wait_cancel, ls_net_wait_free};
  socket->write_status = -ENOMEM; /* should this raise, a part has left and nothing may follow it */
  struct ls_net_wait *wait = ls_net_wait_new(L, sizeof *wait, &type, socket, &socket->writer);
  socket->write_status = size > 0 ? queue_rest(socket, data, size) : 0;
  if (size == 0 || socket->write_status != 0)
    ls_net_wait_end(wait, socket->write_status);
  return ls_net_await(L, wait, 3);
}

/* socket:write(data [, callback]) -> true
 * Async. Waits until the kernel has all of data, so a slow peer slows the writer down. After a cancelled or timed-out
 * write the rest of its data is still sent, as long as the socket is open.
 * Fails with nil, message, code: "EPIPE" or "ECONNRESET" (the peer has gone), "ETIMEDOUT" (set_timeout), "ECLOSED"
 * (closed here). A write after socket:shutdown, or while another one waits, raises.
 *   assert(sock:write("hello\n")) */
static int l_write(lua_State *L) {
  struct ls_net_socket *socket = ls_net_check(L);
  size_t size;
  const char *data = luaL_checklstring(L, 2, &size);
  ls_op_check(L, 3, "socket:write");
  if (socket->stream.shut) /* a pipe is closed then */
    return luaL_error(L, "socket:write: after socket:shutdown nothing can be written");
  if (socket->stream.closing)
    return ls_net_push_failure(L, socket, LS_ECLOSED, "write");
  if (socket->writer != NULL)
    return luaL_error(L, "socket:write: another write to this socket has not ended yet");
  if (socket->write_status != 0)
    return ls_net_push_failure(L, socket, socket->write_status, "write");
  struct ls_slice part = ls_slice(data, size);
  ssize_t written = size > 0 ? ls_stream_try_write(&socket->stream, &part, 1) : 0;
  if (written < 0) {
    socket->write_status = (int)written;
    return ls_net_push_failure(L, socket, (int)written, "write");
  }
  size_t left = size - (size_t)written;
  if (left > 0 || lua_isfunction(L, 3) || !ls_loop_may_inline(socket->rt->loop))
    return wait_for_write(L, socket, data + written, left);
  lua_pushboolean(L, 1);
  return 1;
}

/* socket:shutdown() -> true
 * Tells the peer that nothing more will be written (FIN, after what is queued); reading goes on. Does not wait. */
static int l_shutdown(lua_State *L) {
  struct ls_net_socket *socket = ls_net_check(L);
  int code = ls_stream_shutdown(&socket->stream);
  if (code != 0)
    return ls_net_push_failure(L, socket, code, "shutdown");
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- closing ---- */

/* socket:close() -> true
 * What waits for the socket gets nil, message, "ECLOSED". A second close does nothing. The kernel still sends what was
 * written, unless bytes of the peer were left unread: then the peer may see a reset instead. */
static int l_close(lua_State *L) {
  close_socket(ls_net_check(L), false);
  lua_pushboolean(L, 1);
  return 1;
}

/* socket:reset() -> true
 * Closes so that the peer gets ECONNRESET (TCP): what was written may be lost. */
static int l_reset(lua_State *L) {
  close_socket(ls_net_check(L), true);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_gc(lua_State *L) {
  struct ls_net_socket **slot = luaL_checkudata(L, 1, SOCKET);
  struct ls_net_socket *socket = *slot;
  *slot = NULL;
  if (socket != NULL)
    ls_net_socket_discard(socket);
  return 0;
}

/* ---- settings and names ---- */

/* socket:set_nodelay(on) -> true
 * Whether small writes leave at once (TCP_NODELAY; on from the start). No effect on unix sockets. */
static int l_set_nodelay(lua_State *L) {
  struct ls_net_socket *socket = ls_net_check(L);
  luaL_checktype(L, 2, LUA_TBOOLEAN);
  int code = ls_stream_set_nodelay(&socket->stream, lua_toboolean(L, 2));
  if (code != 0)
    return ls_net_push_failure(L, socket, code, "set_nodelay");
  lua_pushboolean(L, 1);
  return 1;
}

/* socket:set_keepalive(seconds | false) -> true
 * After so many seconds (a whole number up to 32767) in which nothing came, the system asks the peer for a sign of life;
 * when none comes for about as long again, what waits for the socket gets nil, message, "ETIMEDOUT". false: the peer is
 * never asked (as at first), and one that vanished without a word is not noticed before something is written. No effect
 * on unix sockets. */
static int l_set_keepalive(lua_State *L) {
  struct ls_net_socket *socket = ls_net_check(L);
  lua_Integer seconds = 0;
  if (!lua_isboolean(L, 2) || lua_toboolean(L, 2)) {
    seconds = luaL_checkinteger(L, 2);
    luaL_argcheck(L, seconds >= 1 && seconds <= INT16_MAX, 2, "seconds are from 1 to 32767, or false");
  }
  int code = ls_stream_set_keepalive(&socket->stream, (unsigned)seconds);
  if (code != 0)
    return ls_net_push_failure(L, socket, code, "set_keepalive");
  lua_pushboolean(L, 1);
  return 1;
}

/* socket:set_timeout(seconds | nil) -> socket
 * From now on a read or write that takes longer ends with nil, message, "ETIMEDOUT"; nil: no bound (as at first). */
static int l_set_timeout(lua_State *L) {
  struct ls_net_socket *socket = ls_net_check(L);
  socket->timeout_ns = lua_isnoneornil(L, 2) ? 0 : ls_check_seconds(L, 2, 1);
  lua_settop(L, 1);
  return 1;
}

void ls_net_address_format(const struct ls_net_address *address, char *text, size_t size) {
  if (address->is_path)
    snprintf(text, size, "%s", address->text[0] != '\0' ? address->text : "unix socket");
  else
    snprintf(text, size, strchr(address->text, ':') != NULL ? "[%s]:%d" : "%s:%d", address->text, address->port);
}

void ls_net_address_push(lua_State *L, const struct ls_net_address *address) {
  lua_createtable(L, 0, 2);
  lua_pushstring(L, address->text);
  lua_setfield(L, -2, address->is_path ? "path" : "host");
  if (address->is_path)
    return;
  lua_pushinteger(L, address->port);
  lua_setfield(L, -2, "port");
}

/* socket:address() -> {host =, port =}, or {path =} for a unix socket ("": it has no name)
 * The socket's own end. Fails with nil, message, code on a closed one. */
static int l_address(lua_State *L) {
  struct ls_net_socket *socket = ls_net_check(L);
  struct ls_net_address address;
  int code = ask_address(socket, getsockname, &address);
  if (code != 0)
    return ls_net_push_failure(L, socket, code, "address");
  ls_net_address_push(L, &address);
  return 1;
}

/* socket:peer() -> {host =, port =}, or {path =} for a unix socket ("": it has no name)
 * The other end; also after the socket was closed. */
static int l_peer(lua_State *L) {
  ls_net_address_push(L, &ls_net_check(L)->peer);
  return 1;
}

static int l_tostring(lua_State *L) {
  struct ls_net_socket **slot = luaL_checkudata(L, 1, SOCKET);
  char text[LS_NET_FORMAT_SIZE] = "none";
  if (*slot != NULL)
    ls_net_address_format(&(*slot)->peer, text, sizeof text);
  lua_pushfstring(L, "socket (%s%s)", text, *slot == NULL || (*slot)->stream.closing ? ", closed" : "");
  return 1;
}

void ls_net_socket_open_type(lua_State *L) {
  static const luaL_Reg methods[] = {{"address", l_address},
                                     {"close", l_close},
                                     {"lines", ls_net_l_lines},
                                     {"peer", l_peer},
                                     {"read", ls_net_l_read},
                                     {"read_all", ls_net_l_read_all},
                                     {"read_exactly", ls_net_l_read_exactly},
                                     {"read_until", ls_net_l_read_until},
                                     {"reset", l_reset},
                                     {"set_keepalive", l_set_keepalive},
                                     {"set_nodelay", l_set_nodelay},
                                     {"set_timeout", l_set_timeout},
                                     {"shutdown", l_shutdown},
                                     {"write", l_write},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", l_close}, {"__gc", l_gc}, {"__tostring", l_tostring}, {NULL, NULL}};
  ls_handle_type(L, SOCKET, methods, metamethods);
}
