/* SPDX-License-Identifier: MIT */
/* impl: what the files of luaserve.net share: a socket behind its userdata.
 *
 * A socket has two owners, its libuv handle and its holder (the userdata; before there is one, the server that accepted
 * it); its memory goes when both have let go. The userdata holds a pointer, NULL before it has a socket. */
#ifndef LS_BIND_NET_IMPL_H
#define LS_BIND_NET_IMPL_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/list.h"
#include "loop/lookup.h"
#include "loop/stream.h"
#include "loop/timer.h"
#include "script/op.h"

struct ls_net_server;
struct ls_loop;
struct ls_net_wait;
struct ls_runtime;
struct ls_task;

#define LS_NET_ADDRESS_SIZE (sizeof((struct sockaddr_un *)0)->sun_path + 1) /* a path, or a numeric address */

struct ls_net_address {
  char text[LS_NET_ADDRESS_SIZE]; /* "" for a unix socket without a name */
  int port;
  bool is_path;
};

struct ls_net_socket {
  struct ls_stream stream;
  struct ls_runtime *rt;
  struct ls_buf in;           /* has arrived, nobody has read it yet */
  struct ls_net_wait *reader; /* from the call until its results are pushed */
  struct ls_net_wait *writer;
  unsigned queued;     /* writes whose end the stream has not told */
  unsigned owners;     /* handle and holder */
  uint64_t timeout_ns; /* of each wait; 0: none */
  int end_status;      /* once ended: 0: the peer's FIN, or a negative code */
  int write_status;    /* a write has failed: so does every later one */
  int family;
  bool ended;
  struct ls_net_address peer;   /* asked for at once: after a reset the system has forgotten it */
  struct ls_net_server *server; /* that accepted it, until it is closed; NULL */
  /* Accepted, and the handler's task has not begun: */
  struct ls_list incoming; /* in the server's list */
  struct ls_task *task;
};

/* What a waiting read and a waiting write have in common. */
struct ls_net_wait {
  struct ls_op op;
  struct ls_net_socket *socket;
  struct ls_net_wait **slot; /* &socket->reader or &socket->writer */
  struct ls_timer timer;
  int self;   /* registry reference of the socket's userdata */
  int status; /* once ended */
  bool ended;
};

static inline bool ls_net_is_waiting(const struct ls_net_wait *wait) {
  return wait != NULL && !wait->ended;
}

/* A wait of size bytes for the socket at index 1, in its slot, not awaited yet. Raises when memory is short. */
struct ls_net_wait *ls_net_wait_new(lua_State *L, size_t size, const struct ls_op_type *type,
                                    struct ls_net_socket *socket, struct ls_net_wait **slot);
/* The last step of a call whose work has been started, or has ended already. */
int ls_net_await(lua_State *L, struct ls_net_wait *wait, int callback_index);
void ls_net_wait_end(struct ls_net_wait *wait, int status);
/* Its results are being pushed: the next read or write may begin. */
void ls_net_wait_leave(struct ls_net_wait *wait);
/* For the ls_op_type of every wait. */
bool ls_net_wait_cancel(struct ls_op *op);
void ls_net_wait_free(struct ls_op *op);

/* Takes fd over, also when it fails: then NULL and *code. Needs no Lua. */
struct ls_net_socket *ls_net_socket_open(struct ls_runtime *rt, int fd, int family, int *code);

/* Closes, and lets go of the holder's share. */
void ls_net_socket_discard(struct ls_net_socket *socket);

/* Pushes a userdata without a socket; the caller puts one in. */
struct ls_net_socket **ls_net_socket_push(lua_State *L);

/* The socket of the userdata at index 1; raises for anything else. */
struct ls_net_socket *ls_net_check(lua_State *L);

/* nil, message, code: "ECONNRESET: connection reset by peer: read 127.0.0.1:80". */
int ls_net_push_failure(lua_State *L, const struct ls_net_socket *socket, int code, const char *verb);

/* Events and methods that stand in read.c. */
void ls_net_on_read(struct ls_stream *stream, const char *bytes, size_t len);
void ls_net_on_end(struct ls_stream *stream, int status);
int ls_net_l_lines(lua_State *L);
int ls_net_l_read(lua_State *L);
int ls_net_l_read_all(lua_State *L);
int ls_net_l_read_exactly(lua_State *L);
int ls_net_l_read_until(lua_State *L);

/* The socket is being closed: its server (net.c) has room for another one. */
void ls_net_server_leave(struct ls_net_socket *socket);

/* net.connect, in connect.c; net.udp, in udp.c. */
int ls_net_l_connect(lua_State *L);
int ls_net_l_udp(lua_State *L);

/* Make the metatables. */
void ls_net_socket_open_type(lua_State *L);
void ls_net_udp_open_type(lua_State *L);

/* A name on its way to addresses, in name.c. */
struct ls_net_name {
  struct ls_lookup lookup;
  void *owner; /* NULL: dropped while it ran */
  void (*on_found)(void *owner);
  bool running;
};

/* NULL: out of memory. on_found: the lookup has ended, lookup.status tells how; the loop drains after it. */
struct ls_net_name *ls_net_name_new(const char *host, int family, void *owner, void (*on_found)(void *owner));
/* 0, or a negative code: then on_found does not come. */
int ls_net_name_start(struct ls_net_name *name, struct ls_loop *loop);
/* on_found does not come any more. name may be NULL. */
void ls_net_name_drop(struct ls_net_name *name);

/* "127.0.0.1:80", "[::1]:80" or a path. */
void ls_net_address_format(const struct ls_net_address *address, char *text, size_t size);

/* {host=, port=} or {path=}. */
void ls_net_address_push(lua_State *L, const struct ls_net_address *address);

#define LS_NET_FORMAT_SIZE (LS_NET_ADDRESS_SIZE + 16)

#endif
