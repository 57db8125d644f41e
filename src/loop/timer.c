/* SPDX-License-Identifier: MIT */
/* The heap has four children a node: shallower than two, and the four lie in one or two cache lines. */
#include "loop/timer.h"

#include <errno.h>
#include <stdlib.h>

#include "loop/loop.h"

#define FAN_OUT 4
#define NS_PER_MS UINT64_C(1000000)

static bool is_before(const struct ls_timer *a, const struct ls_timer *b) {
  return a->due != b->due ? a->due < b->due : a->sequence < b->sequence;
}

static void place(struct ls_timers *timers, struct ls_timer *timer, size_t at) {
  timers->heap[at] = timer;
  timer->slot = at + 1;
}

static void sift_up(struct ls_timers *timers, struct ls_timer *timer, size_t at) {
  while (at > 0) {
    size_t parent = (at - 1) / FAN_OUT;
    if (!is_before(timer, timers->heap[parent]))
      break;
    place(timers, timers->heap[parent], at);
    at = parent;
  }
  place(timers, timer, at);
}

static size_t first_child(const struct ls_timers *timers, size_t at) {
  size_t best = at * FAN_OUT + 1;
  size_t end = best + FAN_OUT < timers->count ? best + FAN_OUT : timers->count;
  for (size_t child = best + 1; child < end; child++)
    if (is_before(timers->heap[child], timers->heap[best]))
      best = child;
  return best;
}

static void sift_down(struct ls_timers *timers, struct ls_timer *timer, size_t at) {
  for (;;) {
    size_t child = first_child(timers, at);
    if (child >= timers->count || !is_before(timers->heap[child], timer))
      break;
    place(timers, timers->heap[child], at);
    at = child;
  }
  place(timers, timer, at);
}

static int grow(struct ls_timers *timers) {
  size_t cap = timers->cap == 0 ? 64 : timers->cap * 2;
  struct ls_timer **heap = realloc(timers->heap, cap * sizeof *heap);
  if (heap == NULL)
    return -ENOMEM;
  timers->heap = heap;
  timers->cap = cap;
  return 0;
}

static void take_out(struct ls_timers *timers, struct ls_timer *timer) {
  size_t at = timer->slot - 1;
  struct ls_timer *last = timers->heap[--timers->count];
  timer->slot = 0;
  if (last == timer)
    return;
  if (at > 0 && is_before(last, timers->heap[(at - 1) / FAN_OUT]))
    sift_up(timers, last, at);
  else
    sift_down(timers, last, at);
}

static void change_refs(struct ls_timers *timers, int change) {
  timers->refs += (size_t)change;
  if (timers->refs == 0)
    uv_unref((uv_handle_t *)&timers->uv);
  else
    uv_ref((uv_handle_t *)&timers->uv);
}

static void on_timer(uv_timer_t *uv);

/* libuv's clock is this one in whole milliseconds, so a point in time rounded up is never early. When the first timer is
 * stopped the handle stays armed: it wakes once for nothing, which is cheaper than a heap operation at each stop. */
static void arm_first(struct ls_timers *timers) {
  if (timers->count == 0)
    return;
  uint64_t due_ms = (timers->heap[0]->due + NS_PER_MS - 1) / NS_PER_MS;
  uint64_t now_ms = uv_now(timers->uv.loop);
  uv_timer_start(&timers->uv, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

/* The time of the pass is taken once: what the callbacks arm is due later and waits for the next pass. */
static void on_timer(uv_timer_t *uv) {
  struct ls_loop *loop = ls_loop_of((uv_handle_t *)uv);
  struct ls_timers *timers = &loop->timers;
  uint64_t now = uv_hrtime();
  while (timers->count > 0 && timers->heap[0]->due <= now && !loop->stopping) {
    struct ls_timer *timer = timers->heap[0];
    ls_timer_stop(loop, timer);
    timer->fire(timer);
    ls_loop_drain(loop);
  }
  if (!loop->stopping) /* what is due already would be armed with 0, which libuv 1.44 runs again before it stops */
    arm_first(timers);
}

int ls_timers_init(struct ls_timers *timers, struct ls_loop *loop) {
  *timers = (struct ls_timers){0};
  int status = uv_timer_init(&loop->uv, &timers->uv);
  if (status == 0)
    uv_unref((uv_handle_t *)&timers->uv);
  return status;
}

void ls_timers_dispose(struct ls_timers *timers) {
  free(timers->heap);
  timers->heap = NULL;
  timers->count = timers->cap = 0;
}

int ls_timer_start_at(struct ls_loop *loop, struct ls_timer *timer, uint64_t due) {
  struct ls_timers *timers = &loop->timers;
  if (ls_timer_is_armed(timer))
    ls_timer_stop(loop, timer);
  if (timers->count == timers->cap && grow(timers) != 0)
    return -ENOMEM;
  timer->due = due;
  timer->sequence = timers->sequence++;
  sift_up(timers, timer, timers->count++);
  if (!timer->unref)
    change_refs(timers, 1);
  if (timers->heap[0] == timer)
    arm_first(timers);
  return 0;
}

int ls_timer_start(struct ls_loop *loop, struct ls_timer *timer, uint64_t delay_ns) {
  return ls_timer_start_at(loop, timer, uv_hrtime() + delay_ns);
}

void ls_timer_stop(struct ls_loop *loop, struct ls_timer *timer) {
  if (!ls_timer_is_armed(timer))
    return;
  take_out(&loop->timers, timer);
  if (!timer->unref)
    change_refs(&loop->timers, -1);
}

void ls_timer_set_ref(struct ls_loop *loop, struct ls_timer *timer, bool ref) {
  if (timer->unref != ref)
    return;
  timer->unref = !ref;
  if (ls_timer_is_armed(timer))
    change_refs(&loop->timers, ref ? 1 : -1);
}
