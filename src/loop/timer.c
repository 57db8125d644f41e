/* SPDX-License-Identifier: MIT */
/* The heap has four children a node: shallower than two, and the four lie in one or two cache lines. */
#include "loop/timer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "loop/loop.h"

#define FAN_OUT 4
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S 1000000000

static bool is_before(const struct ls_timer *a, const struct ls_timer *b) {
  return a->due != b->due ? a->due < b->due : a->sequence < b->sequence;
}

static void place(struct ls_timer_heap *heap, struct ls_timer *timer, size_t at) {
  heap->timers[at] = timer;
  timer->slot = at + 1;
}

static void sift_up(struct ls_timer_heap *heap, struct ls_timer *timer, size_t at) {
  while (at > 0) {
    size_t parent = (at - 1) / FAN_OUT;
    if (!is_before(timer, heap->timers[parent]))
      break;
    place(heap, heap->timers[parent], at);
    at = parent;
  }
  place(heap, timer, at);
}

static size_t first_child(const struct ls_timer_heap *heap, size_t at) {
  size_t best = at * FAN_OUT + 1;
  size_t end = best + FAN_OUT < heap->count ? best + FAN_OUT : heap->count;
  for (size_t child = best + 1; child < end; child++)
    if (is_before(heap->timers[child], heap->timers[best]))
      best = child;
  return best;
}

static void sift_down(struct ls_timer_heap *heap, struct ls_timer *timer, size_t at) {
  for (;;) {
    size_t child = first_child(heap, at);
    if (child >= heap->count || !is_before(heap->timers[child], timer))
      break;
    place(heap, heap->timers[child], at);
    at = child;
  }
  place(heap, timer, at);
}

static int grow(struct ls_timer_heap *heap) {
  size_t cap = heap->cap == 0 ? 64 : heap->cap * 2;
  struct ls_timer **timers = realloc(heap->timers, cap * sizeof *timers);
  if (timers == NULL)
    return -ENOMEM;
  heap->timers = timers;
  heap->cap = cap;
  return 0;
}

static void take_out(struct ls_timer_heap *heap, struct ls_timer *timer) {
  size_t at = timer->slot - 1;
  struct ls_timer *last = heap->timers[--heap->count];
  timer->slot = 0;
  if (last == timer)
    return;
  if (at > 0 && is_before(last, heap->timers[(at - 1) / FAN_OUT]))
    sift_up(heap, last, at);
  else
    sift_down(heap, last, at);
}

static struct ls_timer *top(const struct ls_timer_heap *heap) {
  return heap->count > 0 ? heap->timers[0] : NULL;
}

/* ---- two heaps behind one uv_timer ---- */

static struct ls_timer_heap *heap_of(struct ls_timers *timers, const struct ls_timer *timer) {
  return timer->program ? &timers->program : &timers->machine;
}

static uint64_t now_of(const struct ls_loop *loop, const struct ls_timer *timer) {
  return timer->program ? ls_timers_now(loop) : uv_hrtime();
}

/* When it is due on the machine's clock. Of a held one only those that are due have a time: at once. */
static uint64_t machine_due(const struct ls_timers *timers, const struct ls_timer *timer) {
  if (!timer->program)
    return timer->due;
  int64_t due = (int64_t)(timer->due - timers->ahead); /* may be before the machine's beginning */
  return timers->held || due < 0 ? 0 : (uint64_t)due;
}

/* The first of both heaps; the program's tops do not count while they are held and not due. */
static struct ls_timer *first(const struct ls_timers *timers) {
  struct ls_timer *a = top(&timers->machine), *b = top(&timers->program);
  if (b != NULL && timers->held && b->due > timers->now)
    b = NULL;
  if (a == NULL || b == NULL)
    return a != NULL ? a : b;
  uint64_t a_due = machine_due(timers, a), b_due = machine_due(timers, b);
  return a_due < b_due || (a_due == b_due && a->sequence < b->sequence) ? a : b;
}

static void apply_refs(struct ls_timers *timers) {
  if (timers->machine.refs == 0 && (timers->program.refs == 0 || timers->held))
    uv_unref((uv_handle_t *)&timers->uv);
  else
    uv_ref((uv_handle_t *)&timers->uv);
}

