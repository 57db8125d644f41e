/* SPDX-License-Identifier: MIT */
/* work: jobs that block, on libuv's thread pool, in lanes.
 *
 * libuv's pool is one queue for the whole process: a stat behind four slow lookups waits for them. So jobs wait here,
 * one FIFO and one cap a lane, shared by all loops of the process under one mutex, and libuv only ever gets runners: a
 * runner takes the longest-waiting job of a lane that is under its cap, runs it, takes the next, and ends when there is
 * none. A finished job goes to its own loop: with the runner's own end when it is the last, else through a list and an
 * async handle. A loop gets its jobs back in the order in which they finished.
 *
 * A runner is an active request of the loop that started it and keeps it alive, so it serves other loops only while its
 * own has jobs; then it ends, and the loop of the next job starts another.
 *
 * Caps for T threads: files T; DNS, user and hashing jobs T - 1 together, a third each (what is left over goes to DNS,
 * then to user jobs), so a thread is left for files: T = 4 gives 1, 1, 1 and T = 8 gives 3, 2, 2. Below four threads
 * each has 1 all the same, and they can hold up files.
 *
 * Where jobs wait for more than LS_WORK_SLOW_MS the log says so, once a minute. */
#ifndef LS_LOOP_WORK_H
#define LS_LOOP_WORK_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/histogram.h"
#include "base/list.h"

#define LS_WORK_SLOW_MS 1000 /* of waiting, after which the log says so */

struct ls_loop;
struct ls_pool;

enum ls_lane { LS_LANE_FILE, LS_LANE_DNS, LS_LANE_HASH, LS_LANE_USER, LS_LANES };

/* "files", "dns", "hashing", "user" */
const char *ls_lane_name(enum ls_lane lane);

/* One job. Its owner embeds it, and may not free it between submit and done (or a cancel that returned true). */
struct ls_work {
  struct ls_list link;
  void (*run)(struct ls_work *work);  /* on a pool thread; sees no lua_State */
  void (*done)(struct ls_work *work); /* on the loop's thread; may free the job. The loop drains after it. */
  struct ls_loop *loop;
  enum ls_lane lane;
  int state;          /* work.c's: idle, queued, running, finished; under the pool's mutex */
  uint64_t queued_at; /* ns */
};

struct ls_lane_stats {
  unsigned cap, queued, running;
  uint64_t done;
  uint64_t wait_ns_total, wait_ns_max; /* time from submit to start */
  struct ls_histogram waits;
};

/* The pool of the process. threads: the size libuv's pool has (UV_THREADPOOL_SIZE). NULL: out of memory. */
struct ls_pool *ls_pool_new(unsigned threads);
void ls_pool_free(struct ls_pool *pool); /* when no loop uses it any more */
/* Waits until no job runs, or timeout_ms has passed: then false, and a job hangs. */
bool ls_pool_settle(struct ls_pool *pool, unsigned timeout_ms);
unsigned ls_pool_threads(const struct ls_pool *pool);
void ls_pool_stats(struct ls_pool *pool, enum ls_lane lane, struct ls_lane_stats *stats);

/* The part of a loop that receives finished jobs. ls_loop_init and ls_loop_dispose call these.
 * The async handle does not keep the loop alive; outstanding jobs do. */
struct ls_work_inbox;
int ls_work_attach(struct ls_loop *loop, struct ls_work_inbox **inbox);

/* After its handle has closed, on the loop's thread. Jobs that still wait are taken back as by ls_work_cancel (their
 * owners should have done so); jobs that run for this loop are waited for, and done is called. NULL is allowed. */
void ls_work_detach(struct ls_work_inbox *inbox);

/* How many jobs of the loop wait or run. On the loop's thread. */
size_t ls_work_outstanding(const struct ls_work_inbox *inbox);

/* Whether handle is the inbox's own. */
bool ls_work_is_handle(const struct ls_work_inbox *inbox, const uv_handle_t *handle);

/* Queues the job (zeroed, or back from done or a cancel; run and done set by the caller). On the loop's thread.
 * 0, or -ECANCELED while the loop is being disposed of, and then done is not called. Needs no memory. */
int ls_work_submit(struct ls_loop *loop, struct ls_work *work, enum ls_lane lane);

/* Takes a job back that still waits: true, and neither run nor done will be called. A running or finished one goes on:
 * false. On the loop's thread. */
bool ls_work_cancel(struct ls_work *work);

#endif
