/* SPDX-License-Identifier: MIT */
/* udp: a datagram socket of our own making, watched by uv_poll.
 *
 * It has no queue: datagrams wait in the kernel's, which is bounded and counts what it drops, and are taken when
 * somebody asks. Receiving and sending are plain calls that never wait; -EAGAIN means: watch, and ask again when on_ready
 * says so. A socket that is bound to no address of its own takes IPv6 and IPv4; an IPv4 address is then mapped on its
 * way in and unmapped on its way out, here. */
#ifndef LS_LOOP_UDP_H
#define LS_LOOP_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <uv.h>

struct ls_loop;

#define LS_UDP_MAX 65535 /* no datagram is longer */

struct ls_udp {
  uv_poll_t poll;
  int fd;
  int family;  /* AF_INET or AF_INET6 */
  int lookup;  /* the family of the names that it can send to: AF_UNSPEC when it takes both */
  int watched; /* UV_READABLE | UV_WRITABLE */
  bool closing;
  /* What was watched may succeed now, or fails: the call tells. The loop drains after it. It may close. */
  void (*on_ready)(struct ls_udp *udp, int events);
  void (*on_closed)(struct ls_udp *udp); /* the memory may go */
};

struct ls_udp_options {
  const struct sockaddr *address; /* NULL: every address of this machine, IPv6 and IPv4 */
  int port;                       /* without an address; 0: the system's choice */
  bool reuse_address;             /* others that want it too may bind the same port (for multicast) */
  int receive_buffer;             /* bytes, or 0: the system's default */
};

/* Opens and binds; on_* are set by the caller before. 0, or a negative code: nothing is left open, no event comes. */
int ls_udp_open(struct ls_loop *loop, struct ls_udp *udp, const struct ls_udp_options *options);

/* Watches for events as well as for what is watched already. */
void ls_udp_watch(struct ls_udp *udp, int events);
/* Watches for nothing but events (may be 0). */
void ls_udp_watch_only(struct ls_udp *udp, int events);

/* The next datagram: its length (0 is one, too), or a negative code. A connected socket also tells here that an earlier
 * datagram met nobody (-ECONNREFUSED). */
ssize_t ls_udp_receive(struct ls_udp *udp, void *bytes, size_t size, struct sockaddr_storage *from);

/* 0 or a negative code. to: NULL for a connected socket. */
int ls_udp_send(struct ls_udp *udp, const void *bytes, size_t size, const struct sockaddr *to);

/* From now on datagrams come from and go to this address only. Does not wait. 0 or a negative code. */
int ls_udp_connect(struct ls_udp *udp, const struct sockaddr *to);

/* Settings: 0 or a negative code. interface: a name ("eth0"), an address of this machine, or NULL: the system's choice.
 */
int ls_udp_join(struct ls_udp *udp, const struct sockaddr *group, const char *interface);
int ls_udp_leave(struct ls_udp *udp, const struct sockaddr *group, const char *interface);
int ls_udp_set_multicast_interface(struct ls_udp *udp, const char *interface);
int ls_udp_set_multicast_ttl(struct ls_udp *udp, int ttl);
int ls_udp_set_multicast_loop(struct ls_udp *udp, int on);
int ls_udp_set_broadcast(struct ls_udp *udp, int on);

/* Datagrams that came and were dropped, most of them because the kernel's queue was full. 0 or a negative code. */
int ls_udp_dropped(const struct ls_udp *udp, uint64_t *count);

/* Its own address. 0 or a negative code. */
int ls_udp_address(const struct ls_udp *udp, struct sockaddr_storage *address);

/* Once; on_closed follows. */
void ls_udp_close(struct ls_udp *udp);

#endif
