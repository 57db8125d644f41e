/* SPDX-License-Identifier: MIT */
/* encode: a Lua value to JSON text, in one pass over each table: what the first key is tells an array from an
 * object, and a key that does not fit stops the encoding with the path to the table. Reads tables raw and runs no Lua
 * code; only sort_keys allocates Lua memory on the way (where a finalizer may encode something else: ls_json_box_claim).
 */
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#include "bind/json/impl.h"
#include "script/path.h"

enum {
  CHUNK = 512,     /* bytes of a string between two checks of the buffer's room */
  STACK_NEED = 20, /* Lua stack slots that one level uses */
};

enum mark { MARK_NONE, MARK_ARRAY, MARK_OBJECT };

/* One table that is being written; the chain of them is the path to the current value. */
struct frame {
  const struct frame *up; /* the table around this one, NULL at the root */
  int table;              /* stack index of the table */
  int key;                /* stack index of the current key, 0 in an array */
  lua_Integer index;      /* the current index in an array */
};

struct encoder {
  lua_State *L;
  struct ls_json_box *out;
  const struct ls_json_options *options;
  const struct frame *frame; /* the innermost table */
  int depth;
};

/* A key of a sorted table. */
struct item {
  const char *text;
  size_t len;
  lua_Integer at; /* its place in the Lua table that keeps it alive */
};

static void encode_value(struct encoder *e);

static _Noreturn __attribute__((noinline)) void fail_memory(struct encoder *e) {
  e->out->busy = false;
  luaL_error(e->L, "json.encode: not enough memory");
  abort(); /* luaL_error does not return, which its prototype does not say */
}

static inline char *reserve(struct encoder *e, size_t extra) {
  if (!ls_json_box_reserve(e->out, extra))
    fail_memory(e);
  return e->out->data + e->out->len;
}

static void put(struct encoder *e, const char *bytes, size_t n) {
  memcpy(reserve(e, n), bytes, n);
  e->out->len += n;
}

static void put_char(struct encoder *e, char c) {
  *reserve(e, 1) = c;
  e->out->len++;
}

/* Fills frames from the root on; returns how many there are. */
static int list_frames(const struct encoder *e, const struct frame **frames) {
  int n = 0, i = 0;
  for (const struct frame *f = e->frame; f != NULL; f = f->up)
    n++;
  for (const struct frame *f = e->frame; f != NULL; f = f->up)
    frames[n - ++i] = f;
  return n;
}

/* Raises "<what> at <path><hint>". */
static _Noreturn void fail(struct encoder *e, const char *what, const char *hint) {
  const struct frame *frames[LS_JSON_MAX_DEPTH + 1];
  struct ls_path path;
  int n = list_frames(e, frames);
  ls_path_init(&path, "$", n);
  for (int i = 0; i < n; i++) {
    if (frames[i]->key == 0)
      ls_path_add_index(&path, frames[i]->index);
    else
      ls_path_add_key(&path, e->L, frames[i]->key);
  }
  ls_json_box_release(e->out);
  luaL_where(e->L, 1);
  lua_pushfstring(e->L, "%s at ", what);
  lua_pushlstring(e->L, path.text, path.len);
  lua_pushstring(e->L, hint);
  lua_concat(e->L, 4);
  lua_error(e->L);
  abort(); /* lua_error does not return, which its prototype does not say */
}

/* Too deep, most often because a table contains itself: then the path ends at the first repetition. */
static void fail_deep(struct encoder *e) {
  const struct frame *frames[LS_JSON_MAX_DEPTH + 1];
  int n = list_frames(e, frames);
  const void *innermost = lua_topointer(e->L, -1);
  for (int i = 1; i <= n; i++) {
    const void *table = i < n ? lua_topointer(e->L, frames[i]->table) : innermost;
    for (int j = 0; j < i; j++) {
      if (lua_topointer(e->L, frames[j]->table) == table) {
        e->frame = frames[i - 1];
        fail(e, "cannot encode a table that contains itself", "");
      }
    }
  }
  fail(e, lua_pushfstring(e->L, "cannot encode tables nested deeper than %d", e->options->max_depth),
       " (option max_depth)");
}

/* Writes the byte c, which may not stand in a string as it is. Returns the place behind it, at most 6 bytes on. */
static char *write_escape(char *out, unsigned char c) {
  static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
  const char *found = memchr(plain, c, sizeof plain - 1);
  *out++ = '\\';
  if (found != NULL) {
    *out++ = letters[found - plain];
    return out;
  }
  memcpy(out, "u00", 3);
  out[3] = hex[c >> 4];
  out[4] = hex[c & 15];
  return out + 5;
}

