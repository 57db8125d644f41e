/* SPDX-License-Identifier: MIT */
/* http1: one HTTP/1.1 connection of a server: it wires the state machine (http/conn) to a socket (loop/stream). One
 * allocation each, pooled by the server.
 *
 * A read is fed to the machine, which makes a request of every head in it; nothing is written there and then. All
 * output, closing, reading on and deadlines follow in one place, the flush at the end of the drain: by then handlers
 * that could answer at once have done so, and one write takes everything along. */
#ifndef LS_SERVER_HTTP1_H
#define LS_SERVER_HTTP1_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "http/conn.h"
#include "http/proxy_header.h"
#include "loop/deadlines.h"
#include "loop/loop.h"
#include "loop/stream.h"

struct ls_server;

struct ls_http1 {
  struct ls_stream stream;
  struct ls_conn conn;
  struct ls_deadline deadline;
  struct ls_ready flush;
  struct ls_list link; /* in server->connections, or pooled */
  struct ls_server *server;
  struct ls_proxy_header *proxy; /* owned; NULL: the option proxy_protocol is off */
  size_t writing;                /* bytes of the write under way that the machine was not told of yet */
  uint32_t armed_epoch;          /* of the machine's deadline that is armed */
  uint8_t armed;                 /* its kind, or LS_DEADLINE_WATCH */
  bool proxy_awaited;            /* that header is not complete */
  bool ended;                    /* the client has sent its FIN */
  bool lingering;                /* we have sent ours */
  bool closing;
};

/* Takes the accepted descriptor. 0 or a negative code: the descriptor is closed then. */
int ls_http1_open(struct ls_server *server, int fd, int family);

/* Something was said: flush in this drain. */
void ls_http1_schedule(struct ls_http1 *http1);

/* Answers what is under way, then closes. */
void ls_http1_drain(struct ls_http1 *http1);

/* Closes now, with RST where reset is true. */
void ls_http1_drop(struct ls_http1 *http1, bool reset);

/* A deadline of any class has passed. */
void ls_http1_expired(struct ls_deadline *deadline);

#endif
