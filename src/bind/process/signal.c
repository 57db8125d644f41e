/* SPDX-License-Identifier: MIT */
/* Signals of luaserve.process: their names, and process.on.
 *
 * A delivery is noted in the libuv callback and runs in the drain, in a task of its own. As with the kernel's own
 * signals, those that come before the first of them has run are one. */
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "bind/process/impl.h"
#include "bind/process/process.h"
#include "bind/shutdown.h"
#include "loop/loop.h"
#include "script/handle.h"
#include "script/op.h"
#include "script/options.h"
#include "script/runtime.h"
#include "script/task.h"

#define HANDLER "luaserve.signal_handler"

/* ---- names ---- */

/* The last ones are not for process.on: no process can catch the first two, a faulty instruction raises the next ones,
 * and SIGPIPE is ignored for good. */
static const struct {
  const char *name;
  int number;
  bool can_handle;
} signals[] = {
    {"SIGHUP", SIGHUP, true},     {"SIGINT", SIGINT, true},       {"SIGQUIT", SIGQUIT, true},
    {"SIGTERM", SIGTERM, true},   {"SIGUSR1", SIGUSR1, true},     {"SIGUSR2", SIGUSR2, true},
    {"SIGALRM", SIGALRM, true},   {"SIGCHLD", SIGCHLD, true},     {"SIGCONT", SIGCONT, true},
    {"SIGTSTP", SIGTSTP, true},   {"SIGTTIN", SIGTTIN, true},     {"SIGTTOU", SIGTTOU, true},
    {"SIGURG", SIGURG, true},     {"SIGIO", SIGIO, true},         {"SIGPWR", SIGPWR, true},
    {"SIGWINCH", SIGWINCH, true}, {"SIGVTALRM", SIGVTALRM, true}, {"SIGPROF", SIGPROF, true},
    {"SIGXCPU", SIGXCPU, true},   {"SIGXFSZ", SIGXFSZ, true},     {"SIGKILL", SIGKILL, false},
    {"SIGSTOP", SIGSTOP, false},  {"SIGABRT", SIGABRT, false},    {"SIGBUS", SIGBUS, false},
    {"SIGFPE", SIGFPE, false},    {"SIGILL", SIGILL, false},      {"SIGSEGV", SIGSEGV, false},
    {"SIGSYS", SIGSYS, false},    {"SIGTRAP", SIGTRAP, false},    {"SIGPIPE", SIGPIPE, false},
};

#define SIGNAL_COUNT (sizeof signals / sizeof *signals)

void ls_process_push_signal(lua_State *L, int number) {
  for (size_t i = 0; i < SIGNAL_COUNT; i++) {
    if (signals[i].number == number) {
      lua_pushstring(L, signals[i].name);
      return;
    }
  }
  lua_pushfstring(L, "SIG%d", number); /* of real time, which have numbers only */
}

static int raise_unknown(lua_State *L, const char *name) {
  const char *names[SIGNAL_COUNT + 1] = {NULL};
  for (size_t i = 0; i < SIGNAL_COUNT; i++)
    names[i] = signals[i].name;
  const char *nearest = ls_options_nearest(name, names);
  if (nearest != NULL)
    return luaL_error(L, "unknown signal '%s' (did you mean '%s'?)", name, nearest);
  return luaL_error(L, "unknown signal '%s'", name);
}

static size_t check_name(lua_State *L, int index) {
  const char *name = luaL_checkstring(L, index);
  for (size_t i = 0; i < SIGNAL_COUNT; i++)
    if (strcmp(signals[i].name, name) == 0)
      return i;
  return (size_t)raise_unknown(L, name);
}

int ls_process_check_signal(lua_State *L, int index, int fallback) {
  if (lua_isnoneornil(L, index))
    return fallback;
  if (lua_type(L, index) != LUA_TNUMBER)
    return signals[check_name(L, index)].number;
  lua_Integer number = luaL_checkinteger(L, index);
  luaL_argcheck(L, number >= 0 && number < NSIG, index, "no signal has this number");
  return (int)number;
}

/* ---- process.on ---- */

/* Has two owners, its libuv handle and its userdata, whose user value 1 is the function, and which is in the registry
 * while it is open. */
struct handler {
  uv_signal_t uv;
  struct ls_runtime *rt;
  struct ls_ready ready;
  struct ls_list link; /* in rt->process->signals until the handle has closed */
  unsigned owners;
  int self;
  int number;
};

static void release(struct handler *handler) {
  if (--handler->owners == 0)
    free(handler);
}

/* Up to here it counts as a handler of its signal: one that closes itself has still handled this delivery. */
static void on_closed(uv_handle_t *handle) {
  struct handler *handler = ls_container_of(handle, struct handler, uv);
  ls_list_remove(&handler->link);
  ls_shutdown_rearm(handler->rt);
  release(handler);
}

static void close_handler(struct handler *handler) {
  if (uv_is_closing((uv_handle_t *)&handler->uv))
    return;
  ls_loop_unqueue(&handler->ready);
  luaL_unref(handler->rt->L, LUA_REGISTRYINDEX, handler->self);
  handler->self = LUA_NOREF;
  uv_close((uv_handle_t *)&handler->uv, on_closed);
}

/* Inside the task of a delivery. */
static int l_deliver(lua_State *L) {
  struct handler *handler = lua_touserdata(L, 1);
  luaL_checkstack(L, 4, NULL);
  lua_rawgeti(L, LUA_REGISTRYINDEX, handler->self);
  lua_getiuservalue(L, 2, 1);
  ls_process_push_signal(L, handler->number);
  lua_callk(L, 1, 0, 0, ls_task_return_nothing);
  return 0;
}

