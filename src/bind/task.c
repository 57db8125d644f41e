/* SPDX-License-Identifier: MIT */
/* require "luaserve.core.task": tasks of the user's own, in C; lua/luaserve/task.lua builds the rest of luaserve.task on
 * them. */
#include "script/task.h"
#include "script/transparent.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/mailbox.h"
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
  lua_Integer report;   /* put into the mailbox, user value 2, at the end; 0: none. An error is then not the log's */
  char spawned_at[LUA_IDSIZE + 16]; /* "app.lua:12" */
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

static void report(struct handle *handle, lua_State *L) {
  if (handle->report == 0)
    return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, handle->self);
  lua_getiuservalue(L, -1, 2);
  lua_pushinteger(L, handle->report);
  ls_mailbox_put(L, -2);
  lua_pop(L, 2);
}

/* An error that somebody waits for is theirs; any other is logged, once, here. */
static void on_end(struct ls_task *task, lua_State *L, int status) {
  struct handle *handle = task->data;
  if (status != LUA_OK && handle->report == 0 && ls_list_is_empty(&handle->joins))
    ls_task_end_logged(task, L, status);
  handle->status = status;
  if (L != NULL) {
    if (status != LUA_OK)
      lua_settop(L, 1 + (lua_gettop(L) > 1)); /* the error alone, without its text */
    store_outcome(handle, L, status);
    report(handle, L);
  }
  handle->task = NULL;
  struct ls_list *link;
  while ((link = ls_list_shift(&handle->joins)) != NULL)
    ls_op_done(&ls_container_of(link, struct join, link)->op);
  luaL_unref(task->rt->L, LUA_REGISTRYINDEX, handle->self);
  handle->self = LUA_NOREF;
}

static struct handle *push_handle(lua_State *L) {
  struct handle *handle = lua_newuserdatauv(L, sizeof *handle, 2);
  *handle = (struct handle){.rt = ls_runtime_of(L), .self = LUA_NOREF};
  ls_list_init(&handle->joins);
  luaL_setmetatable(L, TASK);
  return handle;
}

/* The line that called spawn, for the log. */
static void note_origin(lua_State *L, struct handle *handle) {
  ls_task_find_place(L, 1, handle->spawned_at, sizeof handle->spawned_at);
}

/* Starts the function at index first, with what stands above it, in scope; the handle takes their place. */
static struct handle *spawn(lua_State *L, int first, struct ls_scope *scope) {
  luaL_checktype(L, first, LUA_TFUNCTION);
  int count = lua_gettop(L) - first + 1;
  struct handle *handle = push_handle(L);
  lua_pushvalue(L, -1);
  int self = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_insert(L, first);
  struct ls_task *task = ls_task_take(handle->rt, scope, true);
  if (task == NULL || !lua_checkstack(task->co, count)) {
    luaL_unref(L, LUA_REGISTRYINDEX, self);
    if (task != NULL)
      ls_task_drop(task);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  lua_xmove(L, task->co, count);
  handle->self = self;
  handle->task = task;
  note_origin(L, handle);
  task->data = handle;
  task->origin = handle->spawned_at;
  ls_task_start(task, LS_TASK_READY, on_end);
  return handle;
}

/* task.spawn(fn, ...) -> task
 * Runs fn(...) as a task of its own, which starts when the caller next waits or returns. It belongs to the request (or
 * the program) that spawned it.
 *   local t = task.spawn(fs.read_file, "data.json"); ...; local data = t:join() */
static int l_spawn(lua_State *L) {
  spawn(L, 1, ls_task_current_scope(ls_runtime_of(L)));
  return 1;
}

/* spawn_watched(mailbox, index, fn, ...) -> task
 * As spawn, but at the end index, over 0, is put into the mailbox, and an error is not logged: the owner of the mailbox
 * joins. */
static int l_spawn_watched(lua_State *L) {
  ls_mailbox_check(L, 1);
  lua_Integer index = luaL_checkinteger(L, 2);
  struct handle *handle = spawn(L, 3, ls_task_current_scope(ls_runtime_of(L)));
  handle->report = index;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 2);
  return 1;
}

/* task.background(fn, ...) -> task
 * As spawn, but the task belongs to the program: the request does not wait for it and does not take it along. */
static int l_background(lua_State *L) {
  spawn(L, 1, &ls_runtime_of(L)->root);
  return 1;
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

/* in_request() -> whether the running task belongs to a request */
static int l_in_request(lua_State *L) {
  lua_pushboolean(L, ls_task_request(ls_runtime_of(L)->running) != NULL);
  return 1;
}

/* withdraw(task) -> boolean
 * Cancels the task, and tells whether it waited for a job of the pool that had not begun, and now will not. For the end of
 * the program, when no task can tell any more. */
static int l_withdraw(lua_State *L) {
  const struct handle *handle = check_handle(L);
  lua_pushboolean(L, handle->task != NULL && ls_task_cancel(handle->task));
  return 1;
}

/* task.current() -> task | nil
 * The running task, where it was spawned; nil in a request's own task and in the main chunk. */
static int l_current(lua_State *L) {
  const struct ls_task *task = ls_runtime_of(L)->running;
  if (task == NULL || task->on_end != on_end) {
    lua_pushnil(L);
    return 1;
  }
  const struct handle *handle = task->data;
  lua_rawgeti(L, LUA_REGISTRYINDEX, handle->self);
  return 1;
}

/* task.locals() -> table
 * Values of the request that the running code belongs to, the same table as req.locals: in its handler, in the tasks and
 * callbacks that it started, and in theirs, however deep. Outside of requests, and in task.background, the program's.
 *   req.locals.id = id; ... log(task.locals().id) -- anywhere below */
static int l_locals(lua_State *L) {
  ls_task_push_locals(L, ls_task_current_scope(ls_runtime_of(L)));
  return 1;
}

/* task.defer(fn, ...)
 * Calls fn(...) when the running task ends, on every way out: after a return, an error or a cancellation; the last one
 * first. It may wait. An error in it is logged, and the others still run.
 *   local name = fs.mkdtemp("/tmp/job-"); task.defer(fs.rm, name, { recursive = true }) */
static int l_defer(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct ls_task *task = ls_runtime_of(L)->running;
  if (task == NULL)
    return luaL_error(L, "task.defer: no task is running");
  ls_task_defer(task, L, lua_gettop(L));
  return 0;
}

int luaopen_luaserve_core_task(lua_State *L) {
  static const luaL_Reg functions[] = {{"background", l_background},
                                       {"in_request", l_in_request},
                                       {"can_await", l_can_await},
                                       {"current", l_current},
                                       {"defer", l_defer},
                                       {"locals", l_locals},
                                       {"shield", l_shield},
                                       {"spawn", l_spawn},
                                       {"spawn_watched", l_spawn_watched},
                                       {"withdraw", l_withdraw},
                                       {NULL, NULL}};
  static const luaL_Reg methods[] = {{"cancel", l_cancel}, {"join", l_join}, {"status", l_status}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", l_tostring}, {NULL, NULL}};
  ls_handle_type(L, TASK, methods, metamethods);
  ls_transparent_add(L, l_shield);
  luaL_newlib(L, functions);
  return 1;
}
