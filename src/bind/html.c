/* SPDX-License-Identifier: MIT */
/* html: require "luaserve.core.html": what luaserve.template is made of where it has to be fast: a buffer, and functions
 * that write to it. What a template prints goes there at once, escaped on the way, and becomes one string in the end. */
#include "http/html.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/digits.h"
#include "bind/modules.h"

enum {
  BUFFER_MIN = 1024,
  BUFFER_KEPT = 256 * 1024,
  SPARE = 16, /* literals are copied that many bytes at a time */
};

/* A text that is HTML already: a table with this metatable and the text at 1. */
static const char raw_type[] = "luaserve.template.raw";

static const char plan_type[] = "luaserve.template.plan";

/* Its address marks buffers. */
static const char buffer_mark = 'b';

/* What one call of a writer appends: a literal before each of its values and one behind them. */
struct call {
  int number; /* of its first value, among the template's expressions */
  int values;
  size_t literal; /* its first one */
};

struct literal {
  size_t at, len;
};

/* Of one template, in one piece of memory. */
struct plan {
  const struct call *calls;
  const struct literal *literals;
  const char *bytes; /* SPARE more than there are literals */
  size_t count;      /* of calls */
};

/* Memory of Lua's allocator, so that it counts. */
struct buffer {
  const char *mark;
  char *bytes;
  size_t len, cap;
};

static struct buffer *check_buffer(lua_State *L, int index) {
  struct buffer *buffer = lua_touserdata(L, index); /* a light one has no length */
  if (buffer == NULL || lua_rawlen(L, index) != sizeof *buffer || buffer->mark != &buffer_mark)
    luaL_typeerror(L, index, "buffer");
  return buffer;
}

static void resize(lua_State *L, struct buffer *buffer, size_t cap) {
  void *ud;
  lua_Alloc allocate = lua_getallocf(L, &ud);
  char *bytes = allocate(ud, buffer->bytes, buffer->cap, cap);
  if (bytes == NULL && cap != 0)
    luaL_error(L, "not enough memory");
  buffer->bytes = bytes;
  buffer->cap = cap;
}

static void make_room(lua_State *L, struct buffer *buffer, size_t more) {
  if (more > SIZE_MAX / 2 - buffer->len)
    luaL_error(L, "not enough memory");
  size_t cap = buffer->cap < BUFFER_MIN ? BUFFER_MIN : buffer->cap;
  while (cap - buffer->len < more)
    cap *= 2;
  resize(L, buffer, cap);
}

/* The place behind what is there, with room for so many bytes. */
static inline char *reserve(lua_State *L, struct buffer *buffer, size_t more) {
  if (buffer->cap - buffer->len < more)
    make_room(L, buffer, more);
  return buffer->bytes + buffer->len;
}

static void append(lua_State *L, struct buffer *buffer, struct ls_slice bytes) {
  if (bytes.len == 0)
    return;
  memcpy(reserve(L, buffer, bytes.len), bytes.ptr, bytes.len);
  buffer->len += bytes.len;
}

/* Of a text that has something to escape, soon. */
static __attribute__((noinline)) void append_special(lua_State *L, struct buffer *buffer, struct ls_slice text) {
  while (text.len != 0) {
    size_t plain = ls_html_plain_length(text);
    append(L, buffer, ls_slice(text.ptr, plain));
    if (plain == text.len)
      return;
    append(L, buffer, ls_html_entity(text.ptr[plain]));
    text = ls_slice(text.ptr + plain + 1, text.len - plain - 1);
    plain = ls_html_copy_plain(text, reserve(L, buffer, text.len));
    buffer->len += plain;
    text = ls_slice(text.ptr + plain, text.len - plain);
  }
}

static inline void append_escaped(lua_State *L, struct buffer *buffer, struct ls_slice text) {
  if (text.len == 0)
    return;
  size_t plain = ls_html_copy_plain(text, reserve(L, buffer, text.len));
  buffer->len += plain;
  if (plain < text.len)
    append_special(L, buffer, ls_slice(text.ptr + plain, text.len - plain));
}

