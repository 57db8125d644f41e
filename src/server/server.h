/* SPDX-License-Identifier: MIT */
/* server: listeners, connections and their limits, one handler above. */
#ifndef LS_SERVER_SERVER_H
#define LS_SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cidr.h"
#include "base/list.h"
#include "http/conn.h"
#include "http/forwarded.h"
#include "loop/deadlines.h"
#include "loop/listener.h"
#include "server/body_rules.h"
#include "server/encode.h"
#include "server/handler.h"
#include "server/routes.h"

struct ls_server_options {
  struct ls_http_limits limits;                                             /* body_floor is set from the two below */
  uint64_t header_timeout, body_timeout, keep_alive_timeout, write_timeout; /* ms; 0: none */
  uint32_t min_body_rate;   /* bytes a second, over each body_timeout; 0: one byte in that time is enough */
  uint32_t max_connections; /* 0: none; over it a connection is answered 503 and closed */
  int backlog;
  struct ls_encode_options encode;
  bool decompress;                 /* bodies of requests that are coded are decoded */
  struct ls_body_rules body_rules; /* the caller's memory: it must outlive the server */
  struct ls_routes *routes; /* same: of the app that handles the requests; their limits come before body_rules. NULL */
  struct ls_cidr_set trust_proxy; /* same: whose word on clients is believed */
  enum ls_forwarded_fields trust_fields;
  bool tell_refusals;     /* by handler->on_refused */
  uint8_t proxy_protocol; /* LS_PROXY_V1 and _V2, with one of which each connection has to begin; 0: none does */
};

/* The defaults of the documented table. */
void ls_server_options_init(struct ls_server_options *options);

struct ls_server;

/* handler is borrowed and must outlive the server; user is the handler's. NULL: out of memory. */
struct ls_server *ls_server_new(struct ls_loop *loop, const struct ls_server_options *options,
                                const struct ls_handler *handler, void *user);
void *ls_server_user(const struct ls_server *server);
struct ls_loop *ls_server_loop(const struct ls_server *server);

/* Adds a listener. 0 or a negative code. */
int ls_server_listen(struct ls_server *server, const struct ls_listen_options *options);
/* Of the n-th listener, as ls_listener_address tells it; -ENOENT past the last, or when the server is closing. */
int ls_server_address(const struct ls_server *server, unsigned n, char *text, size_t size, int *port);
/* Whether the n-th listener is a unix socket; n is less than their number. */
bool ls_server_is_unix(const struct ls_server *server, unsigned n);
unsigned ls_server_connections(const struct ls_server *server);
void ls_server_set_ref(struct ls_server *server, bool ref);

/* Stops accepting, closes idle connections, lets the others answer what is under way; after grace_ms the rest is
 * dropped. handler->on_closed comes in the close phase when all is gone. A second call shortens the grace only. */
void ls_server_close(struct ls_server *server, uint64_t grace_ms);

/* Frees: after on_closed, and when no request is held any more. */
void ls_server_free(struct ls_server *server);

#endif
