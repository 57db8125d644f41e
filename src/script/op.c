/* SPDX-License-Identifier: MIT */
#include "script/op.h"

#include <assert.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop/error.h"
#include "script/runtime.h"
#include "script/task.h"
#include "script/transparent.h"

#define OPERATION "luaserve.operation"

void *ls_op_alloc(lua_State *L, size_t size) {
  void *op = calloc(1, size);
  if (op == NULL)
    luaL_error(L, "not enough memory");
  return op;
}

/* ---- where waiting is impossible ---- */

/* Pushes "string.gsub" for the function at the top of L, if it is one of Lua's own libraries. */
static bool push_library_name(lua_State *L) {
  static const char *const libraries[] = {LUA_GNAME,     LUA_STRLIBNAME,  LUA_TABLIBNAME,
                                          LUA_COLIBNAME, LUA_LOADLIBNAME, LUA_DBLIBNAME};
  int function = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
    if (lua_getfield(L, function + 1, libraries[i]) != LUA_TTABLE) {
      lua_pop(L, 1);
      continue;
    }
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
      if (lua_rawequal(L, -1, function) && lua_type(L, -2) == LUA_TSTRING) {
        lua_pushfstring(L, i == 0 ? "%s%s" : "%s.%s", i == 0 ? "" : libraries[i], lua_tostring(L, -2));
        return true;
      }
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  return false;
}

/* Pushes the name of the C function that keeps L from yielding, on to: the innermost one that is not made to be yielded
 * through. */
static void push_blocking_function(lua_State *to, lua_State *L, int level) {
  lua_Debug frame;
  for (; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Snf", &frame);
    if (*frame.what == 'C' && !ls_transparent_is(to, lua_tocfunction(L, -1))) {
      lua_xmove(L, to, 1);
      if (!push_library_name(to))
        lua_pushstring(to, frame.name != NULL ? frame.name : "a C function");
      return;
    }
    lua_pop(L, 1);
  }
  lua_pushliteral(to, "a C function");
}

static int raise_cannot_await(lua_State *L, const char *name) {
  struct ls_runtime *rt = ls_runtime_of(L);
  if (rt->running == NULL)
    return luaL_error(L, "%s cannot wait here: no task is running (a finalizer, or the program is ending)", name);
  luaL_checkstack(L, 8, NULL);
  if (rt->cannot_await != NULL && lua_checkstack(rt->cannot_await, 2))
    push_blocking_function(L, rt->cannot_await, 0);
  else
    push_blocking_function(L, L, 1);
  return luaL_error(L, "%s cannot wait here: it was called from inside %s, which cannot be suspended", name,
                    lua_tostring(L, -1));
}

bool ls_op_can_start(lua_State *L, int callback_index) {
  const struct ls_runtime *rt = ls_runtime_of(L);
  if (rt->loop == NULL || rt->exiting)
    return false;
  if (callback_index != 0 && !lua_isnoneornil(L, callback_index))
    return lua_isfunction(L, callback_index);
  return ls_op_can_await(L) && !(rt->running->cancelled && rt->running->shield == 0);
}

void ls_op_check(lua_State *L, int callback_index, const char *name) {
  struct ls_runtime *rt = ls_runtime_of(L);
  if (rt->loop == NULL)
    luaL_error(L, "%s cannot be used in a job of the pool", name);
  if (rt->exiting)
    luaL_error(L, "%s cannot start: the program is ending", name);
  if (callback_index != 0 && !lua_isnoneornil(L, callback_index)) {
    luaL_checktype(L, callback_index, LUA_TFUNCTION);
    return;
  }
  if (rt->running == NULL || rt->cannot_await != NULL || !lua_isyieldable(L))
    raise_cannot_await(L, name);
  ls_task_check_cancel(L);
}

bool ls_op_can_await(lua_State *L) {
  struct ls_runtime *rt = ls_runtime_of(L);
  return rt->running != NULL && rt->cannot_await == NULL && lua_isyieldable(L);
}