/* ---- values ---- */

static void append_integer(lua_State *L, struct buffer *buffer, lua_Integer value) {
  char *out = reserve(L, buffer, LS_DIGITS_MAX);
  buffer->len += (size_t)(ls_digits_write_signed(out, value) - out);
}

/* A text that is HTML already is at the top then, else the stack is as before. */
static bool push_raw(lua_State *L, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index))
    return false;
  luaL_getmetatable(L, raw_type);
  bool is_raw = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  if (is_raw)
    lua_rawgeti(L, index, 1);
  return is_raw;
}

/* Whether the value at index can be printed. */
static bool append_object(lua_State *L, struct buffer *buffer, int index, bool escape) {
  size_t len;
  bool is_raw = push_raw(L, index);
  if (!is_raw) {
    if (luaL_getmetafield(L, index, "__tostring") == LUA_TNIL)
      return false;
    lua_pop(L, 1);
    luaL_tolstring(L, index, NULL);
  }
  const char *text = lua_tolstring(L, -1, &len);
  if (text != NULL && escape && !is_raw)
    append_escaped(L, buffer, ls_slice(text, len));
  else if (text != NULL)
    append(L, buffer, ls_slice(text, len));
  lua_pop(L, 1);
  return true;
}

static bool append_value(lua_State *L, struct buffer *buffer, int index, bool escape) {
  size_t len;
  const char *text;
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    text = lua_tolstring(L, index, &len);
    if (escape)
      append_escaped(L, buffer, ls_slice(text, len));
    else
      append(L, buffer, ls_slice(text, len));
    return true;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      append_integer(L, buffer, lua_tointeger(L, index));
      return true;
    }
    text = lua_tolstring(L, index, &len);
    append(L, buffer, ls_slice(text, len));
    return true;
  case LUA_TBOOLEAN:
    append(L, buffer, ls_slice_of(lua_toboolean(L, index) ? "true" : "false"));
    return true;
  case LUA_TTABLE:
  case LUA_TUSERDATA:
    return append_object(L, buffer, index, escape);
  default:
    return false;
  }
}

/* Says which expression, and where it is in the template; these are in pairs in upvalue 1. */
static int raise_unprintable(lua_State *L, int index, lua_Integer number) {
  lua_Debug where;
  lua_rawgeti(L, lua_upvalueindex(1), 2 * number - 1);
  lua_rawgeti(L, lua_upvalueindex(1), 2 * number);
  if (!lua_getstack(L, 1, &where) || !lua_getinfo(L, "S", &where))
    return luaL_error(L, "%s cannot be printed", lua_tostring(L, -2));
  bool is_nil = lua_isnil(L, index);
  lua_pushfstring(L, "%s:%d: {{ %s }} is %s%s", where.short_src, (int)lua_tointeger(L, -1), lua_tostring(L, -2),
                  is_nil ? "" : "a ", luaL_typename(L, index));
  return lua_error(L);
}

/* Literals are short: some copies of a fixed size are cheaper than a call. */
static inline void append_literal(lua_State *L, struct buffer *buffer, const struct plan *plan, size_t index) {
  struct literal literal = plan->literals[index];
  char *out = reserve(L, buffer, literal.len + SPARE);
  for (size_t i = 0; i < literal.len; i += SPARE)
    memcpy(out + i, plan->bytes + literal.at + i, SPARE);
  buffer->len += literal.len;
}

static inline int write_call(lua_State *L, bool escape) {
  struct buffer *buffer = check_buffer(L, 1);
  const struct plan *plan = lua_touserdata(L, lua_upvalueindex(2));
  lua_Unsigned index = (lua_Unsigned)lua_tointeger(L, 2) - 1;
  luaL_argcheck(L, index < plan->count, 2, "no call of this template");
  const struct call *call = &plan->calls[index];
  for (int i = 0; i < call->values; i++) {
    append_literal(L, buffer, plan, call->literal + (size_t)i);
    if (!append_value(L, buffer, 3 + i, escape))
      return raise_unprintable(L, 3 + i, call->number + i);
  }
  append_literal(L, buffer, plan, call->literal + (size_t)call->values);
  return 0;
}

