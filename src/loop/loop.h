/* SPDX-License-Identifier: MIT */
/* loop: one libuv loop, and the order in which its things run.
 *
 * libuv callbacks never do the work they announce: they note it (ls_loop_ready) and call ls_loop_drain as their last
 * statement; nothing after it touches the handle, because what runs in the drain may have closed it. A drain runs
 *   1. what the callback made ready, then
 *   2. all ticks, then all that became ready meanwhile, again until both are empty,
 *   3. the flushes (connections that have something to say).
 * More than LS_LOOP_BURST of the first two in one drain wait for one poll, so that they cannot starve I/O. No flush that is
 * queued when its step comes waits: what was read is in the read buffer until then, and there is one for each connection.
 *
 * A turn is what is between two polls. Its first drain reads the clock, and so does the next poll: what becomes due in the
 * turn has to wait for that long at most before it is looked at. */
#ifndef LS_LOOP_LOOP_H
#define LS_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/histogram.h"
#include "base/list.h"
#include "base/log.h"
#include "loop/timer.h"

#define LS_LOOP_BURST 10000
#define LS_LOOP_READ_BUFFER 65536
#define LS_LOOP_READ_MUCH (4 * LS_LOOP_READ_BUFFER)

struct ls_inherited;
struct ls_dicts;
struct ls_pool;
struct ls_restart;
struct ls_work_inbox;

/* Something that runs once in a drain. It is out of the queue when run is called and may free itself there. */
struct ls_ready {
  struct ls_list link; /* in no list: not queued */
  void (*run)(struct ls_ready *ready);
};

static inline void ls_ready_init(struct ls_ready *ready, void (*run)(struct ls_ready *ready)) {
  ls_list_init(&ready->link);
  ready->run = run;
}

static inline bool ls_ready_is_queued(const struct ls_ready *ready) {
  return !ls_list_is_empty(&ready->link);
}

struct ls_loop {
  uv_loop_t uv;
  struct ls_pool *pool;           /* the process's, not owned */
  struct ls_log *log;             /* the process's, not owned */
  struct ls_dicts *dicts;         /* the process's, not owned; set after ls_loop_init. NULL: none */
  struct ls_inherited *inherited; /* the process's, not owned; set after ls_loop_init. NULL: nothing was passed */
  struct ls_restart *restart;     /* the process's, not owned; set after ls_loop_init. NULL: changes restart nothing */
  struct ls_work_inbox *inbox;    /* where finished jobs arrive */
  struct ls_list ready;
  struct ls_list ticks;
  struct ls_list flushes;
  struct ls_list immediates;
  struct ls_timers timers;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t spin; /* active while immediates or a capped drain must not wait in poll */
  bool draining;
  bool stopping;             /* ls_loop_stop was called: drains do nothing any more */
  bool capped;               /* the last drain stopped at LS_LOOP_BURST; the next one is in the check phase */
  uint64_t capped_logged;    /* when that was last said in the log, ns */
  uint64_t steps;            /* that were run so far */
  uint64_t inline_since;     /* when the first inline completion since the last turn was, ns; 0: none */
  uint64_t turn_since;       /* when the first drain of this turn began, ns; 0: there has been none */
  uint64_t turn_max;         /* the longest turn, ns */
  struct ls_histogram turns; /* how long turns with a drain took, without what was before the first turn */
  char *read_buffer; /* LS_LOOP_READ_MUCH bytes, lent to each read callback in turn; few use more than the first */
};

/* 0 or a negative code; on failure nothing is left to dispose. */
int ls_loop_init(struct ls_loop *loop, struct ls_pool *pool, struct ls_log *log);

/* Drains, then runs turns until nothing keeps the loop alive or ls_loop_stop was called. */
void ls_loop_run(struct ls_loop *loop);

/* Whether a turn would come, or something is queued: the program has more to do than what runs now. */
bool ls_loop_is_alive(const struct ls_loop *loop);

/* Makes ls_loop_run return after the current callback; nothing that is queued runs any more. */
void ls_loop_stop(struct ls_loop *loop);

/* Closes every handle that is still open, runs the close callbacks, frees. Call it after the things that own handles
 * had their chance; a handle found here without an owner is closed with no callback. */
void ls_loop_dispose(struct ls_loop *loop);

/* Queues ready behind what is queued already; a queued one stays where it is. */
void ls_loop_ready(struct ls_loop *loop, struct ls_ready *ready);

/* Queues for the tick phase: before anything that is ready, after what runs now. */
void ls_loop_tick(struct ls_loop *loop, struct ls_ready *tick);

/* Queues for the last step of the drain. */
void ls_loop_flush(struct ls_loop *loop, struct ls_ready *flush);

/* Queues for the check phase: this turn's, or the next one's when called from there. Keeps the loop alive. */
void ls_loop_immediate(struct ls_loop *loop, struct ls_ready *immediate);

/* Takes it out of whatever queue it is in; harmless when in none. */
static inline void ls_loop_unqueue(struct ls_ready *ready) {
  ls_list_remove(&ready->link);
}

/* The last statement of every outermost libuv callback. Does nothing inside a drain. */
void ls_loop_drain(struct ls_loop *loop);

/* Whether completing without a yield is still fair: less than about a millisecond of it since the last turn. */
bool ls_loop_may_inline(struct ls_loop *loop);

/* Whether handle is one that every loop has from its beginning to its end. */
bool ls_loop_is_own(const struct ls_loop *loop, const uv_handle_t *handle);

static inline struct ls_loop *ls_loop_of(const uv_handle_t *handle) {
  return ls_container_of(handle->loop, struct ls_loop, uv);
}

#endif