/* Writes the character at *s that is not plain. NULL when it is not valid UTF-8, and replace does not say what to do then. */
static char *write_special(char *out, const char **s, const char *end, bool replace) {
  static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
  unsigned char c = (unsigned char)**s;
  size_t n;
  if (c < 0x80) {
    (*s)++;
    return write_escape(out, c);
  }
  n = ls_json_utf8_length((const unsigned char *)*s, (const unsigned char *)end);
  if (n == 0 && !replace)
    return NULL;
  if (n == 0) {
    (*s)++;
    memcpy(out, replacement, 3);
    return out + 3;
  }
  memcpy(out, *s, n);
  *s += n;
  return out + n;
}

/* Writes the characters that start before stop; out has room for 6 bytes for each and 16 more. */
static char *write_run(char *out, const char **from, const char *stop, const char *end, bool replace) {
  const char *s = *from;
  while (out != NULL && s < stop) {
    if (stop - s >= 8) {
      size_t n = ls_json_plain_run(s);
      memcpy(out, s, 8); /* all 8, plain or not: a fixed size is cheaper, and the rest is written over */
      s += n;
      out += n;
      if (n == 8) {
        continue;
      }
    }
    if (ls_json_is_plain((unsigned char)*s)) {
      *out++ = *s++;
    } else {
      out = write_special(out, &s, end, replace);
    }
  }
  *from = s;
  return out;
}

/* 1 to 7 bytes in one word, some of them twice; what is left of it are spaces. */
static uint64_t load_few(const char *s, size_t len) {
  uint32_t first, last;
  if (len < 4)
    return (unsigned char)s[0] | (uint64_t)(unsigned char)s[len / 2] << 8 | (uint64_t)(unsigned char)s[len - 1] << 16 |
           UINT64_C(0x2020202020000000);
  memcpy(&first, s, 4);
  memcpy(&last, s + len - 4, 4);
  return first | (uint64_t)last << 32;
}

/* Whether all bytes can stand in a string as they are. */
static inline bool is_plain(const char *s, size_t len) {
  uint64_t word;
  if (len < 8)
    return len == 0 || ls_json_special(load_few(s, len)) == 0;
  for (size_t i = 0; i + 8 < len; i += 8) {
    memcpy(&word, s + i, 8);
    if (ls_json_special(word) != 0)
      return false;
  }
  memcpy(&word, s + len - 8, 8);
  return ls_json_special(word) == 0;
}

/* Most are of 4 to 16 bytes: two copies of a fixed size, which overlap, are cheaper than a call. */
static inline void copy(char *out, const char *s, size_t len) {
  if (len >= 8 && len <= 16) {
    memcpy(out, s, 8);
    memcpy(out + len - 8, s + len - 8, 8);
  } else if (len >= 4 && len < 8) {
    memcpy(out, s, 4);
    memcpy(out + len - 4, s + len - 4, 4);
  } else {
    memcpy(out, s, len);
  }
}

static inline char *write_quoted(char *out, const char *s, size_t len) {
  *out = '"';
  copy(out + 1, s, len);
  out[len + 1] = '"';
  return out + len + 2;
}

static void put_string(struct encoder *e, const char *s, size_t len, const char *what) {
  const char *end = s + len;
  if (is_plain(s, len)) {
    write_quoted(reserve(e, len + 2), s, len);
    e->out->len += len + 2;
    return;
  }
  put_char(e, '"');
  while (s < end) {
    const char *stop = end - s > CHUNK ? s + CHUNK : end;
    char *out = write_run(reserve(e, 6 * (size_t)(stop - s) + 16), &s, stop, end, e->options->replace_invalid);
    if (out == NULL) {
      fail(e, lua_pushfstring(e->L, "cannot encode a %s that is not valid UTF-8", what), "");
    }
    e->out->len = (size_t)(out - e->out->data);
  }
  put_char(e, '"');
}

/* The line break before an item or a closing bracket, when indenting. */
static inline void put_break(struct encoder *e, int depth) {
  if (e->options->indent == 0)
    return;
  size_t spaces = (size_t)e->options->indent * (size_t)depth;
  char *out = reserve(e, spaces + 1);
  *out = '\n';
  memset(out + 1, ' ', spaces);
  e->out->len += spaces + 1;
}

static void put_number(struct encoder *e) {
  char *out = reserve(e, LS_JSON_NUMBER_SIZE);
  if (lua_isinteger(e->L, -1)) {
    e->out->len += ls_json_write_integer(out, lua_tointeger(e->L, -1));
    return;
  }
  lua_Number value = lua_tonumber(e->L, -1);
  if (!isfinite(value)) {
    fail(e, isnan(value) ? "cannot encode nan" : "cannot encode inf", ": JSON has no such number");
  }
  e->out->len += ls_json_write_double(out, value);
}

