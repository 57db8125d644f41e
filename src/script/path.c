/* SPDX-License-Identifier: MIT */
#include "script/path.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { NAME_SHOWN = 64, KEY_SHOWN = 40 }; /* bytes; a step is at most 9 more, or a number */

_Static_assert(LS_PATH_SIZE > NAME_SHOWN + (2 * LS_PATH_EDGE + 1) * (KEY_SHOWN + 16), "the text always fits");

static void add(struct ls_path *path, const char *bytes, size_t n) {
  memcpy(path->text + path->len, bytes, n);
  path->len += n;
  path->text[path->len] = '\0';
}

static void add_text(struct ls_path *path, const char *text) {
  add(path, text, strlen(text));
}

void ls_path_init(struct ls_path *path, const char *name, int steps) {
  size_t len = strlen(name);
  path->steps = steps;
  path->step = 0;
  path->len = 0;
  add(path, name, len <= NAME_SHOWN ? len : NAME_SHOWN);
}

/* Whether the next step is shown; the first that is not leaves an ellipsis. */
static bool shows_next(struct ls_path *path) {
  int step = path->step++;
  if (path->steps <= 2 * LS_PATH_EDGE || step < LS_PATH_EDGE || step >= path->steps - LS_PATH_EDGE)
    return true;
  if (step == LS_PATH_EDGE)
    add_text(path, "...");
  return false;
}

static bool is_name(const char *s, size_t len) {
  if (len == 0 || (*s >= '0' && *s <= '9'))
    return false;
  for (size_t i = 0; i < len; i++) {
    bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || s[i] == '_';
    if (!letter && !(s[i] >= '0' && s[i] <= '9'))
      return false;
  }
  return true;
}

static void add_string(struct ls_path *path, const char *key, size_t len) {
  if (is_name(key, len) && len <= KEY_SHOWN) {
    add_text(path, ".");
    add(path, key, len);
    return;
  }
  add_text(path, "[\"");
  add(path, key, len <= KEY_SHOWN ? len : KEY_SHOWN);
  add_text(path, len <= KEY_SHOWN ? "\"]" : "...\"]");
}

static void add_number(struct ls_path *path, lua_State *L, int index) {
  char number[KEY_SHOWN];
  if (lua_isinteger(L, index))
    snprintf(number, sizeof number, "[" LUA_INTEGER_FMT "]", lua_tointeger(L, index));
  else
    snprintf(number, sizeof number, "[" LUA_NUMBER_FMT "]", lua_tonumber(L, index));
  add_text(path, number);
}

void ls_path_add_key(struct ls_path *path, lua_State *L, int index) {
  size_t len;
  const char *key;
  if (!shows_next(path))
    return;
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    key = lua_tolstring(L, index, &len);
    add_string(path, key, len);
    break;
  case LUA_TNUMBER:
    add_number(path, L, index);
    break;
  case LUA_TBOOLEAN:
    add_text(path, lua_toboolean(L, index) ? "[true]" : "[false]");
    break;
  default:
    add_text(path, "[<");
    add_text(path, lua_typename(L, lua_type(L, index)));
    add_text(path, ">]");
  }
}

void ls_path_add_index(struct ls_path *path, lua_Integer index) {
  char number[KEY_SHOWN];
  if (!shows_next(path))
    return;
  snprintf(number, sizeof number, "[" LUA_INTEGER_FMT "]", index);
  add_text(path, number);
}

void ls_path_add_key_itself(struct ls_path *path, lua_State *L, int index) {
  if (!shows_next(path))
    return;
  add_text(path, "[<key: ");
  add_text(path, lua_typename(L, lua_type(L, index)));
  add_text(path, ">]");
}