/* write(buffer, call, value, ...): appends what the plan has for this call, and the values escaped. Raises for a value that
 * is nil, or a table and so on that says nothing of how it looks as a string. */
static int l_write(lua_State *L) {
  return write_call(L, true);
}

/* As l_write, but not escaped. */
static int l_write_raw(lua_State *L) {
  return write_call(L, false);
}

/* html.writer(expressions, plan, escape) -> write: for one template. expressions: { text, line, text, line, ... } */
static int l_writer(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkudata(L, 2, plan_type);
  bool escape = lua_toboolean(L, 3);
  lua_settop(L, 2);
  lua_pushcclosure(L, escape ? l_write : l_write_raw, 2);
  return 1;
}

/* ---- plans ---- */

/* Of the calls at index 1: how many there are, their literals, and the bytes of these. */
struct size {
  size_t calls, literals, bytes;
};

static void measure_call(lua_State *L, struct size *size) {
  luaL_argcheck(L, lua_istable(L, -1) && lua_rawlen(L, -1) >= 2, 1, "a call is a number and literals");
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  for (lua_Integer i = 2; i <= n; i++) {
    luaL_argcheck(L, lua_rawgeti(L, -1, i) == LUA_TSTRING, 1, "literals are strings");
    size->bytes += lua_rawlen(L, -1);
    lua_pop(L, 1);
  }
  size->literals += (size_t)n - 1;
}

static struct size measure(lua_State *L) {
  struct size size = {.calls = lua_rawlen(L, 1)};
  for (size_t i = 1; i <= size.calls; i++) {
    lua_rawgeti(L, 1, (lua_Integer)i);
    measure_call(L, &size);
    lua_pop(L, 1);
  }
  return size;
}

/* Pushes a plan with room for all that and nothing in it, and its parts. */
static struct plan *new_plan(lua_State *L, struct size size, struct call **calls, struct literal **literals,
                             char **bytes) {
  size_t calls_size = size.calls * sizeof **calls, literals_size = size.literals * sizeof **literals;
  struct plan *plan = lua_newuserdatauv(L, sizeof *plan + calls_size + literals_size + size.bytes + SPARE, 0);
  *calls = (struct call *)(plan + 1);
  *literals = (struct literal *)(*calls + size.calls);
  *bytes = (char *)(*literals + size.literals);
  *plan = (struct plan){.calls = *calls, .literals = *literals, .bytes = *bytes, .count = size.calls};
  memset(*bytes, 0, size.bytes + SPARE);
  luaL_setmetatable(L, plan_type);
  return plan;
}

/* html.plan(calls) -> for writers. calls: { { number of the first value, literal, literal, ... }, ... } with one more literal
 * than there are values. */
static int l_plan(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  struct call *call;
  struct literal *literal;
  char *bytes;
  struct plan *plan = new_plan(L, measure(L), &call, &literal, &bytes);
  const struct literal *first = literal;
  size_t at = 0;
  for (size_t i = 1; i <= plan->count; i++, call++) {
    lua_rawgeti(L, 1, (lua_Integer)i);
    lua_rawgeti(L, -1, 1);
    *call = (struct call){.number = (int)lua_tointeger(L, -1),
                          .values = (int)lua_rawlen(L, -2) - 2,
                          .literal = (size_t)(literal - first)};
    for (int j = 0; j <= call->values; j++, literal++) {
      lua_rawgeti(L, -2, j + 2);
      *literal = (struct literal){.at = at};
      const char *text = lua_tolstring(L, -1, &literal->len);
      memcpy(bytes + at, text, literal->len);
      at += literal->len;
      lua_pop(L, 1);
    }
    lua_pop(L, 2);
  }
  return 1;
}

/* ---- buffers ---- */

static int l_gc(lua_State *L) {
  struct buffer *buffer = lua_touserdata(L, 1);
  buffer->len = 0;
  resize(L, buffer, 0);
  return 0;
}

