/* SPDX-License-Identifier: MIT */
/* The end of the program: process.exit, and the hooks of process.on_exit. */
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bind/process/impl.h"
#include "bind/process/process.h"
#include "bind/shutdown.h"
#include "loop/loop.h"
#include "script/handle.h"
#include "script/interrupt.h"
#include "script/op.h"
#include "script/runtime.h"
#include "script/task.h"

#define HOOK "luaserve.exit_hook"
#define EXIT_FLUSH_MS 1000

/* A userdata, whose user value 1 is the function, and which is in the registry until it is closed or has been called. */
struct hook {
  struct ls_list link; /* in rt->process->hooks */
  struct ls_runtime *rt;
  int self;
};

static void close_hook(struct hook *hook) {
  ls_list_remove(&hook->link);
  luaL_unref(hook->rt->L, LUA_REGISTRYINDEX, hook->self);
  hook->self = LUA_NOREF;
}

/* process.on_exit(fn) -> hook
 * Calls fn(status) when the program ends: by process.exit or os.exit(status, true), by itself, by an error of the main
 * chunk, after a graceful shutdown, or by SIGINT or SIGTERM when it serves nothing (status 128 + the number). The hook
 * that was set last is called first. It can wait for nothing and start nothing; what it raises is logged. Hooks are not
 * called by os.exit(status), nor when the process is killed in another way. hook:close() takes it back.
 *   process.on_exit(function() os.remove("app.pid") end) */
int ls_process_l_on_exit(lua_State *L) {
  struct ls_runtime *rt = ls_runtime_of(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  if (rt->process->ended || rt->exiting)
    return luaL_error(L, "process.on_exit: the program is ending");
  struct hook *hook = lua_newuserdatauv(L, sizeof *hook, 1);
  *hook = (struct hook){.rt = rt, .self = LUA_NOREF};
  ls_list_init(&hook->link);
  luaL_setmetatable(L, HOOK);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, -1);
  hook->self = luaL_ref(L, LUA_REGISTRYINDEX);
  ls_list_push(&rt->process->hooks, &hook->link);
  ls_shutdown_watch(rt);
  return 1;
}

/* hook:close() -> true. It is not called any more. */
static int l_close(lua_State *L) {
  close_hook(luaL_checkudata(L, 1, HOOK));
  lua_pushboolean(L, 1);
  return 1;
}

static int l_tostring(lua_State *L) {
  const struct hook *hook = luaL_checkudata(L, 1, HOOK);
  lua_pushstring(L, hook->self == LUA_NOREF ? "exit hook (closed)" : "exit hook");
  return 1;
}

/* ---- running them ---- */

static int l_traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

static void call_hook(lua_State *L, struct hook *hook, int status) {
  lua_pushcfunction(L, l_traceback);
  int handler = lua_gettop(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, hook->self);
  lua_getiuservalue(L, -1, 1);
  close_hook(hook);
  lua_pushinteger(L, status);
  int result = lua_pcall(L, 1, 0, handler);
  if (result != LUA_OK) {
    const struct ls_interrupt *interrupt = ls_runtime_of(L)->interrupt;
    bool stopped = result == LUA_ERRMEM && interrupt != NULL && interrupt->raised_at != 0;
    const char *text = stopped ? "it had no end, and was stopped" : lua_tostring(L, -1);
    ls_log_write(ls_runtime_of(L)->loop->log, LS_LOG_ERROR, "error in an exit hook: %s", text != NULL ? text : "?");
  }
  lua_settop(L, handler - 1);
}

/* In the main state: no task can be resumed any more. */
void ls_process_end(struct ls_runtime *rt, int status) {
  struct ls_process *process = rt->process;
  if (process == NULL || process->ended)
    return;
  process->ended = true;
  rt->exiting = true; /* nothing can be waited for */
  ls_process_terminate_runs(process);
  while (!ls_list_is_empty(&process->hooks) && lua_checkstack(rt->L, 8))
    call_hook(rt->L, ls_container_of(process->hooks.prev, struct hook, link), status);
}

/* ---- process.exit ---- */

static int check_status(lua_State *L) {
  if (lua_isboolean(L, 1))
    return lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  lua_Integer status = luaL_optinteger(L, 1, EXIT_SUCCESS);
  luaL_argcheck(L, status >= 0 && status <= 255, 1, "an exit status is from 0 to 255");
  return (int)status;
}

/* process.exit([status])
 * Ends the program: calls the exit hooks, takes everything down in order (<close> variables of the main chunk,
 * finalizers), and ends with the status: 0 to 255, or true (0, the default) or false (1). Does not return. Requests
 * cannot call it: close the server instead. Where no wait is possible (inside string.gsub, say) the hooks are called, but
 * what is open is left to the system. In a worker it ends the worker alone.
 *   process.exit(1) */
int ls_process_l_exit(lua_State *L) {
  struct ls_runtime *rt = ls_runtime_of(L);
  int status = check_status(L);
  if (ls_task_request(rt->running) != NULL)
    return luaL_error(L, "process.exit in a request would end every request: answer, and close the server instead");
  if (rt->process->ended)
    return luaL_error(L, "process.exit: the program is ending already");
  if (rt->worker != NULL || ls_op_can_await(L))
    return ls_runtime_exit_here(L, status);
  ls_process_end(rt, status);
  fflush(NULL);
  ls_log_flush(rt->loop->log, EXIT_FLUSH_MS);
  _exit(status); /* exit would wait for the pool */
}

void ls_process_exit_open_type(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", l_close}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", l_close}, {"__tostring", l_tostring}, {NULL, NULL}};
  ls_handle_type(L, HOOK, methods, metamethods);
}