static void change_refs(struct ls_timers *timers, const struct ls_timer *timer, int change) {
  heap_of(timers, timer)->refs += (size_t)change;
  apply_refs(timers);
}

static void on_timer(uv_timer_t *uv);

/* libuv's clock is this one in whole milliseconds, so a point in time rounded up is never early. When the first timer is
 * stopped the handle stays armed: it wakes once for nothing, which is cheaper than a heap operation at each stop. */
static void arm_first(struct ls_timers *timers) {
  const struct ls_timer *timer = first(timers);
  if (timer == NULL)
    return;
  uint64_t due_ms = (machine_due(timers, timer) + NS_PER_MS - 1) / NS_PER_MS;
  uint64_t now_ms = uv_now(timers->uv.loop);
  uv_timer_start(&timers->uv, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

/* The time of the pass is taken once: what the callbacks arm is due later and waits for the next pass. */
static void on_timer(uv_timer_t *uv) {
  struct ls_loop *loop = ls_loop_of((uv_handle_t *)uv);
  struct ls_timers *timers = &loop->timers;
  uint64_t now = uv_hrtime();
  struct ls_timer *timer;
  while (!loop->stopping && (timer = first(timers)) != NULL && machine_due(timers, timer) <= now) {
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
  free(timers->machine.timers);
  free(timers->program.timers);
  timers->machine = timers->program = (struct ls_timer_heap){0};
}

int ls_timer_start_at(struct ls_loop *loop, struct ls_timer *timer, uint64_t due) {
  struct ls_timers *timers = &loop->timers;
  if (ls_timer_is_armed(timer))
    ls_timer_stop(loop, timer);
  struct ls_timer_heap *heap = heap_of(timers, timer);
  if (heap->count == heap->cap && grow(heap) != 0)
    return -ENOMEM;
  timer->due = due;
  timer->sequence = timers->sequence++;
  sift_up(heap, timer, heap->count++);
  if (!timer->unref)
    change_refs(timers, timer, 1);
  if (first(timers) == timer)
    arm_first(timers);
  return 0;
}

int ls_timer_start(struct ls_loop *loop, struct ls_timer *timer, uint64_t delay_ns) {
  return ls_timer_start_at(loop, timer, now_of(loop, timer) + delay_ns);
}

void ls_timer_stop(struct ls_loop *loop, struct ls_timer *timer) {
  if (!ls_timer_is_armed(timer))
    return;
  take_out(heap_of(&loop->timers, timer), timer);
  if (!timer->unref)
    change_refs(&loop->timers, timer, -1);
}

void ls_timer_set_ref(struct ls_loop *loop, struct ls_timer *timer, bool ref) {
  if (timer->unref != ref)
    return;
  timer->unref = !ref;
  if (ls_timer_is_armed(timer))
    change_refs(&loop->timers, timer, ref ? 1 : -1);
}

size_t ls_timers_count(const struct ls_timers *timers) {
  return timers->machine.count + timers->program.count;
}

/* ---- the program's clock ---- */

uint64_t ls_timers_now(const struct ls_loop *loop) {
  return loop->timers.held ? loop->timers.now : uv_hrtime() + loop->timers.ahead;
}

int64_t ls_timers_time(const struct ls_loop *loop) {
  const struct ls_timers *timers = &loop->timers;
  if (timers->held)
    return timers->time + (int64_t)timers->now;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

void ls_timers_hold(struct ls_loop *loop, int64_t time_ns) {
  struct ls_timers *timers = &loop->timers;
  timers->now = ls_timers_now(loop);
  timers->time = time_ns - (int64_t)timers->now;
  timers->held = true;
  apply_refs(timers);
}

void ls_timers_set(struct ls_loop *loop, uint64_t now) {
  assert(loop->timers.held && now >= loop->timers.now);
  loop->timers.now = now;
  arm_first(&loop->timers);
}

void ls_timers_release(struct ls_loop *loop) {
  struct ls_timers *timers = &loop->timers;
  timers->held = false;
  timers->ahead = timers->now - uv_hrtime();
  apply_refs(timers);
  arm_first(timers);
}

bool ls_timers_first_due(const struct ls_loop *loop, uint64_t *due) {
  const struct ls_timer *timer = top(&loop->timers.program);
  if (timer != NULL)
    *due = timer->due;
  return timer != NULL;
}
