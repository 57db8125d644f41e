/* SPDX-License-Identifier: MIT */
/* dict: named tables of keys and values that all threads of the process share.
 *
 * A dictionary is cut into stripes, each with a mutex, a part of the memory and an order of use of its own, so that threads
 * seldom wait for each other; nothing is called while a mutex is held. Where a stripe is full what has expired goes first,
 * then what has not been used for longest. Keys are hashed with a secret of the process (siphash). */
#ifndef LS_BASE_DICT_H
#define LS_BASE_DICT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

struct ls_dict;
struct ls_dicts;

enum ls_dict_type { LS_DICT_BOOLEAN, LS_DICT_INTEGER, LS_DICT_FLOAT, LS_DICT_STRING, LS_DICT_TABLE };

struct ls_dict_value {
  enum ls_dict_type type;
  int64_t integer;       /* BOOLEAN: 0 or 1 */
  double number;         /* FLOAT */
  struct ls_slice bytes; /* STRING; TABLE: as the owner has encoded it */
};

struct ls_dict_stats {
  uint64_t hits, misses, evictions, expirations;
  size_t count, bytes, max_bytes;
};

/* All dictionaries of the process. NULL: out of memory. */
struct ls_dicts *ls_dicts_new(void);
void ls_dicts_free(struct ls_dicts *dicts); /* when no thread uses any more */

/* The dictionary of that name, made where there is none. max_bytes: its size; 0: of 1 MiB, or what it has. NULL: *error is
 * -ENOMEM, or -EEXIST: it has another size, which is in *has. It lives as long as dicts. */
struct ls_dict *ls_dicts_open(struct ls_dicts *dicts, struct ls_slice name, size_t max_bytes, size_t *has, int *error);

struct ls_slice ls_dict_name(const struct ls_dict *dict);

/* How many bytes a key and its value may take in all. */
size_t ls_dict_largest(const struct ls_dict *dict);

/* ttl_ns: how long the value stays; 0: for ever. */
enum ls_dict_when { LS_DICT_ALWAYS, LS_DICT_IF_ABSENT, LS_DICT_IF_PRESENT };

/* 1: stored; 0: not, because of when; LS_ETOOBIG: larger than can ever be stored; -ENOMEM. */
int ls_dict_set(struct ls_dict *dict, struct ls_slice key, const struct ls_dict_value *value, uint64_t ttl_ns,
                enum ls_dict_when when);

/* 1: *value, whose bytes are in copy now (which is cleared first); 0: there is none; -ENOMEM. */
int ls_dict_get(struct ls_dict *dict, struct ls_slice key, struct ls_dict_value *value, struct ls_buf *copy);

/* Whether it was there. */
bool ls_dict_delete(struct ls_dict *dict, struct ls_slice key);

/* Adds by, an INTEGER or a FLOAT, to a number, and tells the sum in *sum. Where there is none and initial is not NULL the sum
 * begins there, with ttl_ns. Integers wrap around. 1; 0: there is none; -EINVAL: it is no number; -ENOMEM, LS_ETOOBIG. */
int ls_dict_add(struct ls_dict *dict, struct ls_slice key, const struct ls_dict_value *by,
                const struct ls_dict_value *initial, uint64_t ttl_ns, struct ls_dict_value *sum);

/* Stores value (NULL: deletes) where the present one is equal to expected (NULL: is absent); how long it stays is kept.
 * 1: done; 0: not, and *has tells what is there, as ls_dict_get does (*is_there: whether something is); LS_ETOOBIG, -ENOMEM. */
int ls_dict_swap(struct ls_dict *dict, struct ls_slice key, const struct ls_dict_value *expected,
                 const struct ls_dict_value *value, struct ls_dict_value *has, bool *is_there, struct ls_buf *copy);

/* How long it stays: ns, 0: for ever, -1: it is not there. */
int64_t ls_dict_ttl(struct ls_dict *dict, struct ls_slice key);
/* Whether it is there, and now stays for ttl_ns. */
bool ls_dict_expire(struct ls_dict *dict, struct ls_slice key, uint64_t ttl_ns);

/* Appends up to max keys, each with its length in front (uint32_t). How many, or -ENOMEM. */
int64_t ls_dict_keys(struct ls_dict *dict, size_t max, struct ls_buf *out);

void ls_dict_clear(struct ls_dict *dict);
void ls_dict_stats(struct ls_dict *dict, struct ls_dict_stats *stats);

#endif
