/* SPDX-License-Identifier: MIT */
/* runtime: one Lua world on one loop. Everything hangs off this struct, because each thread has one of its own. */
#ifndef LS_SCRIPT_RUNTIME_H
#define LS_SCRIPT_RUNTIME_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "script/collector.h"
#include "script/scope.h"
#include "script/seal.h"
#include "script/trace.h"

struct ls_alloc;
struct ls_interrupt;
struct ls_loop;
struct ls_process;
struct ls_shutdown;
struct ls_task;
struct ls_watchdog;
struct ls_worker;

/* What handlers and callbacks may take; 0: no limit. Times are milliseconds; see watchdog.h. */
struct ls_limits {
  uint64_t slow_ms;      /* without waiting: the log says so */
  uint64_t cpu_ms;       /* without waiting: stopped */
  uint64_t hang_ms;      /* beyond cpu_ms, where it cannot be stopped: the process is aborted */
  size_t memory;         /* bytes of Lua's memory; see memory.h */
  size_t request_memory; /* the same, that one request may hold */
};

/* Memory that Lua's objects point to, also those of a module whose own finalizer has run: the last ones that run when the
 * state closes are those of the oldest objects, which are the program's. */
struct ls_remains {
  struct ls_list link;
  void (*free)(struct ls_remains *remains);
};

struct ls_runtime {
  struct ls_loop *loop; /* not owned; NULL: nothing can wait here (a job of the pool) */
  struct ls_alloc *alloc;
  lua_State *L;                /* the main state; Lua code runs in tasks, never in it */
  struct ls_task *running;     /* whose coroutine (or an inner one of it) runs now; NULL between resumes */
  lua_State *volatile current; /* the innermost coroutine that runs now, for a signal handler; stale between resumes */
  struct ls_interrupt *interrupt; /* by which another thread can stop what runs now; NULL: none does */
  struct ls_watchdog *watchdog;   /* NULL: nothing is watched */
  struct ls_limits limits;        /* set after ls_runtime_init; at first there are none */
  uint64_t slow_slices;           /* that were over limits.slow_ms, and were not stopped */
  uint64_t stopped_slices;
  size_t slice_bytes;        /* what Lua held when the slice began */
  bool limited_alone;        /* the limit of the slice is the request's own, not that of all */
  bool wants_collection;     /* a task has ended for want of memory: what it held is garbage */
  uint64_t collected_at;     /* ns, when memory was last short; 0: never */
  bool refuses;              /* new requests, for want of memory */
  struct ls_list idle_tasks; /* pooled, waiting for work */
  unsigned idle_count;
  struct ls_list live_tasks;
  struct ls_list loads;        /* modules that are being loaded */
  struct ls_list callback_ops; /* operations that will call back */
  lua_State *cannot_await;     /* a state below the running one that sits in a C function and cannot yield; NULL */
  struct ls_scope root;        /* of the main chunk, of modules, of what task.background detaches */
  struct ls_task *main_task;   /* the main chunk's; NULL once it has returned */
  enum ls_globals globals;
  bool development;             /* for the one who writes the program, not for strangers: errors may be shown */
  bool is_command;              /* such as "test", of luaserve's own: a signal leaves it undone, whatever it serves */
  const char *app_folder;       /* "examples/": the script's, as it was given; NULL: the working folder. Not owned */
  struct ls_process *process;   /* NULL until luaserve.process is first required. Lua owns it */
  struct ls_worker *worker;     /* the worker that this is; NULL: the main program */
  struct ls_list workers;       /* bind/worker's: those that it has started */
  struct ls_shutdown *shutdown; /* bind/shutdown.c's; NULL until something listens */
  uint64_t grace_ms;            /* what an orderly end leaves to what is under way */
  uint64_t task_errors;         /* errors that nobody joined */
  uint64_t requests, requests_ended; /* that handlers were given, and those of them that are over */
  struct ls_collector collector;
  struct ls_tracing tracing;
  struct ls_list remains;
  bool exiting; /* os.exit or an error in the main chunk: start nothing new; only finalizers still run */
  int exit_status;
};

/* A runtime with the standard libraries, the replaced ones, and the loader of embedded modules. Bindings are added by
 * bind/modules.c. 0 or a negative code. */
int ls_runtime_init(struct ls_runtime *rt, struct ls_loop *loop);

/* A runtime without a loop, where nothing can wait: code runs in its main state, as the task that the caller provides in
 * rt->running. open is called protected, with L alone, and fills the state. 0 or a negative code. */
int ls_runtime_init_detached(struct ls_runtime *rt, lua_CFunction open);

/* Cancels what is left, closes the main chunk's <close> variables and the Lua state, frees. Handles that Lua owned are
 * closing afterwards: run the loop's disposal next. rt itself must outlive that, because orphaned operations end there. */
void ls_runtime_dispose(struct ls_runtime *rt);

/* Closes the <close> variables of a main chunk that has not returned; nothing else runs any more but what ends the
 * runtime. ls_runtime_dispose does so too, if nobody has. */
void ls_runtime_close_main(struct ls_runtime *rt);

/* Ends the loop with this status once the current resume returns. */
void ls_runtime_exit(struct ls_runtime *rt, int status);

/* The same from the C function that L is in, as its last act: the code that called it goes no further. Where that cannot
 * wait it is interrupted, which needs rt->interrupt. */
int ls_runtime_exit_here(lua_State *L, int status);

/* Has this freed once the Lua state is closed. */
void ls_runtime_leave(struct ls_runtime *rt, struct ls_remains *remains);

/* In a worker, raises that what changes the whole process, as name does, is for the main program. */
void ls_runtime_check_main(lua_State *L, const char *name);

/* The runtime of any lua_State of it. */
static inline struct ls_runtime *ls_runtime_of(lua_State *L) {
  return *(struct ls_runtime **)lua_getextraspace(L);
}

#endif