/* ---- giving up ---- */

/* The registry reference and the Lua object let go of an op that called back or never will. */
static void detach_callback(struct ls_op *op) {
  ls_list_remove(&op->link);
  ls_loop_unqueue(&op->ready);
  luaL_unref(op->rt->L, LUA_REGISTRYINDEX, op->callback);
  op->callback = LUA_NOREF;
  if (op->handle != NULL)
    *op->handle = NULL;
  op->handle = NULL;
  op->state = LS_OP_ORPHANED;
}

static void cancel_callback(struct ls_op *op) {
  bool done = op->done;
  detach_callback(op);
  ls_scope_leave(&op->member);
  if (done || op->type->cancel(op))
    op->type->free(op);
}

static void on_member_cancel(struct ls_member *member) {
  cancel_callback(ls_container_of(member, struct ls_op, member));
}

void ls_op_cancel_callbacks(struct ls_runtime *rt) {
  while (!ls_list_is_empty(&rt->callback_ops))
    cancel_callback(ls_container_of(rt->callback_ops.next, struct ls_op, link));
}

/* ---- results ---- */

void ls_op_forget_pushed(struct ls_task *task) {
  struct ls_op *op;
  while ((op = task->pushing) != NULL) {
    task->pushing = op->outer;
    op->type->free(op);
  }
}

static int push_results(lua_State *L, struct ls_op *op) {
  struct ls_task *task = op->rt->running;
  assert(task != NULL && op->done);
  ls_op_forget_pushed(task); /* of a push that raised; none is under way where a task can wait */
  task->pushing = op;        /* which frees it should this one raise */
  int results = op->type->push(L, op);
  task->pushing = NULL;
  op->type->free(op);
  return results;
}

static int k_await(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct ls_task *task = ls_runtime_of(L)->running;
  struct ls_op *op = task->woken_by;
  task->woken_by = NULL;
  if (task->cancelled && task->shield == 0 && op != NULL)
    op->type->free(op);
  ls_task_check_cancel(L);
  assert(op == (struct ls_op *)context);
  return push_results(L, op);
}

/* ---- the callback form ---- */

/* (nil, results...) or (message, code), from results or nil, message, code. */
static int shape_results(lua_State *L, int results) {
  if (results >= 2 && lua_isnil(L, -results)) {
    lua_remove(L, -results);
    return results - 1;
  }
  lua_pushnil(L);
  lua_insert(L, -results - 1);
  return results + 1;
}

/* The callback's task: from here on it, not the op, is the scope's member. */
static int l_call_back(lua_State *L) {
  struct ls_op *op = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, op->callback);
  detach_callback(op);
  int results = shape_results(L, push_results(L, op));
  lua_pushvalue(L, 2); /* there may be more than the results above it */
  lua_insert(L, -results - 1);
  lua_callk(L, results, 0, 0, ls_task_return_nothing);
  return 0;
}

static void run_callback(struct ls_ready *ready) {
  struct ls_op *op = ls_container_of(ready, struct ls_op, ready);
  struct ls_task *task = ls_task_take(op->rt, op->scope, true);
  if (task == NULL) {
    ls_log_write(op->rt->loop->log, LS_LOG_ERROR, "out of memory: the callback of %s is not called", op->type->name);
    cancel_callback(op);
    return;
  }
  ls_scope_leave(&op->member);
  ls_task_run_c(task, l_call_back, op, ls_task_end_logged);
}

static int l_operation_cancel(lua_State *L) {
  struct ls_op **handle = luaL_checkudata(L, 1, OPERATION);
  bool pending = *handle != NULL;
  if (pending)
    cancel_callback(*handle);
  lua_pushboolean(L, pending);
  return 1;
}

static int l_operation_gc(lua_State *L) {
  struct ls_op **handle = luaL_checkudata(L, 1, OPERATION);
  if (*handle != NULL)
    (*handle)->handle = NULL;
  *handle = NULL;
  return 0;
}

