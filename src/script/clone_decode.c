/* SPDX-License-Identifier: MIT */
/* clone_decode: a message to values, with a stack of frames instead of C recursion. It trusts no length and no offset, so
 * that a damaged message is an error and nothing worse.
 *
 * On the Lua stack, from base on: the tables that are referred to, by their offset (nil until there is one); the memory of
 * frames (nil while the first ones do); the values. A table that is being filled has its pending key above it. */
#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "script/clone.h"
#include "script/clone_format.h"
#include "script/marks.h"

enum {
  FRAMES = 16,
  LEVEL_SLOTS = 6,
  PREALLOCATE_MAX = 1 << 26, /* entries of one table; it grows from there by itself */
};

/* What the next value is for. */
enum place { PLACE_ROOT, PLACE_ARRAY, PLACE_KEY, PLACE_VALUE };

struct frame {
  int table; /* stack index */
  enum place place;
  lua_Integer next; /* index in the array */
};

struct decoder {
  lua_State *L;
  const unsigned char *bytes, *p, *end;
  int base;
  int depth; /* of the innermost frame; 0 is the root's */
  int frames_cap;
  struct frame *frames;
  struct frame first_frames[FRAMES];
};

static size_t left(const struct decoder *d) {
  return (size_t)(d->end - d->p);
}

