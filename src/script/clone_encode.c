/* SPDX-License-Identifier: MIT */
/* clone_encode: values to a message, depth first, with a stack of frames instead of C recursion.
 *
 * On the Lua stack a table that is being written has its current key, and the value, above it; a value that is a table
 * is at once the next level. A key that is a table is written before its value: a copy of it lies above the value. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "script/clone.h"
#include "script/clone_format.h"
#include "script/marks.h"
#include "script/path.h"

#define STRING_OF(text) #text
#define STRING(macro) STRING_OF(macro)

enum {
  FRAMES = 16, /* room for so many levels and tables before memory is taken */
  SEEN = 32,
  ITEM_MAX = 16,   /* bytes of anything but a string */
  LEVEL_SLOTS = 6, /* of the Lua stack: what a level needs, and passing ones above it */
};

struct frame {
  int table;        /* stack index */
  bool is_key;      /* the table is a key of the one around it */
  bool in_array;    /* keys were 1, 2, 3, ... up to now */
  lua_Integer next; /* the index that goes on with the array */
  size_t pairs;     /* written, not counting the array */
  size_t shape;     /* where its byte is in out */
};

/* A table that has been met, and where it is in out. */
struct seen {
  const void *table; /* NULL: free */
  size_t at;
};

struct encoder {
  lua_State *L;
  struct ls_buf *out;
  const char *name;
  int number;          /* of the current value, from 1 */
  const char *refused; /* what cannot be copied */
  bool refused_key;    /* it is a key */
  int depth;
  int frames_cap;
  struct frame *frames;
  size_t seen_count, seen_cap; /* cap: a power of two */
  struct seen *seen;
  struct frame first_frames[FRAMES];
  struct seen first_seen[SEEN];
};

/* ---- bytes ---- */

/* Where to write up to n bytes, or NULL. */
static unsigned char *reserve(struct encoder *e, size_t n) {
  struct ls_buf *out = e->out;
  if (out->cap - out->len < n && ls_buf_reserve(out, n) != 0)
    return NULL;
  return (unsigned char *)out->data + out->len;
}

static unsigned char *write_varint(unsigned char *p, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    *p++ = (unsigned char)(value | 0x80);
  *p++ = (unsigned char)value;
  return p;
}

static void commit(struct encoder *e, const unsigned char *end) {
  e->out->len = (size_t)(end - (unsigned char *)e->out->data);
}

static int put_tag(struct encoder *e, enum ls_clone_tag tag) {
  unsigned char *p = reserve(e, 1);
  if (p == NULL)
    return -ENOMEM;
  *p = (unsigned char)tag;
  e->out->len++;
  return 0;
}

static int put_tag_and_count(struct encoder *e, enum ls_clone_tag tag, uint64_t count) {
  unsigned char *p = reserve(e, ITEM_MAX);
  if (p == NULL)
    return -ENOMEM;
  *p++ = (unsigned char)tag;
  commit(e, write_varint(p, count));
  return 0;
}

/* ---- scalars ---- */

static unsigned char *write_fixed(unsigned char *p, enum ls_clone_tag tag, const void *value, size_t size) {
  *p++ = (unsigned char)tag;
  memcpy(p, value, size);
  return p + size;
}

static unsigned char *write_integer(unsigned char *p, int64_t value) {
  if (value >= 0 && value < LS_CLONE_SHORT)
    *p++ = (unsigned char)value;
  else if (value == (int8_t)value)
    p = write_fixed(p, LS_CLONE_INT8, &(int8_t){(int8_t)value}, 1);
  else if (value == (int16_t)value)
    p = write_fixed(p, LS_CLONE_INT16, &(int16_t){(int16_t)value}, 2);
  else if (value == (int32_t)value)
    p = write_fixed(p, LS_CLONE_INT32, &(int32_t){(int32_t)value}, 4);
  else
    p = write_fixed(p, LS_CLONE_INT64, &value, 8);
  return p;
}

static int put_number(struct encoder *e, int index) {
  unsigned char *p = reserve(e, ITEM_MAX);
  if (p == NULL)
    return -ENOMEM;
  if (lua_isinteger(e->L, index)) {
    p = write_integer(p, lua_tointeger(e->L, index));
  } else {
    double value = lua_tonumber(e->L, index);
    p = write_fixed(p, LS_CLONE_FLOAT, &value, sizeof value);
  }
  commit(e, p);
  return 0;
}

static int put_string(struct encoder *e, int index) {
  size_t len;
  const char *s = lua_tolstring(e->L, index, &len);
  if (len > SIZE_MAX - ITEM_MAX)
    return -ENOMEM;
  unsigned char *p = reserve(e, len + ITEM_MAX);
  if (p == NULL)
    return -ENOMEM;
  if (len <= LS_CLONE_SHORT_MAX) {
    *p++ = (unsigned char)(LS_CLONE_SHORT + len);
  } else {
    *p++ = LS_CLONE_STRING;
    p = write_varint(p, len);
  }
  memcpy(p, s, len);
  commit(e, p + len);
  return 0;
}

