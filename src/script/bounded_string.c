/* SPDX-License-Identifier: MIT */
/* string.find, gmatch, gsub, match and rep of Lua 5.4 (manual, 6.4), on the matcher of pattern.c. */
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "script/bounded.h"
#include "script/interrupt.h"
#include "script/pattern.h"

enum {
  PIECE = 1 << 20,
  LONGEST = INT_MAX,
  FEW_BYTES = 1000, /* what is compared in vain before memmem, which has to prepare, is asked */
};

/* ---- arguments ---- */

static struct ls_slice check_slice(lua_State *L, int arg) {
  struct ls_slice slice;
  slice.ptr = luaL_checklstring(L, arg, &slice.len);
  return slice;
}

/* The offset at which a search begins, from a position that may count from the end. It may be behind the end. */
static size_t opt_offset(lua_State *L, int arg, size_t len) {
  lua_Integer position = luaL_optinteger(L, arg, 1);
  if (position > 0)
    return (size_t)position - 1;
  if (position == 0 || position < -(lua_Integer)len)
    return 0;
  return len + (size_t)position;
}

/* A ^ at the beginning of the pattern, which it takes away. */
static bool take_anchor(struct ls_slice *pattern) {
  if (pattern->len == 0 || *pattern->ptr != '^')
    return false;
  pattern->ptr++;
  pattern->len--;
  return true;
}

/* ---- matches ---- */

/* Whether there is one at from or later. Raises what is wrong with the pattern. */
static bool search(lua_State *L, struct ls_pattern *match, const char *from) {
  enum ls_pattern_result result = ls_pattern_search(match, from);
  while (result == LS_PATTERN_PAUSED) {
    ls_interrupt_poll(L);
    result = ls_pattern_resume(match);
  }
  if (result == LS_PATTERN_WRONG)
    return luaL_error(L, match->error, match->error_index);
  return result == LS_PATTERN_FOUND;
}

/* The same, for the next of several: one that ends where the last one did, at from, would be empty and is none. */
static bool search_next(lua_State *L, struct ls_pattern *match, const char *from, const char *last_stop) {
  while (search(L, match, from)) {
    if (match->stop != last_stop)
      return true;
    from = match->start + 1;
  }
  return false;
}

/* The capture as bytes; where it is a position, that is pushed, and it is false. Without captures the first one is all. */
static bool get_capture(lua_State *L, const struct ls_pattern *match, int i, struct ls_slice *bytes) {
  if (i >= match->level && i != 0)
    luaL_error(L, "invalid capture index %%%d", i + 1);
  if (i >= match->level) {
    *bytes = ls_slice(match->start, (size_t)(match->stop - match->start));
    return true;
  }
  const struct ls_capture *capture = &match->captures[i];
  if (capture->len == LS_CAPTURE_OPEN)
    luaL_error(L, "unfinished capture");
  if (capture->len == LS_CAPTURE_POSITION) {
    lua_pushinteger(L, capture->start - match->subject + 1);
    return false;
  }
  *bytes = ls_slice(capture->start, (size_t)capture->len);
  return true;
}

static void push_capture(lua_State *L, const struct ls_pattern *match, int i) {
  struct ls_slice bytes;
  if (get_capture(L, match, i, &bytes))
    lua_pushlstring(L, bytes.ptr, bytes.len);
}

static int push_captures(lua_State *L, const struct ls_pattern *match, int count) {
  luaL_checkstack(L, count, "too many captures");
  for (int i = 0; i < count; i++)
    push_capture(L, match, i);
  return count;
}

static int push_captures_or_all(lua_State *L, const struct ls_pattern *match) {
  return push_captures(L, match, match->level == 0 ? 1 : match->level);
}

/* ---- find, match ---- */

static int push_found(lua_State *L, size_t offset, size_t len) {
  lua_pushinteger(L, (lua_Integer)offset + 1);
  lua_pushinteger(L, (lua_Integer)(offset + len));
  return 2;
}

static bool is_plain(struct ls_slice pattern) {
  for (size_t i = 0; i < pattern.len; i++)
    switch (pattern.ptr[i]) {
    case '^':
    case '$':
    case '*':
    case '+':
    case '?':
    case '.':
    case '(':
    case '[':
    case '%':
    case '-':
      return false;
    }
  return true;
}

/* Where the bytes of part are first, NULL: nowhere. In linear time; memchr for its first byte is fastest for as long as
 * that is rare. */