static bool read_varint(struct decoder *d, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && d->p < d->end; shift += 7) {
    unsigned char byte = *d->p++;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

/* ---- scalars ---- */

static bool push_string(struct decoder *d, uint64_t len) {
  if (len > left(d))
    return false;
  lua_pushlstring(d->L, (const char *)d->p, (size_t)len);
  d->p += len;
  return true;
}

static bool push_long_string(struct decoder *d) {
  uint64_t len;
  return read_varint(d, &len) && push_string(d, len);
}

static bool read_fixed(struct decoder *d, void *value, size_t size) {
  if (left(d) < size)
    return false;
  memcpy(value, d->p, size);
  d->p += size;
  return true;
}

static bool push_integer(struct decoder *d, enum ls_clone_tag tag) {
  int8_t i8;
  int16_t i16;
  int32_t i32;
  int64_t i64;
  switch (tag) {
  case LS_CLONE_INT8:
    if (!read_fixed(d, &i8, sizeof i8))
      return false;
    i64 = i8;
    break;
  case LS_CLONE_INT16:
    if (!read_fixed(d, &i16, sizeof i16))
      return false;
    i64 = i16;
    break;
  case LS_CLONE_INT32:
    if (!read_fixed(d, &i32, sizeof i32))
      return false;
    i64 = i32;
    break;
  default:
    if (!read_fixed(d, &i64, sizeof i64))
      return false;
  }
  lua_pushinteger(d->L, i64);
  return true;
}

static bool push_float(struct decoder *d) {
  double value;
  if (!read_fixed(d, &value, sizeof value))
    return false;
  lua_pushnumber(d->L, value);
  return true;
}

static bool push_ref(struct decoder *d) {
  uint64_t offset;
  if (!read_varint(d, &offset) || offset > INT64_MAX || !lua_istable(d->L, d->base))
    return false;
  return lua_rawgeti(d->L, d->base, (lua_Integer)offset) == LUA_TTABLE;
}

/* ---- frames ---- */

static void grow_frames(struct decoder *d) {
  int cap = d->frames_cap * 2;
  struct frame *frames = lua_newuserdatauv(d->L, (size_t)cap * sizeof *frames, 0);
  memcpy(frames, d->frames, (size_t)d->frames_cap * sizeof *frames);
  lua_replace(d->L, d->base + 1);
  d->frames = frames;
  d->frames_cap = cap;
}

static void push_frame(struct decoder *d) {
  if (d->depth + 1 == d->frames_cap)
    grow_frames(d);
  d->frames[++d->depth] = (struct frame){lua_gettop(d->L), PLACE_ARRAY, 1};
}

/* ---- tables ---- */

/* Each entry takes at least one byte for each of its values, so a damaged count cannot ask for more than is there. */
static int bound(uint64_t count, size_t possible) {
  uint64_t max = possible < PREALLOCATE_MAX ? possible : PREALLOCATE_MAX;
  return (int)(count < max ? count : max);
}

static void keep_shared(struct decoder *d, size_t at) {
  lua_State *L = d->L;
  if (lua_isnil(L, d->base)) {
    lua_newtable(L);
    lua_replace(L, d->base);
  }
  lua_pushvalue(L, -1);
  lua_rawseti(L, d->base, (lua_Integer)at);
}

/* The tag has been read. */
static bool open_table(struct decoder *d, bool shared) {
  lua_State *L = d->L;
  size_t at = (size_t)(d->p - 1 - d->bytes);
  uint64_t array;
  if (d->p == d->end)
    return false;
  unsigned shape = *d->p++, slots = shape & LS_CLONE_SLOTS_MASK, mark = shape >> LS_CLONE_MARK_SHIFT;
  if (!read_varint(d, &array) || mark > LS_MARK_OBJECT || d->depth == LS_CLONE_DEPTH)
    return false;
  luaL_checkstack(L, LEVEL_SLOTS, "too many nested tables");
  lua_createtable(L, bound(array, left(d)), slots == 0 ? 0 : bound(UINT64_C(1) << (slots - 1), left(d) / 2));
  if (mark != LS_MARK_NONE) {
    ls_marks_push_metatable(L, (enum ls_mark)mark);
    lua_setmetatable(L, -2);
  }
  if (shared)
    keep_shared(d, at);
  push_frame(d);
  return true;
}

/* Puts the complete value on top of the stack where it belongs. */
static bool place_value(struct decoder *d) {
  lua_State *L = d->L;
  struct frame *frame = &d->frames[d->depth];
  switch (frame->place) {
  case PLACE_ROOT:
    return true;
  case PLACE_ARRAY:
    lua_rawseti(L, frame->table, frame->next++);
    return true;
  case PLACE_KEY:
    frame->place = PLACE_VALUE;
    return !lua_isnil(L, -1) && !(lua_type(L, -1) == LUA_TNUMBER && isnan(lua_tonumber(L, -1)));
  default:
    lua_rawset(L, frame->table);
    frame->place = PLACE_KEY;
    return true;
  }
}

static bool close_table(struct decoder *d) {
  enum place place = d->frames[d->depth].place;
  if (place != PLACE_ARRAY && place != PLACE_KEY)
    return false;
  d->depth--;
  return place_value(d);
}

static bool begin_pairs(struct decoder *d) {
  struct frame *frame = &d->frames[d->depth];
  if (frame->place != PLACE_ARRAY)
    return false;
  frame->place = PLACE_KEY;
  return true;
}

/* ---- messages ---- */

/* Pushes the scalar that begins with tag. */
static bool push_scalar(struct decoder *d, enum ls_clone_tag tag) {
  lua_State *L = d->L;
  switch (tag) {
  case LS_CLONE_NIL:
    lua_pushnil(L);
    return true;
  case LS_CLONE_FALSE:
  case LS_CLONE_TRUE:
    lua_pushboolean(L, tag == LS_CLONE_TRUE);
    return true;
  case LS_CLONE_INT8:
  case LS_CLONE_INT16:
  case LS_CLONE_INT32:
  case LS_CLONE_INT64:
    return push_integer(d, tag);
  case LS_CLONE_FLOAT:
    return push_float(d);
  case LS_CLONE_STRING:
    return push_long_string(d);
  case LS_CLONE_NULL:
    ls_marks_push_null(L);
    return true;
  case LS_CLONE_LIGHT:
    lua_pushlightuserdata(L, NULL);
    return true;
  case LS_CLONE_REF:
    return push_ref(d);
  default:
    return false;
  }
}

/* Reads up to and with the next complete value, or begins or ends a table or its pairs. */
static bool step(struct decoder *d) {
  if (d->p == d->end)
    return false;
  unsigned tag = *d->p++;
  if (tag < LS_CLONE_SHORT) {
    lua_pushinteger(d->L, (lua_Integer)tag);
    return place_value(d);
  }
  if (tag < LS_CLONE_NIL)
    return push_string(d, tag - LS_CLONE_SHORT) && place_value(d);
  switch (tag) {
  case LS_CLONE_TABLE:
  case LS_CLONE_SHARED:
    return open_table(d, tag == LS_CLONE_SHARED);
  case LS_CLONE_PAIRS:
    return begin_pairs(d);
  case LS_CLONE_END:
    return close_table(d);
  default:
    return push_scalar(d, (enum ls_clone_tag)tag) && place_value(d);
  }
}

/* A root value and all that is in it. */
static bool decode_value(struct decoder *d) {
  do {
    if (!step(d))
      return false;
  } while (d->depth > 0);
  return true;
}

static bool decode_values(struct decoder *d, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    if (!decode_value(d))
      return false;
  }
  return d->p == d->end;
}

int ls_clone_decode(lua_State *L, const char *bytes, size_t size) {
  struct decoder d;
  uint64_t count;
  d.L = L;
  d.bytes = d.p = (const unsigned char *)bytes;
  d.end = d.p + size;
  d.base = lua_gettop(L) + 1;
  d.depth = 0;
  d.frames = d.first_frames;
  d.frames_cap = FRAMES;
  d.frames[0] = (struct frame){0, PLACE_ROOT, 0};
  if (!read_varint(&d, &count) || count > left(&d))
    return -EBADMSG;
  luaL_checkstack(L, count < INT32_MAX - LEVEL_SLOTS ? (int)count + LEVEL_SLOTS : INT32_MAX, "too many values");
  lua_pushnil(L);
  lua_pushnil(L);
  if (!decode_values(&d, count)) {
    lua_settop(L, d.base - 1);
    return -EBADMSG;
  }
  lua_rotate(L, d.base, (int)count);
  lua_pop(L, 2);
  return (int)count;
}
