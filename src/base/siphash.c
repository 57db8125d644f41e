/* SPDX-License-Identifier: MIT */
#include "base/siphash.h"

#include <string.h>

struct state {
  uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int bits) {
  return x << bits | x >> (64 - bits);
}

static void round_of(struct state *s) {
  s->v0 += s->v1;
  s->v1 = rotate(s->v1, 13) ^ s->v0;
  s->v0 = rotate(s->v0, 32);
  s->v2 += s->v3;
  s->v3 = rotate(s->v3, 16) ^ s->v2;
  s->v0 += s->v3;
  s->v3 = rotate(s->v3, 21) ^ s->v0;
  s->v2 += s->v1;
  s->v1 = rotate(s->v1, 17) ^ s->v2;
  s->v2 = rotate(s->v2, 32);
}

static void take(struct state *s, uint64_t word) {
  s->v3 ^= word;
  round_of(s);
  round_of(s);
  s->v0 ^= word;
}

uint64_t ls_siphash(const struct ls_siphash_key *key, const void *bytes, size_t n) {
  struct state s = {key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du, key->k0 ^ 0x6c7967656e657261u,
                    key->k1 ^ 0x7465646279746573u};
  const unsigned char *at = bytes, *end = at + n - n % 8;
  uint64_t word;
  for (; at < end; at += 8) {
    memcpy(&word, at, 8); /* little-endian, as the machines are that this runs on */
    take(&s, word);
  }
  word = (uint64_t)n << 56;
  for (size_t i = 0; i < n % 8; i++)
    word |= (uint64_t)at[i] << (8 * i);
  take(&s, word);
  s.v2 ^= 0xff;
  for (int i = 0; i < 4; i++)
    round_of(&s);
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
