/* SPDX-License-Identifier: MIT */
/* work: jobs that block, on libuv's thread pool, in lanes.
 *
 * A runner is one uv_work request of a loop. Only a loop's own thread can start one, so the slots for them belong to
 * its inbox, as many as the pool has threads, and starting one cannot fail. A slot is in use from uv_queue_work to the
 * after-work callback; pool->runners counts only until the runner has taken its last job, because its thread is free
 * from then on.
 *
 * An active request keeps its loop alive. So a runner works for other loops only while its own has jobs waiting or
 * running; then it ends, and if jobs are left over it wakes the loop of the next one, which starts a runner itself.
 *
 * One mutex covers the lanes, the states of jobs and the lists of finished ones. run and done are called without it. */
#include "loop/work.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

#include "base/clock.h"
#include "loop/loop.h"

enum { THREADS_MAX = 1024 }; /* libuv's own limit */

#define SLOW_NS ((uint64_t)LS_WORK_SLOW_MS * 1000000)
#define WARN_NS ((uint64_t)60 * 1000000000)

enum state { IDLE, QUEUED, RUNNING, FINISHED };

struct lane {
  struct ls_list jobs;
  struct ls_lane_stats stats;
};

struct ls_pool {
  pthread_mutex_t mutex;
  pthread_cond_t finished; /* a job has finished, and somebody waits for that: a detaching loop, or ls_pool_settle */
  bool settling;
  unsigned threads;
  unsigned runners; /* started, and not at their end */
  unsigned running; /* jobs that run: one for each runner that has begun */
  uint64_t warned;  /* when the log was told last that jobs wait long, ns; 0: never */
  struct lane lanes[LS_LANES];
};

struct runner {
  uv_work_t uv;
  struct ls_work_inbox *inbox;
  bool in_use; /* loop's thread, as is extra */
  bool extra;  /* not a slot but malloc'ed */
};

struct ls_work_inbox {
  struct ls_loop *loop;
  struct ls_pool *pool;
  uv_async_t async;
  struct ls_list finished; /* mutex */
  unsigned queued;         /* mutex: jobs of this loop that wait */
  unsigned running;        /* mutex: jobs of this loop that run */
  bool closed;             /* mutex: takes no more jobs, and nobody may send to async */
  size_t outstanding;      /* loop's thread: submitted, and neither done nor cancelled; over 0 the loop lives */
  struct runner runners[]; /* pool->threads */
};

/* ---- the pool ---- */

/* Files may use every thread. Below four threads each other lane still needs one, and nothing is left for files. */
static void set_caps(struct ls_pool *pool) {
  unsigned share = pool->threads >= 4 ? pool->threads - 1 : 3;
  pool->lanes[LS_LANE_FILE].stats.cap = pool->threads;
  pool->lanes[LS_LANE_DNS].stats.cap = (share + 2) / 3;
  pool->lanes[LS_LANE_USER].stats.cap = (share + 1) / 3;
  pool->lanes[LS_LANE_HASH].stats.cap = share / 3;
}

const char *ls_lane_name(enum ls_lane lane) {
  static const char *const names[LS_LANES] = {
      [LS_LANE_FILE] = "files", [LS_LANE_DNS] = "dns", [LS_LANE_HASH] = "hashing", [LS_LANE_USER] = "user"};
  return names[lane];
}

struct ls_pool *ls_pool_new(unsigned threads) {
  struct ls_pool *pool = calloc(1, sizeof *pool);
  if (pool == NULL)
    return NULL;
  if (pthread_mutex_init(&pool->mutex, NULL) != 0)
    goto no_mutex;
  if (pthread_cond_init(&pool->finished, NULL) != 0)
    goto no_cond;
  pool->threads = threads < 1 ? 1 : threads < THREADS_MAX ? threads : THREADS_MAX;
  for (int lane = 0; lane < LS_LANES; lane++)
    ls_list_init(&pool->lanes[lane].jobs);
  set_caps(pool);
  return pool;
no_cond:
  pthread_mutex_destroy(&pool->mutex);
no_mutex:
  free(pool);
  return NULL;
}

void ls_pool_free(struct ls_pool *pool) {
  if (pool == NULL)
    return;
  assert(pool->runners == 0);
  pthread_cond_destroy(&pool->finished);
  pthread_mutex_destroy(&pool->mutex);
  free(pool);
}