static int refuse(struct encoder *e, bool is_key, const char *what) {
  e->refused = what;
  e->refused_key = is_key;
  return -EINVAL;
}

static int put_userdata(struct encoder *e, int index) {
  if (lua_islightuserdata(e->L, index) && lua_touserdata(e->L, index) == NULL)
    return put_tag(e, LS_CLONE_LIGHT);
  if (ls_marks_is_null(e->L, index))
    return put_tag(e, LS_CLONE_NULL);
  return refuse(e, index == -2, lua_islightuserdata(e->L, index) ? "a light userdata" : "a userdata");
}

/* Anything but a table. index: -1, or -2 for a key. */
static int put_scalar(struct encoder *e, int index) {
  switch (lua_type(e->L, index)) {
  case LUA_TSTRING:
    return put_string(e, index);
  case LUA_TNUMBER:
    return put_number(e, index);
  case LUA_TBOOLEAN:
    return put_tag(e, lua_toboolean(e->L, index) ? LS_CLONE_TRUE : LS_CLONE_FALSE);
  case LUA_TNIL:
    return put_tag(e, LS_CLONE_NIL);
  case LUA_TFUNCTION:
    return refuse(e, index == -2, "a function");
  case LUA_TTHREAD:
    return refuse(e, index == -2, "a coroutine");
  default:
    return put_userdata(e, index);
  }
}

/* ---- tables met ---- */

/* The place of table, or the free one where it belongs. */
static struct seen *find_seen(struct seen *all, size_t cap, const void *table) {
  uint64_t hash = (uint64_t)(uintptr_t)table * UINT64_C(0x9E3779B97F4A7C15);
  size_t i = (size_t)(hash >> 32) & (cap - 1);
  while (all[i].table != NULL && all[i].table != table)
    i = (i + 1) & (cap - 1);
  return &all[i];
}

static int grow_seen(struct encoder *e) {
  size_t cap = e->seen_cap * 4;
  struct seen *all = calloc(cap, sizeof *all);
  if (all == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < e->seen_cap; i++) {
    if (e->seen[i].table != NULL)
      *find_seen(all, cap, e->seen[i].table) = e->seen[i];
  }
  if (e->seen != e->first_seen)
    free(e->seen);
  e->seen = all;
  e->seen_cap = cap;
  return 0;
}

/* A table that was met before is marked there, so that the decoder keeps hold of it. */
static int put_ref(struct encoder *e, const struct seen *seen) {
  e->out->data[seen->at] = (char)LS_CLONE_SHARED;
  return put_tag_and_count(e, LS_CLONE_REF, seen->at);
}

/* ---- tables ---- */

static struct frame *push_frame(struct encoder *e) {
  if (e->depth == e->frames_cap) {
    int cap = e->frames_cap * 2;
    struct frame *frames = realloc(e->frames == e->first_frames ? NULL : e->frames, (size_t)cap * sizeof *frames);
    if (frames == NULL)
      return NULL;
    if (e->frames == e->first_frames)
      memcpy(frames, e->first_frames, sizeof e->first_frames);
    e->frames = frames;
    e->frames_cap = cap;
  }
  return &e->frames[e->depth++];
}

static int read_mark(struct encoder *e, bool is_key, enum ls_mark *mark) {
  *mark = LS_MARK_NONE;
  if (!lua_getmetatable(e->L, -1))
    return 0;
  *mark = ls_marks_of_metatable(e->L, -1);
  lua_pop(e->L, 1);
  return *mark != LS_MARK_NONE ? 0 : refuse(e, is_key, "a table with a metatable");
}

/* Begins with the table on top of the stack; its content follows step by step. */
static int open_table(struct encoder *e, bool is_key, enum ls_mark mark) {
  lua_State *L = e->L;
  struct frame *frame = push_frame(e);
  unsigned char *p = reserve(e, ITEM_MAX);
  if (frame == NULL || p == NULL)
    return -ENOMEM;
  *p++ = LS_CLONE_TABLE;
  *frame = (struct frame){.table = lua_gettop(L), .is_key = is_key, .in_array = true, .next = 1};
  frame->shape = e->out->len + 1;
  *p++ = (unsigned char)(mark << LS_CLONE_MARK_SHIFT);
  commit(e, write_varint(p, lua_rawlen(L, -1)));
  lua_pushnil(L);
  return 0;
}

/* The table on top of the stack: refers to it when it was met before, and pops it, else opens it. */
static int put_table(struct encoder *e, bool is_key) {
  lua_State *L = e->L;
  const void *table = lua_topointer(L, -1);
  if (e->seen_count * 2 >= e->seen_cap && grow_seen(e) != 0)
    return -ENOMEM;
  struct seen *seen = find_seen(e->seen, e->seen_cap, table);
  if (seen->table != NULL) {
    int status = put_ref(e, seen);
    lua_pop(L, 1);
    return status;
  }
  if (e->depth == LS_CLONE_DEPTH)
    return refuse(e, is_key, "tables nested deeper than " STRING(LS_CLONE_DEPTH));
  if (!lua_checkstack(L, LEVEL_SLOTS))
    return -ENOMEM;
  enum ls_mark mark;
  int status = read_mark(e, is_key, &mark);
  if (status != 0)
    return status;
  *seen = (struct seen){table, e->out->len};
  e->seen_count++;
  return open_table(e, is_key, mark);
}

