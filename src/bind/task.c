/* SPDX-License-Identifier: MIT */
/* require "luaserve.task": tasks of the user's own. */
#include "script/task.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "bind/modules.h"
#include "loop/loop.h"
#include "script/handle.h"
#include "script/op.h"
#include "script/runtime.h"

#define TASK "luaserve.task"

/* The Lua side of a task: a userdata that outlives it and keeps its outcome: user value 1 is a table of the results,
 * or the error. In the registry while the task lives. */
struct handle {
  struct ls_runtime *rt;
  struct ls_task *task; /* NULL once it has ended */
  struct ls_list joins; /* who waits for its end */
  int self;             /* registry reference while the task lives */
  int status;           /* LUA_OK or the error's, once it has ended */
  int results;          /* how many */
};

struct join {
  struct ls_op op;
  struct ls_list link; /* in handle->joins */
  int handle;          /* registry reference: the outcome must live until it is pushed */
};

static struct handle *check_handle(lua_State *L) {
  return luaL_checkudata(L, 1, TASK);
}

/* ---- spawn ---- */

static void store_outcome(struct handle *handle, lua_State *L, int status) {
  if (status == LUA_OK) {
    handle->results = lua_gettop(L) - 1;
    lua_createtable(L, handle->results, 0);
    for (int i = 1; i <= handle->results; i++) {
      lua_pushvalue(L, i + 1);
      lua_rawseti(L, -2, i);
    }
  } else {
    lua_pushvalue(L, -1);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, handle->self);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, 1);
  lua_pop(L, 1);
}

/* An error that somebody waits for is theirs; any other is logged, once, here. */
static void on_end(struct ls_task *task, lua_State *L, int status) {
  struct handle *handle = task->data;
  if (status != LUA_OK && ls_list_is_empty(&handle->joins))
    ls_task_end_logged(task, L, status);
  handle->status = status;
  if (L != NULL) {
    if (status != LUA_OK)
      lua_settop(L, 1 + (lua_gettop(L) > 1)); /* the error alone, without its text */
    store_outcome(handle, L, status);
  }
  handle->task = NULL;
  struct ls_list *link;
  while ((link = ls_list_shift(&handle->joins)) != NULL)
    ls_op_done(&ls_container_of(link, struct join, link)->op);
  luaL_unref(task->rt->L, LUA_REGISTRYINDEX, handle->self);
  handle->self = LUA_NOREF;
}

static struct handle *push_handle(lua_State *L) {
  struct handle *handle = lua_newuserdatauv(L, sizeof *handle, 1);
  *handle = (struct handle){.rt = ls_runtime_of(L), .self = LUA_NOREF};
  ls_list_init(&handle->joins);
  luaL_setmetatable(L, TASK);
  return handle;
}

/* Starts fn(...) from index 1 on in scope; leaves the handle alone on the stack. */
static int spawn(lua_State *L, struct ls_scope *scope) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  int count = lua_gettop(L);
  struct handle *handle = push_handle(L);
  lua_pushvalue(L, -1);
  int self = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_insert(L, 1);
  struct ls_task *task = ls_task_take(handle->rt, scope, true);
  if (task == NULL || !lua_checkstack(task->co, count)) {
    luaL_unref(L, LUA_REGISTRYINDEX, self);
    if (task != NULL)
      ls_task_drop(task);
    return luaL_error(L, "not enough memory");
  }
  lua_xmove(L, task->co, count);
  handle->self = self;
  handle->task = task;
  task->data = handle;
  ls_task_start(task, LS_TASK_READY, on_end);
  return 1;
}

/* task.spawn(fn, ...) -> task
 * Runs fn(...) as a task of its own, which starts when the caller next waits or returns. It belongs to the request (or
 * the program) that spawned it.
 *   local t = task.spawn(fs.read_file, "data.json"); ...; local data = t:join() */
static int l_spawn(lua_State *L) {
  struct ls_runtime *rt = ls_runtime_of(L);
  return spawn(L, rt->running != NULL ? rt->running->scope : &rt->root);
}

/* task.background(fn, ...) -> task
 * As spawn, but the task belongs to the program: the request does not wait for it and does not take it along. */
static int l_background(lua_State *L) {
  return spawn(L, &ls_runtime_of(L)->root);
}

/* ---- join ---- */

