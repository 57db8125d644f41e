/* SPDX-License-Identifier: MIT */
/* connector: makes a connected descriptor for ls_stream_open: one address, non-blocking connect(2) watched by uv_poll.
 */
#ifndef LS_LOOP_CONNECTOR_H
#define LS_LOOP_CONNECTOR_H

#include <sys/socket.h>
#include <uv.h>

struct ls_loop;

struct ls_connector {
  uv_poll_t poll;
  int fd;
  int failed; /* what connect(2) said at once, told by the event all the same; else 0 */
  /* Once, from the poll callback or (at the earliest) the next turn: a connected descriptor, now the callee's, with
   * status 0; or -1 and a negative code. The drain follows, and on_closed without being asked for. */
  void (*on_connected)(struct ls_connector *connector, int fd, int status);
  /* The memory may go. */
  void (*on_closed)(struct ls_connector *connector);
};

/* Starts; on_* are set by the caller before. 0, or a negative code: neither event comes and the memory is the caller's
 * at once. That is for what has nothing to do with the peer (no descriptor left); whatever connect(2) says is told by
 * on_connected, even when it is known at once. -EAGAIN there: the backlog of a unix socket is full. */
int ls_connector_start(struct ls_loop *loop, struct ls_connector *connector, const struct sockaddr *address,
                       socklen_t len);

/* Gives up: on_connected does not come, on_closed does. After on_connected it does nothing. */
void ls_connector_cancel(struct ls_connector *connector);

#endif
