/* SPDX-License-Identifier: MIT */
/* request: one request and its response, as the layer above sees them, whatever protocol they came by.
 * Pooled by the server; the generation tells a request from the next one in the same memory. */
#ifndef LS_SERVER_REQUEST_H
#define LS_SERVER_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "http/conn.h"
#include "http/headers.h"
#include "server/encode.h"
#include "server/origin.h"

struct ls_decode;
struct ls_encode;
struct ls_server;
struct ls_http1;

struct ls_request {
  struct ls_exchange exchange;
  struct ls_list link; /* in the server's pool or its list of requests under way */
  struct ls_server *server;
  struct ls_http1 *http1;     /* NULL once the connection is done with it */
  uint64_t generation;        /* bumped when it goes back to the pool */
  bool held;                  /* by the handler */
  bool handled;               /* the handler has had it, and has not refused it */
  struct ls_headers headers;  /* of the response */
  struct ls_headers trailers; /* of the response */
  struct ls_decode *decode;   /* of a body that came coded: content.c's; NULL: none */
  struct ls_encode *encode;   /* the content coding of the response; NULL: none */
  int status;                 /* of the response, before it is sent; 200 */
  void *user;                 /* the handler's */
  /* Where has_own_encode is set: for this response instead of the server's. */
  struct ls_encode_options own_encode;
  bool has_own_encode;
  /* The handler's: the head of the response is about to be sent, its fields can still change. NULL: it need not know. */
  void (*on_head)(struct ls_request *request);
  struct ls_origin origin; /* of the client; see there */
};

/* The handler is done with it: back to the pool once the connection is done too. A response not finished by now is
 * aborted (ls_response_abort). */
void ls_request_release(struct ls_request *request);

/* The handler has no means for it: answers this status, whose reason (a constant text) on_refused is told, and releases
 * it. */
void ls_request_refuse(struct ls_request *request, int status, const char *reason);

/* After ls_exchange_want_body: what follows (100 Continue, reading on) happens in the flush. */
void ls_request_touch(struct ls_request *request);

/* Whether the client is still there to be answered. */
bool ls_request_is_open(const struct ls_request *request);

#endif
