/* SPDX-License-Identifier: MIT */
/* proxy_header: the PROXY protocol, version 1 and 2: what a proxy that only passes bytes on says of the client, before
 * the client's own first byte. Bytes in, in any pieces; where the header ends, the client's begin.
 *
 *   version 1   PROXY TCP4 192.0.2.1 203.0.113.9 56324 443 CR LF      (or TCP6, or UNKNOWN and anything)
 *   version 2   a signature of 12 bytes, then a byte for version and command, one for family and transport, two for
 *               the length of the rest: both addresses, and values of a type and a length each
 *
 * Of the values two are read: SSL, which tells whether the client came over TLS, and the checksum (CRC32c), which has
 * to fit where it is there. The others are passed over. */
#ifndef LS_HTTP_PROXY_HEADER_H
#define LS_HTTP_PROXY_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

/* Which versions are allowed, as bits. */
#define LS_PROXY_V1 1u
#define LS_PROXY_V2 2u

#define LS_PROXY_LINE_MAX 107  /* bytes of a version 1 header, with its CR LF */
#define LS_PROXY_REST_MAX 4096 /* bytes of a version 2 header behind the first 16 */

struct ls_proxy_header {
  /* What was read, once it is complete. */
  bool told; /* the client is another than the sender: source says which; no address: it came by a unix socket */
  struct ls_ip source; /* and its */
  uint16_t port;
  bool secure; /* the client came over TLS */

  /* Below: proxy_header.c's. */
  uint8_t allowed;
  uint8_t version; /* 0: nothing was received */
  uint8_t bytes[LS_PROXY_LINE_MAX];
  uint16_t have;    /* bytes received; of version 2 as many as bytes can hold are kept */
  uint16_t left;    /* of version 2: bytes of the rest that are still to come */
  uint16_t address; /* of them, bytes of both addresses; all of them where nothing behind is to be read */
  uint8_t tlv_have; /* bytes of the type and length of a value */
  uint8_t tlv_type;
  uint16_t tlv_left, tlv_at; /* of that value: bytes to come, and received */
  bool summed;               /* a checksum was there */
  uint32_t sum, expected;
};

/* allowed: LS_PROXY_V1, LS_PROXY_V2, or both. */
void ls_proxy_header_init(struct ls_proxy_header *header, uint8_t allowed);

enum { LS_PROXY_MORE, LS_PROXY_DONE };

/* Takes the next bytes; used is how many of them are the header's. LS_PROXY_MORE: all, and more must come.
 * LS_PROXY_DONE: the header is complete. LS_EPROTO: these bytes begin no valid header. */
int ls_proxy_header_feed(struct ls_proxy_header *header, const char *bytes, size_t len, size_t *used);

/* Whether anything was received: who only connects and leaves is checking whether somebody is there. */
static inline bool ls_proxy_header_began(const struct ls_proxy_header *header) {
  return header->version != 0;
}

#endif
