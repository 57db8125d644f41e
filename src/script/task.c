/* SPDX-License-Identifier: MIT */
#include "script/task.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/interrupt.h"
#include "script/memory.h"
#include "script/op.h"
#include "script/runtime.h"
#include "script/watchdog.h"

#define IDLE_MAX 1024 /* coroutines kept for reuse */

/* Its address is the value that an await yields, and the key of the cancellation in the registry. */
static const char parked_mark = 'p';
static const char cancellation_key = 'c';

static int l_base(lua_State *L);

static bool is_mark(lua_State *co, int index) {
  return lua_touserdata(co, index) == (const void *)&parked_mark;
}

bool ls_task_is_parked(lua_State *co) {
  if (lua_status(co) == LUA_YIELD)
    return lua_gettop(co) > 0 && is_mark(co, -1);
  return lua_status(co) == LUA_OK && lua_tocfunction(co, 1) == l_base;
}

void ls_task_push_parked(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&parked_mark);
}

/* ---- cancellation ---- */

static int l_cancellation_text(lua_State *L) {
  lua_pushliteral(L, "the task was cancelled");
  return 1;
}

static void push_cancellation(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &cancellation_key) != LUA_TNIL)
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, l_cancellation_text);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "cancellation");
  lua_setfield(L, -2, "__name");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &cancellation_key);
}

bool ls_task_is_cancellation(lua_State *L, int index) {
  if (!lua_istable(L, index))
    return false;
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &cancellation_key);
  bool same = lua_rawequal(L, index, -1);
  lua_pop(L, 1);
  return same;
}

unsigned ls_task_cancel_seq(lua_State *L) {
  const struct ls_task *task = ls_runtime_of(L)->running;
  return task != NULL ? task->cancel_seq : 0;
}

int ls_task_raise_cancel(lua_State *L) {
  push_cancellation(L);
  return lua_error(L);
}

static bool is_cancel_due(const struct ls_task *task) {
  return task->cancelled && task->shield == 0;
}

void ls_task_check_cancel(lua_State *L) {
  struct ls_task *task = ls_runtime_of(L)->running;
  if (task == NULL || !is_cancel_due(task))
    return;
  task->cancelled = false;
  task->cancel_seq++;
  ls_task_raise_cancel(L);
}

bool ls_task_cancel(struct ls_task *task) {
  if (task->ended)
    return false;
  task->cancelled = true;
  struct ls_op *op = task->op;
  if (op == NULL || task->shield != 0)
    return false;
  if (task->trace != NULL)
    ls_trace_wake(task);
  task->op = NULL;
  op->task = NULL;
  op->state = LS_OP_ORPHANED;
  bool is_over = op->type->cancel(op);
  if (is_over)
    op->type->free(op);
  ls_loop_ready(task->rt->loop, &task->ready);
  return is_over;
}

static void on_member_cancel(struct ls_member *member) {
  ls_task_cancel(ls_container_of(member, struct ls_task, member));
}

/* ---- errors ---- */

/* The last lines, of the C functions below every task's own, say nothing. */
void ls_task_push_traceback(lua_State *L) {
  static const char base[] = "\n\t[C]: in ?";
  size_t len;
  luaL_traceback(L, L, NULL, 1);
  const char *text = lua_tolstring(L, -1, &len);
  while (len >= sizeof base && memcmp(text + len - (sizeof base - 1), base, sizeof base - 1) == 0)
    len -= sizeof base - 1;
  if (memchr(text, '\n', len) != NULL)
    lua_pushlstring(L, text, len);
  else
    lua_pushnil(L); /* only the heading is left */
  lua_remove(L, -2);
}

/* So that a joiner gets the one and the log both. */
int ls_task_keep_traceback(lua_State *L) {
  if (!ls_task_is_cancellation(L, 1)) {
    ls_task_push_traceback(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, ls_runtime_of(L)->running);
  }
  lua_settop(L, 1);
  return 1;
}

bool ls_task_find_place(lua_State *L, int level, char *text, size_t size) {
  lua_Debug frame;
  for (; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Sl", &frame);
    if (frame.currentline > 0 && strncmp(frame.source, "@luaserve/", 10) != 0) {
      snprintf(text, size, "%s:%d", frame.short_src, frame.currentline);
      return true;
    }
  }
  return false;
}

