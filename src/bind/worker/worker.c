/* SPDX-License-Identifier: MIT */
/* require "luaserve.worker": threads with a loop and a Lua state of their own, and the whole API. Here: the parent's side. */
#include "bind/worker/worker.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bind/modules.h"
#include "bind/worker/impl.h"
#include "loop/error.h"
#include "script/clone.h"
#include "script/handle.h"
#include "script/op.h"
#include "script/options.h"

#define WORKER "luaserve.worker"
#define PARENT "luaserve.parent"
#define MEMORY_LIMIT_MIN (256 * 1024)

/* ---- life ---- */

static void free_worker(struct ls_worker *worker) {
  ls_link_dispose(&worker->link);
  ls_interrupt_dispose(&worker->interrupt);
  ls_buf_dispose(&worker->arguments);
  ls_buf_dispose(&worker->message);
  ls_buf_dispose(&worker->text);
  free(worker->name);
  free(worker->file);
  free(worker->folder);
  free(worker->path);
  free(worker->cpath);
  free(worker);
}

static void release(struct ls_worker *worker) {
  if (--worker->owners == 0)
    free_worker(worker);
}

static void on_closed(uv_handle_t *handle) {
  release(ls_container_of(handle, struct ls_worker, link.ends[0].async));
}

static void terminate(struct ls_worker *worker) {
  if (!worker->running)
    return;
  atomic_store(&worker->terminating, true);
  ls_interrupt_send(&worker->interrupt);
  ls_link_wake(&worker->link.ends[1]);
}

/* Its thread has been joined. */
static void finish(struct ls_worker *worker) {
  worker->running = false;
  ls_list_remove(&worker->siblings);
  ls_link_close(&worker->link.ends[0], on_closed);
}

static bool has_failed(const struct ls_worker *worker) {
  return worker->failure != 0 || worker->exit_status != 0 ||
         (worker->outcome != LS_WORKER_RESULTS && worker->outcome != LS_WORKER_UNFINISHED);
}

/* What nobody joins is the log's. */
static void log_failure(const struct ls_worker *worker) {
  char text[128];
  if (worker->failure != 0)
    ls_log_write(worker->log, LS_LOG_ERROR, "the worker '%s' could not start: %s", worker->name,
                 ls_error_text(worker->failure, text, sizeof text));
  else if (worker->text.len > 0)
    ls_log_write(worker->log, LS_LOG_ERROR, "error in the worker '%s': %.*s", worker->name, (int)worker->text.len,
                 ls_buf_bytes(&worker->text));
  else if (worker->outcome == LS_WORKER_REFUSED)
    ls_log_write(worker->log, LS_LOG_ERROR, "error in the worker '%s': %.*s", worker->name, (int)worker->message.len,
                 ls_buf_bytes(&worker->message));
  else if (worker->outcome == LS_WORKER_NO_MEMORY)
    ls_log_write(worker->log, LS_LOG_ERROR, "error in the worker '%s': not enough memory", worker->name);
}

struct join {
  struct ls_op op;
  struct ls_list link; /* in worker->joins */
  struct ls_worker *worker;
  int self; /* registry reference of the userdata, which keeps the worker */
};

static void on_ended(struct ls_worker *worker) {
  pthread_join(worker->thread, NULL); /* it has nothing left to do */
  finish(worker);
  if (has_failed(worker) && ls_list_is_empty(&worker->joins))
    log_failure(worker);
  struct ls_list *link;
  while ((link = ls_list_shift(&worker->joins)) != NULL)
    ls_op_done(&ls_container_of(link, struct join, link)->op);
  luaL_unref(worker->parent->L, LUA_REGISTRYINDEX, worker->self);
  worker->self = LUA_NOREF;
}

static void on_event(struct ls_link_end *end) {
  struct ls_worker *worker = ls_container_of(end->link, struct ls_worker, link);
  ls_port_pump(&worker->outer);
  if (atomic_load(&worker->ended))
    on_ended(worker);
}

bool ls_workers_end(struct ls_runtime *rt, unsigned timeout_ms) {
  struct timespec by = ls_clock_after(CLOCK_REALTIME, timeout_ms);
  for (struct ls_list *link = rt->workers.next; link != &rt->workers; link = link->next)
    terminate(ls_container_of(link, struct ls_worker, siblings));
  while (!ls_list_is_empty(&rt->workers)) {
    struct ls_worker *worker = ls_container_of(rt->workers.next, struct ls_worker, siblings);
    if (pthread_timedjoin_np(worker->thread, NULL, &by) != 0)
      return false;
    finish(worker);
  }
  return true;
}

/* ---- start ---- */

static struct ls_worker *check(lua_State *L) {
  struct ls_worker **handle = luaL_checkudata(L, 1, WORKER);
  if (*handle == NULL)
    luaL_error(L, "the worker was collected already");
  return *handle;
}

