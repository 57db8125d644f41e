/* SPDX-License-Identifier: MIT */
#include "loop/loop.h"

#include <limits.h>
#include <stdlib.h>

#include "base/clock.h"
#include "loop/work.h"

#define NS_PER_MS UINT64_C(1000000)
#define INLINE_NS NS_PER_MS
#define CAPPED_LOG_NS (UINT64_C(10000) * NS_PER_MS)

static void queue(struct ls_list *list, struct ls_ready *ready) {
  if (!ls_ready_is_queued(ready))
    ls_list_push(list, &ready->link);
}

void ls_loop_ready(struct ls_loop *loop, struct ls_ready *ready) {
  queue(&loop->ready, ready);
}

void ls_loop_tick(struct ls_loop *loop, struct ls_ready *tick) {
  queue(&loop->ticks, tick);
}

void ls_loop_flush(struct ls_loop *loop, struct ls_ready *flush) {
  queue(&loop->flushes, flush);
}

static void on_spin(uv_idle_t *spin) {
  (void)spin; /* being active is all it does: poll does not wait */
}

static void start_spin(struct ls_loop *loop) {
  uv_idle_start(&loop->spin, on_spin); /* cannot fail: the callback is not NULL */
}

void ls_loop_immediate(struct ls_loop *loop, struct ls_ready *immediate) {
  queue(&loop->immediates, immediate);
  start_spin(loop);
}

/* Runs the links of list until it is empty or left is used up. */
static unsigned run_all(struct ls_loop *loop, struct ls_list *list, unsigned left) {
  while (left > 0 && !loop->stopping) {
    struct ls_list *link = ls_list_shift(list);
    if (link == NULL)
      break;
    struct ls_ready *ready = ls_container_of(link, struct ls_ready, link);
    loop->steps++;
    ready->run(ready);
    left--;
  }
  return left;
}

/* Only what is queued now: what it queues is for later. */
static unsigned run_snapshot(struct ls_loop *loop, struct ls_list *list, unsigned left) {
  struct ls_list snapshot;
  ls_list_init(&snapshot);
  ls_list_move(&snapshot, list);
  left = run_all(loop, &snapshot, left);
  ls_list_move(&snapshot, list); /* what a cap or a stop left over stays in front of the new ones */
  ls_list_move(list, &snapshot);
  return left;
}

static bool has_work(const struct ls_loop *loop) {
  return !ls_list_is_empty(&loop->ticks) || !ls_list_is_empty(&loop->ready);
}

/* The rest waits for one poll, so that I/O gets its turn. */
static void cap_drain(struct ls_loop *loop) {
  loop->capped = true;
  start_spin(loop);
  uint64_t now = uv_hrtime();
  if (loop->capped_logged != 0 && now - loop->capped_logged < CAPPED_LOG_NS)
    return;
  loop->capped_logged = now;
  ls_log_write(loop->log, LS_LOG_WARN,
               "more than %d ticks and ready tasks in a row: the rest waits for one poll of I/O", LS_LOOP_BURST);
}

/* Once a turn; apart, so that a drain does not pay for the guard of this one's stack. */
static __attribute__((noinline)) void begin_turn(struct ls_loop *loop) {
  loop->turn_since = ls_clock_ns();
}

void ls_loop_drain(struct ls_loop *loop) {
  if (loop->draining || loop->stopping)
    return;
  loop->draining = true;
  loop->inline_since = 0;
  if (loop->turn_since == 0)
    begin_turn(loop);
  unsigned left = run_snapshot(loop, &loop->ready, LS_LOOP_BURST);
  do {
    while (left > 0 && has_work(loop) && !loop->stopping) {
      left = run_all(loop, &loop->ticks, left);
      left = run_all(loop, &loop->ready, left);
    }
    run_snapshot(loop, &loop->flushes, UINT_MAX);
  } while (left > 0 && has_work(loop) && !loop->stopping);
  loop->draining = false;
  if (has_work(loop) && !loop->stopping)
    cap_drain(loop);
}

/* Before poll: the turn is over. */
static void on_prepare(uv_prepare_t *prepare) {
  struct ls_loop *loop = ls_loop_of((uv_handle_t *)prepare);
  if (loop->turn_since == 0)
    return;
  uint64_t took = ls_clock_ns() - loop->turn_since;
  loop->turn_since = 0;
  ls_histogram_add(&loop->turns, took);
  if (took > loop->turn_max)
    loop->turn_max = took;
}

