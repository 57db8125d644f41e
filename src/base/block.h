/* SPDX-License-Identifier: MIT */
/* block: texts copied 16 bytes at a time, for as long as they need no closer look. Most strings that a program writes are
 * short and plain: they cost one look at one or two blocks. */
#ifndef LS_BASE_BLOCK_H
#define LS_BASE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* 16 bytes; the compiler takes what the processor has for them. */
typedef unsigned char ls_block __attribute__((vector_size(16)));

/* Whether no byte of two blocks has its highest bit set, which a comparison sets where it holds. They are joined as numbers:
 * of comparisons joined with the rest gcc makes choices, which cost more. */
static inline bool ls_block_is_clear(ls_block a, ls_block b) {
  typedef uint64_t halves __attribute__((vector_size(16)));
  halves both = (halves)a | (halves)b;
  return ((both[0] | both[1]) & UINT64_C(0x8080808080808080)) == 0;
}

static inline ls_block ls_block_join(uint64_t first, uint64_t last) {
  const uint64_t halves[2] = {first, last};
  ls_block block;
  memcpy(&block, halves, sizeof block);
  return block;
}

/* Copies 1 to 15 bytes, some of them twice: none beside them is read or written. The block that comes back has them all,
 * and maybe spaces. */
static inline ls_block ls_block_copy_few(char *out, const char *text, size_t len) {
  uint64_t first, last;
  uint32_t low, high;
  if (len >= 8) {
    memcpy(&first, text, 8);
    memcpy(&last, text + len - 8, 8);
    memcpy(out, &first, 8);
    memcpy(out + len - 8, &last, 8);
    return ls_block_join(first, last);
  }
  if (len >= 4) {
    memcpy(&low, text, 4);
    memcpy(&high, text + len - 4, 4);
    memcpy(out, &low, 4);
    memcpy(out + len - 4, &high, 4);
    first = low | (uint64_t)high << 32;
    return ls_block_join(first, first);
  }
  out[0] = text[0];
  out[len / 2] = text[len / 2];
  out[len - 1] = text[len - 1];
  first = (unsigned char)text[0] | (unsigned)(unsigned char)text[len / 2] << 8 |
          (unsigned)(unsigned char)text[len - 1] << 16 | UINT64_C(0x2020202020000000);
  return ls_block_join(first, first);
}

/* Copies text to out, which has room for len bytes, until a block is not plain. Returns how much is plain for sure: len, or
 * where that block begins. A space is plain. Meant for functions that do just this: is_plain becomes part of them. */
static inline __attribute__((always_inline)) size_t ls_block_copy(char *out, const char *text, size_t len,
                                                                  bool (*is_plain)(ls_block)) {
  ls_block block;
  size_t at = 0;
  if (len < 16)
    return len == 0 || is_plain(ls_block_copy_few(out, text, len)) ? len : 0;
  for (; len - at >= 16; at += 16) {
    memcpy(&block, text + at, 16);
    memcpy(out + at, &block, 16);
    if (!is_plain(block))
      return at;
  }
  if (at == len)
    return len;
  memcpy(&block, text + len - 16, 16);
  memcpy(out + len - 16, &block, 16);
  return is_plain(block) ? len : at;
}

#endif