/* NULL: out of memory. */
static struct ls_worker *new_worker(struct ls_runtime *rt) {
  struct ls_worker *worker = calloc(1, sizeof *worker);
  if (worker == NULL)
    return NULL;
  if (ls_link_init(&worker->link) != 0) {
    free(worker);
    return NULL;
  }
  if (ls_interrupt_init(&worker->interrupt) != 0) {
    ls_link_dispose(&worker->link);
    free(worker);
    return NULL;
  }
  atomic_init(&worker->terminating, false);
  atomic_init(&worker->ended, false);
  worker->pool = rt->loop->pool;
  worker->log = rt->loop->log;
  worker->dicts = rt->loop->dicts;
  worker->restart = rt->loop->restart;
  worker->grace_ms = rt->grace_ms;
  worker->globals = rt->globals == LS_GLOBALS_OPEN ? LS_GLOBALS_OPEN : LS_GLOBALS_UNSEALED;
  worker->parent = rt;
  worker->owners = 1;
  worker->self = LUA_NOREF;
  ls_list_init(&worker->siblings);
  ls_list_init(&worker->joins);
  ls_port_init(&worker->outer, &worker->link.ends[0]);
  return worker;
}

/* Pushes the userdata of a worker that does not run yet, which owns it. */
static struct ls_worker *push_worker(lua_State *L) {
  struct ls_worker **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, WORKER);
  *handle = new_worker(ls_runtime_of(L));
  if (*handle == NULL)
    luaL_error(L, "not enough memory");
  return *handle;
}

static char *copy(lua_State *L, const char *text) {
  char *copied = strdup(text);
  if (copied == NULL)
    luaL_error(L, "not enough memory");
  return copied;
}

static char *copy_package_field(lua_State *L, const char *name) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "package");
  lua_getfield(L, -1, name);
  const char *text = lua_tostring(L, -1);
  if (text == NULL)
    luaL_error(L, "worker.start: package.%s must be a string", name);
  char *copied = copy(L, text);
  lua_pop(L, 3);
  return copied;
}

/* Beside the script, as require finds what stands there. */
static char *copy_file(lua_State *L, const char *file, const char *folder) {
  lua_pushfstring(L, "%s%s", folder != NULL && *file != '/' ? folder : "", file);
  char *copied = copy(L, lua_tostring(L, -1));
  lua_pop(L, 1);
  return copied;
}

/* From the options at index 1 and the file at 2. */
static void fill(lua_State *L, struct ls_worker *worker) {
  const struct ls_runtime *rt = worker->parent;
  const char *file = lua_tostring(L, 2);
  worker->memory_limit = (size_t)ls_option_integer(L, 1, "memory_limit", MEMORY_LIMIT_MIN, LUA_MAXINTEGER, 0);
  worker->outer.holds = ls_option_boolean(L, 1, "ref", true);
  worker->name = copy(L, ls_option_string(L, 1, "name", file));
  worker->file = copy_file(L, file, rt->app_folder);
  if (rt->app_folder != NULL)
    worker->folder = copy(L, rt->app_folder);
  worker->path = copy_package_field(L, "path");
  worker->cpath = copy_package_field(L, "cpath");
}

static void copy_arguments(lua_State *L, struct ls_worker *worker, int first, int count) {
  int status = ls_clone_encode(L, first, count, "args", &worker->arguments);
  if (status == -EINVAL) {
    lua_pushlstring(L, ls_buf_bytes(&worker->arguments), worker->arguments.len);
    luaL_error(L, "worker.start: %s", lua_tostring(L, -1));
  }
  if (status != 0)
    luaL_error(L, "not enough memory");
}

/* The thread begins with all signals blocked but those of a faulty instruction. */
static int create_thread(struct ls_worker *worker) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP, SIGABRT};
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    sigdelset(&blocked, faults[i]);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  int status = pthread_create(&worker->thread, NULL, ls_worker_run, worker);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return -status;
}

static int begin(struct ls_worker *worker) {
  int status = ls_link_open(&worker->link.ends[0], worker->parent->loop, on_event);
  if (status != 0)
    return status;
  worker->owners++;
  ls_port_hold(&worker->outer, worker->outer.holds);
  status = create_thread(worker);
  if (status != 0) {
    ls_link_close(&worker->link.ends[0], on_closed);
    return status;
  }
  worker->running = true;
  ls_list_push(&worker->parent->workers, &worker->siblings);
  return 0;
}

/* A worker that holds the loop is held itself: one that nobody has in a variable runs on. The userdata is at index. */
static void set_ref(lua_State *L, int index, struct ls_worker *worker, bool ref) {
  if (!worker->running)
    return;
  if (ref && worker->self == LUA_NOREF) {
    lua_pushvalue(L, index);
    worker->self = luaL_ref(L, LUA_REGISTRYINDEX);
  } else if (!ref) {
    luaL_unref(L, LUA_REGISTRYINDEX, worker->self);
    worker->self = LUA_NOREF;
  }
  ls_port_hold(&worker->outer, ref);
}

