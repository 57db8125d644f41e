/* SPDX-License-Identifier: MIT */
/* encode: what the files of the encoder share: where it stands, how it takes room, and its exits. For them only.
 *
 * What is written next goes to a place that the functions hand on: each takes it as out and returns where it has come to.
 * Only the box knows the memory around it. */
#ifndef LS_BIND_JSON_ENCODE_H
#define LS_BIND_JSON_ENCODE_H

#include "bind/json/impl.h"

enum {
  LS_JSON_ROOM = 64, /* bytes that a value finds free: any number, and whatever else is short, goes there unasked */
};

enum ls_json_mark { LS_JSON_UNMARKED, LS_JSON_ARRAY, LS_JSON_OBJECT };

/* One table that is being written; the chain of them is the path to the current value. */
struct ls_json_frame {
  const struct ls_json_frame *up; /* the table around this one, NULL at the root */
  int table;                      /* stack index of the table */
  int key;                        /* stack index of the current key, 0 in an array */
  lua_Integer index;              /* the current index in an array */
};

struct ls_json_encoder {
  lua_State *L;
  struct ls_json_box *box;
  int box_at;  /* its stack index */
  char *limit; /* LS_JSON_ROOM before the end of the box */
  struct ls_json_options options;
  const struct ls_json_frame *frame; /* the innermost table */
  int depth;
  int stack; /* up to this index there are slots for one level more */
};

/* Moves the text up to out to where n + LS_JSON_ROOM bytes more have room. Raises when out of memory. */
char *ls_json_grow(struct ls_json_encoder *e, char *out, size_t n);

/* Has room for n bytes from out on, and LS_JSON_ROOM behind them. */
static inline char *ls_json_reserve(struct ls_json_encoder *e, char *out, size_t n) {
  return e->limit - out >= (ptrdiff_t)n ? out : ls_json_grow(e, out, n);
}

/* What json.array or json.object has made of the table at index. */
static inline enum ls_json_mark ls_json_mark_of(struct ls_json_encoder *e, int table) {
  const void *metatable;
  if (!lua_getmetatable(e->L, table))
    return LS_JSON_UNMARKED;
  metatable = lua_topointer(e->L, -1);
  lua_pop(e->L, 1);
  return metatable == e->box->array_mt    ? LS_JSON_ARRAY
         : metatable == e->box->object_mt ? LS_JSON_OBJECT
                                          : LS_JSON_UNMARKED;
}

/* ---- quote.c ---- */

/* Writes what is left of a string from s on, where a byte is not plain, and its closing quote. what: "string" or "key". */
char *ls_json_quote_rest(struct ls_json_encoder *e, char *out, const char *s, const char *end, const char *what);

/* ---- refuse.c: each raises, with the path to what cannot be encoded ---- */

/* "<what> at <path><hint>" */
_Noreturn void ls_json_refuse(struct ls_json_encoder *e, const char *what, const char *hint);

/* The table on top is too deep, most often because one contains itself: then the path ends at the first repetition. */
_Noreturn void ls_json_refuse_depth(struct ls_json_encoder *e);

/* Names a key of the table at index that keeps it from being what its mark or its other keys say. */
_Noreturn void ls_json_refuse_table(struct ls_json_encoder *e, int table);

/* The value on top is of a type that JSON does not have. */
_Noreturn void ls_json_refuse_type(struct ls_json_encoder *e);

/* nan or inf */
_Noreturn void ls_json_refuse_number(struct ls_json_encoder *e, double value);

#endif