bool ls_pool_settle(struct ls_pool *pool, unsigned timeout_ms) {
  struct timespec end = ls_clock_after(CLOCK_REALTIME, timeout_ms);
  int status = 0;
  pthread_mutex_lock(&pool->mutex);
  pool->settling = true;
  while (pool->running > 0 && status == 0)
    status = pthread_cond_timedwait(&pool->finished, &pool->mutex, &end);
  pool->settling = false;
  bool settled = pool->running == 0;
  pthread_mutex_unlock(&pool->mutex);
  return settled;
}

unsigned ls_pool_threads(const struct ls_pool *pool) {
  return pool->threads;
}

void ls_pool_stats(struct ls_pool *pool, enum ls_lane lane, struct ls_lane_stats *stats) {
  pthread_mutex_lock(&pool->mutex);
  *stats = pool->lanes[lane].stats;
  pthread_mutex_unlock(&pool->mutex);
}

/* ---- under the mutex ---- */

/* How many of the waiting jobs could run now, as far as the caps go. */
static unsigned count_runnable(const struct ls_pool *pool) {
  unsigned count = 0;
  for (int i = 0; i < LS_LANES; i++) {
    const struct ls_lane_stats *lane = &pool->lanes[i].stats;
    unsigned free_slots = lane->cap - lane->running;
    count += lane->queued < free_slots ? lane->queued : free_slots;
  }
  return count;
}

static bool lacks_runner(const struct ls_pool *pool) {
  unsigned beginning = pool->runners - pool->running; /* each of these will take one job */
  return pool->runners < pool->threads && beginning < count_runnable(pool);
}

/* The job that waits longest among the lanes below their caps, or NULL. */
static struct ls_work *next_job(struct ls_pool *pool) {
  struct ls_work *next = NULL;
  for (int i = 0; i < LS_LANES; i++) {
    struct lane *lane = &pool->lanes[i];
    if (lane->stats.queued == 0 || lane->stats.running >= lane->stats.cap)
      continue;
    struct ls_work *first = ls_container_of(lane->jobs.next, struct ls_work, link);
    if (next == NULL || first->queued_at < next->queued_at)
      next = first;
  }
  return next;
}

static void unqueue(struct ls_pool *pool, struct ls_work *work, enum state state) {
  ls_list_remove(&work->link);
  work->state = state;
  pool->lanes[work->lane].stats.queued--;
  work->loop->inbox->queued--;
}

/* The log only appends to a ring, so this may hold up the mutex. */
static void warn_of_wait(struct ls_pool *pool, const struct ls_work *work, uint64_t now) {
  uint64_t waited = now - work->queued_at;
  if (waited < SLOW_NS || (pool->warned != 0 && now - pool->warned < WARN_NS))
    return;
  pool->warned = now;
  ls_log_write(work->loop->log, LS_LOG_WARN,
               "jobs wait for a thread of the pool: %.1f s in the lane '%s', which may use %u of %u threads; "
               "--pool-threads gives it more",
               (double)waited / 1e9, ls_lane_name(work->lane), pool->lanes[work->lane].stats.cap, pool->threads);
}

static void begin_job(struct ls_pool *pool, struct ls_work *work) {
  unqueue(pool, work, RUNNING);
  struct ls_lane_stats *stats = &pool->lanes[work->lane].stats;
  uint64_t now = uv_hrtime(), waited = now - work->queued_at;
  warn_of_wait(pool, work, now);
  stats->wait_ns_total += waited;
  ls_histogram_add(&stats->waits, waited);
  if (waited > stats->wait_ns_max)
    stats->wait_ns_max = waited;
  stats->running++;
  work->loop->inbox->running++;
  pool->running++;
}

static void end_job(struct ls_pool *pool, struct ls_work *work) {
  struct ls_work_inbox *inbox = work->loop->inbox;
  struct ls_lane_stats *stats = &pool->lanes[work->lane].stats;
  work->state = FINISHED;
  stats->running--;
  stats->done++;
  pool->running--;
  inbox->running--;
  if (inbox->closed || pool->settling)
    pthread_cond_broadcast(&pool->finished);
}

/* Gives a finished job to its loop. What is first in the list wakes the loop, which then takes all of it, unless a
 * runner of the loop is ending now: its callback takes the list as well. */
