/* SPDX-License-Identifier: MIT */
/* link: messages both ways between two loops, each on a thread of its own.
 *
 * Each end has an inbox of the messages for it, bounded by LS_LINK_COUNT and LS_LINK_BYTES: one that would go over them is
 * refused until the peer has taken enough (a message larger than all that is let in alone). Only an end's own thread takes,
 * so what it has counted stays there. What happens at one end wakes the other by its async handle, and many events may
 * be one wake: on_event looks at everything.
 *
 * One mutex covers both inboxes and who is open; nothing is called with it. It is also what keeps a wake from an async
 * handle that is closing. */
#ifndef LS_LOOP_LINK_H
#define LS_LOOP_LINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/buf.h"
#include "base/list.h"

#define LS_LINK_COUNT 1024
#define LS_LINK_BYTES ((size_t)16 << 20)

struct ls_link;
struct ls_loop;

struct ls_link_end {
  struct ls_link *link;
  struct ls_link_end *peer;
  uv_async_t async;
  void (*on_event)(struct ls_link_end *end); /* on its own thread; the loop drains after it */
  struct ls_list inbox;                      /* mutex, as all below */
  unsigned count;
  size_t bytes;
  bool wanted; /* the peer waits until there is room in the inbox */
  bool open;   /* can be woken */
  bool closed; /* puts no more and takes no more */
};

struct ls_link {
  pthread_mutex_t mutex;
  struct ls_link_end ends[2];
};

int ls_link_init(struct ls_link *link);     /* 0 or a negative code */
void ls_link_dispose(struct ls_link *link); /* when both ends have closed; drops the messages that are left */

/* On the end's own thread, which is loop's. Messages may have been put before. The handle does not keep the loop alive:
 * that is the owner's to say. 0 or a negative code. */
int ls_link_open(struct ls_link_end *end, struct ls_loop *loop, void (*on_event)(struct ls_link_end *end));

/* The peer gets what was put before, and is told. on_closed (may be NULL): when the memory of an end that was opened may
 * go. On the end's own thread, once. */
void ls_link_close(struct ls_link_end *end, uv_close_cb on_closed);

/* Gives the peer the bytes, and body is empty afterwards. -EAGAIN: the peer's inbox is full, and this end will be woken
 * when half of it is free; LS_ECLOSED; -ENOMEM. body is as it was then. */
int ls_link_put(struct ls_link_end *end, struct ls_buf *body);

/* How many messages can be taken; *closed: whether no more will come. */
unsigned ls_link_count(struct ls_link_end *end, bool *closed);

/* The oldest message into the empty body. false: there is none. */
bool ls_link_take(struct ls_link_end *end, struct ls_buf *body);

/* Makes on_event of the end be called, if it is open. From any thread. */
void ls_link_wake(struct ls_link_end *end);

#endif
