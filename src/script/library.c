/* SPDX-License-Identifier: MIT */
#include "script/library.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/loop.h"
#include "script/bounded.h"
#include "script/op.h"
#include "script/runtime.h"
#include "script/task.h"

#define EXIT_FLUSH_MS 1000
#define NS_PER_S 1000000000

/* os.exit([code [, close]]), manual 6.9. With close everything is taken down in order, by leaving this task where it is
 * and stopping the loop, wherever that is possible; without, the process just ends. What was logged is written first. In a
 * worker only the worker ends, always in order. */
static int l_exit(lua_State *L) {
  int status = EXIT_SUCCESS;
  if (ls_task_request(ls_runtime_of(L)->running) != NULL)
    return luaL_error(L, "os.exit in a request would end every request: answer, and close the server instead");
  if (lua_isboolean(L, 1))
    status = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  else
    status = (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
  struct ls_runtime *rt = ls_runtime_of(L);
  if (rt->worker != NULL || (lua_toboolean(L, 2) && ls_op_can_await(L)))
    return ls_runtime_exit_here(L, status);
  fflush(NULL);
  ls_log_flush(rt->loop->log, EXIT_FLUSH_MS);
  _exit(status); /* exit would wait for the pool, and a job on it may take for ever */
}

/* os.time and os.date are Lua's own, manual 6.9, except that "now" is where a held clock stands (loop/timer.h). */
static bool is_clock_held(lua_State *L) {
  const struct ls_loop *loop = ls_runtime_of(L)->loop; /* jobs have none */
  return loop != NULL && loop->timers.held;
}

static void push_held_time(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)(ls_timers_time(ls_runtime_of(L)->loop) / NS_PER_S));
}

static int l_time(lua_State *L) {
  if (!lua_isnoneornil(L, 1) || !is_clock_held(L))
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
  push_held_time(L);
  return 1;
}

static int l_date(lua_State *L) {
  if (lua_isnoneornil(L, 2) && is_clock_held(L)) {
    lua_settop(L, 1);
    push_held_time(L);
  }
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* The library at the top gets function instead of what it calls name, which is its upvalue. */
static void wrap(lua_State *L, const char *name, lua_CFunction function) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, function, 1);
  lua_setfield(L, -2, name);
}

/* warn, manual 6.1: off at first, "@on" and "@off" control it, pieces of one message come one by one. The state is in
 * the function itself, since ud is the only argument that lasts. */
static void warn_off(void *ud, const char *message, int to_continue);
static void warn_on(void *ud, const char *message, int to_continue);
static void warn_more(void *ud, const char *message, int to_continue);

static int is_control(lua_State *L, const char *message, int to_continue) {
  if (to_continue || *message != '@')
    return 0;
  if (message[1] == 'o' && message[2] == 'n' && message[3] == '\0')
    lua_setwarnf(L, warn_on, L);
  else if (message[1] == 'o' && message[2] == 'f' && message[3] == 'f' && message[4] == '\0')
    lua_setwarnf(L, warn_off, L);
  return 1;
}

static void warn_off(void *ud, const char *message, int to_continue) {
  is_control(ud, message, to_continue);
}

static void warn_more(void *ud, const char *message, int to_continue) {
  fputs(message, stderr);
  if (to_continue) {
    lua_setwarnf(ud, warn_more, ud);
  } else {
    fputc('\n', stderr);
    lua_setwarnf(ud, warn_on, ud);
  }
}

static void warn_on(void *ud, const char *message, int to_continue) {
  if (is_control(ud, message, to_continue))
    return;
  fputs("Lua warning: ", stderr);
  warn_more(ud, message, to_continue);
}

void ls_library_open(lua_State *L) {
  ls_bounded_open(L);
  lua_getglobal(L, "os");
  lua_pushcfunction(L, l_exit);
  lua_setfield(L, -2, "exit");
  wrap(L, "time", l_time);
  wrap(L, "date", l_date);
  lua_pop(L, 1);
  lua_State *main = ls_runtime_of(L)->L;
  lua_setwarnf(main, warn_off, main);
}