static int l_operation_tostring(lua_State *L) {
  struct ls_op **handle = luaL_checkudata(L, 1, OPERATION);
  lua_pushfstring(L, "operation (%s)", *handle != NULL ? (*handle)->type->name : "ended");
  return 1;
}

static void push_operation(lua_State *L, struct ls_op *op) {
  static const luaL_Reg functions[] = {
      {"__gc", l_operation_gc}, {"__tostring", l_operation_tostring}, {"cancel", l_operation_cancel}, {NULL, NULL}};
  struct ls_op **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  if (luaL_newmetatable(L, OPERATION)) {
    luaL_setfuncs(L, functions, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  lua_setmetatable(L, -2);
  *handle = op;
  op->handle = handle;
}

/* Until everything that may raise has happened the op is an orphan, which frees itself when its work ends (or, when
 * that is over already, with the task). */
static int await_callback(lua_State *L, struct ls_op *op, int callback_index) {
  struct ls_runtime *rt = op->rt;
  struct ls_task *task = rt->running;
  op->state = LS_OP_ORPHANED;
  if (op->done && task != NULL) {
    op->outer = task->pushing; /* may be under way: this can be a finalizer that a push set off */
    task->pushing = op;
  }
  lua_pushvalue(L, callback_index);
  int callback = luaL_ref(L, LUA_REGISTRYINDEX);
  push_operation(L, op);
  if (op->done && task != NULL)
    task->pushing = op->outer;
  op->outer = NULL;
  op->callback = callback;
  op->state = LS_OP_CALLBACK;
  ls_list_push(&rt->callback_ops, &op->link);
  op->scope = ls_task_current_scope(rt);
  ls_scope_join(op->scope, &op->member);
  if (op->done)
    ls_loop_immediate(rt->loop, &op->ready);
  return 1;
}

/* ---- the life of an op ---- */

void ls_op_init(lua_State *L, struct ls_op *op, const struct ls_op_type *type) {
  *op = (struct ls_op){.type = type, .rt = ls_runtime_of(L), .state = LS_OP_STARTING, .callback = LUA_NOREF};
  ls_ready_init(&op->ready, run_callback);
  ls_list_init(&op->link);
  op->member.cancel = on_member_cancel;
}

int ls_op_await(lua_State *L, struct ls_op *op, int callback_index) {
  if (callback_index != 0 && lua_isfunction(L, callback_index))
    return await_callback(L, op, callback_index);
  struct ls_task *task = op->rt->running;
  op->state = LS_OP_AWAITED;
  if (op->done) {
    if (ls_loop_may_inline(op->rt->loop))
      return push_results(L, op);
    ls_task_wake(task, op, true);
  } else {
    op->task = task;
    task->op = op;
    if (task->trace != NULL)
      ls_trace_wait(L, task, op->type);
  }
  ls_task_push_parked(L);
  return lua_yieldk(L, 1, (lua_KContext)op, k_await);
}

void ls_op_done(struct ls_op *op) {
  op->done = true;
  switch (op->state) {
  case LS_OP_STARTING:
    break;
  case LS_OP_AWAITED:
    ls_task_wake(op->task, op, false);
    break;
  case LS_OP_CALLBACK:
    ls_loop_ready(op->rt->loop, &op->ready);
    break;
  case LS_OP_ORPHANED:
    op->type->free(op);
    break;
  }
}

int ls_push_failure(lua_State *L, int code, const char *what_format, ...) {
  char name[32], text[128];
  ls_error_name(code, name, sizeof name);
  ls_error_text(code, text, sizeof text);
  lua_pushnil(L);
  if (what_format == NULL) {
    lua_pushfstring(L, "%s: %s", name, text);
  } else {
    char what[512];
    va_list args;
    va_start(args, what_format);
    vsnprintf(what, sizeof what, what_format, args);
    va_end(args);
    lua_pushfstring(L, "%s: %s: %s", name, text, what);
  }
  lua_pushstring(L, name);
  return 3;
}