static void run_handler(struct ls_ready *ready) {
  struct handler *handler = ls_container_of(ready, struct handler, ready);
  struct ls_task *task = ls_task_take(handler->rt, &handler->rt->root, true);
  if (task == NULL) {
    ls_log_write(handler->rt->loop->log, LS_LOG_ERROR, "out of memory: a signal's function is not called");
    return;
  }
  ls_task_run_c(task, l_deliver, handler, ls_task_end_logged);
}

static void on_signal(uv_signal_t *uv, int number) {
  struct handler *handler = ls_container_of(uv, struct handler, uv);
  struct ls_loop *loop = handler->rt->loop;
  (void)number;
  ls_loop_ready(loop, &handler->ready);
  ls_loop_drain(loop);
}

bool ls_process_handles_signal(const struct ls_runtime *rt, int number) {
  if (rt->process == NULL)
    return false;
  const struct ls_list *open = &rt->process->signals;
  for (struct ls_list *link = open->next; link != open; link = link->next)
    if (ls_container_of(link, struct handler, link)->number == number)
      return true;
  return false;
}

/* 0 or a negative code. */
static int start(struct handler *handler) {
  int code = uv_signal_init(&handler->rt->loop->uv, &handler->uv);
  if (code != 0)
    return code;
  handler->owners++;
  uv_unref((uv_handle_t *)&handler->uv);
  code = uv_signal_start(&handler->uv, on_signal, handler->number);
  if (code != 0)
    uv_close((uv_handle_t *)&handler->uv, on_closed);
  return code;
}

/* process.on(name, fn) -> handler | nil, message, code
 * Calls fn(name) in a task of its own whenever the signal comes, instead of what would happen otherwise: a handler of
 * "SIGINT" or "SIGTERM" replaces luaserve's graceful shutdown. Several handlers of one signal are all called.
 * handler:close() ends it. It does not keep the process alive, unless handler:ref() says so. Signals that cannot be
 * handled (SIGKILL, SIGSTOP, SIGSEGV and the like, SIGPIPE) and unknown names raise, and in a worker all do.
 *   process.on("SIGHUP", function() config = load_config() end) */
int ls_process_l_on(lua_State *L) {
  size_t which = check_name(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  struct ls_runtime *rt = ls_runtime_of(L);
  ls_runtime_check_main(L, "process.on");
  if (!signals[which].can_handle)
    return luaL_error(L, "process.on: %s cannot be handled", signals[which].name);
  if (rt->exiting)
    return luaL_error(L, "process.on: the program is ending");
  struct handler **slot = lua_newuserdatauv(L, sizeof *slot, 1);
  *slot = NULL;
  luaL_setmetatable(L, HANDLER);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, -1);
  int self = luaL_ref(L, LUA_REGISTRYINDEX);
  struct handler *handler = calloc(1, sizeof *handler);
  int code = -ENOMEM;
  if (handler != NULL) {
    *handler = (struct handler){.rt = rt, .owners = 1, .self = self, .number = signals[which].number};
    ls_ready_init(&handler->ready, run_handler);
    ls_list_init(&handler->link);
    code = start(handler);
  }
  if (code != 0) {
    luaL_unref(L, LUA_REGISTRYINDEX, self);
    if (handler != NULL)
      release(handler);
    return ls_push_failure(L, code, "on %s", signals[which].name);
  }
  ls_list_push(&rt->process->signals, &handler->link);
  *slot = handler;
  return 1;
}

static struct handler *check_handler(lua_State *L) {
  struct handler **slot = luaL_checkudata(L, 1, HANDLER);
  if (*slot == NULL)
    luaL_error(L, "the signal handler was collected already");
  return *slot;
}

/* handler:close() -> true
 * The signal does again what it did before. A second close does nothing. */
static int l_close(lua_State *L) {
  close_handler(check_handler(L));
  lua_pushboolean(L, 1);
  return 1;
}

static int set_ref(lua_State *L, bool ref) {
  struct handler *handler = check_handler(L);
  if (ref)
    uv_ref((uv_handle_t *)&handler->uv);
  else
    uv_unref((uv_handle_t *)&handler->uv);
  lua_settop(L, 1);
  return 1;
}

/* handler:ref() -> handler. From now on it keeps the process alive until it is closed. */
static int l_ref(lua_State *L) {
  return set_ref(L, true);
}

/* handler:unref() -> handler. As at first: it does not keep the process alive. */
static int l_unref(lua_State *L) {
  return set_ref(L, false);
}

/* Open only at the end of the runtime. */
static int l_gc(lua_State *L) {
  struct handler **slot = luaL_checkudata(L, 1, HANDLER);
  struct handler *handler = *slot;
  *slot = NULL;
  if (handler == NULL)
    return 0;
  close_handler(handler);
  ls_list_remove(&handler->link); /* the list may be gone when the handle has closed */
  release(handler);
  return 0;
}

static int l_tostring(lua_State *L) {
  struct handler **slot = luaL_checkudata(L, 1, HANDLER);
  bool open = *slot != NULL && !uv_is_closing((uv_handle_t *)&(*slot)->uv);
  lua_pushliteral(L, "signal handler (");
  ls_process_push_signal(L, *slot != NULL ? (*slot)->number : 0);
  lua_pushstring(L, open ? ")" : ", closed)");
  lua_concat(L, 3);
  return 1;
}

void ls_process_signal_open_type(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", l_close}, {"ref", l_ref}, {"unref", l_unref}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", l_close}, {"__gc", l_gc}, {"__tostring", l_tostring}, {NULL, NULL}};
  ls_handle_type(L, HANDLER, methods, metamethods);
}
