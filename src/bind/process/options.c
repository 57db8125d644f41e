/* SPDX-License-Identifier: MIT */
/* The arguments of process.spawn and process.run. Everything is checked, and every string made, before anything is
 * started; the strings are kept alive by tables on the Lua stack. */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "bind/process/impl.h"
#include "script/op.h"
#include "script/options.h"

#define NS_PER_MS UINT64_C(1000000)
#define GRACE_MS 5000
#define MAX_ID UINT32_MAX /* minus one: the system takes it for "as it was" */
#define MAX_FD 0x7fffffff

/* The string (or number, made one) at the top, which the system will see up to its first NUL. */
static const char *check_text(lua_State *L, const char *name, const char *what) {
  size_t size;
  if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
    luaL_error(L, "%s: %s must be a string, not a %s", name, what, luaL_typename(L, -1));
  const char *text = lua_tolstring(L, -1, &size);
  if (strlen(text) != size)
    luaL_error(L, "%s: %s must not have a NUL in it", name, what);
  return text;
}

/* The strings of the list at the top as a NULL-terminated array, which stays on the stack above it. */
static char **push_array(lua_State *L) {
  int list = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  char **array = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof *array, 0);
  for (lua_Integer i = 0; i < count; i++) {
    lua_rawgeti(L, list, i + 1);
    array[i] = (char *)(uintptr_t)lua_tostring(L, -1); /* execve's prototype has no const; it writes nothing */
    lua_pop(L, 1);
  }
  array[count] = NULL;
  return array;
}

/* ---- arguments ---- */

static void check_is_list(lua_State *L, const char *name, int index) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    lua_pop(L, 1);
    int exact;
    lua_Integer key = lua_tointegerx(L, -1, &exact);
    if (!exact || lua_type(L, -1) != LUA_TNUMBER || key < 1 || key > count)
      luaL_error(L, "%s: the arguments are a list of strings; options come after it", name);
  }
}

/* argv: the command and the list at index 2. */
static char **push_args(lua_State *L, const char *name) {
  lua_Integer count = 0;
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    check_is_list(L, name, 2);
    count = (lua_Integer)lua_rawlen(L, 2);
  }
  lua_newtable(L);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 2, i);
    check_text(L, name, "an argument");
    lua_rawseti(L, -2, i + 1);
  }
  return push_array(L);
}

/* ---- environment ---- */

static void push_variable(lua_State *L, const char *name) {
  if (lua_type(L, -2) != LUA_TSTRING)
    luaL_error(L, "%s: a name in env must be a string, not a %s", name, luaL_typename(L, -2));
  const char *value = check_text(L, name, "a value in env");
  lua_pushvalue(L, -2);
  const char *key = check_text(L, name, "a name in env");
  if (*key == '\0' || strchr(key, '=') != NULL)
    luaL_error(L, "%s: env cannot have the name '%s'", name, key);
  lua_pop(L, 1);
  lua_pushfstring(L, "%s=%s", key, value);
}

/* envp of options.env; NULL (and nothing pushed that matters) if there is none. */
static char **push_env(lua_State *L, const char *name) {
  if (!lua_istable(L, 3) || lua_getfield(L, 3, "env") == LUA_TNIL)
    return NULL;
  if (!lua_istable(L, -1))
    luaL_error(L, "option 'env' must be a table, not a %s", luaL_typename(L, -1));
  int env = lua_gettop(L);
  lua_newtable(L);
  lua_Integer count = 0;
  lua_pushnil(L);
  while (lua_next(L, env) != 0) {
    push_variable(L, name);
    lua_rawseti(L, env + 1, ++count);
    lua_pop(L, 1);
  }
  return push_array(L);
}

/* ---- standard streams ---- */

static enum ls_process_stdio check_stdio(lua_State *L, const char *option, enum ls_process_stdio fallback, int *fd) {
  static const char *const names[] = {"null", "inherit", "pipe", NULL};
  static const char *const all_names[] = {"null", "inherit", "pipe", "stdout", NULL};
  *fd = -1;
  if (lua_istable(L, 3)) {
    lua_getfield(L, 3, option);
    if (lua_isinteger(L, -1)) {
      *fd = (int)ls_option_integer(L, 3, option, 0, MAX_FD, 0);
      lua_pop(L, 1);
      return LS_STDIO_FD;
    }
    lua_pop(L, 1);
  }
  const char *given = ls_option_string(L, 3, option, NULL);
  if (given == NULL)
    return fallback;
  for (int i = 0; names[i] != NULL; i++)
    if (strcmp(given, names[i]) == 0)
      return (enum ls_process_stdio)i;
  bool is_stderr = strcmp(option, "stderr") == 0;
  if (is_stderr && strcmp(given, "stdout") == 0)
    return LS_STDIO_OUTPUT;
  const char *nearest = ls_options_nearest(given, is_stderr ? all_names : names);
  if (nearest != NULL)
    luaL_error(L, "option '%s' cannot be '%s' (did you mean '%s'?)", option, given, nearest);
  luaL_error(L, "option '%s' must be \"null\", \"inherit\", \"pipe\"%s or a file descriptor, not '%s'", option,
             is_stderr ? ", \"stdout\"" : "", given);
  return fallback;
}

/* ---- all of it ---- */

void ls_process_check_start(lua_State *L, const char *name, const char *const *known, struct ls_process_start *start) {
  static const char *const streams[] = {"stdin", "stdout", "stderr"};
  struct ls_child_options *options = &start->options;
  luaL_checktype(L, 1, LUA_TSTRING);
  luaL_checkstack(L, 16, NULL);
  ls_options_check(L, 3, name, known);
  for (int i = 0; i < 3; i++)
    start->stdio[i] = check_stdio(L, streams[i], start->stdio[i], &start->fds[i]);
  options->timeout_ns = ls_option_seconds(L, 3, "timeout", 0) * NS_PER_MS;
  options->grace_ns = ls_option_seconds(L, 3, "grace", GRACE_MS) * NS_PER_MS;
  options->group = ls_option_boolean(L, 3, "group", options->group || options->timeout_ns > 0);
  options->uid = ls_option_integer(L, 3, "uid", 0, MAX_ID - 1, -1);
  options->gid = ls_option_integer(L, 3, "gid", 0, MAX_ID - 1, -1);
  options->cwd = ls_option_string(L, 3, "cwd", NULL);
  lua_pushvalue(L, 1);
  options->file = check_text(L, name, "the command");
  lua_pop(L, 1);
  if (*options->file == '\0')
    luaL_error(L, "%s: the command is empty", name);
  options->args = push_args(L, name);
  options->env = push_env(L, name);
}

int ls_process_push_failure(lua_State *L, int code, const char *verb, const struct ls_process_start *start) {
  const struct ls_child_options *options = &start->options;
  if (options->cwd != NULL)
    return ls_push_failure(L, code, "%s '%s' in '%s'", verb, options->file, options->cwd);
  return ls_push_failure(L, code, "%s '%s'", verb, options->file);
}
