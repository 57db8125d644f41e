/* SPDX-License-Identifier: MIT */
/* timer: points in time, in nanoseconds, in a heap of our own behind one uv_timer.
 * Own heap, because arming and cancelling then cost no uv_close and no turn of the loop, a timer can live inside the
 * thing that waits, none fires early, and the order is ours with every libuv: by due time, then by arming. */
#ifndef LS_LOOP_TIMER_H
#define LS_LOOP_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct ls_loop;

struct ls_timer {
  uint64_t due;                         /* ns on uv_hrtime's clock */
  uint64_t sequence;                    /* order of arming, for equal due times */
  size_t slot;                          /* position in the heap + 1; 0: not armed */
  bool unref;                           /* does not keep the loop alive */
  void (*fire)(struct ls_timer *timer); /* disarmed already when called; may free it. The loop drains after each. */
};

struct ls_timers {
  uv_timer_t uv;
  struct ls_timer **heap;
  size_t count;
  size_t cap;
  size_t refs; /* armed timers that keep the loop alive */
  uint64_t sequence;
};

int ls_timers_init(struct ls_timers *timers, struct ls_loop *loop);
void ls_timers_dispose(struct ls_timers *timers); /* after uv has closed */

/* Zeroed memory with fire set is a disarmed timer. */
static inline bool ls_timer_is_armed(const struct ls_timer *timer) {
  return timer->slot != 0;
}

/* Arms for delay_ns from now (the clock is read); re-arms an armed one. 0 or -ENOMEM. */
int ls_timer_start(struct ls_loop *loop, struct ls_timer *timer, uint64_t delay_ns);

/* Arms for an absolute time. */
int ls_timer_start_at(struct ls_loop *loop, struct ls_timer *timer, uint64_t due);

void ls_timer_stop(struct ls_loop *loop, struct ls_timer *timer);
void ls_timer_set_ref(struct ls_loop *loop, struct ls_timer *timer, bool ref);

#endif