static int l_text(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

const char *ls_task_push_error(struct ls_task *task, lua_State *L) {
  int error = lua_gettop(L);
  lua_pushcfunction(L, l_text);
  lua_pushvalue(L, error);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK)
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, error));
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, task) == LUA_TSTRING) {
    lua_pushliteral(L, "\n");
    lua_insert(L, -2);
    lua_concat(L, 3);
  } else {
    lua_pop(L, 1);
  }
  if (task->origin != NULL)
    lua_pushfstring(L, "%s\nspawned at %s", lua_tostring(L, -1), task->origin);
  return lua_tostring(L, -1);
}

void ls_task_end_logged(struct ls_task *task, lua_State *L, int status) {
  if (status == LUA_OK || (L != NULL && ls_task_is_cancellation(L, -1)))
    return;
  struct ls_runtime *rt = task->rt;
  rt->task_errors++;
  const char *text = L != NULL ? ls_task_push_error(task, L) : "not enough memory";
  if (task->scope != NULL && task->scope->on_error != NULL)
    task->scope->on_error(task->scope, text);
  else
    ls_log_write(rt->loop->log, LS_LOG_ERROR, "error in a task: %s", text);
}

/* ---- for what tasks run ---- */

struct ls_scope *ls_task_current_scope(struct ls_runtime *rt) {
  return rt->running != NULL ? rt->running->scope : &rt->root;
}

int ls_task_return_nothing(lua_State *L, int status, lua_KContext context) {
  (void)L, (void)status, (void)context;
  return 0;
}

/* ---- locals ---- */

void ls_task_push_locals(lua_State *L, struct ls_scope *scope) {
  if (scope->locals == 0) {
    lua_newtable(L);
    scope->locals = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, scope->locals);
}

/* ---- what was deferred ---- */

void ls_task_defer(struct ls_task *task, lua_State *L, int count) {
  lua_createtable(L, count, 1);
  lua_insert(L, -count - 1);
  for (int i = count; i >= 1; i--)
    lua_rawseti(L, -i - 1, i);
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
  if (task->deferred == LUA_NOREF) {
    lua_newtable(L);
    task->deferred = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, task->deferred);
  lua_insert(L, -2);
  lua_rawseti(L, -2, luaL_len(L, -2) + 1);
  lua_pop(L, 1);
}

static int k_ended(lua_State *L, int status, lua_KContext context);

/* Takes the newest entry of the table at index 1 out and calls it. */
static int l_call_deferred(lua_State *L) {
  lua_Integer last = luaL_len(L, 1);
  lua_rawgeti(L, 1, last);
  lua_pushnil(L);
  lua_rawseti(L, 1, last);
  lua_getfield(L, 2, "n");
  int count = (int)lua_tointeger(L, -1);
  luaL_checkstack(L, count, "too many arguments");
  for (int i = 1; i <= count; i++)
    lua_rawgeti(L, 2, i);
  lua_callk(L, count - 1, 0, 0, ls_task_return_nothing);
  return 0;
}

static void log_deferred(struct ls_task *task, lua_State *L) {
  int error = lua_gettop(L);
  if (!ls_task_is_cancellation(L, error))
    ls_log_write(task->rt->loop->log, LS_LOG_ERROR, "error in a deferred function: %s", ls_task_push_error(task, L));
  lua_settop(L, error - 1);
}

/* Calls them all, each protected, and then goes on to the end. The outcome stays below on the stack; the traceback of
 * an error waits in the table, because a further error would take its place. A cancellation that nothing has waited for
 * is dropped: one that comes before a function must not keep it from waiting. */
static int k_deferred(lua_State *L, int status, lua_KContext context) {
  struct ls_task *task = (struct ls_task *)context;
  for (;;) {
    if (status != LUA_OK && status != LUA_YIELD)
      log_deferred(task, L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->deferred);
    if (luaL_len(L, -1) == 0)
      break;
    task->cancelled = false;
    lua_pushcfunction(L, l_call_deferred);
    lua_insert(L, -2);
    status = lua_pcallk(L, 1, 0, 1, context, k_deferred);
  }
  lua_getfield(L, -1, "traceback");
  lua_rawsetp(L, LUA_REGISTRYINDEX, task);
  lua_pop(L, 1);
  luaL_unref(L, LUA_REGISTRYINDEX, task->deferred);
  task->deferred = LUA_NOREF;
  return k_ended(L, task->status, context);
}

