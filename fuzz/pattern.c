/* SPDX-License-Identifier: MIT */
/* fuzz/pattern: the matcher of Lua's patterns against Lua's own string.match: the same matches, captures and errors. An
 * input is the length of the pattern, the pattern, and the subject. */
#include "script/pattern.h"

#include <lauxlib.h>
#include <lualib.h>

#include "expect.h"

enum { PAUSES_MAX = 50 /* beyond that Lua might take for ever */ };

static lua_State *open_strings(void) {
  static lua_State *L; /* one for all inputs: it holds nothing between them */
  if (L == NULL) {
    L = luaL_newstate();
    luaL_requiref(L, "string", luaopen_string, 0);
    lua_getfield(L, -1, "match");
  }
  lua_settop(L, 2);
  return L;
}

static enum ls_pattern_result search(struct ls_pattern *match, struct ls_slice subject, struct ls_slice pattern) {
  bool anchored = pattern.len > 0 && *pattern.ptr == '^';
  if (anchored)
    pattern = ls_slice(pattern.ptr + 1, pattern.len - 1);
  ls_pattern_init(match, subject, pattern, anchored);
  enum ls_pattern_result result = ls_pattern_search(match, subject.ptr);
  for (int i = 0; i < PAUSES_MAX && result == LS_PATTERN_PAUSED; i++)
    result = ls_pattern_resume(match);
  return result;
}

static void expect_text(lua_State *L, int index, const char *bytes, size_t len) {
  size_t actual_len;
  const char *actual = lua_tolstring(L, index, &actual_len);
  EXPECT(actual != NULL && actual_len == len && (len == 0 || memcmp(actual, bytes, len) == 0));
}

static void expect_captures(lua_State *L, const struct ls_pattern *match, int count) {
  if (match->level == 0) {
    EXPECT(count == 1);
    expect_text(L, 4, match->start, (size_t)(match->stop - match->start));
    return;
  }
  EXPECT(count == match->level);
  for (int i = 0; i < count; i++) {
    const struct ls_capture *capture = &match->captures[i];
    EXPECT(capture->len != LS_CAPTURE_OPEN);
    if (capture->len == LS_CAPTURE_POSITION)
      EXPECT(lua_tointeger(L, 4 + i) == capture->start - match->subject + 1);
    else
      expect_text(L, 4 + i, capture->start, (size_t)capture->len);
  }
}

static bool has_open_capture(const struct ls_pattern *match) {
  for (int i = 0; i < match->level; i++)
    if (match->captures[i].len == LS_CAPTURE_OPEN)
      return true;
  return false;
}

static void compare(lua_State *L, struct ls_slice subject, struct ls_slice pattern) {
  struct ls_pattern match;
  char text[128];
  enum ls_pattern_result result = search(&match, subject, pattern);
  if (result == LS_PATTERN_PAUSED)
    return;
  lua_pushnil(L); /* a place below the results */
  lua_pushvalue(L, 2);
  lua_pushlstring(L, subject.ptr, subject.len);
  lua_pushlstring(L, pattern.ptr, pattern.len);
  int status = lua_pcall(L, 2, LUA_MULTRET, 0), count = lua_gettop(L) - 3;
  if (result == LS_PATTERN_WRONG) {
    EXPECT(status == LUA_ERRRUN);
    int len = snprintf(text, sizeof text, match.error, match.error_index);
    expect_text(L, -1, text, (size_t)len);
  } else if (result == LS_PATTERN_NONE) {
    EXPECT(status == LUA_OK && count == 1 && lua_isnil(L, -1));
  } else if (has_open_capture(&match)) {
    EXPECT(status == LUA_ERRRUN);
    expect_text(L, -1, "unfinished capture", 18);
  } else {
    EXPECT(status == LUA_OK);
    expect_captures(L, &match, count);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (len < 1 || len - 1 < bytes[0])
    return 0;
  size_t pattern_len = bytes[0], subject_len = len - 1 - pattern_len;
  char *pattern = calloc(pattern_len + 1, 1), *subject = calloc(subject_len + 1, 1); /* each with a zero behind it */
  memcpy(pattern, bytes + 1, pattern_len);
  memcpy(subject, bytes + 1 + pattern_len, subject_len);
  compare(open_strings(), ls_slice(subject, subject_len), ls_slice(pattern, pattern_len));
  free(pattern);
  free(subject);
  return 0;
}