/* The check phase: the immediates of this turn, each with a drain of its own. */
static void on_check(uv_check_t *check) {
  struct ls_loop *loop = ls_loop_of((uv_handle_t *)check);
  struct ls_list snapshot;
  ls_list_init(&snapshot);
  ls_list_move(&snapshot, &loop->immediates);
  if (loop->capped) {
    loop->capped = false;
    ls_loop_drain(loop);
  }
  struct ls_list *link;
  while (!loop->stopping && (link = ls_list_shift(&snapshot)) != NULL) {
    ls_loop_ready(loop, ls_container_of(link, struct ls_ready, link));
    ls_loop_drain(loop);
  }
  ls_list_move(&loop->immediates, &snapshot); /* only a stop leaves some */
  if (ls_list_is_empty(&loop->immediates) && !loop->capped)
    uv_idle_stop(&loop->spin);
}

static int init_handles(struct ls_loop *loop) {
  uv_prepare_init(&loop->uv, &loop->prepare);
  uv_check_init(&loop->uv, &loop->check);
  uv_idle_init(&loop->uv, &loop->spin);
  uv_prepare_start(&loop->prepare, on_prepare);
  uv_unref((uv_handle_t *)&loop->prepare);
  uv_check_start(&loop->check, on_check);
  uv_unref((uv_handle_t *)&loop->check);
  int status = ls_timers_init(&loop->timers, loop);
  if (status == 0)
    status = ls_work_attach(loop, &loop->inbox);
  return status;
}

int ls_loop_init(struct ls_loop *loop, struct ls_pool *pool, struct ls_log *log) {
  *loop = (struct ls_loop){.pool = pool, .log = log};
  ls_list_init(&loop->ready);
  ls_list_init(&loop->ticks);
  ls_list_init(&loop->flushes);
  ls_list_init(&loop->immediates);
  loop->read_buffer = malloc(LS_LOOP_READ_MUCH);
  if (loop->read_buffer == NULL)
    return -ENOMEM;
  int status = uv_loop_init(&loop->uv);
  if (status != 0) {
    free(loop->read_buffer);
    return status;
  }
  status = init_handles(loop);
  if (status != 0)
    ls_loop_dispose(loop);
  return status;
}

void ls_loop_run(struct ls_loop *loop) {
  ls_loop_drain(loop);
  loop->turn_since = 0; /* nobody waited for the start of the program */
  if (!loop->stopping)
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

bool ls_loop_is_alive(const struct ls_loop *loop) {
  return uv_loop_alive(&loop->uv) || !ls_list_is_empty(&loop->ready) || !ls_list_is_empty(&loop->ticks);
}

void ls_loop_stop(struct ls_loop *loop) {
  loop->stopping = true;
  uv_stop(&loop->uv);
}

static void close_handle(uv_handle_t *handle, void *unused) {
  (void)unused;
  if (!uv_is_closing(handle))
    uv_close(handle, NULL);
}

void ls_loop_dispose(struct ls_loop *loop) {
  loop->stopping = true;
  uv_walk(&loop->uv, close_handle, NULL);
  while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0) /* waits for the close callbacks and for jobs that run on the pool */
    continue;                                    /* a stop that came outside of a run ends the first one at once */
  ls_timers_dispose(&loop->timers);
  ls_work_detach(loop->inbox);
  uv_loop_close(&loop->uv);
  free(loop->read_buffer);
}

bool ls_loop_is_own(const struct ls_loop *loop, const uv_handle_t *handle) {
  return handle == (const uv_handle_t *)&loop->prepare || handle == (const uv_handle_t *)&loop->check ||
         handle == (const uv_handle_t *)&loop->spin || handle == (const uv_handle_t *)&loop->timers.uv ||
         ls_work_is_handle(loop->inbox, handle);
}

bool ls_loop_may_inline(struct ls_loop *loop) {
  uint64_t now = uv_hrtime();
  if (loop->inline_since == 0)
    loop->inline_since = now;
  return now - loop->inline_since < INLINE_NS;
}
