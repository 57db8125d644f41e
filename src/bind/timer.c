/* SPDX-License-Identifier: MIT */
/* require "luaserve.timer": sleeping, and functions to be called later. Times are seconds. */
#include "loop/timer.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "bind/modules.h"
#include "loop/loop.h"
#include "script/handle.h"
#include "script/op.h"
#include "script/options.h"
#include "script/runtime.h"
#include "script/task.h"

#define TIMER "luaserve.timer"
#define IMMEDIATE "luaserve.immediate"
#define MAX_ARGUMENTS 1000             /* a userdata has less than 2^16 user values */
#define MIN_DELAY_NS UINT64_C(1000000) /* a zero delay would otherwise run again in the same pass */

/* ---- sleep ---- */

struct sleep {
  struct ls_op op;
  struct ls_timer timer;
};

static int push_sleep(lua_State *L, struct ls_op *op) {
  (void)op;
  lua_pushboolean(L, 1);
  return 1;
}

static bool cancel_sleep(struct ls_op *op) {
  ls_timer_stop(op->rt->loop, &ls_container_of(op, struct sleep, op)->timer);
  return true;
}

static void free_sleep(struct ls_op *op) {
  free(ls_container_of(op, struct sleep, op));
}

static void on_slept(struct ls_timer *timer) {
  ls_op_done(&ls_container_of(timer, struct sleep, timer)->op);
}

/* timer.sleep(seconds [, callback]) -> true
 * Async. Waits at least so long (no less than 1 ms); other tasks run meanwhile.
 *   timer.sleep(0.5) */
static int l_sleep(lua_State *L) {
  static const struct ls_op_type type = {"timer.sleep", push_sleep, cancel_sleep, free_sleep};
  uint64_t delay = ls_check_seconds(L, 1, MIN_DELAY_NS);
  ls_op_check(L, 2, type.name);
  struct sleep *sleep = ls_op_alloc(L, sizeof *sleep);
  ls_op_init(L, &sleep->op, &type);
  sleep->timer.fire = on_slept;
  sleep->timer.program = true;
  int status = ls_timer_start(sleep->op.rt->loop, &sleep->timer, delay);
  if (status != 0) {
    free(sleep);
    return ls_push_failure(L, status, "sleep");
  }
  return ls_op_await(L, &sleep->op, 2);
}

/* ---- after, every ---- */

/* A userdata; user value 1 is the function, the next ones its arguments. While armed or about to run it is in the
 * registry, so that it lives, and a member of the scope it was made in. */
struct handle {
  struct ls_timer timer;
  struct ls_ready ready;
  struct ls_member member;
  struct ls_runtime *rt;
  struct ls_scope *scope; /* while active */
  int self;               /* registry reference while active */
  int arguments;
  uint64_t first; /* ns: when the first call of every is due */
  uint64_t delay;
  bool repeats;
};

static struct handle *check_handle(lua_State *L) {
  return luaL_checkudata(L, 1, TIMER);
}

static bool is_active(const struct handle *handle) {
  return handle->self != LUA_NOREF;
}

static void deactivate(struct handle *handle) {
  ls_timer_stop(handle->rt->loop, &handle->timer);
  ls_loop_unqueue(&handle->ready);
  luaL_unref(handle->rt->L, LUA_REGISTRYINDEX, handle->self);
  handle->self = LUA_NOREF;
  ls_scope_leave(&handle->member);
}

static void on_member_cancel(struct ls_member *member) {
  deactivate(ls_container_of(member, struct handle, member));
}

/* Runs inside the callback's task: pushes function and arguments, lets a one-shot timer go, calls. */
static int l_call(lua_State *L) {
  struct handle *handle = lua_touserdata(L, 1);
  int arguments = handle->arguments;
  luaL_checkstack(L, arguments + 2, "too many arguments");
  lua_rawgeti(L, LUA_REGISTRYINDEX, handle->self);
  for (int i = 1; i <= arguments + 1; i++)
    lua_getiuservalue(L, 2, i);
  if (!handle->repeats)
    deactivate(handle);
  lua_callk(L, arguments, 0, 0, ls_task_return_nothing);
  return 0;
}

