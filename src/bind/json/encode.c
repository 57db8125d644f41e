/* SPDX-License-Identifier: MIT */
/* encode: a Lua value to JSON text, in one pass over each table: what the first key is tells an array from an
 * object, and a key that does not fit stops the encoding with the path to the table. Reads tables raw and runs no Lua
 * code; only sort_keys allocates Lua memory on the way (where a finalizer may encode something else: ls_json_box_claim).
 *
 * Half of the time goes to Lua's interface, so that what is asked of it is as little as will do for each member: lua_next,
 * the key's address, the value's type, the value. What is rare stands apart, in quote.c and refuse.c.
 */
#include "bind/json/encode.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#include "base/digits.h"

enum {
  STACK_NEED = 20,  /* Lua stack slots that one level uses */
  STACK_STEP = 100, /* and how many are asked for at once */
};

/* A key of a sorted table. */
struct item {
  const char *text;
  size_t len;
  lua_Integer at; /* its place in the Lua table that keeps it alive */
};

static char *encode_table(struct ls_json_encoder *e, char *out, int table);

/* ---- room ---- */

static _Noreturn void fail_memory(struct ls_json_encoder *e) {
  ls_json_box_release(e->box);
  luaL_error(e->L, "json.encode: not enough memory");
  abort(); /* luaL_error does not return, which its prototype does not say */
}

/* Has room for so many bytes behind what is in the box. */
static char *make_room(struct ls_json_encoder *e, size_t n) {
  struct ls_json_box *box = e->box;
  if (!ls_json_box_reserve(box, n))
    fail_memory(e);
  e->limit = box->data + box->cap - LS_JSON_ROOM;
  return box->data + box->len;
}

__attribute__((noinline)) char *ls_json_grow(struct ls_json_encoder *e, char *out, size_t n) {
  e->box->len = (size_t)(out - e->box->data);
  return make_room(e, n + LS_JSON_ROOM);
}

/* The line break before an item or a closing bracket, when indenting. Room for one byte is left. */
static inline char *write_break(struct ls_json_encoder *e, char *out, int depth) {
  size_t spaces = (size_t)e->options.indent * (size_t)depth;
  if (e->options.indent == 0)
    return out;
  out = ls_json_reserve(e, out, spaces + 1);
  *out = '\n';
  memset(out + 1, ' ', spaces);
  return out + 1 + spaces;
}

/* What comes before an item: a comma, or before the first the opening bracket. */
static inline char *write_before(struct ls_json_encoder *e, char *out, char before) {
  out = ls_json_reserve(e, out, 1);
  *out = before;
  return write_break(e, out + 1, e->depth);
}

static inline char *write_close(struct ls_json_encoder *e, char *out, char bracket) {
  out = write_break(e, ls_json_reserve(e, out, 1), e->depth - 1);
  *out = bracket;
  return out + 1;
}

/* ---- strings ---- */

static __attribute__((noinline)) size_t copy_plain(char *out, const char *s, size_t len) {
  return ls_block_copy(out, s, len, ls_json_is_plain_block);
}

static inline __attribute__((always_inline)) char *write_string(struct ls_json_encoder *e, char *out, const char *s,
                                                                size_t len, const char *what) {
  out = ls_json_reserve(e, out, len + 2);
  *out++ = '"';
  size_t plain = copy_plain(out, s, len);
  out += plain;
  if (plain < len)
    return ls_json_quote_rest(e, out, s + plain, s + len, what);
  *out = '"';
  return out + 1;
}

/* ---- values ---- */

static inline char *encode_string(struct ls_json_encoder *e, char *out) {
  size_t len;
  const char *s = lua_tolstring(e->L, -1, &len);
  return write_string(e, out, s, len, "string");
}

static __attribute__((noinline)) char *write_integer(char *out, lua_Integer value) {
  return ls_digits_write_signed(out, value);
}

static inline char *encode_number(struct ls_json_encoder *e, char *out) {
  if (lua_isinteger(e->L, -1))
    return write_integer(out, lua_tointeger(e->L, -1));
  lua_Number value = lua_tonumber(e->L, -1);
  if (!isfinite(value))
    ls_json_refuse_number(e, value);
  return ls_json_write_double(out, value);
}

static inline char *write_word(char *out, const char *word, size_t len) {
  memcpy(out, word, len);
  return out + len;
}

static __attribute__((noinline)) char *encode_userdata(struct ls_json_encoder *e, char *out) {
  const void *block = lua_touserdata(e->L, -1);
  if (block != e->box->null && (block != NULL || !lua_isuserdata(e->L, -1)))
    ls_json_refuse_type(e);
  return write_word(out, "null", 4);
}

