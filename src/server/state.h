/* SPDX-License-Identifier: MIT */
/* state: what the files of this folder share and nobody above sees: the server's fields, the ends of its requests. */
#ifndef LS_SERVER_STATE_H
#define LS_SERVER_STATE_H

#include "base/log_limit.h"
#include "http/date.h"
#include "loop/timer.h"
#include "server/encode.h"
#include "server/http1.h"
#include "server/proxied.h"
#include "server/request.h"
#include "server/server.h"

#define LS_SERVER_LISTENERS 16
#define LS_SERVER_POOLED 256

/* Beyond the kinds a connection knows: nobody reads from it, look now and then whether the client is still there. */
#define LS_DEADLINE_WATCH LS_DEADLINE_KINDS

struct ls_server_listener {
  struct ls_listener listener;
  struct ls_server *server;
};

struct ls_server {
  struct ls_loop *loop;
  const struct ls_handler *handler;
  void *user;
  struct ls_server_options options;

  struct ls_server_listener *listeners[LS_SERVER_LISTENERS];
  unsigned listener_count; /* used slots of the above; freed with the server */
  unsigned listening;      /* of them, not closed yet */

  struct ls_list connections; /* ls_http1.link */
  unsigned connection_count;
  struct ls_list idle_connections; /* pooled memory */
  unsigned idle_connection_count;
  struct ls_list idle_requests; /* the same of requests */
  unsigned idle_request_count;
  struct ls_buf_pool bufs;
  struct ls_encode_pool encodes;
  struct ls_date_cache date;
  uint64_t date_turn;              /* loop->turn_since when the date was looked at; 0: outside of a turn's drains */
  struct ls_log_limit proxied_log; /* of connections that were closed for their PROXY header */

  struct ls_deadlines deadlines;
  struct ls_deadline_class classes[LS_DEADLINE_KINDS + 1];
  struct ls_timer grace;

  bool unref;
  bool closing;
  bool dropped; /* all connections, because their grace is over */
  bool deadlines_closing, deadlines_closed;
  bool closed;
};

/* The server may have nothing left to wait for: goes on closing if so. */
void ls_server_settle(struct ls_server *server);

/* Before anything that may send a Date: formats it when the second has changed, by a look at the clock once a turn. No
 * timer does, so an idle process sleeps. */
void ls_server_refresh_date(struct ls_server *server);

/* A request for a connection; NULL: out of memory. */
struct ls_request *ls_request_take(struct ls_server *server, struct ls_http1 *http1);

/* It has lost its connection. */
void ls_request_detach(struct ls_request *request);

/* The connection is done with it: detaches it, and pools it unless the handler holds it. */
void ls_request_end(struct ls_request *request);

void ls_request_free(struct ls_request *request);

#endif