/* The key below the top of the stack is no string and no index. */
static void refuse_key(struct encoder *e) {
  const char *type = luaL_typename(e->L, -2);
  lua_pushvalue(e->L, -2);
  if (lua_type(e->L, -1) == LUA_TNUMBER) {
    type = lua_pushfstring(e->L, "key %s", lua_tostring(e->L, -1));
  } else {
    type = lua_pushfstring(e->L, "%s as a key", type);
  }
  fail(e, lua_pushfstring(e->L, "cannot encode a table with a %s", type), ": keys are strings, or 1 to n");
}

/* Names the first key of the table at index that keeps it from being what mark or its other keys say. */
static _Noreturn void refuse_table(struct encoder *e, int table, enum mark mark) {
  lua_State *L = e->L;
  lua_Integer count = 0, largest = 0;
  const char *name = NULL;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1) {
      largest = lua_tointeger(L, -2) > largest ? lua_tointeger(L, -2) : largest;
      count++;
    } else if (lua_type(L, -2) == LUA_TSTRING) {
      name = lua_tostring(L, -2);
    } else {
      refuse_key(e);
    }
  }
  if (name != NULL && mark == MARK_ARRAY) {
    fail(e, lua_pushfstring(L, "cannot encode the key '%s' of a table marked as an array", name), "");
  }
  if (count > 0 && mark == MARK_OBJECT) {
    fail(e, lua_pushfstring(L, "cannot encode the key %I of a table marked as an object", (LUAI_UACINT)largest),
         ": make it a string with tostring");
  }
  if (name != NULL) {
    fail(
        e,
        lua_pushfstring(L, "cannot encode a table with both the key '%s' and the index %I", name, (LUAI_UACINT)largest),
        ": use string keys only, or 1 to n only");
  }
  for (count = 1; lua_rawgeti(L, table, count) != LUA_TNIL; count++)
    lua_pop(L, 1);
  fail(e,
       lua_pushfstring(L, "cannot encode an array with a hole: index %I is set and %I is not", (LUAI_UACINT)largest,
                       (LUAI_UACINT)count),
       ": fill holes with json.null, or make the keys strings");
}