static int push_join(lua_State *L, struct ls_op *op) {
  struct join *join = ls_container_of(op, struct join, op);
  lua_rawgeti(L, LUA_REGISTRYINDEX, join->handle);
  struct handle *handle = lua_touserdata(L, -1);
  int results = handle->results;
  int outcome = lua_getiuservalue(L, -1, 1);
  if (handle->status != LUA_OK) {
    if (outcome == LUA_TNIL && handle->status == LUA_ERRMEM)
      lua_pushliteral(L, "not enough memory");
    return lua_error(L);
  }
  luaL_checkstack(L, results, "too many results");
  int table = lua_gettop(L);
  for (int i = 1; i <= results; i++)
    lua_rawgeti(L, table, i);
  return results;
}

static bool cancel_join(struct ls_op *op) {
  ls_list_remove(&ls_container_of(op, struct join, op)->link);
  return true;
}

static void free_join(struct ls_op *op) {
  struct join *join = ls_container_of(op, struct join, op);
  if (op->rt->L != NULL)
    luaL_unref(op->rt->L, LUA_REGISTRYINDEX, join->handle);
  ls_list_remove(&join->link);
  free(join);
}

/* task:join([callback]) -> what its function returned
 * Async. Waits for the end of the task. An error of the task is raised here, with its own value. */
static int l_join(lua_State *L) {
  static const struct ls_op_type type = {"task.join", push_join, cancel_join, free_join};
  struct handle *handle = check_handle(L);
  ls_op_check(L, 2, type.name);
  if (handle->task != NULL && handle->task == handle->rt->running)
    return luaL_error(L, "a task cannot join itself");
  lua_pushvalue(L, 1);
  int self = luaL_ref(L, LUA_REGISTRYINDEX);
  struct join *join = ls_op_alloc(L, sizeof *join);
  ls_op_init(L, &join->op, &type);
  ls_list_init(&join->link);
  join->handle = self;
  if (handle->task != NULL)
    ls_list_push(&handle->joins, &join->link);
  else
    ls_op_done(&join->op);
  return ls_op_await(L, &join->op, 2);
}

/* task:cancel() -> whether it was still running
 * What it waits for is cancelled and raises there; pcall does not stop it; <close> variables are closed. */
static int l_cancel(lua_State *L) {
  struct handle *handle = check_handle(L);
  lua_pushboolean(L, handle->task != NULL);
  if (handle->task != NULL)
    ls_task_cancel(handle->task);
  return 1;
}

static const char *status_of(const struct handle *handle, lua_State *L) {
  if (handle->task != NULL)
    return handle->task == handle->rt->running ? "running" : "waiting";
  if (handle->status == LUA_OK)
    return "done";
  lua_getiuservalue(L, 1, 1);
  return ls_task_is_cancellation(L, -1) ? "cancelled" : "failed";
}

/* task:status() -> "running", "waiting", "done", "failed" or "cancelled" */
static int l_status(lua_State *L) {
  lua_pushstring(L, status_of(check_handle(L), L));
  return 1;
}

static int l_tostring(lua_State *L) {
  const struct handle *handle = check_handle(L);
  lua_pushfstring(L, "task (%s)", status_of(handle, L));
  return 1;
}

/* ---- here ---- */

/* task.can_await() -> boolean: whether an async function can wait at this place */
static int l_can_await(lua_State *L) {
  lua_pushboolean(L, ls_op_can_await(L));
  return 1;
}

static int k_shielded(lua_State *L, int status, lua_KContext context) {
  struct ls_task *task = ls_runtime_of(L)->running;
  task->shield = (unsigned)context; /* not one less: a generator may have been left within */
  if (status != LUA_OK && status != LUA_YIELD)
    return lua_error(L);
  ls_task_check_cancel(L);
  return lua_gettop(L);
}

/* task.shield(fn, ...) -> what fn returned
 * A cancellation that comes while fn(...) runs is delivered after it. In a generator the shield ends where it yields. */
static int l_shield(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct ls_task *task = ls_runtime_of(L)->running;
  if (task == NULL)
    return luaL_error(L, "task.shield: no task is running");
  lua_KContext outer = task->shield++;
  return k_shielded(L, lua_pcallk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, outer, k_shielded), outer);
}

int luaopen_luaserve_task(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"background", l_background}, {"can_await", l_can_await}, {"shield", l_shield}, {"spawn", l_spawn}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"cancel", l_cancel}, {"join", l_join}, {"status", l_status}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", l_tostring}, {NULL, NULL}};
  ls_handle_type(L, TASK, methods, metamethods);
  luaL_newlib(L, functions);
  return 1;
}
