/* SPDX-License-Identifier: MIT */
/* timer: points in time, in nanoseconds, in a heap of our own behind one uv_timer.
 * Own heap, because arming and cancelling then cost no uv_close and no turn of the loop, a timer can live inside the
 * thing that waits, none fires early, and the order is ours with every libuv: by due time, then by arming.
 *
 * There are two clocks, and a heap for each. The machine's is uv_hrtime. The program's is what Lua code sees: the same,
 * until a spec holds it, moves it, and lets it go on from where it then is. What waits for the world outside (sockets,
 * children, name servers) is on the machine's, and goes on while the other one stands still. */
#ifndef LS_LOOP_TIMER_H
#define LS_LOOP_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct ls_loop;

struct ls_timer {
  uint64_t due;                         /* ns on its clock */
  uint64_t sequence;                    /* order of arming, for equal due times */
  size_t slot;                          /* position in the heap + 1; 0: not armed */
  bool unref;                           /* does not keep the loop alive */
  bool program;                         /* on the program's clock, not the machine's. Fixed while armed */
  void (*fire)(struct ls_timer *timer); /* disarmed already when called; may free it. The loop drains after each. */
};

struct ls_timer_heap {
  struct ls_timer **timers;
  size_t count;
  size_t cap;
  size_t refs; /* armed timers that keep the loop alive */
};

struct ls_timers {
  uv_timer_t uv;
  struct ls_timer_heap machine, program;
  uint64_t sequence;
  uint64_t ahead; /* the program's clock less the machine's, ns; wraps around */
  uint64_t now;   /* of the program's clock, while it is held */
  int64_t time;   /* of the calendar while it is held: ns since 1970 when now is 0 */
  bool held;
};

int ls_timers_init(struct ls_timers *timers, struct ls_loop *loop);
void ls_timers_dispose(struct ls_timers *timers); /* after uv has closed */

/* Zeroed memory with fire set is a disarmed timer. */
static inline bool ls_timer_is_armed(const struct ls_timer *timer) {
  return timer->slot != 0;
}

/* Arms for delay_ns from now on its clock, which is read; re-arms an armed one. 0 or -ENOMEM. */
int ls_timer_start(struct ls_loop *loop, struct ls_timer *timer, uint64_t delay_ns);

/* Arms for an absolute time on its clock. */
int ls_timer_start_at(struct ls_loop *loop, struct ls_timer *timer, uint64_t due);

void ls_timer_stop(struct ls_loop *loop, struct ls_timer *timer);
void ls_timer_set_ref(struct ls_loop *loop, struct ls_timer *timer, bool ref);

/* How many are armed. */
size_t ls_timers_count(const struct ls_timers *timers);

/* ---- the program's clock ---- */

/* What it says, in ns from some point in the past. It never runs backwards. */
uint64_t ls_timers_now(const struct ls_loop *loop);

/* The calendar of the program, ns since 1970: the system's, but while the clock is held that of the clock. */
int64_t ls_timers_time(const struct ls_loop *loop);

/* From now on it stands still, at time_ns of the calendar, and fires what is due only when it is set. Timers on it do not
 * keep the loop alive meanwhile, since nothing else will make them fire. */
void ls_timers_hold(struct ls_loop *loop, int64_t time_ns);

/* Moves the held clock forward, to no earlier than now. What is due then fires in the next pass over the timers, all with
 * this time; so who wants each with its own goes from one due time to the next. */
void ls_timers_set(struct ls_loop *loop, uint64_t now);

/* It runs again, from where it is. */
void ls_timers_release(struct ls_loop *loop);

/* When its first timer is due, in *due; false: it has none. */
bool ls_timers_first_due(const struct ls_loop *loop, uint64_t *due);

#endif