static void put_item_start(struct encoder *e, bool first) {
  if (!first) {
    put_char(e, ',');
  }
  put_break(e, e->depth);
}

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
static void encode_scattered(struct encoder *e, struct frame *frame, enum mark mark) {
  lua_State *L = e->L;
  for (; lua_rawgeti(L, frame->table, frame->index) != LUA_TNIL; frame->index++) {
    put_item_start(e, frame->index == 1);
    encode_value(e);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (has_more_keys(L, frame->table, frame->index - 1)) {
    e->frame = frame->up;
    refuse_table(e, frame->table, mark);
  }
}

/* The first key and value are on the stack. Most arrays come in order, and then they have nothing but their items. Where
 * keys are sorted, finalizers run. */
static void encode_array(struct encoder *e, struct frame *frame, enum mark mark) {
  lua_State *L = e->L;
  put_char(e, '[');
  frame->key = 0;
  frame->index = 1;
  do {
    if (e->options->sort_keys || !lua_isinteger(L, -2) || lua_tointeger(L, -2) != frame->index) {
      lua_pop(L, 2);
      encode_scattered(e, frame, mark);
      break;
    }
    put_item_start(e, frame->index == 1);
    encode_value(e);
    lua_pop(L, 1);
    frame->index++;
  } while (lua_next(L, frame->table));
  put_break(e, e->depth - 1);
  put_char(e, ']');
}

/* As most keys are, with all that stands around it. */
static void put_plain_key(struct encoder *e, const char *key, size_t len, bool first) {
  char *out = reserve(e, len + 4), *start = out;
  *out = ',';
  out = write_quoted(first ? out : out + 1, key, len);
  *out++ = ':';
  e->out->len += (size_t)(out - start);
}

/* One member: its key is at frame->key, its value on top. */
static void encode_member(struct encoder *e, const struct frame *frame, bool first) {
  size_t len;
  const char *key = lua_tolstring(e->L, frame->key, &len);
  if (e->options->indent == 0 && is_plain(key, len)) {
    put_plain_key(e, key, len, first);
  } else {
    put_item_start(e, first);
    e->frame = frame->up; /* a key that is not UTF-8 is no step of the path */
    put_string(e, key, len, "key");
    put(e, ": ", e->options->indent > 0 ? 2 : 1);
  }
  e->frame = frame;
  encode_value(e);
}

/* The first key and value are on the stack. */
static void encode_object(struct encoder *e, struct frame *frame) {
  lua_State *L = e->L;
  bool first = true;
  put_char(e, '{');
  frame->key = frame->table + 1;
  do {
    if (lua_type(L, -2) != LUA_TSTRING) {
      e->frame = frame->up;
      refuse_table(e, frame->table, MARK_NONE);
    }
    encode_member(e, frame, first);
    first = false;
    lua_pop(L, 1);
  } while (lua_next(L, frame->table));
  put_break(e, e->depth - 1);
  put_char(e, '}');
}

static int compare_items(const void *left, const void *right) {
  const struct item *a = left, *b = right;
  int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
  return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* Pushes a table of the keys and a userdata with their sorted items; returns how many there are. */
static size_t sort_keys(struct encoder *e, int table, struct item **items) {
  lua_State *L = e->L;
  size_t n = 0, room = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
    room++;
  lua_createtable(L, room < INT32_MAX ? (int)room : INT32_MAX, 0);
  *items = lua_newuserdatauv(L, (room + 1) * sizeof **items, 0);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
      refuse_table(e, table, MARK_NONE);
    }
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

static void encode_sorted(struct encoder *e, struct frame *frame) {
  lua_State *L = e->L;
  struct item *items;
  size_t n;
  e->frame = frame->up;
  n = sort_keys(e, frame->table, &items);
  put_char(e, '{');
  frame->key = frame->table + 3;
  for (size_t i = 0; i < n; i++) {
    lua_rawgeti(L, frame->table + 1, items[i].at);
    lua_pushvalue(L, -1);
    lua_rawget(L, frame->table);
    encode_member(e, frame, i == 0);
    lua_pop(L, 2);
  }
  lua_pop(L, 2);
  put_break(e, e->depth - 1);
  put_char(e, '}');
}

static enum mark table_mark(struct encoder *e) {
  const void *metatable;
  if (!lua_getmetatable(e->L, -1)) {
    return MARK_NONE;
  }
  metatable = lua_topointer(e->L, -1);
  lua_pop(e->L, 1);
  return metatable == e->out->array_mt ? MARK_ARRAY : metatable == e->out->object_mt ? MARK_OBJECT : MARK_NONE;
}

/* Apart, so that a plain value does not pay for this one's frame. */
static __attribute__((noinline)) void encode_table(struct encoder *e) {
  lua_State *L = e->L;
  struct frame frame = {.up = e->frame, .table = lua_gettop(L)};
  enum mark mark = table_mark(e);
  luaL_checkstack(L, STACK_NEED, "json.encode");
  if (++e->depth > e->options->max_depth) {
    fail_deep(e);
  }
  lua_pushnil(L);
  if (!lua_next(L, frame.table)) {
    put(e, mark == MARK_ARRAY ? "[]" : "{}", 2);
    e->depth--;
    return;
  }
  if (mark == MARK_OBJECT && lua_type(L, -2) != LUA_TSTRING) {
    refuse_table(e, frame.table, mark);
  }
  e->frame = &frame;
  if (lua_type(L, -2) != LUA_TSTRING || mark == MARK_ARRAY) {
    encode_array(e, &frame, mark);
  } else if (e->options->sort_keys) {
    lua_pop(L, 2);
    encode_sorted(e, &frame);
  } else {
    encode_object(e, &frame);
  }
  e->frame = frame.up;
  e->depth--;
}

static void encode_userdata(struct encoder *e) {
  const void *block = lua_touserdata(e->L, -1);
  if (block != e->out->null && block != NULL) {
    fail(e, "cannot encode a userdata", "");
  }
  put(e, "null", 4);
}

/* Writes the value on top of the stack, which stays there. */
static void encode_value(struct encoder *e) {
  lua_State *L = e->L;
  const char *s;
  size_t len;
  switch (lua_type(L, -1)) {
  case LUA_TSTRING:
    s = lua_tolstring(L, -1, &len);
    put_string(e, s, len, "string");
    break;
  case LUA_TNUMBER:
    put_number(e);
    break;
  case LUA_TTABLE:
    encode_table(e);
    break;
  case LUA_TBOOLEAN:
    lua_toboolean(L, -1) ? put(e, "true", 4) : put(e, "false", 5);
    break;
  case LUA_TUSERDATA:
  case LUA_TLIGHTUSERDATA:
    encode_userdata(e);
    break;
  case LUA_TNIL:
    fail(e, "cannot encode nil", ": use json.null");
    break;
  default:
    fail(e, lua_pushfstring(L, "cannot encode a %s", luaL_typename(L, -1)), "");
    break;
  }
}

int ls_json_encode(lua_State *L, const struct ls_json_options *options) {
  struct encoder e = {.L = L, .options = options};
  e.out = ls_json_box_claim(L);
  lua_pushvalue(L, 1);
  encode_value(&e);
  lua_pushlstring(L, e.out->data, e.out->len);
  ls_json_box_release(e.out);
  return 1;
}
