/* SPDX-License-Identifier: MIT */
/* What a worker's thread does: a loop, a Lua state, the chunk, and the end of all three.
 *
 * Terminating comes by two ways at once. An interrupt raises in the code that runs, however busy it is; a wake of the link
 * comes when none runs, or has given way: it cancels what waits, so that <close> variables run, and stops the loop.
 * Signals of the process are blocked here but for the interrupt's. */
#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>

#include "bind/chunk.h"
#include "bind/process/process.h"
#include "bind/shutdown.h"
#include "bind/worker/impl.h"
#include "loop/restart.h"
#include "script/alloc.h"
#include "script/clone.h"
#include "script/task.h"

/* ---- the chunk ---- */

static int l_setlocale(lua_State *L) {
  return luaL_error(L, "os.setlocale in a worker would change the locale of the whole program");
}

static void set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static void set_up(lua_State *L, const struct ls_worker *worker) {
  lua_getglobal(L, "package");
  set_string(L, "path", worker->path);
  set_string(L, "cpath", worker->cpath);
  lua_getglobal(L, "os");
  lua_pushcfunction(L, l_setlocale);
  lua_setfield(L, -2, "setlocale");
  lua_createtable(L, 0, 1);
  lua_pushstring(L, worker->file);
  lua_rawseti(L, -2, 0);
  lua_setglobal(L, "arg");
  lua_pop(L, 2);
}

static int k_returned(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L) - 1;
}

/* Its files are a part of the program that restarts when they change. */
static void watch_files(lua_State *L, const struct ls_worker *worker) {
  if (worker->restart == NULL)
    return;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "luaserve.development.sources");
  lua_call(L, 1, 0);
  ls_restart_watch(worker->restart, worker->file);
}

/* Light userdata at index 1 stays there; results begin at 2. */
static int l_main(lua_State *L) {
  struct ls_worker *worker = lua_touserdata(L, 1);
  set_up(L, worker);
  watch_files(L, worker);
  if (luaL_loadfile(L, worker->file) != LUA_OK)
    return lua_error(L);
  int count = ls_clone_decode(L, ls_buf_bytes(&worker->arguments), worker->arguments.len);
  if (count < 0)
    return luaL_error(L, "the arguments are damaged");
  lua_callk(L, count, LUA_MULTRET, 0, k_returned);
  return k_returned(L, LUA_OK, 0);
}

/* ---- the outcome ---- */

static enum ls_worker_outcome store(struct ls_worker *worker, lua_State *L, int index, int count, const char *name) {
  ls_buf_clear(&worker->message);
  int status = ls_clone_encode(L, index, count, name, &worker->message);
  return status == 0 ? LS_WORKER_RESULTS : status == -EINVAL ? LS_WORKER_REFUSED : LS_WORKER_NO_MEMORY;
}

/* The text, with its traceback, is on top of the stack. */
static void store_text(struct ls_worker *worker, lua_State *L) {
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  ls_buf_append(&worker->text, text, len); /* without memory the log says less */
  worker->outcome = store(worker, L, -1, 1, "error") == LS_WORKER_RESULTS ? LS_WORKER_ERROR : LS_WORKER_NO_MEMORY;
}

/* The error goes over as it is, if it can be copied; a string, and what cannot, as its text with the traceback. */
static void store_error(struct ls_worker *worker, lua_State *L, struct ls_task *task) {
  int error = lua_gettop(L);
  ls_task_push_error(task, L);
  store_text(worker, L);
  if (lua_type(L, error) == LUA_TSTRING || store(worker, L, error, 1, "error") == LS_WORKER_RESULTS)
    return;
  ls_buf_clear(&worker->text);
  store_text(worker, L);
}

/* An error that the end itself has brought about is none. */
static void on_main_end(struct ls_task *task, lua_State *L, int status) {
  struct ls_worker *worker = task->rt->worker;
  task->rt->main_task = NULL;
  if (status != LUA_OK && (task->rt->exiting || atomic_load(&worker->terminating)))
    return;
  if (status == LUA_OK && L != NULL) {
    worker->outcome = store(worker, L, 2, lua_gettop(L) - 1, "results");
  } else {
    ls_alloc_limit(task->rt->alloc, 0); /* there is room to say so */
    worker->outcome = LS_WORKER_NO_MEMORY;
    if (L != NULL && status != LUA_ERRMEM)
      store_error(worker, L, task);
  }
  if (worker->outcome != LS_WORKER_RESULTS)
    ls_runtime_exit(task->rt, EXIT_FAILURE);
}