/* worker.start([options,] file, ...) -> worker | nil, message, code
 * Runs the Lua file on a thread of its own, with copies of the arguments as its `...`. The file is looked for beside the
 * main script. options:
 *   name          for the log and tostring; the file
 *   memory_limit  bytes that its Lua state may hold, from 256 KiB on; none
 *   ref           whether it keeps the program alive until it ends; true
 * Raises for what cannot be copied, and in a worker. What goes wrong in the file is join's to raise.
 *   local w = worker.start({ name = "thumbnails" }, "thumbnails.lua", "/var/cache") */
static int l_start(lua_State *L) {
  static const char *const known[] = {"name", "memory_limit", "ref", NULL};
  struct ls_runtime *rt = ls_runtime_of(L);
  if (rt->worker != NULL)
    return luaL_error(L, "worker.start: a worker cannot start workers: ask the main program to, by a message");
  if (rt->exiting)
    return luaL_error(L, "worker.start: the program is ending");
  if (!lua_istable(L, 1)) {
    luaL_checktype(L, 1, LUA_TSTRING);
    lua_pushnil(L);
    lua_insert(L, 1);
  }
  ls_options_check(L, 1, "worker.start", known);
  luaL_checktype(L, 2, LUA_TSTRING);
  luaL_argcheck(L, strlen(lua_tostring(L, 2)) == lua_rawlen(L, 2), 2, "a path has no NUL in it");
  int count = lua_gettop(L) - 2;
  struct ls_worker *worker = push_worker(L);
  fill(L, worker);
  copy_arguments(L, worker, 3, count);
  int status = begin(worker);
  if (status != 0)
    return ls_push_failure(L, status, "start worker '%s'", worker->name);
  set_ref(L, lua_gettop(L), worker, worker->outer.holds);
  return 1;
}

/* ---- join ---- */

static int push_error(lua_State *L, const struct ls_worker *worker) {
  char text[128];
  if (worker->failure != 0)
    return luaL_error(L, "the worker '%s' could not start: %s", worker->name,
                      ls_error_text(worker->failure, text, sizeof text));
  if (worker->outcome == LS_WORKER_NO_MEMORY) {
    lua_pushliteral(L, "not enough memory");
  } else if (worker->outcome == LS_WORKER_REFUSED) {
    lua_pushlstring(L, ls_buf_bytes(&worker->message), worker->message.len);
    return luaL_error(L, "worker.join: %s", lua_tostring(L, -1));
  } else if (worker->outcome != LS_WORKER_ERROR) {
    return luaL_error(L, "the worker '%s' has exited with the status %d", worker->name, worker->exit_status);
  } else if (ls_clone_decode(L, ls_buf_bytes(&worker->message), worker->message.len) < 0) {
    return luaL_error(L, "worker.join: the error is damaged");
  }
  return lua_error(L);
}

static int push_join(lua_State *L, struct ls_op *op) {
  const struct ls_worker *worker = ls_container_of(op, struct join, op)->worker;
  if (has_failed(worker))
    return push_error(L, worker);
  if (worker->outcome == LS_WORKER_UNFINISHED)
    return atomic_load(&worker->terminating) ? luaL_error(L, "the worker '%s' was terminated", worker->name) : 0;
  int count = ls_clone_decode(L, ls_buf_bytes(&worker->message), worker->message.len);
  return count >= 0 ? count : luaL_error(L, "worker.join: the results are damaged");
}

static bool cancel_join(struct ls_op *op) {
  (void)op;
  return true;
}

static void free_join(struct ls_op *op) {
  struct join *join = ls_container_of(op, struct join, op);
  ls_list_remove(&join->link);
  if (op->rt->L != NULL)
    luaL_unref(op->rt->L, LUA_REGISTRYINDEX, join->self);
  free(join);
}

/* worker:join([callback]) -> what the file returned
 * Async. Waits until the worker has ended. Its error is raised here: a string with the worker's traceback, or a copy of any
 * other value; also that it was terminated before the file returned, or has exited with another status than 0. */
static int l_join(lua_State *L) {
  static const struct ls_op_type type = {"worker.join", push_join, cancel_join, free_join};
  struct ls_worker *worker = check(L);
  ls_op_check(L, 2, type.name);
  lua_pushvalue(L, 1);
  int self = luaL_ref(L, LUA_REGISTRYINDEX);
  struct join *join = calloc(1, sizeof *join);
  if (join == NULL) {
    luaL_unref(L, LUA_REGISTRYINDEX, self);
    return luaL_error(L, "not enough memory");
  }
  ls_op_init(L, &join->op, &type);
  ls_list_init(&join->link);
  join->worker = worker;
  join->self = self;
  if (worker->running)
    ls_list_push(&worker->joins, &join->link);
  else
    ls_op_done(&join->op);
  return ls_op_await(L, &join->op, 2);
}

