/* SPDX-License-Identifier: MIT */
/* require "luaserve.pool": Lua functions that run on the thread pool. Here: starting a job, its results, cancelling it. */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/modules.h"
#include "bind/pool/impl.h"
#include "bind/pool/pool.h"
#include "loop/error.h"
#include "loop/loop.h"
#include "script/clone.h"
#include "script/path.h"
#include "script/runtime.h"

#define STATES "luaserve.pool.states"

enum { SENTENCE = LS_PATH_SIZE + 128 }; /* the longest that says what cannot be copied */

/* ---- the op ---- */

static int push_job(lua_State *L, struct ls_op *op) {
  const struct ls_pool_job *job = ls_container_of(op, struct ls_pool_job, op);
  const char *bytes = ls_buf_bytes(&job->message);
  if (job->outcome == LS_POOL_NO_MEMORY)
    return luaL_error(L, "pool.run: not enough memory");
  if (job->outcome == LS_POOL_REFUSED) {
    lua_pushlstring(L, bytes, job->message.len);
    return luaL_error(L, "pool.run: %s", lua_tostring(L, -1));
  }
  int count = ls_clone_decode(L, bytes, job->message.len);
  if (count < 0)
    return luaL_error(L, "pool.run: the results are damaged");
  return job->outcome == LS_POOL_RESULTS ? count : lua_error(L);
}

/* A job that runs already ends at its next instruction of Lua. */
static bool cancel_job(struct ls_op *op) {
  struct ls_pool_job *job = ls_container_of(op, struct ls_pool_job, op);
  if (ls_work_cancel(&job->work))
    return true;
  ls_interrupt_send(&job->interrupt);
  return false;
}

static void free_job(struct ls_op *op) {
  struct ls_pool_job *job = ls_container_of(op, struct ls_pool_job, op);
  ls_pool_states_unref(job->states);
  ls_interrupt_dispose(&job->interrupt);
  ls_buf_dispose(&job->code);
  ls_buf_dispose(&job->message);
  free(job);
}

static void run(struct ls_work *work) {
  ls_pool_job_run(ls_container_of(work, struct ls_pool_job, work));
}

static void on_done(struct ls_work *work) {
  ls_op_done(&ls_container_of(work, struct ls_pool_job, work)->op);
}

/* ---- pool.run ---- */

/* Only globals come along: the function finds those of its job. A dump that was stripped has no names. */
static void check_function(lua_State *L) {
  const char *name;
  luaL_argcheck(L, !lua_iscfunction(L, 1), 1, "a C function cannot be sent: name its module and it");
  for (int i = 1; (name = lua_getupvalue(L, 1, i)) != NULL; i++) {
    lua_pushglobaltable(L);
    bool is_env = strcmp(name, "_ENV") == 0 || lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    if (!is_env || i > 1)
      luaL_error(L,
                 "pool.run: the function uses '%s' from outside it, which does not come along: pass it as an argument",
                 name);
  }
}

static const struct ls_pool_paths *check_paths(lua_State *L, struct ls_pool_states *states) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  lua_getfield(L, -1, "path");
  lua_getfield(L, -2, "cpath");
  const char *path = lua_tostring(L, -2), *cpath = lua_tostring(L, -1);
  if (path == NULL || cpath == NULL)
    luaL_error(L, "pool.run: package.path and package.cpath must be strings");
  const struct ls_pool_paths *paths = ls_pool_states_paths(states, path, cpath);
  if (paths == NULL)
    luaL_error(L, "not enough memory");
  lua_pop(L, 4);
  return paths;
}

static struct ls_pool_job *new_job(lua_State *L, struct ls_pool_states *states, const struct ls_pool_paths *paths) {
  static const struct ls_op_type type = {"pool.run", push_job, cancel_job, free_job};
  struct ls_pool_job *job = ls_op_alloc(L, sizeof *job);
  if (ls_interrupt_init(&job->interrupt) != 0) {
    free(job);
    luaL_error(L, "not enough memory");
  }
  ls_op_init(L, &job->op, &type);
  ls_list_init(&job->work.link);
  job->work.run = run;
  job->work.done = on_done;
  job->states = ls_pool_states_ref(states);
  job->paths = paths;
  return job;
}

static int write_code(lua_State *L, const void *bytes, size_t size, void *code) {
  (void)L;
  return ls_buf_append(code, bytes, size);
}

