/* SPDX-License-Identifier: MIT */
/* forwarded: what proxies tell of a request that they pass on: the Forwarded field (RFC 7239), and its elders
 * X-Forwarded-For, -Proto, -Host and -Port.
 *
 * Anybody can send such a field, and each proxy adds to its right end. So it is read from the right, as long as the one
 * who wrote it is trusted: the peer of the connection wrote the last element, the address in that one wrote the element
 * before it, and so on. The client is the first address that is not trusted. What stands to the left of it is its own
 * word, and is never looked at: it can be malformed, and nothing comes of it. Of X-Forwarded-Proto, -Host and -Port,
 * whose elements belong to nobody, only the last one counts.
 *
 * A proxy that writes one kind of field passes the other kind on as the client sent it. So where both are there they
 * have to say the same, or neither is believed. Nothing here allocates. */
#ifndef LS_HTTP_FORWARDED_H
#define LS_HTTP_FORWARDED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cidr.h"
#include "base/slice.h"
#include "http/head.h"

enum ls_forwarded_fields { LS_FORWARDED_EITHER, LS_FORWARDED_RFC7239, LS_FORWARDED_X };

enum ls_forwarded_client {
  LS_CLIENT_IS_PEER, /* no proxy tells of another */
  LS_CLIENT_KNOWN,   /* ip, and port where that was told */
  LS_CLIENT_UNKNOWN  /* a trusted proxy does not know, hides it, or is not understood; or the fields contradict */
};

enum ls_forwarded_scheme { LS_SCHEME_UNTOLD, LS_SCHEME_HTTP, LS_SCHEME_HTTPS };

struct ls_forwarded {
  enum ls_forwarded_client client;
  enum ls_forwarded_scheme scheme;
  struct ls_ip ip;
  uint16_t port;        /* 0: not told */
  struct ls_slice host; /* a well-formed Host, in the bytes of the head; empty: not told */
  uint16_t host_port;   /* that X-Forwarded-Port adds to a host without one; 0: none */
};

/* peer: who has sent the request, no address on a unix socket; where it is not trusted nothing is believed. */
struct ls_forwarded ls_forwarded_read(const struct ls_head *head, enum ls_forwarded_fields fields,
                                      const struct ls_ip *peer, const struct ls_cidr_set *trusted);

#endif
