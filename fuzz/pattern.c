/* SPDX-License-Identifier: MIT */
/* fuzz/pattern: our matcher beside Lua's own. An input is a byte that says where the search begins, one that says how long
 * the pattern is, the pattern, and the subject. Both must find the same match with the same captures, or the same error. */
#include "script/pattern.h"

#include <lauxlib.h>
#include <lualib.h>

#include "expect.h"

enum { PATTERN_MAX = 40, SUBJECT_MAX = 60, PAUSES_MAX = 5 /* Lua's would take too long for more */ };

struct input {
  char *subject, *pattern; /* each with a zero byte behind it, as Lua's strings have */
  size_t subject_len, pattern_len, from;
};

static char *string_of(const uint8_t *bytes, size_t len) {
  char *string = malloc(len + 1);
  EXPECT(string != NULL);
  memcpy(string, bytes, len);
  string[len] = '\0';
  return string;
}

static struct input read_input(const uint8_t *bytes, size_t len) {
  struct input input = {.pattern_len = bytes[1] % (PATTERN_MAX + 1)};
  if (input.pattern_len > len - 2)
    input.pattern_len = len - 2;
  input.subject_len = len - 2 - input.pattern_len;
  if (input.subject_len > SUBJECT_MAX)
    input.subject_len = SUBJECT_MAX;
  input.pattern = string_of(bytes + 2, input.pattern_len);
  input.subject = string_of(bytes + 2 + input.pattern_len, input.subject_len);
  input.from = bytes[0] % (input.subject_len + 1);
  return input;
}

static enum ls_pattern_result match_ours(const struct input *input, struct ls_pattern *m) {
  bool anchored = input->pattern_len > 0 && *input->pattern == '^';
  ls_pattern_init(m, ls_slice(input->subject, input->subject_len),
                  ls_slice(input->pattern + anchored, input->pattern_len - anchored), anchored);
  enum ls_pattern_result result = ls_pattern_search(m, input->subject + input->from);
  for (int pauses = 0; result == LS_PATTERN_PAUSED && pauses < PAUSES_MAX; pauses++)
    result = ls_pattern_resume(m);
  return result;
}

static bool has_open_capture(const struct ls_pattern *m) {
  for (int i = 0; i < m->level; i++)
    if (m->captures[i].len == LS_CAPTURE_OPEN)
      return true;
  return false;
}

static bool is_string(lua_State *L, int index, const char *bytes, size_t len) {
  size_t actual;
  const char *string = lua_tolstring(L, index, &actual);
  return actual == len && memcmp(string, bytes, len) == 0;
}

/* What string.match gives, from index 1 on. */
static void compare_captures(lua_State *L, const struct ls_pattern *m) {
  if (m->level == 0) {
    EXPECT(lua_gettop(L) == 1 && is_string(L, 1, m->start, (size_t)(m->stop - m->start)));
    return;
  }
  EXPECT(lua_gettop(L) == m->level);
  for (int i = 0; i < m->level; i++) {
    const struct ls_capture *capture = &m->captures[i];
    if (capture->len == LS_CAPTURE_POSITION)
      EXPECT(lua_isinteger(L, i + 1) && lua_tointeger(L, i + 1) == capture->start - m->subject + 1);
    else
      EXPECT(lua_type(L, i + 1) == LUA_TSTRING && is_string(L, i + 1, capture->start, (size_t)capture->len));
  }
}

static void compare(lua_State *L, int status, enum ls_pattern_result result, const struct ls_pattern *m) {
  if (result == LS_PATTERN_WRONG) {
    EXPECT(status == LUA_ERRRUN);
    lua_pushfstring(L, m->error, m->error_index);
    EXPECT(lua_rawequal(L, -1, -2));
  } else if (result == LS_PATTERN_NONE) {
    EXPECT(status == LUA_OK && lua_gettop(L) == 1 && lua_isnil(L, 1));
  } else if (has_open_capture(m)) {
    EXPECT(status == LUA_ERRRUN && strcmp(lua_tostring(L, -1), "unfinished capture") == 0);
  } else {
    EXPECT(status == LUA_OK);
    compare_captures(L, m);
  }
}

static void match_both(const struct input *input) {
  struct ls_pattern m;
  enum ls_pattern_result result = match_ours(input, &m);
  if (result == LS_PATTERN_PAUSED)
    return;
  lua_State *L = luaL_newstate();
  EXPECT(L != NULL);
  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 0);
  lua_getfield(L, 1, "match");
  lua_remove(L, 1);
  lua_pushlstring(L, input->subject, input->subject_len);
  lua_pushlstring(L, input->pattern, input->pattern_len);
  lua_pushinteger(L, (lua_Integer)input->from + 1);
  compare(L, lua_pcall(L, 3, LUA_MULTRET, 0), result, &m);
  lua_close(L);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (len < 2)
    return 0;
  struct input input = read_input(bytes, len);
  match_both(&input);
  free(input.subject);
  free(input.pattern);
  return 0;
}