/* Puts the function, if it is one, and the arguments into the job. Does not raise: the job would leak. 0 or a negative
 * code, as of ls_clone_encode. */
static int fill_job(lua_State *L, struct ls_pool_job *job) {
  int first = 1;
  if (lua_isfunction(L, 1)) {
    first = 2;
    lua_pushvalue(L, 1);
    int status = lua_dump(L, write_code, &job->code, 0);
    lua_pop(L, 1);
    if (status != 0)
      return -ENOMEM;
  }
  return ls_clone_encode(L, first, lua_gettop(L) - first + 1, "args", &job->message);
}

/* Raises what ls_clone_encode has said, without the job. */
static int refuse(lua_State *L, struct ls_pool_job *job, int status) {
  char sentence[SENTENCE];
  snprintf(sentence, sizeof sentence, "%.*s", (int)job->message.len, ls_buf_bytes(&job->message));
  free_job(&job->op);
  return luaL_error(L, "pool.run: %s", status == -EINVAL ? sentence : "not enough memory");
}

/* pool.run(fn, ...) or pool.run("module", "function", ...) -> results of fn(...)
 * Async; no callback form. Runs fn, or the function of that name in the module that require finds over there, on a thread
 * of the pool, in a Lua state of the pool's own. Arguments and results are copied. fn may use globals, and nothing else from
 * outside it. Raises what the job raises: a string with the job's traceback, or a copy of any other value. Cancelling the
 * task, its deadline and task.timeout stop the job.
 *   local words = pool.run(function(text) return select(2, text:gsub("%a+", "")) end, text) */
static int l_run(lua_State *L) {
  struct ls_pool_states **states = lua_touserdata(L, lua_upvalueindex(1));
  if (lua_isfunction(L, 1)) {
    check_function(L);
  } else {
    luaL_argexpected(L, lua_type(L, 1) == LUA_TSTRING, 1, "function or module name");
    luaL_checktype(L, 2, LUA_TSTRING);
  }
  ls_op_check(L, 0, "pool.run");
  struct ls_pool_job *job = new_job(L, *states, check_paths(L, *states));
  int status = fill_job(L, job);
  if (status != 0)
    return refuse(L, job, status);
  status = ls_work_submit(job->op.rt->loop, &job->work, LS_LANE_USER);
  if (status != 0) {
    free_job(&job->op);
    return ls_push_failure(L, status, "pool.run");
  }
  return ls_op_await(L, &job->op, 0);
}

/* ---- pool.stats ---- */

/* pool.stats() -> {threads =, lanes = {files =, dns =, hashing =, user =}, total =}
 * What the thread pool of the process does now, and how long its jobs have waited; docs/api/pool.md has every field.
 *   local waiting = pool.stats().lanes.user.queued */
static int l_stats(lua_State *L) {
  ls_pool_push_stats(L, ls_runtime_of(L)->loop->pool);
  return 1;
}

/* ---- the module ---- */

static int l_states_gc(lua_State *L) {
  struct ls_pool_states **states = luaL_checkudata(L, 1, STATES);
  if (*states != NULL)
    ls_pool_states_unref(*states);
  *states = NULL;
  return 0;
}

static void push_states(lua_State *L) {
  struct ls_pool_states **states = lua_newuserdatauv(L, sizeof *states, 0);
  *states = NULL;
  luaL_newmetatable(L, STATES);
  lua_pushcfunction(L, l_states_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  struct ls_lane_stats stats;
  ls_pool_stats(ls_runtime_of(L)->loop->pool, LS_LANE_USER, &stats);
  *states = ls_pool_states_new(stats.cap);
  if (*states == NULL)
    luaL_error(L, "not enough memory");
}

int luaopen_luaserve_pool(lua_State *L) {
  int status = ls_interrupt_install();
  if (status != 0) {
    char text[128];
    return luaL_error(L, "luaserve.pool: no signal to stop jobs with: %s", ls_error_text(status, text, sizeof text));
  }
  lua_createtable(L, 0, 2);
  push_states(L);
  lua_pushcclosure(L, l_run, 1);
  lua_setfield(L, -2, "run");
  lua_pushcfunction(L, l_stats);
  lua_setfield(L, -2, "stats");
  return 1;
}
