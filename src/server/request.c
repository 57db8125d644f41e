/* SPDX-License-Identifier: MIT */
#include "server/request.h"

#include <stdlib.h>

#include "server/content.h"
#include "server/refusal.h"
#include "server/response.h"
#include "server/state.h"

void ls_request_free(struct ls_request *request) {
  ls_exchange_dispose(&request->exchange);
  ls_headers_dispose(&request->headers);
  ls_headers_dispose(&request->trailers);
  free(request);
}

struct ls_request *ls_request_take(struct ls_server *server, struct ls_http1 *http1) {
  struct ls_list *link = ls_list_shift(&server->idle_requests);
  struct ls_request *request;
  if (link != NULL) {
    server->idle_request_count--;
    request = ls_container_of(link, struct ls_request, link);
  } else {
    request = calloc(1, sizeof *request);
    if (request == NULL)
      return NULL;
    request->server = server;
    request->status = 200;
    request->generation = 1;
    ls_list_init(&request->link);
  }
  request->http1 = http1;
  return request;
}

/* Back to the pool, once neither the connection nor the handler needs it. */
static void recycle(struct ls_request *request) {
  struct ls_server *server = request->server;
  ls_content_dispose(request);
  ls_exchange_clear(&request->exchange);
  ls_headers_clear(&request->headers);
  ls_headers_clear(&request->trailers);
  request->status = 200;
  request->handled = request->has_own_encode = false;
  request->user = NULL;
  request->on_head = NULL;
  request->origin.peer_known = request->origin.proxied = request->origin.tls = request->origin.read = false;
  request->generation++;
  if (server->idle_request_count >= LS_SERVER_POOLED) {
    ls_request_free(request);
    return;
  }
  ls_list_push_front(&server->idle_requests, &request->link);
  server->idle_request_count++;
}

void ls_request_detach(struct ls_request *request) {
  if (request->held) {
    ls_origin_learn_peer(request);
    if (ls_head_keep(&request->exchange.head) != 0) /* the read buffer, where it may still be, is the next one's */
      ls_head_clear(&request->exchange.head);
  }
  ls_encode_drop(request);
  request->http1 = NULL;
}

void ls_request_end(struct ls_request *request) {
  ls_refusal_of_request(request);
  ls_request_detach(request);
  if (!request->held)
    recycle(request);
}

void ls_request_release(struct ls_request *request) {
  request->held = false;
  if (request->http1 == NULL)
    recycle(request);
  else if (!ls_response_is_finished(request))
    ls_response_abort(request);
}

void ls_request_refuse(struct ls_request *request, int status, const char *reason) {
  request->handled = false;
  request->exchange.refusal = reason;
  ls_response_fail(request, status, NULL);
  ls_request_release(request);
}

void ls_request_touch(struct ls_request *request) {
  if (request->http1 != NULL)
    ls_http1_schedule(request->http1);
}

bool ls_request_is_open(const struct ls_request *request) {
  return request->http1 != NULL;
}
