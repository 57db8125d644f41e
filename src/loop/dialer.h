/* SPDX-License-Identifier: MIT */
/* dialer: connects to the first of several addresses that answers, the way RFC 8305 ("happy eyeballs") says: families
 * take turns, an address gets a head start on the next one, one that fails makes the next one start at once, and when
 * one has connected the others are given up. */
#ifndef LS_LOOP_DIALER_H
#define LS_LOOP_DIALER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"
#include "loop/timer.h"

struct ls_loop;

#define LS_DIALER_DELAY_NS UINT64_C(250000000) /* the head start that the RFC recommends */

struct ls_dialer_address {
  struct sockaddr_storage address;
  socklen_t len;
};

/* Zeroed, with delay_ns and on_done set, it can be disposed of at any time. */
struct ls_dialer {
  struct ls_loop *loop;
  struct ls_dialer_address *addresses; /* owned; in the order in which they are tried */
  size_t count;
  size_t cap;
  size_t next;             /* the address to try next */
  struct ls_list attempts; /* that run */
  struct ls_timer timer;   /* of the head start */
  uint64_t delay_ns;       /* 0: none is tried before those before it have failed */
  size_t told;             /* the address that status is of */
  int status;              /* of the failures so far, the one worth telling */
  /* Once, perhaps within ls_dialer_start: a connected descriptor, now the callee's, and status 0; or -1 and a negative
   * code. addresses[told] is the address that it is about. The loop drains after it. */
  void (*on_done)(struct ls_dialer *dialer, int fd, int status);
};

/* Appends an address. 0 or -ENOMEM. */
int ls_dialer_add(struct ls_dialer *dialer, const struct sockaddr *address, socklen_t len);

/* There must be an address. The failure that is told in the end is the first address's, unless that only said that this
 * machine has no way to it and a later one said more. */
void ls_dialer_start(struct ls_loop *loop, struct ls_dialer *dialer);

/* on_done does not come any more. Frees what it owns; a second time does nothing. */
void ls_dialer_dispose(struct ls_dialer *dialer);

#endif
