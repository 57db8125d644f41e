/* SPDX-License-Identifier: MIT */
/* impl: what the files of the JSON codec share: the work buffer, the options, the number conversions, and the scan
 * for bytes that need a closer look. For json*.c only. */
#ifndef LS_BIND_JSON_IMPL_H
#define LS_BIND_JSON_IMPL_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/block.h"
#include "base/slice.h"

enum {
  LS_JSON_DEFAULT_DEPTH = 128,
  LS_JSON_MAX_DEPTH = 1000, /* bounds the C stack: each level is one small C frame */
  LS_JSON_MAX_INDENT = 16,
  LS_JSON_KEEP = 64 * 1024, /* a work buffer over this size is freed after the call */
  LS_JSON_NUMBER_SIZE = 40, /* room for any number as text */
  LS_JSON_KEYS = 128,
  LS_JSON_KEY_SIZE = 32,
  LS_JSON_KEY_PATIENCE = 8, /* misses until a key loses its place to another */
};

/* A key that has come before. Tables of one kind have the same keys, and as short strings these are one object each: by
 * its address encode finds what has been judged and written, by its text decode finds the string. The box keeps the strings,
 * and so the addresses. (What C code makes of such an address, a light userdata or an empty one whose memory ends there, is written as
 * that string where it is a key.) */
struct ls_json_key {
  uint64_t id;          /* encode: the string's address; decode: a hash of its text. A free place has its own address */
  uint32_t rival;       /* of the id that has missed here last */
  unsigned char misses; /* by this one, in a row */
  unsigned char len;    /* 0: the place is free */
  char text[LS_JSON_KEY_SIZE]; /* encode: ',"name":'; decode: 'name' */
};

/* The work buffer of one Lua state, a userdata that is upvalue 1 of encode and decode: a Lua error can never leak it,
 * and a steady stream of calls does not allocate. It also knows the identities that mark values. */
struct ls_json_box {
  char *data;
  size_t len;
  size_t cap;
  bool busy;            /* an encode is writing, or was left by an error: take another box (ls_json_box_claim) */
  bool closed;          /* finalized: the Lua state is closing */
  const void *null;     /* json.null */
  const void *array_mt; /* the metatables of marked tables, by lua_topointer */
  const void *object_mt;
  struct ls_json_key keys[LS_JSON_KEYS]; /* user value 1 has the strings in the same places, from 1 */
};

/* Pushes a new empty box, with the identities of from unless that is NULL. Raises when out of memory. */
struct ls_json_box *ls_json_box_new(lua_State *L, const struct ls_json_box *from);

/* Raises when the state is closing and has freed the box: memory taken now would never be freed. */
void ls_json_box_check(lua_State *L, const struct ls_json_box *box);

/* Pushes the box of upvalue 1, or a new one that takes its place when that one is busy, and marks it busy. */
struct ls_json_box *ls_json_box_claim(lua_State *L);

/* Gives back memory over LS_JSON_KEEP and clears busy. */
void ls_json_box_release(struct ls_json_box *box);

/* Makes room for extra more bytes. False when out of memory. */
bool ls_json_box_grow(struct ls_json_box *box, size_t extra);

/* Whether key gives its place to what has missed it: not to keys that do not come again, which shall cost little. */
static inline bool ls_json_key_yields(struct ls_json_key *key, uint64_t id) {
  uint32_t rival = (uint32_t)(id >> 4);
  key->misses = key->rival == rival ? key->misses + 1 : 0;
  key->rival = rival;
  return key->len == 0 || key->misses >= LS_JSON_KEY_PATIENCE;
}

/* Gives the place of key, in the box at index box, to the short string at index with this id, for which text stands, of at
 * most LS_JSON_KEY_SIZE bytes. */
void ls_json_box_learn(lua_State *L, int box, struct ls_json_key *key, uint64_t id, int index, struct ls_slice text);

static inline bool ls_json_box_reserve(struct ls_json_box *box, size_t extra) {
  return box->cap - box->len >= extra || ls_json_box_grow(box, extra);
}

struct ls_json_options {
  int max_depth;
  int indent; /* spaces for each level; 0 writes everything on one line */
  bool sort_keys;
  bool replace_invalid; /* bytes that are no UTF-8, by U+FFFD */
};

/* Pushes and returns a box with the text of the value at index 1, to be released. */
struct ls_json_box *ls_json_encode(lua_State *L, const struct ls_json_options *options);
int ls_json_decode(lua_State *L, const struct ls_json_options *options);

/* Writes a float, which is finite, at out (LS_JSON_NUMBER_SIZE bytes) and returns the place behind it. */
char *ls_json_write_double(char *out, double value);

/* digits * 10^exponent when that can be had exactly rounded with little work; false: use ls_json_read_text. */
bool ls_json_read_decimal(uint64_t digits, int exponent, double *value);

/* The number in text (len bytes of JSON grammar, then a byte that is no part of it). False when out of memory. */
bool ls_json_read_text(const char *text, size_t len, double *value);

static inline bool ls_json_is_continuation(unsigned char c) {
  return (c & 0xC0) == 0x80;
}

/* The length of the UTF-8 sequence that starts at text, 0 when it is not valid: longer than needed, a surrogate, past
 * U+10FFFF, or cut. *text is 0x80 or more, and the NUL behind Lua's strings spares a look for the end (RFC 3629 4). */
static inline size_t ls_json_utf8_length(const char *text) {
  const unsigned char *p = (const unsigned char *)text;
  if (p[0] < 0xE0)
    return p[0] >= 0xC2 && ls_json_is_continuation(p[1]) ? 2 : 0;
  if (!ls_json_is_continuation(p[1]) || !ls_json_is_continuation(p[2]))
    return 0;
  if (p[0] < 0xF0)
    return (p[0] != 0xE0 || p[1] >= 0xA0) && (p[0] != 0xED || p[1] < 0xA0) ? 3 : 0;
  if (p[0] > 0xF4 || (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] >= 0x90))
    return 0;
  return ls_json_is_continuation(p[3]) ? 4 : 0;
}

/* Bit 7 of each byte of word that may not stand in a JSON string as it is (control, quote, backslash) or starts or
 * continues a UTF-8 sequence. Exact up to the first such byte; a borrow may mark bytes after it wrongly. */
static inline uint64_t ls_json_special(uint64_t word) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  uint64_t quote = word ^ (ones * '"');
  uint64_t backslash = word ^ (ones * '\\');
  return ((word - ones * 0x20) | (quote - ones) | (backslash - ones) | word) & (ones * 0x80);
}

/* How many of the 8 bytes at p can stand in a JSON string as they are. */
static inline size_t ls_json_plain_run(const char *p) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  uint64_t word, special;
  memcpy(&word, p, sizeof word);
  special = ls_json_special(word);
  return special == 0 ? 8 : (size_t)__builtin_ctzll(special) >> 3;
#else
  size_t n = 0;
  while (n < 8 && (unsigned char)p[n] >= 0x20 && (unsigned char)p[n] < 0x80 && p[n] != '"' && p[n] != '\\')
    n++;
  return n;
#endif
}

/* Whether all of a block can stand in a string as they are. A byte that cannot has its highest bit set in what is joined: by
 * itself from 0x80 on, by the subtraction below 0x20, by the comparisons. */
static inline bool ls_json_is_plain_block(ls_block block) {
  ls_block range = (block - 0x20) | block, escaped = (ls_block)(block == '"') | (ls_block)(block == '\\');
  return ls_block_is_clear(range, escaped);
}

static inline bool ls_json_is_plain(unsigned char c) {
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#endif