/* ---- the other methods ---- */

/* worker:send(value, ... [, callback]) -> true | nil, message, code
 * Async. Leaves copies of the values for one receive of the worker. Waits while 1024 messages, or 16 MiB, wait there. Fails
 * with "ECLOSED" once the worker has ended. Raises for what cannot be copied. */
static int l_send(lua_State *L) {
  return ls_port_l_send(L, &check(L)->outer);
}

/* worker:receive([callback]) -> value, ... | nil, message, code
 * Async. The values of the oldest message that the worker has sent. "ECLOSED": it has ended, and there are no more. */
static int l_receive(lua_State *L) {
  return ls_port_l_receive(L, &check(L)->outer);
}

/* worker:terminate() -> whether it was still running
 * Ends it wherever it is, in an endless loop too; <close> variables run, for a tenth of a second. Does not wait: join does. */
static int l_terminate(lua_State *L) {
  struct ls_worker *worker = check(L);
  lua_pushboolean(L, worker->running);
  terminate(worker);
  return 1;
}

/* worker:ref() -> worker. As at first: it keeps the program alive, and itself too when no variable has it. */
static int l_ref(lua_State *L) {
  set_ref(L, 1, check(L), true);
  lua_settop(L, 1);
  return 1;
}

/* worker:unref() -> worker. The program may end before it; when it is collected it is terminated. */
static int l_unref(lua_State *L) {
  set_ref(L, 1, check(L), false);
  lua_settop(L, 1);
  return 1;
}

static const char *status_of(const struct ls_worker *worker) {
  if (worker->running)
    return "running";
  if (has_failed(worker))
    return "failed";
  return worker->outcome == LS_WORKER_UNFINISHED && atomic_load(&worker->terminating) ? "terminated" : "done";
}

/* worker:status() -> "running", "done", "failed" or "terminated" */
static int l_status(lua_State *L) {
  lua_pushstring(L, status_of(check(L)));
  return 1;
}

static int l_tostring(lua_State *L) {
  const struct ls_worker *worker = check(L);
  lua_pushfstring(L, "worker (%s, %s)", worker->name, status_of(worker));
  return 1;
}

static int l_gc(lua_State *L) {
  struct ls_worker **handle = luaL_checkudata(L, 1, WORKER);
  struct ls_worker *worker = *handle;
  *handle = NULL;
  if (worker == NULL)
    return 0;
  terminate(worker);
  release(worker);
  return 0;
}

/* ---- worker.parent ---- */

static struct ls_port *check_parent(lua_State *L) {
  luaL_checkudata(L, 1, PARENT);
  return &ls_runtime_of(L)->worker->inner;
}

/* parent:send(value, ... [, callback]) -> true | nil, message, code. As worker:send, to who has started this worker. */
static int l_parent_send(lua_State *L) {
  return ls_port_l_send(L, check_parent(L));
}

/* parent:receive([callback]) -> value, ... | nil, message, code. As worker:receive. It keeps the worker alive. */
static int l_parent_receive(lua_State *L) {
  return ls_port_l_receive(L, check_parent(L));
}

static int l_parent_tostring(lua_State *L) {
  luaL_checkudata(L, 1, PARENT);
  lua_pushfstring(L, "parent of the worker (%s)", ls_runtime_of(L)->worker->name);
  return 1;
}

static void push_parent(lua_State *L) {
  static const luaL_Reg methods[] = {{"receive", l_parent_receive}, {"send", l_parent_send}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", l_parent_tostring}, {NULL, NULL}};
  ls_handle_type(L, PARENT, methods, metamethods);
  lua_newuserdatauv(L, 0, 0);
  luaL_setmetatable(L, PARENT);
}

int luaopen_luaserve_worker(lua_State *L) {
  static const luaL_Reg functions[] = {{"start", l_start}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"join", l_join},     {"receive", l_receive},     {"ref", l_ref},     {"send", l_send},
      {"status", l_status}, {"terminate", l_terminate}, {"unref", l_unref}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", l_terminate}, {"__gc", l_gc}, {"__tostring", l_tostring}, {NULL, NULL}};
  int status = ls_interrupt_install();
  if (status != 0) {
    char text[128];
    return luaL_error(L, "luaserve.worker: no signal to stop workers with: %s",
                      ls_error_text(status, text, sizeof text));
  }
  ls_handle_type(L, WORKER, methods, metamethods);
  luaL_newlib(L, functions);
  if (ls_runtime_of(L)->worker != NULL) {
    push_parent(L);
    lua_setfield(L, -2, "parent");
  }
  return 1;
}
