/* SPDX-License-Identifier: MIT */
/* udp: what the two files of net.udp share: a datagram socket and what waits for it. */
#ifndef LS_BIND_NET_UDP_H
#define LS_BIND_NET_UDP_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "bind/net/impl.h"
#include "loop/timer.h"
#include "loop/udp.h"
#include "script/op.h"

/* Behind its userdata; owned by that and by the handle, as a stream socket is. */
struct ls_net_udp {
  struct ls_udp udp;
  struct ls_runtime *rt;
  struct ls_buf in; /* the datagram that was taken for a receive, if holding */
  struct sockaddr_storage from;
  bool holding;
  bool connected;
  struct ls_net_udp_wait *receiver;
  struct ls_list senders; /* struct send.link: waiting for room */
  struct ls_list lookups; /* the same: waiting for a name */
  unsigned owners;
  uint64_t timeout_ns;           /* of each wait; 0: none */
  struct ls_net_address address; /* its own end, also once it is closed */
  struct ls_net_address peer;    /* if connected */
};

/* A waiting receive; a waiting send begins with one. */
struct ls_net_udp_wait {
  struct ls_op op;
  struct ls_net_udp *socket;
  struct ls_timer timer;
  int self;   /* registry reference of the socket's userdata */
  int status; /* once ended */
  bool ended;
};

/* The socket of the userdata at index 1; raises for anything else. */
struct ls_net_udp *ls_net_udp_check(lua_State *L);

/* A wait of size bytes for the socket at index 1. Raises when memory is short. */
struct ls_net_udp_wait *ls_net_udp_new_wait(lua_State *L, size_t size, const struct ls_op_type *type,
                                            struct ls_net_udp *socket, void (*on_timeout)(struct ls_timer *timer));
/* Bounds a wait that cannot end at once. 0 or a negative code. */
int ls_net_udp_start_clock(struct ls_net_udp_wait *wait);
void ls_net_udp_end_wait(struct ls_net_udp_wait *wait, int status);
void ls_net_udp_free_wait(struct ls_net_udp_wait *wait);
/* The handle keeps the process alive while somebody waits for it. */
void ls_net_udp_update_ref(struct ls_net_udp *socket);

void ls_net_udp_tell(const struct sockaddr_storage *from, struct ls_net_address *address);
void ls_net_udp_note_address(struct ls_net_udp *socket); /* its own, once it is known or has changed */

/* Sending, in udp_send.c. */
void ls_net_udp_try_sends(struct ls_net_udp *socket);
void ls_net_udp_end_sends(struct ls_net_udp *socket, int status);
int ls_net_udp_l_send(lua_State *L);
int ls_net_udp_l_connect(lua_State *L);

#endif
