/* SPDX-License-Identifier: MIT */
/* siphash: SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012): a hash for tables whose keys come
 * from clients, who cannot make many fall together without knowing the key. */
#ifndef LS_BASE_SIPHASH_H
#define LS_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct ls_siphash_key {
  uint64_t k0, k1;
};

uint64_t ls_siphash(const struct ls_siphash_key *key, const void *bytes, size_t n);

#endif