static void post(struct ls_work *work, const struct ls_work_inbox *ending) {
  struct ls_work_inbox *inbox = work->loop->inbox;
  bool wake = ls_list_is_empty(&inbox->finished) && !inbox->closed && inbox != ending;
  ls_list_push(&inbox->finished, &work->link);
  if (wake)
    uv_async_send(&inbox->async);
}

/* Jobs that nobody would take: their loop starts a runner. It is alive, because it waits for the job. */
static void wake_next(struct ls_pool *pool) {
  if (lacks_runner(pool))
    uv_async_send(&next_job(pool)->loop->inbox->async);
}

/* Takes over what the runner has finished (NULL at first), and gives it the next job, or NULL: it ends. */
static struct ls_work *turn_over(struct runner *runner, struct ls_work *finished) {
  struct ls_work_inbox *own = runner->inbox;
  struct ls_pool *pool = own->pool;
  if (finished != NULL)
    end_job(pool, finished);
  struct ls_work *next = own->queued + own->running > 0 ? next_job(pool) : NULL;
  if (finished != NULL)
    post(finished, next == NULL ? own : NULL);
  if (next != NULL) {
    begin_job(pool, next);
  } else {
    pool->runners--;
    wake_next(pool);
  }
  return next;
}

/* ---- runners ---- */

static void on_run(uv_work_t *uv) {
  struct runner *runner = ls_container_of(uv, struct runner, uv);
  struct ls_pool *pool = runner->inbox->pool;
  struct ls_work *work = NULL;
  for (;;) {
    pthread_mutex_lock(&pool->mutex);
    work = turn_over(runner, work);
    pthread_mutex_unlock(&pool->mutex);
    if (work == NULL)
      return;
    work->run(work);
  }
}

static void on_runner_end(uv_work_t *uv, int status);

/* Counts one runner more where the pool lacks one and a job of this loop waits. */
static bool claim_runner(struct ls_work_inbox *inbox) {
  struct ls_pool *pool = inbox->pool;
  pthread_mutex_lock(&pool->mutex);
  bool claimed = lacks_runner(pool) && inbox->queued > 0;
  if (claimed)
    pool->runners++;
  else
    wake_next(pool); /* the job this loop was woken for is gone, but others may wait behind it */
  pthread_mutex_unlock(&pool->mutex);
  return claimed;
}

static void unclaim_runner(struct ls_pool *pool) {
  pthread_mutex_lock(&pool->mutex);
  pool->runners--;
  pthread_mutex_unlock(&pool->mutex);
}

/* A slot, or memory where all slots are in use, or NULL. */
static struct runner *take_runner(struct ls_work_inbox *inbox) {
  struct runner *runner = NULL;
  for (unsigned i = 0; i < inbox->pool->threads && runner == NULL; i++) {
    if (!inbox->runners[i].in_use)
      runner = &inbox->runners[i];
  }
  bool extra = runner == NULL;
  if (extra)
    runner = malloc(sizeof *runner);
  if (runner != NULL)
    *runner = (struct runner){.inbox = inbox, .in_use = true, .extra = extra};
  return runner;
}

static void give_runner(struct runner *runner) {
  runner->in_use = false;
  if (runner->extra)
    free(runner);
}

static void start_runners(struct ls_work_inbox *inbox) {
  while (claim_runner(inbox)) {
    struct runner *runner = take_runner(inbox);
    if (runner == NULL) {
      unclaim_runner(inbox->pool); /* a slot's callback is due, and comes back here */
      return;
    }
    int status = uv_queue_work(&inbox->loop->uv, &runner->uv, on_run, on_runner_end);
    assert(status == 0); /* fails only without a callback */
    (void)status;
  }
}

/* ---- the loop's side ---- */

static void subtract_outstanding(struct ls_work_inbox *inbox) {
  inbox->outstanding--;
  if (inbox->outstanding == 0)
    uv_unref((uv_handle_t *)&inbox->async);
}

/* Calls done for all that have finished. A done callback may cancel one that is still in the list: that one has run, so
 * it is told so and stays. */
static void deliver(struct ls_work_inbox *inbox) {
  struct ls_list finished;
  ls_list_init(&finished);
  pthread_mutex_lock(&inbox->pool->mutex);
  ls_list_move(&finished, &inbox->finished);
  pthread_mutex_unlock(&inbox->pool->mutex);
  struct ls_list *link;
  while ((link = ls_list_shift(&finished)) != NULL) {
    struct ls_work *work = ls_container_of(link, struct ls_work, link);
    work->state = IDLE; /* no other thread knows it any more */
    subtract_outstanding(inbox);
    work->done(work);
    ls_loop_drain(inbox->loop);
  }
}

