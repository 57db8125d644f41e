/* SPDX-License-Identifier: MIT */
#include "server/origin.h"

#include "server/state.h"

struct ls_ip ls_origin_ip(const char *peer) {
  struct ls_ip ip = {0};
  ls_ip_parse(ls_slice(peer, strcspn(peer, "%")), &ip);
  return ip;
}

static void learn_source(struct ls_origin *origin, const struct ls_proxy_header *header) {
  if (header != NULL && header->told) {
    origin->proxied = true;
    origin->tls = header->secure;
    origin->source = header->source;
    origin->source_port = header->port;
  } else {
    origin->source = ls_origin_ip(origin->peer);
  }
}

bool ls_origin_learn_peer(struct ls_request *request) {
  struct ls_origin *origin = &request->origin;
  const struct ls_http1 *http1 = request->http1;
  if (origin->peer_known || http1 == NULL)
    return origin->peer_known;
  if (ls_stream_peer(&http1->stream, origin->peer, sizeof origin->peer, &origin->peer_port) != 0)
    return false;
  origin->peer_known = true;
  learn_source(origin, http1->proxy);
  return true;
}

static void take_told(struct ls_origin *origin, const struct ls_head *head, const struct ls_forwarded *told) {
  origin->client = told->client;
  origin->ip = told->ip;
  origin->port = told->port;
  origin->secure = told->scheme == LS_SCHEME_UNTOLD ? origin->tls : told->scheme == LS_SCHEME_HTTPS;
  origin->host_port = told->host_port;
  origin->host_len = (uint32_t)told->host.len;
  if (told->host.len != 0)
    origin->host = (uint32_t)(told->host.ptr - head->base);
  if (told->client != LS_CLIENT_IS_PEER || !origin->proxied)
    return;
  origin->client = LS_CLIENT_KNOWN;
  origin->ip = origin->source;
  origin->port = origin->source_port;
}

const struct ls_origin *ls_origin_of(struct ls_request *request) {
  struct ls_origin *origin = &request->origin;
  const struct ls_server_options *options = &request->server->options;
  const struct ls_head *head = &request->exchange.head;
  if (origin->read)
    return origin;
  origin->read = true;
  if (ls_cidr_set_is_empty(&options->trust_proxy) && options->proxy_protocol == 0)
    return origin;
  struct ls_forwarded told = {.client = LS_CLIENT_UNKNOWN};
  if (ls_origin_learn_peer(request))
    told = ls_forwarded_read(head, options->trust_fields, &origin->source, &options->trust_proxy);
  take_told(origin, head, &told);
  return origin;
}

struct ls_slice ls_origin_host(struct ls_request *request) {
  const struct ls_origin *origin = ls_origin_of(request);
  const struct ls_head *head = &request->exchange.head;
  if (origin->host_len == 0 || head->size == 0) /* there was no memory to keep the head */
    return ls_slice(NULL, 0);
  return ls_slice(head->base + origin->host, origin->host_len);
}