static void run_handle(struct ls_ready *ready) {
  struct handle *handle = ls_container_of(ready, struct handle, ready);
  struct ls_task *task = ls_task_take(handle->rt, handle->scope, true);
  if (task == NULL) {
    ls_log_write(handle->rt->loop->log, LS_LOG_ERROR, "out of memory: a timer's function is not called");
    if (!handle->repeats)
      deactivate(handle);
    return;
  }
  ls_task_run_c(task, l_call, handle, ls_task_end_logged);
}

/* The next multiple of the delay after the first: drift-free, and missed runs are skipped. */
static uint64_t next_due(const struct handle *handle) {
  uint64_t since_first = ls_timers_now(handle->rt->loop) - handle->first;
  return handle->first + (since_first / handle->delay + 1) * handle->delay;
}

static void on_fire(struct ls_timer *timer) {
  struct handle *handle = ls_container_of(timer, struct handle, timer);
  if (handle->repeats)
    ls_timer_start_at(handle->rt->loop, timer, next_due(handle)); /* cannot fail: its slot in the heap was just freed */
  ls_loop_ready(handle->rt->loop, &handle->ready);
}

static int activate(lua_State *L, struct handle *handle, int index) {
  struct ls_runtime *rt = handle->rt;
  if (rt->exiting)
    return luaL_error(L, "a timer cannot start: the program is ending");
  if (is_active(handle))
    deactivate(handle);
  lua_pushvalue(L, index);
  int self = luaL_ref(L, LUA_REGISTRYINDEX);
  uint64_t due = ls_timers_now(rt->loop) + handle->delay;
  int status = ls_timer_start_at(rt->loop, &handle->timer, due);
  if (status != 0) {
    luaL_unref(L, LUA_REGISTRYINDEX, self);
    return luaL_error(L, "not enough memory");
  }
  handle->self = self;
  handle->first = due;
  handle->scope = ls_task_current_scope(rt);
  ls_scope_join(handle->scope, &handle->member);
  return 0;
}

static int start_handle(lua_State *L, bool repeats) {
  uint64_t delay = ls_check_seconds(L, 1, MIN_DELAY_NS);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  int arguments = lua_gettop(L) - 2;
  luaL_argcheck(L, arguments <= MAX_ARGUMENTS, 2 + MAX_ARGUMENTS, "too many arguments");
  struct ls_runtime *rt = ls_runtime_of(L);
  struct handle *handle = lua_newuserdatauv(L, sizeof *handle, arguments + 1);
  *handle = (struct handle){.rt = rt, .self = LUA_NOREF, .arguments = arguments, .delay = delay, .repeats = repeats};
  handle->timer.fire = on_fire;
  handle->timer.program = true;
  handle->member.cancel = on_member_cancel;
  ls_ready_init(&handle->ready, run_handle);
  luaL_setmetatable(L, TIMER);
  lua_insert(L, 1);
  for (int i = arguments + 1; i >= 1; i--)
    lua_setiuservalue(L, 1, i);
  activate(L, handle, 1);
  lua_settop(L, 1);
  return 1;
}

/* timer.after(seconds, fn, ...) -> timer
 * Calls fn(...) once, in a task of its own. */
static int l_after(lua_State *L) {
  return start_handle(L, false);
}

/* timer.every(seconds, fn, ...) -> timer
 * Calls fn(...) at first + k x seconds; runs that were missed are skipped. */
static int l_every(lua_State *L) {
  return start_handle(L, true);
}

/* timer:cancel() -> whether it was still to run */
static int l_cancel(lua_State *L) {
  struct handle *handle = check_handle(L);
  lua_pushboolean(L, is_active(handle));
  if (is_active(handle))
    deactivate(handle);
  return 1;
}

/* As a <close> variable it is cancelled when its block ends. */
static int l_close(lua_State *L) {
  lua_settop(L, 1);
  l_cancel(L);
  return 0;
}

/* timer:again() -> timer. Starts it anew with its full delay, also when it has run or was cancelled. */
static int l_again(lua_State *L) {
  activate(L, check_handle(L), 1);
  lua_settop(L, 1);
  return 1;
}

/* timer:ref(), timer:unref() -> timer. Whether it keeps the process alive. */
static int set_ref(lua_State *L, bool ref) {
  struct handle *handle = check_handle(L);
  ls_timer_set_ref(handle->rt->loop, &handle->timer, ref);
  lua_settop(L, 1);
  return 1;
}

static int l_ref(lua_State *L) {
  return set_ref(L, true);
}