/* Writes the value on top of the stack, which is at index at and stays there. LS_JSON_ROOM bytes are free. In the loops of
 * arrays and objects this is no call. */
static inline __attribute__((always_inline)) char *encode_value(struct ls_json_encoder *e, char *out, int at) {
  int type = lua_type(e->L, -1);
  if (type == LUA_TSTRING)
    return encode_string(e, out);
  if (type == LUA_TNUMBER)
    return encode_number(e, out);
  if (type == LUA_TTABLE)
    return encode_table(e, out, at);
  if (type == LUA_TBOOLEAN)
    return lua_toboolean(e->L, -1) ? write_word(out, "true", 4) : write_word(out, "false", 5);
  return encode_userdata(e, out);
}

static __attribute__((noinline)) char *encode_any(struct ls_json_encoder *e, char *out) {
  return encode_value(e, out, lua_gettop(e->L));
}

/* ---- arrays ---- */

/* Whether the table has more keys than the n that have been found. All are counted, because lua_next may give another one
 * before them: they need not be in the table's array part. */
static bool has_more_keys(lua_State *L, int table, lua_Integer n) {
  lua_Integer count = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (++count > n) {
      lua_pop(L, 2);
      return true;
    }
  }
  return false;
}

/* The rest of an array whose keys come in another order, or may change under lua_next. */
static __attribute__((noinline)) char *encode_scattered(struct ls_json_encoder *e, struct ls_json_frame *frame,
                                                        char *out) {
  lua_State *L = e->L;
  for (; lua_rawgeti(L, frame->table, frame->index) != LUA_TNIL; frame->index++) {
    out = write_before(e, out, frame->index == 1 ? '[' : ',');
    out = encode_any(e, out);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (has_more_keys(L, frame->table, frame->index - 1)) {
    e->frame = frame->up;
    ls_json_refuse_table(e, frame->table);
  }
  return frame->index == 1 ? write_before(e, out, '[') : out;
}

/* The first key and value are on the stack. Most arrays come in order, and then they have nothing but their items. Where
 * keys are sorted, finalizers run. */
static char *encode_array(struct ls_json_encoder *e, struct ls_json_frame *frame, char *out) {
  lua_State *L = e->L;
  char before = '[';
  frame->key = 0;
  frame->index = 1;
  do {
    if (e->options.sort_keys || !lua_isinteger(L, -2) || lua_tointeger(L, -2) != frame->index) {
      lua_pop(L, 2);
      out = encode_scattered(e, frame, out);
      break;
    }
    out = write_before(e, out, before);
    out = encode_value(e, out, frame->table + 2);
    before = ',';
    lua_pop(L, 1);
    frame->index++;
  } while (lua_next(L, frame->table));
  return write_close(e, out, ']');
}

/* ---- objects ---- */

static void learn_key(struct ls_json_encoder *e, struct ls_json_key *key, uint64_t id, int index,
                      struct ls_slice text) {
  bool is_valid = !e->options.replace_invalid; /* another time it would be refused */
  if (text.len <= sizeof key->text && is_valid && e->options.indent == 0 && ls_json_key_yields(key, id))
    ls_json_box_learn(e->L, e->box_at, key, id, index, text);
}

/* The key at frame->key as it comes, where key is not this one; the end of encoding where it is no string. */
static __attribute__((noinline)) char *write_new_key(struct ls_json_encoder *e, const struct ls_json_frame *frame,
                                                     char *out, char before, struct ls_json_key *key, uint64_t id) {
  size_t len, from;
  if (lua_type(e->L, frame->key) != LUA_TSTRING) {
    e->frame = frame->up;
    ls_json_refuse_table(e, frame->table);
  }
  const char *text = lua_tolstring(e->L, frame->key, &len);
  out = write_before(e, out, before);
  from = (size_t)(out - e->box->data) - 1;
  e->frame = frame->up; /* a key that is not UTF-8 is no step of the path */
  out = write_string(e, out, text, len, "key");
  e->frame = frame;
  out = ls_json_reserve(e, out, 2);
  *out++ = ':';
  learn_key(e, key, id, frame->key, ls_slice(e->box->data + from, (size_t)(out - e->box->data) - from));
  if (e->options.indent > 0)
    *out++ = ' ';
  return out;
}

/* The key at frame->key, with what stands around it. */
static inline char *write_key(struct ls_json_encoder *e, const struct ls_json_frame *frame, char *out, char before) {
  uint64_t id = (uintptr_t)lua_topointer(e->L, frame->key);
  struct ls_json_key *key = &e->box->keys[(id >> 4) % LS_JSON_KEYS];
  if (key->id != id || e->options.indent > 0)
    return write_new_key(e, frame, out, before, key, id);
  out = ls_json_reserve(e, out, sizeof key->text);
  memcpy(out, key->text, sizeof key->text); /* all of it: a fixed size is cheaper, and the rest is written over */
  *out = before;
  return out + key->len;
}

/* The first key and value are on the stack. */
static char *encode_object(struct ls_json_encoder *e, struct ls_json_frame *frame, char *out) {
  lua_State *L = e->L;
  char before = '{';
  frame->key = frame->table + 1;
  do {
    out = write_key(e, frame, out, before);
    out = encode_value(e, out, frame->table + 2);
    before = ',';
    lua_pop(L, 1);
  } while (lua_next(L, frame->table));
  return write_close(e, out, '}');
}

static int compare_items(const void *left, const void *right) {
  const struct item *a = left, *b = right;
  int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
  return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* Pushes a table of the keys and a userdata with their sorted items; returns how many there are. */
static size_t sort_keys(struct ls_json_encoder *e, int table, struct item **items) {
  lua_State *L = e->L;
  size_t n = 0, room = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
    room++;
  lua_createtable(L, room < INT32_MAX ? (int)room : INT32_MAX, 0);
  *items = lua_newuserdatauv(L, (room + 1) * sizeof **items, 0);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
      ls_json_refuse_table(e, table);
    if (n == room) {
      lua_pop(L, 1);
      break; /* a finalizer added keys */
    }
    (*items)[n].text = lua_tolstring(L, -1, &(*items)[n].len);
    (*items)[n].at = (lua_Integer)(n + 1);
    n++;
    lua_pushvalue(L, -1);
    lua_rawseti(L, table + 1, (lua_Integer)n);
  }
  qsort(*items, n, sizeof **items, compare_items);
  return n;
}

static __attribute__((noinline)) char *encode_sorted(struct ls_json_encoder *e, struct ls_json_frame *frame,
                                                     char *out) {
  lua_State *L = e->L;
  struct item *items;
  size_t n;
  e->frame = frame->up;
  n = sort_keys(e, frame->table, &items);
  frame->key = frame->table + 3;
  e->frame = frame;
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, frame->table + 1, items[i].at);
    lua_pushvalue(L, -1);
    lua_rawget(L, frame->table);
    out = encode_any(e, write_key(e, frame, out, i == 0 ? '{' : ','));
    lua_pop(L, 2);
  }
  lua_pop(L, 2);
  return write_close(e, n == 0 ? write_before(e, out, '{') : out, '}');
}