static const char *find_bytes(struct ls_slice subject, struct ls_slice part) {
  if (part.len == 0)
    return subject.ptr;
  const char *s = subject.ptr, *end = s + subject.len;
  size_t compared = 0;
  while ((size_t)(end - s) >= part.len) {
    s = memchr(s, *part.ptr, (size_t)(end - s) - part.len + 1);
    if (s == NULL || memcmp(s + 1, part.ptr + 1, part.len - 1) == 0)
      return s;
    s++;
    compared += part.len;
    if (compared > FEW_BYTES + (size_t)(s - subject.ptr))
      return memmem(s, (size_t)(end - s), part.ptr, part.len);
  }
  return NULL;
}

static int find_plain(lua_State *L, struct ls_slice subject, size_t offset, struct ls_slice part) {
  const char *found = find_bytes(ls_slice(subject.ptr + offset, subject.len - offset), part);
  if (found != NULL)
    return push_found(L, (size_t)(found - subject.ptr), part.len);
  luaL_pushfail(L);
  return 1;
}

static int find_or_match(lua_State *L, bool find) {
  struct ls_slice subject = check_slice(L, 1), pattern = check_slice(L, 2);
  size_t offset = opt_offset(L, 3, subject.len);
  if (offset > subject.len) {
    luaL_pushfail(L);
    return 1;
  }
  if (find && (lua_toboolean(L, 4) || is_plain(pattern)))
    return find_plain(L, subject, offset, pattern);
  struct ls_pattern match;
  bool anchored = take_anchor(&pattern);
  ls_pattern_init(&match, subject, pattern, anchored);
  if (!search(L, &match, subject.ptr + offset)) {
    luaL_pushfail(L);
    return 1;
  }
  if (!find)
    return push_captures_or_all(L, &match);
  push_found(L, (size_t)(match.start - subject.ptr), (size_t)(match.stop - match.start));
  return 2 + push_captures(L, &match, match.level);
}

static int l_find(lua_State *L) {
  return find_or_match(L, true);
}

static int l_match(lua_State *L) {
  return find_or_match(L, false);
}

/* ---- gmatch ---- */

/* Upvalue 3 of the iterator; the first two are the strings, which it keeps. */
struct iteration {
  struct ls_slice subject, pattern;
  const char *from;      /* where it goes on */
  const char *last_stop; /* of the last match; NULL: there was none */
};

static int l_next_match(lua_State *L) {
  struct iteration *gmatch = lua_touserdata(L, lua_upvalueindex(3));
  struct ls_pattern match;
  ls_pattern_init(&match, gmatch->subject, gmatch->pattern, false);
  if (!search_next(L, &match, gmatch->from, gmatch->last_stop))
    return 0;
  gmatch->from = gmatch->last_stop = match.stop;
  return push_captures_or_all(L, &match);
}

static int l_gmatch(lua_State *L) {
  struct ls_slice subject = check_slice(L, 1), pattern = check_slice(L, 2);
  size_t offset = opt_offset(L, 3, subject.len);
  lua_settop(L, 2);
  struct iteration *gmatch = lua_newuserdatauv(L, sizeof *gmatch, 0);
  const char *behind = subject.ptr + subject.len + 1;
  *gmatch = (struct iteration){subject, pattern, offset > subject.len ? behind : subject.ptr + offset, NULL};
  lua_pushcclosure(L, l_next_match, 3);
  return 1;
}

/* ---- gsub ---- */

/* The replacement is at index 3. */
struct substitution {
  struct ls_pattern match;
  luaL_Buffer out;
  struct ls_slice text; /* the replacement, if it is a string; else its ptr is NULL */
  bool is_plain;        /* there is no % in text */
  bool changed;
  const char *copied; /* up to where the subject has gone to out, or been replaced there */
};

static inline void add(struct substitution *gsub, const char *from, const char *to) {
  if (from < to)
    luaL_addlstring(&gsub->out, from, (size_t)(to - from));
}

/* %0 to %9 and %%, at escape. */
static void add_escaped(lua_State *L, struct substitution *gsub, const char *escape) {
  struct ls_slice bytes = ls_slice(gsub->match.start, (size_t)(gsub->match.stop - gsub->match.start));
  char c = escape[1];
  if (c == '%')
    luaL_addchar(&gsub->out, '%');
  else if (c < '0' || c > '9')
    luaL_error(L, "invalid use of '%c' in replacement string", '%');
  else if (c == '0' || get_capture(L, &gsub->match, c - '1', &bytes))
    luaL_addlstring(&gsub->out, bytes.ptr, bytes.len);
  else
    luaL_addvalue(&gsub->out);
}