static int l_unref(lua_State *L) {
  return set_ref(L, false);
}

static int l_timer_tostring(lua_State *L) {
  const struct handle *handle = check_handle(L);
  lua_pushfstring(L, "timer (%s %f s%s)", handle->repeats ? "every" : "after", (lua_Number)handle->delay / 1e9,
                  is_active(handle) ? "" : ", not running");
  return 1;
}

/* Only at the end of the runtime can one be collected while it is active: its scope is not to hear of it then. */
static int l_timer_gc(lua_State *L) {
  struct handle *handle = check_handle(L);
  if (!is_active(handle))
    return 0;
  ls_list_remove(&handle->member.link);
  handle->member.scope = NULL;
  deactivate(handle);
  return 0;
}

/* ---- next_tick, immediate ---- */

/* A task for the function and arguments from index first to the top of L, which are moved to it. */
static struct ls_task *make_task(lua_State *L, int first) {
  luaL_checktype(L, first, LUA_TFUNCTION);
  struct ls_runtime *rt = ls_runtime_of(L);
  struct ls_scope *scope = ls_task_current_scope(rt);
  int count = lua_gettop(L) - first + 1;
  struct ls_task *task = ls_task_take(rt, scope, true);
  if (task == NULL || !lua_checkstack(task->co, count)) {
    if (task != NULL)
      ls_task_drop(task);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  lua_xmove(L, task->co, count);
  return task;
}

/* timer.next_tick(fn, ...)
 * Calls fn(...) when the current callback has returned to the loop, before anything else. */
static int l_next_tick(lua_State *L) {
  ls_task_start(make_task(L, 1), LS_TASK_TICK, ls_task_end_logged);
  return 0;
}

/* A userdata that knows its task, and the task it, until either goes. */
struct immediate {
  struct ls_task *task; /* NULL once it has ended or was cancelled */
};

static void on_immediate_end(struct ls_task *task, lua_State *L, int status) {
  struct immediate *immediate = task->data;
  if (immediate != NULL)
    immediate->task = NULL;
  task->data = NULL;
  ls_task_end_logged(task, L, status);
}

static int l_immediate_gc(lua_State *L) {
  struct immediate *immediate = luaL_checkudata(L, 1, IMMEDIATE);
  if (immediate->task != NULL)
    immediate->task->data = NULL;
  immediate->task = NULL;
  return 0;
}

/* timer.immediate(fn, ...) -> immediate
 * Calls fn(...) after this turn's I/O; from within an immediate, in the next turn. */
static int l_immediate(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct immediate *immediate = lua_newuserdatauv(L, sizeof *immediate, 0);
  *immediate = (struct immediate){0};
  luaL_setmetatable(L, IMMEDIATE);
  lua_insert(L, 1);
  struct ls_task *task = make_task(L, 2);
  immediate->task = task;
  task->data = immediate;
  ls_task_start(task, LS_TASK_IMMEDIATE, on_immediate_end);
  return 1;
}

/* immediate:cancel() -> whether it was still to run. What has begun goes on. */
static int l_immediate_cancel(lua_State *L) {
  struct immediate *immediate = luaL_checkudata(L, 1, IMMEDIATE);
  struct ls_task *task = immediate->task;
  bool pending = task != NULL && !task->started;
  if (pending) {
    immediate->task = NULL;
    ls_task_drop(task);
  }
  lua_pushboolean(L, pending);
  return 1;
}

int luaopen_luaserve_timer(lua_State *L) {
  static const luaL_Reg functions[] = {{"after", l_after},         {"every", l_every}, {"immediate", l_immediate},
                                       {"next_tick", l_next_tick}, {"sleep", l_sleep}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"again", l_again}, {"cancel", l_cancel}, {"ref", l_ref}, {"unref", l_unref}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", l_close}, {"__gc", l_timer_gc}, {"__tostring", l_timer_tostring}, {NULL, NULL}};
  static const luaL_Reg immediate_methods[] = {{"cancel", l_immediate_cancel}, {NULL, NULL}};
  ls_handle_type(L, TIMER, methods, metamethods);
  static const luaL_Reg immediate_metamethods[] = {{"__gc", l_immediate_gc}, {NULL, NULL}};
  ls_handle_type(L, IMMEDIATE, immediate_methods, immediate_metamethods);
  luaL_newlib(L, functions);
  return 1;
}
