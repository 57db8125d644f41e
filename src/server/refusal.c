/* SPDX-License-Identifier: MIT */
#include "server/refusal.h"

#include <stdio.h>
#include <sys/socket.h>

#include "loop/address.h"
#include "server/request.h"
#include "server/state.h"

static bool is_awaited(const struct ls_server *server) {
  return server->options.tell_refusals && server->handler->on_refused != NULL;
}

/* Who it was: the peer, or the client of whom a proxy has told. */
static void find_client(struct ls_request *request, struct ls_refusal *refusal) {
  const struct ls_origin *origin = ls_origin_of(request);
  refusal->port = -1;
  if (origin->client == LS_CLIENT_KNOWN) {
    ls_ip_text(&origin->ip, refusal->address);
    refusal->port = origin->port != 0 ? origin->port : -1;
  } else if (origin->client == LS_CLIENT_IS_PEER && ls_origin_learn_peer(request)) {
    snprintf(refusal->address, sizeof refusal->address, "%s", origin->peer);
    refusal->port = origin->peer_port;
  }
}

void ls_refusal_of_request(struct ls_request *request) {
  const struct ls_exchange *exchange = &request->exchange;
  struct ls_server *server = request->server;
  if (request->handled || exchange->status < 200 || !is_awaited(server))
    return;
  struct ls_refusal refusal = {
      .status = exchange->status,
      .reason = exchange->refusal != NULL ? exchange->refusal : "",
      .line = ls_head_line(&exchange->head),
      .bytes = exchange->response_bytes - exchange->response_head_bytes,
  };
  if (refusal.line.len > LS_REFUSAL_LINE)
    refusal.line.len = LS_REFUSAL_LINE;
  find_client(request, &refusal);
  server->handler->on_refused(server, &refusal);
}

void ls_refusal_of_connection(struct ls_server *server, int fd, const char *reason, uint64_t bytes) {
  if (!is_awaited(server))
    return;
  struct ls_refusal refusal = {.status = 503, .reason = reason, .port = -1, .bytes = bytes};
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  if (getpeername(fd, (struct sockaddr *)&address, &size) == 0)
    ls_address_text((struct sockaddr *)&address, refusal.address, sizeof refusal.address, &refusal.port);
  server->handler->on_refused(server, &refusal);
}