static int run_deferred(lua_State *L, struct ls_task *task, int status) {
  task->status = status;
  lua_rawgeti(L, LUA_REGISTRYINDEX, task->deferred);
  lua_rawgetp(L, LUA_REGISTRYINDEX, task);
  lua_setfield(L, -2, "traceback");
  lua_pop(L, 1);
  return k_deferred(L, LUA_OK, (lua_KContext)task);
}

/* ---- the base frame ---- */

/* The results of the work, or its error, are above the traceback handler. */
static int k_ended(lua_State *L, int status, lua_KContext context) {
  struct ls_task *task = (struct ls_task *)context;
  ls_op_forget_pushed(task);
  if (status == LUA_YIELD)
    status = LUA_OK; /* how a continuation is told of success */
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  status = ls_watchdog_task_ends(task, L, status);
  if (status == LUA_ERRMEM)
    status = ls_memory_task_ends(task, L, status);
  if (task->deferred != LUA_NOREF)
    return run_deferred(L, task, status);
  if (task->trace != NULL)
    ls_trace_pause(task);
  task->ended = true;
  task->on_end(task, L, status);
  if (status != LUA_OK) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, task);
  }
  return 0;
}

/* The traceback handler, the function of the work and its arguments are on its stack. */
static int l_base(lua_State *L) {
  struct ls_task *task = ls_runtime_of(L)->running;
  if (is_cancel_due(task)) {
    lua_settop(L, 0);
    push_cancellation(L);
    return k_ended(L, LUA_ERRRUN, (lua_KContext)task);
  }
  int result = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, (lua_KContext)task, k_ended);
  return k_ended(L, result, (lua_KContext)task);
}

/* ---- the pool ---- */

static void resume(struct ls_ready *ready);

/* What the work is put on top of. A coroutine has room for both, and for what follows. */
static void push_base(lua_State *co) {
  lua_pushcfunction(co, l_base);
  lua_pushcfunction(co, ls_task_keep_traceback);
}