/* Writes the value on top of the stack and pops it, or opens it where it is a table. */
static int put_value(struct encoder *e) {
  if (lua_type(e->L, -1) == LUA_TTABLE)
    return put_table(e, false);
  int status = put_scalar(e, -1);
  if (status == 0)
    lua_pop(e->L, 1);
  return status;
}

/* 1 + log2 of the smallest power of two that is not below count; 0 for none. */
static unsigned slots_for(size_t count) {
  if (count <= 1)
    return (unsigned)count;
  return 1 + 64 - (unsigned)__builtin_clzll((unsigned long long)count - 1);
}

/* The innermost table is complete. When it was a key, its value comes next. */
static int close_table(struct encoder *e) {
  struct frame *frame = &e->frames[--e->depth];
  e->out->data[frame->shape] |= (char)slots_for(frame->pairs);
  lua_pop(e->L, 1);
  int status = put_tag(e, LS_CLONE_END);
  return status == 0 && frame->is_key ? put_value(e) : status;
}

/* Key and value are on top of the stack. */
static int put_pair(struct encoder *e, struct frame *frame) {
  lua_State *L = e->L;
  if (frame->in_array) {
    frame->in_array = false;
    if (put_tag(e, LS_CLONE_PAIRS) != 0)
      return -ENOMEM;
  }
  frame->pairs++;
  if (lua_type(L, -2) != LUA_TTABLE) {
    int status = put_scalar(e, -2);
    return status == 0 ? put_value(e) : status;
  }
  int depth = e->depth;
  lua_pushvalue(L, -2);
  int status = put_table(e, true);
  return status == 0 && e->depth == depth ? put_value(e) : status;
}

/* The next entry of the innermost table, whose last key is on top of the stack. */
static int step(struct encoder *e) {
  lua_State *L = e->L;
  struct frame *frame = &e->frames[e->depth - 1];
  if (!lua_next(L, -2))
    return close_table(e);
  if (frame->in_array && lua_isinteger(L, -2) && lua_tointeger(L, -2) == frame->next) {
    frame->next++;
    return put_value(e);
  }
  return put_pair(e, frame);
}

/* ---- messages ---- */

static void add_steps(const struct encoder *e, struct ls_path *path) {
  for (int i = 0; i < e->depth; i++) {
    bool of_key = i + 1 < e->depth ? e->frames[i + 1].is_key : e->refused_key;
    if (of_key)
      ls_path_add_key_itself(path, e->L, e->frames[i].table + 1);
    else
      ls_path_add_key(path, e->L, e->frames[i].table + 1);
  }
}

/* The sentence on what was refused takes the place of the message. */
static int explain(struct encoder *e) {
  struct ls_path path;
  ls_path_init(&path, e->name, e->depth + 1);
  ls_path_add_index(&path, e->number);
  add_steps(e, &path);
  ls_buf_clear(e->out);
  if (ls_buf_append(e->out, "cannot copy ", 12) != 0 || ls_buf_append(e->out, e->refused, strlen(e->refused)) != 0 ||
      ls_buf_append(e->out, " at ", 4) != 0 || ls_buf_append(e->out, path.text, path.len) != 0)
    return -ENOMEM;
  return -EINVAL;
}

static int put_message(struct encoder *e, int index, int count) {
  unsigned char *p = reserve(e, ITEM_MAX);
  if (p == NULL || !lua_checkstack(e->L, LEVEL_SLOTS))
    return -ENOMEM;
  commit(e, write_varint(p, (uint64_t)count));
  int status = 0;
  for (int i = 0; i < count && status == 0; i++) {
    e->number = i + 1;
    lua_pushvalue(e->L, index + i);
    status = put_value(e);
    while (e->depth > 0 && status == 0)
      status = step(e);
  }
  return status;
}

int ls_clone_encode(lua_State *L, int index, int count, const char *name, struct ls_buf *out) {
  struct encoder e;
  int top = lua_gettop(L);
  memset(&e, 0, offsetof(struct encoder, first_frames));
  memset(e.first_seen, 0, sizeof e.first_seen);
  e.L = L;
  e.out = out;
  e.name = name;
  e.frames = e.first_frames;
  e.frames_cap = FRAMES;
  e.seen = e.first_seen;
  e.seen_cap = SEEN;
  int status = put_message(&e, lua_absindex(L, index), count);
  if (status == -EINVAL)
    status = explain(&e);
  lua_settop(L, top);
  if (e.frames != e.first_frames)
    free(e.frames);
  if (e.seen != e.first_seen)
    free(e.seen);
  return status;
}
