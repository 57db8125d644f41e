/* SPDX-License-Identifier: MIT */
/* task: a coroutine that the runtime owns, and the only place that resumes one.
 *
 * At the base of a task's coroutine is a C function that calls the work protected, with a traceback handler, and reports
 * the end; so <close> variables run on every way out and may await, a memory error in one task is an error of that task,
 * and the coroutine, which has always returned, is pooled.
 *
 * Work comes in two forms, both through the coroutine's stack, on top of the two functions that lie there while it is idle:
 *  - from Lua (protected): lua_xmove a function and its arguments to task->co, then ls_task_start;
 *  - from C outside any Lua call: ls_task_start_c with a lua_CFunction, which finds its argument as light userdata at
 *    index 1. Neither push allocates. */
#ifndef LS_SCRIPT_TASK_H
#define LS_SCRIPT_TASK_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "loop/loop.h"
#include "script/scope.h"
#include "script/trace.h"

struct ls_load;
struct ls_op;
struct ls_runtime;
struct ls_task;

/* How a task ended, told inside its coroutine and outside any protected call.
 * status LUA_OK: the results are at index 2 to lua_gettop(L); else the error value is at lua_gettop(L), and
 * ls_task_push_error gives it as text with its traceback. LUA_MINSTACK slots are free. The task goes back to the pool
 * after it. Should it raise (only memory can run out here), it is called again with L NULL and LUA_ERRMEM, to do what
 * needs no Lua. */
typedef void (*ls_task_end)(struct ls_task *task, lua_State *L, int status);

struct ls_task {
  struct ls_ready ready;   /* queued to be resumed */
  struct ls_list link;     /* in idle_tasks or live_tasks */
  struct ls_member member; /* of the scope it was started in */
  struct ls_runtime *rt;
  lua_State *co;
  int co_ref;
  struct ls_scope *scope; /* where what it starts becomes a member: its own request's, or that of its starter */
  struct ls_op *op;       /* what it waits for; NULL: it runs, is queued or idle */
  struct ls_op *woken_by; /* the finished operation whose results the continuation will push */
  struct ls_op *pushing;  /* being pushed; should that raise, freed by the next await or the end. Linked by op->outer */
  ls_task_end on_end;
  const char *origin;      /* where it was spawned, for the log: "app.lua:12"; NULL: not told */
  int deferred;            /* registry reference of what task.defer collected; LUA_NOREF */
  int status;              /* the outcome, while that runs */
  struct ls_load *loading; /* the module load that it is; NULL: none */
  void *data;              /* the starter's: a request, a Lua task handle's record */
  struct ls_trace *trace;  /* of its scope; NULL: it is not traced */
  uint64_t traced_at;      /* the rest is trace.c's */
  struct ls_trace_place *traced_place;
  enum ls_trace_part traced_part;
  bool started;        /* has been resumed: too late for ls_task_drop */
  bool ended;          /* on_end has been called */
  unsigned cancel_seq; /* bumped at each delivery of a cancellation */
  bool stopped;        /* for holding the loop: its error is in the registry, see watchdog.c */
  bool cancelled;      /* a cancellation waits to be delivered at the next await */
  unsigned shield;     /* depth of task.shield: deliver later */
};

/* The scope of the request that task, which may be NULL, belongs to; NULL: it belongs to none. */
static inline struct ls_scope *ls_task_request(const struct ls_task *task) {
  return task != NULL && task->scope != NULL && task->scope->is_request ? task->scope : NULL;
}

/* A task from the pool, or a new one. NULL: out of memory. Safe outside protected calls. It is live from here on and
 * must be started (or given back with ls_task_drop). scope may be NULL (not a member of any); scope->members gets the
 * task when member is true; what the task starts joins scope either way. */
struct ls_task *ls_task_take(struct ls_runtime *rt, struct ls_scope *scope, bool member);
void ls_task_drop(struct ls_task *task); /* also one that is queued, but none that has started */