static int l_store_stuck(lua_State *L) {
  struct ls_worker *worker = lua_touserdata(L, 1);
  ls_chunk_push_stuck(L, "the worker");
  store_text(worker, L);
  return 0;
}

static void store_stuck(struct ls_worker *worker) {
  lua_State *L = worker->rt.L;
  worker->outcome = LS_WORKER_NO_MEMORY;
  lua_pushcfunction(L, l_store_stuck);
  lua_pushlightuserdata(L, worker);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK)
    lua_pop(L, 1);
}

/* ---- terminating ---- */

static void stop(struct ls_ready *ready) {
  struct ls_worker *worker = ls_container_of(ready, struct ls_worker, stop);
  ls_runtime_exit(&worker->rt, EXIT_SUCCESS);
}

/* The drain that follows runs what was cancelled, up to its next wait, and then the stop. */
static void terminate(struct ls_worker *worker) {
  struct ls_runtime *rt = &worker->rt;
  ls_interrupt_begin_grace(&worker->interrupt);
  ls_scope_cancel(&rt->root);
  if (rt->main_task != NULL)
    ls_task_cancel(rt->main_task);
  ls_loop_ready(rt->loop, &worker->stop);
}

static void on_event(struct ls_link_end *end) {
  struct ls_worker *worker = ls_container_of(end->link, struct ls_worker, link);
  ls_port_pump(&worker->inner);
  if (atomic_load(&worker->terminating) && !worker->rt.exiting)
    terminate(worker);
}

/* ---- the thread ---- */

/* While it can still be interrupted: hooks and <close> variables may run for ever too. */
static void end(struct ls_worker *worker) {
  struct ls_runtime *rt = &worker->rt;
  if (rt->main_task != NULL && !rt->exiting)
    store_stuck(worker);
  worker->exit_status = rt->exiting ? rt->exit_status : EXIT_SUCCESS;
  ls_interrupt_check(rt->L, rt);
  ls_process_end(rt, worker->exit_status);
  ls_shutdown_close(rt);
  ls_runtime_close_main(rt);
}

static int run_chunk(struct ls_worker *worker) {
  if (!ls_interrupt_enter(&worker->interrupt, &worker->rt))
    return 0; /* terminated already */
  int code = ls_chunk_run(&worker->rt, l_main, worker, on_main_end);
  if (code == 0)
    end(worker);
  ls_interrupt_leave(&worker->interrupt);
  return code;
}

static int run_on_loop(struct ls_worker *worker) {
  struct ls_runtime *rt = &worker->rt;
  int code = ls_runtime_init(rt, &worker->loop);
  if (code != 0)
    return code;
  rt->worker = worker;
  rt->app_folder = worker->folder;
  rt->grace_ms = worker->grace_ms;
  rt->globals = worker->globals;
  rt->limits.memory = worker->memory_limit;
  code = ls_link_open(worker->inner.end, &worker->loop, on_event);
  if (code == 0)
    code = run_chunk(worker);
  ls_runtime_dispose(rt);
  return code;
}

void *ls_worker_run(void *data) {
  struct ls_worker *worker = data;
  struct ls_link_end *inner = &worker->link.ends[1];
  ls_port_init(&worker->inner, inner);
  ls_ready_init(&worker->stop, stop);
  worker->failure = ls_loop_init(&worker->loop, worker->pool, worker->log);
  if (worker->failure == 0) {
    worker->loop.dicts = worker->dicts;
    worker->loop.restart = worker->restart;
    worker->failure = run_on_loop(worker);
    ls_link_close(inner, NULL);
    ls_loop_dispose(&worker->loop);
  } else {
    ls_link_close(inner, NULL);
  }
  atomic_store(&worker->ended, true);
  ls_link_wake(inner->peer);
  return NULL;
}
