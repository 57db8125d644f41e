/* SPDX-License-Identifier: MIT */
/* interrupt: stops Lua code that runs on another thread: a job of the pool, or all that a worker runs.
 *
 * A signal goes to that thread, and its handler, there, sets a hook on the coroutine that runs now (rt->current). The
 * hook raises a cancellation, which user code cannot swallow: <close> variables run, and have LS_INTERRUPT_GRACE_MS; after
 * that every instruction raises. A hook does not see time inside C functions. (A hook that is always set and looks at a
 * flag would need no signal, but it doubles the time of plain Lua code: 0.10 s against 0.05 s for fib(30).) What runs
 * must be in one lua_pcall of C at the outside, to which the cancellation may come as a LUA_ERRMEM.
 *
 * enter and leave enclose the code on its own thread; send may come from any other at any time between init and dispose.
 * Once a signal has been sent leave waits until it has arrived (it is pending then, so for the next return from the
 * kernel), which is why none can arrive later, when the thread does something else or the struct is gone. */
#ifndef LS_SCRIPT_INTERRUPT_H
#define LS_SCRIPT_INTERRUPT_H

#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LS_INTERRUPT_GRACE_MS 100

struct ls_runtime;

struct ls_interrupt {
  pthread_mutex_t mutex;
  pthread_t thread;      /* mutex: that runs the code, while entered */
  bool entered;          /* mutex */
  bool requested;        /* mutex */
  bool signalled;        /* mutex: a signal has been sent */
  struct ls_runtime *rt; /* of the code, set before entered */
  atomic_bool delivered; /* set by the handler */
  uint64_t raised_at;    /* ns, when the hook raised first; 0: not yet. The code's own thread */
};

/* Installs the signal handler of the process; doing so again is harmless. 0 or a negative code. */
int ls_interrupt_install(void);

int ls_interrupt_init(struct ls_interrupt *interrupt); /* 0 or a negative code */
void ls_interrupt_dispose(struct ls_interrupt *interrupt);

/* Before the code runs. false: it was interrupted already and must not run (leave is not called then). */
bool ls_interrupt_enter(struct ls_interrupt *interrupt, struct ls_runtime *rt);

/* Instead of the first raise, where nothing runs that it could stop: what runs from now on has its time, as cleanup has.
 * On the code's own thread, between enter and leave. */
void ls_interrupt_begin_grace(struct ls_interrupt *interrupt);

/* After it has run: whether it was interrupted. Then coroutines of it may still have the hook. */
bool ls_interrupt_leave(struct ls_interrupt *interrupt);

/* Stops the code, or keeps it from being run. Does not wait for it. The code's own thread may do so too. */
void ls_interrupt_send(struct ls_interrupt *interrupt);

/* L is about to run, or goes on: sets the hook on it where the code was interrupted. For coroutine.c and task.c. */
void ls_interrupt_check(lua_State *L, const struct ls_runtime *rt);

#endif
