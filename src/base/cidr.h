/* SPDX-License-Identifier: MIT */
/* cidr: ranges of addresses (RFC 4632), and sets of them: whom a server trusts. */
#ifndef LS_BASE_CIDR_H
#define LS_BASE_CIDR_H

#include <stdbool.h>

#include "base/ip.h"

struct ls_cidr {
  struct ls_ip ip;
  uint8_t prefix; /* how many of its bits count */
};

/* "10.0.0.0/8", "fd00::/8", or one address. A prefix of an IPv4-mapped address counts its 96 bits too. False: it is
 * none of these, or has bits behind its prefix ("10.0.0.1/8"). */
bool ls_cidr_parse(struct ls_slice text, struct ls_cidr *cidr);

/* An IPv6 range has no IPv4 address in it, and the reverse. */
bool ls_cidr_has(const struct ls_cidr *cidr, const struct ls_ip *ip);

/* Zeroed memory is an empty set. */
struct ls_cidr_set {
  struct ls_cidr *list;
  unsigned count;
  bool has_unix; /* peers on unix sockets, which have no address */
};

void ls_cidr_set_dispose(struct ls_cidr_set *set);

/* Adds a range, or what a word stands for: "loopback" (127.0.0.0/8, ::1), "private" (RFC 1918, RFC 4193) or "unix"
 * (peers on unix sockets). 0, -ENOMEM, or -EINVAL: it is neither. */
int ls_cidr_set_add(struct ls_cidr_set *set, struct ls_slice text);

/* No address is that of a peer on a unix socket. */
bool ls_cidr_set_has(const struct ls_cidr_set *set, const struct ls_ip *ip);

static inline bool ls_cidr_set_is_empty(const struct ls_cidr_set *set) {
  return set->count == 0 && !set->has_unix;
}

#endif
