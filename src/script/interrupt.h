/* SPDX-License-Identifier: MIT */
/* interrupt: stops Lua code that runs on another thread: a job of the pool, all that a worker runs, or (for watchdog.c) one
 * slice of what a loop runs.
 *
 * A signal goes to that thread, and its handler, there, sets a hook on the coroutine that runs now (rt->current). The
 * hook raises a cancellation, which user code cannot swallow: <close> variables run, and have LS_INTERRUPT_GRACE_MS; after
 * that every instruction raises. A hook does not see time inside C functions: those that may take long poll. (A hook that
 * is always set and looks at a flag would need no signal, but it doubles the time of plain Lua code: 0.10 s against 0.05 s
 * for fib(30).) What runs must be in one lua_pcall of C at the outside, to which the cancellation may come as a LUA_ERRMEM.
 *
 * enter and leave enclose the code on its own thread; send may come from any other at any time between init and dispose.
 * leave waits until every signal that was sent has arrived (it is pending then, so for the next return from the kernel),
 * which is why none can arrive later, when the thread does something else or the struct is gone. */
#ifndef LS_SCRIPT_INTERRUPT_H
#define LS_SCRIPT_INTERRUPT_H

#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "script/runtime.h"

#define LS_INTERRUPT_GRACE_MS 100

struct ls_interrupt {
  pthread_mutex_t mutex;
  pthread_t thread;      /* mutex: that runs the code, while entered */
  bool entered;          /* mutex */
  unsigned sent;         /* mutex: signals */
  atomic_uint arrived;   /* of these, at the handler */
  atomic_bool requested; /* all that runs is to end */
  atomic_bool due;       /* what runs has to look whether it should end: by a hook, or where a C function polls */
  struct ls_runtime *rt; /* of the code, set before entered */
  uint64_t raised_at;    /* ns, when it was raised first; 0: not yet. The code's own thread */

  /* Slices: what runs between two returns to the loop. Counted by the code's own thread: odd while one runs. */
  atomic_uint slice;
  atomic_uint look_at; /* the slice whose place is asked for */
  atomic_uint stop_at; /* the slice that is to end */
  void (*note)(lua_State *L,
               bool stopping); /* one of these has come to its slice; L runs. Before it raises. May raise */
  void (*last_words)(struct ls_interrupt *interrupt); /* called by the handler for each signal. NULL: none */
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

/* Makes the handler look at what was asked for, on the code's own thread. false: that is not entered, or too many signals
 * are queued (pthread_sigqueue(3)). */
bool ls_interrupt_signal(struct ls_interrupt *interrupt);

/* L is about to run, or goes on: sets the hook on it where the code was interrupted. For coroutine.c and task.c. */
void ls_interrupt_check(lua_State *L, const struct ls_runtime *rt);

/* What a hook does, once: raises, or notes, or finds that nothing is due any more. */
void ls_interrupt_look(lua_State *L);

/* For C functions that may take long: raises a cancellation in L where the code that runs was interrupted. Call it every
 * thousand steps or so, with nothing held that Lua does not own. */
static inline void ls_interrupt_poll(lua_State *L) {
  const struct ls_interrupt *interrupt = ls_runtime_of(L)->interrupt;
  if (interrupt != NULL && atomic_load_explicit(&interrupt->due, memory_order_relaxed))
    ls_interrupt_look(L);
}

/* A slice begins, ends: on the code's own thread. */
static inline void ls_interrupt_begin_slice(struct ls_interrupt *interrupt) {
  unsigned slice = atomic_load_explicit(&interrupt->slice, memory_order_relaxed);
  atomic_store_explicit(&interrupt->slice, slice + 1, memory_order_release);
}

/* Whether something was due in it: then ls_interrupt_clear. */
static inline bool ls_interrupt_end_slice(struct ls_interrupt *interrupt) {
  ls_interrupt_begin_slice(interrupt);
  return atomic_load_explicit(&interrupt->due, memory_order_relaxed);
}

/* Between two slices: what was due in the last one is over, but for a request that all ends. */
void ls_interrupt_clear(struct ls_interrupt *interrupt);

#endif
