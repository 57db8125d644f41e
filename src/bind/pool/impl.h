/* SPDX-License-Identifier: MIT */
/* impl: the two sides of luaserve.pool. run.c starts jobs and takes their results, in the runtime that asked; state.c runs
 * them, on a pool thread, in a Lua state of their own. A job goes from the one to the other and back; nothing else is
 * shared but the set of states, which has a mutex. For bind/pool only. */
#ifndef LS_BIND_POOL_IMPL_H
#define LS_BIND_POOL_IMPL_H

#include <lua.h>
#include <stdbool.h>

#include "base/buf.h"
#include "loop/work.h"
#include "script/interrupt.h"
#include "script/op.h"

/* The Lua states of one runtime's jobs, kept for the next ones. Has an owner in Lua and one in each job; all of them live
 * on the runtime's thread, the jobs' runs do not. */
struct ls_pool_states;

/* keep: how many idle states at most. NULL: out of memory. */
struct ls_pool_states *ls_pool_states_new(unsigned keep);
struct ls_pool_states *ls_pool_states_ref(struct ls_pool_states *states);
void ls_pool_states_unref(struct ls_pool_states *states);

/* What require searches: package.path and package.cpath. Never changed, and freed with the states: no lock is needed. */
struct ls_pool_paths {
  struct ls_pool_paths *older;
  const char *cpath; /* behind path */
  char path[];
};

/* The same ones as before where they are the same. NULL: out of memory. */
const struct ls_pool_paths *ls_pool_states_paths(struct ls_pool_states *states, const char *path, const char *cpath);

enum ls_pool_outcome {
  LS_POOL_NO_MEMORY, /* also before the job has run */
  LS_POOL_RESULTS,   /* message: the results */
  LS_POOL_ERROR,     /* message: the error, one value */
  LS_POOL_REFUSED,   /* message: a sentence on what could not be copied of the results */
};

struct ls_pool_job {
  struct ls_op op;
  struct ls_work work;
  struct ls_interrupt interrupt;
  struct ls_pool_states *states;
  const struct ls_pool_paths *paths;
  struct ls_buf code;    /* the function, dumped; empty: the first two arguments are a module and a function */
  struct ls_buf message; /* the arguments; then the outcome */
  enum ls_pool_outcome outcome;
};

/* Runs the job, on a pool thread. */
void ls_pool_job_run(struct ls_pool_job *job);

#endif