static void on_runner_end(uv_work_t *uv, int status) {
  (void)status; /* requests are never cancelled */
  struct runner *runner = ls_container_of(uv, struct runner, uv);
  struct ls_work_inbox *inbox = runner->inbox;
  give_runner(runner);
  start_runners(inbox);
  deliver(inbox);
}

static void on_async(uv_async_t *async) {
  struct ls_work_inbox *inbox = ls_container_of(async, struct ls_work_inbox, async);
  start_runners(inbox);
  deliver(inbox);
}

int ls_work_attach(struct ls_loop *loop, struct ls_work_inbox **inbox) {
  struct ls_pool *pool = loop->pool;
  struct ls_work_inbox *new = calloc(1, sizeof *new + pool->threads * sizeof new->runners[0]);
  *inbox = NULL;
  if (new == NULL)
    return -ENOMEM;
  int status = uv_async_init(&loop->uv, &new->async, on_async);
  if (status != 0) {
    free(new);
    return status;
  }
  uv_unref((uv_handle_t *)&new->async);
  new->loop = loop;
  new->pool = pool;
  ls_list_init(&new->finished);
  *inbox = new;
  return 0;
}

/* Takes the jobs of a loop that still wait out of all lanes. */
static void drop_queued(struct ls_work_inbox *inbox) {
  for (int i = 0; i < LS_LANES; i++) {
    struct ls_list *jobs = &inbox->pool->lanes[i].jobs;
    for (struct ls_list *link = jobs->next, *next; link != jobs; link = next) {
      next = link->next;
      struct ls_work *work = ls_container_of(link, struct ls_work, link);
      if (work->loop == inbox->loop)
        unqueue(inbox->pool, work, IDLE);
    }
  }
}

void ls_work_detach(struct ls_work_inbox *inbox) {
  if (inbox == NULL)
    return;
  struct ls_pool *pool = inbox->pool;
  pthread_mutex_lock(&pool->mutex);
  inbox->closed = true;
  drop_queued(inbox);
  wake_next(pool); /* who was woken for one of the dropped jobs will not come */
  while (inbox->running > 0)
    pthread_cond_wait(&pool->finished, &pool->mutex);
  pthread_mutex_unlock(&pool->mutex);
  deliver(inbox);
  free(inbox);
}

bool ls_work_is_handle(const struct ls_work_inbox *inbox, const uv_handle_t *handle) {
  return handle == (const uv_handle_t *)&inbox->async;
}

int ls_work_submit(struct ls_loop *loop, struct ls_work *work, enum ls_lane lane) {
  struct ls_work_inbox *inbox = loop->inbox;
  struct ls_pool *pool = loop->pool;
  pthread_mutex_lock(&pool->mutex);
  if (inbox->closed) {
    pthread_mutex_unlock(&pool->mutex);
    return -ECANCELED;
  }
  work->loop = loop;
  work->lane = lane;
  work->state = QUEUED;
  work->queued_at = uv_hrtime(); /* under the mutex, so that a lane's order is the order of times */
  ls_list_push(&pool->lanes[lane].jobs, &work->link);
  pool->lanes[lane].stats.queued++;
  warn_of_wait(pool, ls_container_of(pool->lanes[lane].jobs.next, struct ls_work, link), work->queued_at);
  inbox->queued++;
  pthread_mutex_unlock(&pool->mutex);

  if (inbox->outstanding++ == 0)
    uv_ref((uv_handle_t *)&inbox->async);
  start_runners(inbox);
  return 0;
}

bool ls_work_cancel(struct ls_work *work) {
  if (work->loop == NULL)
    return false; /* never submitted */
  struct ls_pool *pool = work->loop->pool;
  pthread_mutex_lock(&pool->mutex);
  bool waits = work->state == QUEUED;
  if (waits) {
    unqueue(pool, work, IDLE);
    wake_next(pool); /* who was woken for this one may not come */
  }
  pthread_mutex_unlock(&pool->mutex);
  if (waits)
    subtract_outstanding(work->loop->inbox);
  return waits;
}