/* html.buffer() -> buffer */
static int l_buffer(lua_State *L) {
  struct buffer *buffer = lua_newuserdatauv(L, sizeof *buffer, 0);
  *buffer = (struct buffer){.mark = &buffer_mark};
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, -2);
  return 1;
}

/* html.length(buffer) -> integer */
static int l_length(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_buffer(L, 1)->len);
  return 1;
}

/* html.append(buffer, text): as it is */
static int l_append(lua_State *L) {
  struct buffer *buffer = check_buffer(L, 1);
  size_t len;
  const char *text = luaL_checklstring(L, 2, &len);
  append(L, buffer, ls_slice(text, len));
  return 0;
}

/* html.take(buffer [, from]) -> string: what is in it, without the first from bytes; these stay */
static int l_take(lua_State *L) {
  struct buffer *buffer = check_buffer(L, 1);
  lua_Integer from = luaL_optinteger(L, 2, 0);
  luaL_argcheck(L, from >= 0 && (size_t)from <= buffer->len, 2, "the buffer has less");
  size_t rest = buffer->len - (size_t)from;
  lua_pushlstring(L, rest == 0 ? "" : buffer->bytes + from, rest);
  buffer->len = (size_t)from;
  if (from == 0 && buffer->cap > BUFFER_KEPT)
    resize(L, buffer, 0);
  return 1;
}

/* ---- single values ---- */

/* html.escape(text) -> string: with entities for & < > " and '; the same string where there is none of them */
static int l_escape(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  size_t plain = ls_html_plain_length(ls_slice(text, len));
  lua_settop(L, 1);
  if (plain == len)
    return 1;
  luaL_Buffer buffer;
  luaL_buffinitsize(L, &buffer, len + len / 8 + 16);
  for (struct ls_slice rest = ls_slice(text, len); rest.len != 0;) {
    plain = ls_html_plain_length(rest);
    luaL_addlstring(&buffer, rest.ptr, plain);
    rest = ls_slice(rest.ptr + plain, rest.len - plain);
    if (rest.len == 0)
      break;
    struct ls_slice entity = ls_html_entity(*rest.ptr);
    luaL_addlstring(&buffer, entity.ptr, entity.len);
    rest = ls_slice(rest.ptr + 1, rest.len - 1);
  }
  luaL_pushresult(&buffer);
  return 1;
}

/* html.raw(text) -> a value that templates print as it is */
static int l_raw(lua_State *L) {
  if (push_raw(L, 1)) {
    lua_settop(L, 1);
    return 1;
  }
  luaL_checkstring(L, 1);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  luaL_setmetatable(L, raw_type);
  return 1;
}

/* html.url(value) -> the value, of an object the string that it looks like; "about:invalid" for one that would run as a script
 * when it is followed. What is HTML already stays as it is. */
static int l_url(lua_State *L) {
  lua_settop(L, 1);
  if (push_raw(L, 1)) {
    lua_settop(L, 1);
    return 1;
  }
  if (!lua_isstring(L, 1) && luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL)
    luaL_tolstring(L, 1, NULL); /* once: another time it may be another */
  size_t len;
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
  if (text != NULL && !ls_html_url_is_safe(ls_slice(text, len)))
    lua_pushliteral(L, "about:invalid");
  return 1;
}

/* tostring(raw) -> its text */
static int l_raw_tostring(lua_State *L) {
  lua_rawgeti(L, 1, 1);
  return 1;
}

int luaopen_luaserve_core_html(lua_State *L) {
  static const luaL_Reg functions[] = {{"append", l_append}, {"escape", l_escape}, {"length", l_length},
                                       {"raw", l_raw},       {"plan", l_plan},     {"take", l_take},
                                       {"url", l_url},       {"writer", l_writer}, {NULL, NULL}};
  luaL_newmetatable(L, raw_type);
  lua_pushcfunction(L, l_raw_tostring);
  lua_setfield(L, -2, "__tostring");
  luaL_newmetatable(L, plan_type);
  luaL_newlib(L, functions);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcclosure(L, l_buffer, 1);
  lua_setfield(L, -2, "buffer");
  return 1;
}
