/* SPDX-License-Identifier: MIT */
/* origin: where a request comes from: the peer of its connection, the client that a PROXY header or the fields of
 * trusted proxies tell of, and how that one came: with TLS, to which host. Found out once, when somebody first looks. */
#ifndef LS_SERVER_ORIGIN_H
#define LS_SERVER_ORIGIN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/slice.h"
#include "http/forwarded.h"

struct ls_request;

struct ls_origin {
  /* Of the connection. Also learnt when that goes before the handler has ended. */
  bool peer_known;
  bool proxied;                /* a PROXY header has told source: the peer is the proxy */
  bool tls;                    /* and that the client came with TLS */
  int peer_port;               /* of the socket: */
  char peer[INET6_ADDRSTRLEN]; /* "" and port 0: a unix socket */
  struct ls_ip source;         /* whose word the request's fields are: no address on a unix socket */
  uint16_t source_port;
  /* Of the request, once it was looked at. */
  bool read;
  bool secure;
  enum ls_forwarded_client client;
  struct ls_ip ip; /* LS_CLIENT_KNOWN: the client's, and port; 0: not known */
  uint16_t port;
  uint16_t host_port;      /* to be added to host; 0: none */
  uint32_t host, host_len; /* in the bytes of the head, which move; 0: nobody has told it but the request itself */
};

/* The address of what ls_stream_peer tells: without a zone; none for a unix socket. */
struct ls_ip ls_origin_ip(const char *peer);

/* Makes origin.peer and what else is the connection's known. False: the client had left before anybody asked. */
bool ls_origin_learn_peer(struct ls_request *request);

/* The origin, looked at. LS_CLIENT_IS_PEER: ls_origin_learn_peer tells the client. */
const struct ls_origin *ls_origin_of(struct ls_request *request);

/* The host that a trusted proxy has told; empty: none has. */
struct ls_slice ls_origin_host(struct ls_request *request);

#endif
