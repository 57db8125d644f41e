/* SPDX-License-Identifier: MIT */
/* ip: an internet address as its bytes, to be compared; and as text and back. An IPv4 address in IPv6's clothes
 * (::ffff:192.0.2.1) is an IPv4 address, here as everywhere. */
#ifndef LS_BASE_IP_H
#define LS_BASE_IP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define LS_IP_TEXT_SIZE 46 /* the longest address as text, with its NUL */

struct ls_ip {
  uint8_t bytes[16]; /* in network order; those past len are 0 */
  uint8_t len;       /* 4 or 16; 0: no address */
};

/* From 4 or 16 bytes in network order. */
struct ls_ip ls_ip_of(const void *bytes, uint8_t len);

/* A whole text, "192.0.2.1" or "2001:db8::1": no brackets, no zone, no leading zeros in IPv4. False: it is none. */
bool ls_ip_parse(struct ls_slice text, struct ls_ip *ip);

/* Its one canonical text (RFC 5952); "" for no address. */
void ls_ip_text(const struct ls_ip *ip, char text[LS_IP_TEXT_SIZE]);

static inline bool ls_ip_equal(const struct ls_ip *a, const struct ls_ip *b) {
  return a->len == b->len && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

#endif