/* ---- tables ---- */

static void check_stack(struct ls_json_encoder *e, int top) {
  if (top + STACK_NEED > e->stack) {
    luaL_checkstack(e->L, STACK_STEP, "json.encode");
    e->stack = top + STACK_STEP;
  }
}

static char *encode_keys(struct ls_json_encoder *e, struct ls_json_frame *frame, char *out, enum ls_json_mark mark) {
  bool named = lua_type(e->L, -2) == LUA_TSTRING;
  if (mark == LS_JSON_OBJECT && !named)
    ls_json_refuse_table(e, frame->table);
  e->frame = frame;
  if (!named || mark == LS_JSON_ARRAY)
    return encode_array(e, frame, out);
  if (!e->options.sort_keys)
    return encode_object(e, frame, out);
  lua_pop(e->L, 2);
  return encode_sorted(e, frame, out);
}

/* Apart, so that a plain value does not pay for this one's frame. */
static __attribute__((noinline)) char *encode_table(struct ls_json_encoder *e, char *out, int table) {
  lua_State *L = e->L;
  struct ls_json_frame frame = {.up = e->frame, .table = table};
  enum ls_json_mark mark = ls_json_mark_of(e, table);
  check_stack(e, frame.table);
  if (++e->depth > e->options.max_depth)
    ls_json_refuse_depth(e);
  lua_pushnil(L);
  if (lua_next(L, frame.table))
    out = encode_keys(e, &frame, out, mark);
  else
    out = write_word(out, mark == LS_JSON_ARRAY ? "[]" : "{}", 2);
  e->frame = frame.up;
  e->depth--;
  return out;
}

struct ls_json_box *ls_json_encode(lua_State *L, const struct ls_json_options *options) {
  struct ls_json_encoder e = {.L = L, .options = *options};
  e.box = ls_json_box_claim(L);
  e.box_at = lua_gettop(L);
  char *out = make_room(&e, LS_JSON_ROOM);
  lua_pushvalue(L, 1);
  out = encode_any(&e, out);
  e.box->len = (size_t)(out - e.box->data);
  lua_settop(L, e.box_at);
  return e.box;
}