static int l_create_coroutine(lua_State *L) {
  struct ls_task *task = lua_touserdata(L, 1);
  task->co = lua_newthread(L);
  push_base(task->co);
  task->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

static struct ls_task *create(struct ls_runtime *rt) {
  struct ls_task *task = calloc(1, sizeof *task);
  if (task == NULL)
    return NULL;
  task->rt = rt;
  ls_ready_init(&task->ready, resume);
  ls_list_init(&task->link);
  task->member.cancel = on_member_cancel;
  if (!lua_checkstack(rt->L, 4)) {
    free(task);
    return NULL;
  }
  lua_pushcfunction(rt->L, l_create_coroutine);
  lua_pushlightuserdata(rt->L, task);
  if (lua_pcall(rt->L, 1, 0, 0) != LUA_OK) {
    lua_pop(rt->L, 1);
    free(task);
    return NULL;
  }
  return task;
}

static void destroy(struct ls_task *task) {
  luaL_unref(task->rt->L, LUA_REGISTRYINDEX, task->co_ref);
  free(task);
}

struct ls_task *ls_task_take(struct ls_runtime *rt, struct ls_scope *scope, bool member) {
  struct ls_list *link = ls_list_shift(&rt->idle_tasks);
  struct ls_task *task;
  if (link != NULL) {
    rt->idle_count--;
    task = ls_container_of(link, struct ls_task, link);
  } else {
    task = create(rt);
    if (task == NULL)
      return NULL;
  }
  ls_list_push(&rt->live_tasks, &task->link);
  task->scope = scope;
  task->data = NULL;
  task->loading = NULL;
  task->origin = NULL;
  task->trace = scope != NULL ? scope->trace : NULL;
  if (task->trace != NULL)
    ls_trace_begin(task);
  task->deferred = LUA_NOREF;
  task->started = task->ended = task->cancelled = task->stopped = false;
  task->shield = 0;
  if (member && scope != NULL)
    ls_scope_join(scope, &task->member);
  return task;
}

/* Back to the pool; the newest first, because its stack is warm. */
static void recycle(struct ls_task *task, bool fit) {
  struct ls_runtime *rt = task->rt;
  ls_loop_unqueue(&task->ready);
  ls_list_remove(&task->link);
  struct ls_member *member = &task->member;
  if (fit && rt->idle_count < IDLE_MAX) {
    push_base(task->co);
    rt->idle_count++;
    ls_list_push_front(&rt->idle_tasks, &task->link);
    ls_scope_leave(member);
  } else {
    ls_scope_leave(member);
    destroy(task);
  }
}

void ls_task_drop(struct ls_task *task) {
  assert(!task->started);
  lua_settop(task->co, 0);
  task->ended = true;
  recycle(task, true);
}

/* ---- running ---- */

/* The only lua_resume of a task. from: the state that this one runs inside of; NULL: the loop's drain. */
static void step(struct ls_task *task, lua_State *from) {
  struct ls_runtime *rt = task->rt;
  assert(rt->running == NULL);
  if (rt->exiting)
    return;
  int arguments = 0;
  if (task->started)
    lua_pop(task->co, 1); /* the mark */
  else
    arguments = lua_gettop(task->co) - 1;
  task->started = true;
  rt->running = task;
  int results;
  lua_State *outer = rt->current;
  rt->current = task->co;
  bool is_slice = from == NULL, watched = is_slice && rt->watchdog != NULL && task != rt->main_task;
  if (is_slice)
    ls_memory_begin(rt, task);
  if (watched)
    ls_watchdog_begin(rt, task);
  ls_interrupt_check(task->co, rt);
  const struct ls_trace *trace = task->trace;
  if (trace != NULL)
    ls_trace_resume(task);
  int status = lua_resume(task->co, from, arguments, &results);
  if (trace != NULL && !task->ended)
    ls_trace_pause(task);
  if (watched)
    ls_watchdog_end(rt);
  if (is_slice)
    ls_memory_end(rt, task);
  rt->current = outer;
  if (!is_slice) /* the hook may be on what has run inside */
    ls_interrupt_check(outer, rt);
  rt->running = NULL;
  if (status == LUA_YIELD)
    return;
  if (status != LUA_OK) { /* out of memory in the base frame itself: the coroutine is lost */
    task->ended = true;
    ls_op_forget_pushed(task);
    task->on_end(task, NULL, LUA_ERRMEM);
  }
  recycle(task, status == LUA_OK);
}

static void resume(struct ls_ready *ready) {
  struct ls_task *task = ls_container_of(ready, struct ls_task, ready);
  struct ls_runtime *rt = task->rt;
  step(task, NULL);
  ls_memory_relieve(rt);
}

void ls_task_run_inside(struct ls_task *task, lua_State *L, ls_task_end on_end) {
  struct ls_runtime *rt = task->rt;
  struct ls_task *outer = rt->running;
  lua_State *outer_block = rt->cannot_await;
  rt->running = NULL;
  rt->cannot_await = NULL;
  task->on_end = on_end;
  step(task, L);
  rt->running = outer;
  rt->cannot_await = outer_block;
}

void ls_task_start(struct ls_task *task, enum ls_task_when when, ls_task_end on_end) {
  struct ls_loop *loop = task->rt->loop;
  task->on_end = on_end;
  if (when == LS_TASK_TICK)
    ls_loop_tick(loop, &task->ready);
  else if (when == LS_TASK_IMMEDIATE)
    ls_loop_immediate(loop, &task->ready);
  else
    ls_loop_ready(loop, &task->ready);
}

static void push_entry(struct ls_task *task, lua_CFunction entry, void *arg) {
  lua_pushcfunction(task->co, entry);
  lua_pushlightuserdata(task->co, arg);
}

void ls_task_start_c(struct ls_task *task, lua_CFunction entry, void *arg, ls_task_end on_end) {
  push_entry(task, entry, arg);
  ls_task_start(task, LS_TASK_READY, on_end);
}

void ls_task_run_c(struct ls_task *task, lua_CFunction entry, void *arg, ls_task_end on_end) {
  push_entry(task, entry, arg);
  task->on_end = on_end;
  resume(&task->ready);
}

void ls_task_wake(struct ls_task *task, struct ls_op *op, bool next_turn) {
  if (task->trace != NULL)
    ls_trace_wake(task);
  task->op = NULL;
  task->woken_by = op;
  if (next_turn)
    ls_loop_immediate(task->rt->loop, &task->ready);
  else
    ls_loop_ready(task->rt->loop, &task->ready);
}