static void add_text(lua_State *L, struct substitution *gsub) {
  const char *at = gsub->text.ptr, *end = at + gsub->text.len, *escape;
  while (!gsub->is_plain && at < end && (escape = memchr(at, '%', (size_t)(end - at))) != NULL) {
    add(gsub, at, escape);
    add_escaped(L, gsub, escape);
    at = escape + 2;
  }
  add(gsub, at, end);
}

/* What a function or a table has for the match goes on top. */
static void push_replacement(lua_State *L, const struct ls_pattern *match) {
  if (lua_isfunction(L, 3)) {
    lua_pushvalue(L, 3);
    lua_call(L, push_captures_or_all(L, match), 1);
  } else {
    push_capture(L, match, 0);
    lua_gettable(L, 3);
  }
}

/* nil or false leaves the match as it is. */
static void replace(lua_State *L, struct substitution *gsub) {
  add(gsub, gsub->copied, gsub->match.start);
  gsub->copied = gsub->match.start;
  if (gsub->text.ptr != NULL) {
    add_text(L, gsub);
  } else {
    push_replacement(L, &gsub->match);
    if (!lua_toboolean(L, -1)) {
      lua_pop(L, 1);
      return;
    }
    if (!lua_isstring(L, -1))
      luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    luaL_addvalue(&gsub->out);
  }
  gsub->copied = gsub->match.stop;
  gsub->changed = true;
}

/* Up to so many times. Returns how many it was. */
static lua_Integer replace_all(lua_State *L, struct substitution *gsub, lua_Integer most) {
  lua_Integer count = 0;
  const char *from = gsub->match.subject, *last_stop = NULL;
  while (count < most && search_next(L, &gsub->match, from, last_stop)) {
    count++;
    replace(L, gsub);
    from = last_stop = gsub->match.stop;
    if (gsub->match.anchored)
      break;
  }
  return count;
}

static void check_replacement(lua_State *L, struct substitution *gsub, int type) {
  bool is_text = type == LUA_TSTRING || type == LUA_TNUMBER;
  luaL_argexpected(L, is_text || type == LUA_TFUNCTION || type == LUA_TTABLE, 3, "string/function/table");
  gsub->text.ptr = is_text ? lua_tolstring(L, 3, &gsub->text.len) : NULL;
  gsub->is_plain = is_text && memchr(gsub->text.ptr, '%', gsub->text.len) == NULL;
}

static int l_gsub(lua_State *L) {
  struct substitution gsub;
  struct ls_slice subject = check_slice(L, 1), pattern = check_slice(L, 2);
  int type = lua_type(L, 3);
  lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)subject.len + 1);
  check_replacement(L, &gsub, type);
  bool anchored = take_anchor(&pattern);
  ls_pattern_init(&gsub.match, subject, pattern, anchored);
  luaL_buffinit(L, &gsub.out);
  gsub.copied = subject.ptr;
  gsub.changed = false;
  lua_Integer count = replace_all(L, &gsub, most);
  if (gsub.changed) {
    add(&gsub, gsub.copied, gsub.match.end);
    luaL_pushresult(&gsub.out);
  } else {
    lua_pushvalue(L, 1);
  }
  lua_pushinteger(L, count);
  return 2;
}

/* ---- rep ---- */

/* Repeats the first period bytes of out up to len, in pieces that double up to the size between two polls. */
static void fill(lua_State *L, char *out, size_t period, size_t len) {
  size_t done = period, piece = period;
  while (done < len) {
    size_t n = piece < len - done ? piece : len - done;
    memcpy(out + done, out, n);
    done += n;
    if (piece < PIECE)
      piece = done;
    else
      ls_interrupt_poll(L);
  }
}

static int l_rep(lua_State *L) {
  struct ls_slice text = check_slice(L, 1);
  lua_Integer count = luaL_checkinteger(L, 2);
  size_t separator_len;
  const char *separator = luaL_optlstring(L, 3, "", &separator_len);
  size_t period = text.len + separator_len;
  if (count <= 0 || period == 0) {
    lua_pushliteral(L, "");
    return 1;
  }
  if (period < text.len || period > LONGEST / (size_t)count)
    return luaL_error(L, "resulting string too large");
  size_t len = period * (size_t)count - separator_len;
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, len);
  memcpy(out, text.ptr, text.len);
  if (count > 1) {
    memcpy(out + text.len, separator, separator_len);
    fill(L, out, period, len);
  }
  luaL_pushresultsize(&buffer, len);
  return 1;
}

void ls_bounded_string_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"find", l_find},   {"gmatch", l_gmatch}, {"gsub", l_gsub},
                                       {"match", l_match}, {"rep", l_rep},       {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
