/* SPDX-License-Identifier: MIT */
/* impl: the two sides of luaserve.worker. worker.c is the parent's: it starts a worker, joins it, ends it. thread.c is what
 * the worker's thread does, from its loop and Lua state to the outcome. port.c sends and receives, on both sides.
 *
 * The parent's thread owns struct ls_worker: it frees it when the thread has been joined, the parent's end of the link has
 * closed and the userdata has been collected. What is marked "thread" is the worker's own until then. */
#ifndef LS_BIND_WORKER_IMPL_H
#define LS_BIND_WORKER_IMPL_H

#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"
#include "loop/link.h"
#include "loop/loop.h"
#include "script/interrupt.h"
#include "script/runtime.h"

/* One end of the link, as its runtime uses it. */
struct ls_port {
  struct ls_link_end *end;
  struct ls_list receives; /* that wait for a message */
  struct ls_list sends;    /* that wait for room; the first one goes first */
  unsigned promised;       /* messages that a receive which was woken will take */
  bool holds;              /* keeps the loop alive, also when nothing waits here */
};

void ls_port_init(struct ls_port *port, struct ls_link_end *end);

/* Something has happened at the other end, or it has closed. */
void ls_port_pump(struct ls_port *port);

void ls_port_hold(struct ls_port *port, bool holds);

/* handle:send(...) and handle:receive([callback]), the handle at index 1. */
int ls_port_l_send(lua_State *L, struct ls_port *port);
int ls_port_l_receive(lua_State *L, struct ls_port *port);

enum ls_worker_outcome {
  LS_WORKER_UNFINISHED, /* the chunk has not returned */
  LS_WORKER_RESULTS,    /* message: what it returned */
  LS_WORKER_ERROR,      /* message: the error, one value */
  LS_WORKER_REFUSED,    /* message: a sentence on what could not be copied of the results */
  LS_WORKER_NO_MEMORY,
};

struct ls_worker {
  struct ls_link link; /* ends[0] is the parent's */
  struct ls_interrupt interrupt;
  atomic_bool terminating; /* set by the parent */
  atomic_bool ended;       /* set by the thread, as the last thing it does but for a wake */

  /* Set before the thread starts, only read afterwards. */
  struct ls_pool *pool;
  struct ls_log *log;
  struct ls_dicts *dicts;
  struct ls_restart *restart;
  char *name;
  char *file;
  char *folder; /* rt->app_folder; NULL: none */
  char *path;   /* package.path and package.cpath of the parent */
  char *cpath;
  struct ls_buf arguments;
  size_t memory_limit; /* 0: none */
  uint64_t grace_ms;
  enum ls_globals globals;

  /* The parent's. */
  struct ls_runtime *parent;
  struct ls_list siblings; /* in parent->workers until the thread is joined */
  struct ls_list joins;
  struct ls_port outer;
  pthread_t thread;
  unsigned owners; /* the userdata, and the open end of the link */
  int self;        /* registry reference of the userdata while it runs and is not unref'd */
  bool running;    /* until the thread is joined */

  /* The thread's; the parent reads the outcome once it has joined it. */
  struct ls_loop loop;
  struct ls_runtime rt;
  struct ls_port inner;
  struct ls_ready stop;
  enum ls_worker_outcome outcome;
  struct ls_buf message;
  struct ls_buf text; /* of an error, for the log */
  int exit_status;
  int failure; /* a negative code: it could not even begin */
};

/* What the thread runs: a start routine of pthread_create with the worker. */
void *ls_worker_run(void *worker);

#endif