/* When a task is resumed first. */
enum ls_task_when { LS_TASK_READY, LS_TASK_TICK, LS_TASK_IMMEDIATE };

/* Queues the first resume: a function and its arguments are on task->co. */
void ls_task_start(struct ls_task *task, enum ls_task_when when, ls_task_end on_end);
/* The same for a C function and its argument, e.g. a request. */
void ls_task_start_c(struct ls_task *task, lua_CFunction entry, void *arg, ls_task_end on_end);
/* From the run function of something ready, where no task runs: resumes at once instead of queueing. */
void ls_task_run_c(struct ls_task *task, lua_CFunction entry, void *arg, ls_task_end on_end);

/* From inside a running task, whose L this is: resumes at once, nested; the outer task goes on when this one waits or has
 * ended. The function and its arguments are on task->co. */
void ls_task_run_inside(struct ls_task *task, lua_State *L, ls_task_end on_end);

/* Wakes a task whose operation has ended. For op.c. */
void ls_task_wake(struct ls_task *task, struct ls_op *op, bool next_turn);

/* Asks the task to end: what it waits for is cancelled and its await raises a cancellation, which user code cannot
 * swallow. A running or queued task gets it at its next await. Whether it waited for an operation, and that is over: of a
 * job of the pool, that it had not begun and will not. */
bool ls_task_cancel(struct ls_task *task);

/* Raises the cancellation in L if one is due for the running task. */
void ls_task_check_cancel(lua_State *L);

/* How many cancellations the running task has been delivered: a protected call that finds more at its end than at its
 * beginning passes one on (ls_task_raise_cancel). */
unsigned ls_task_cancel_seq(lua_State *L);

/* Raises the cancellation that ends L's task, whatever is pending: for code that must pass one on. */
int ls_task_raise_cancel(lua_State *L);

/* The scope that what the running code starts belongs to: its task's, or the root where no task runs. */
struct ls_scope *ls_task_current_scope(struct ls_runtime *rt);

/* The lua_KFunction of a C function whose last act is a call without results. */
int ls_task_return_nothing(lua_State *L, int status, lua_KContext context);

/* Moves a function and its arguments, the top count values of L, to what runs when the task ends; the last one runs
 * first. Raises for memory. */
void ls_task_defer(struct ls_task *task, lua_State *L, int count);

/* Pushes the table of values that everything in scope shares, made when first asked for. The owner of the scope unrefs
 * scope->locals at its end. */
void ls_task_push_locals(lua_State *L, struct ls_scope *scope);

/* Pushes the error of a task that ended (on_end's L): its text, then the traceback of where it was raised. An error
 * object whose __tostring fails is named by its type. */
const char *ls_task_push_error(struct ls_task *task, lua_State *L);

/* A lua_CFunction, the handler of a protected call: keeps the error value as it is, and its traceback for
 * ls_task_push_error. */
int ls_task_keep_traceback(lua_State *L);

/* Pushes the traceback of L, without the C functions that are below all of it, or nil where nothing else is there. */
void ls_task_push_traceback(lua_State *L);

/* Where L is, "app.lua:12": the innermost line, from this level on, that is not luaserve's own. false: there is none, and
 * text is as it was. */
bool ls_task_find_place(lua_State *L, int level, char *text, size_t size);

/* Whether the value at index is a cancellation. */
bool ls_task_is_cancellation(lua_State *L, int index);

/* The end of tasks nobody else reports: an error is logged with its traceback and counted, a cancellation is not. */
void ls_task_end_logged(struct ls_task *task, lua_State *L, int status);

/* Whether co stopped at a yield of the runtime's: an await is passing outward through it, or it is a task's own and idle.
 */
bool ls_task_is_parked(lua_State *co);

/* Pushes what an await yields: a value that no Lua code can have. */
void ls_task_push_parked(lua_State *L);

#endif
