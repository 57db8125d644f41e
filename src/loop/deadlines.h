/* SPDX-License-Identifier: MIT */
/* deadlines: coarse timeouts for very many things, where each kind has one duration.
 * A class is a list ordered by deadline because every entry of it waits equally long: arming appends, and a tick looks
 * at the front only. One unref'd uv_timer ticks (every 100 ms) while any class has an entry. */
#ifndef LS_LOOP_DEADLINES_H
#define LS_LOOP_DEADLINES_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"

struct ls_loop;

struct ls_deadline {
  struct ls_list link; /* in no list: not armed */
  uint64_t due;        /* ms, uv_now */
};

struct ls_deadline_class {
  struct ls_list armed;
  uint64_t duration; /* ms, fixed while it has entries; 0: never, arming only disarms */
  /* Disarmed already when called; may arm again or free it. The loop drains after each tick. */
  void (*expired)(struct ls_deadline *deadline);
};

struct ls_deadlines {
  uv_timer_t tick;
  struct ls_deadline_class *classes; /* the caller's array */
  unsigned count;
  void (*on_closed)(struct ls_deadlines *deadlines); /* the memory may go */
};

/* Initialises the classes' lists; their duration and expired, and on_closed, are the caller's to set.
 * 0 or a negative code. */
int ls_deadlines_init(struct ls_loop *loop, struct ls_deadlines *deadlines, struct ls_deadline_class *classes,
                      unsigned count);
void ls_deadlines_close(struct ls_deadlines *deadlines); /* disarms all; on_closed follows */

static inline void ls_deadline_init(struct ls_deadline *deadline) {
  ls_list_init(&deadline->link);
}

/* Arms, or moves from whatever class it was in, to a full duration from uv_now. It expires at the first tick then, so
 * up to 100 ms later, never earlier. After ls_deadlines_close it only disarms. */
void ls_deadline_arm(struct ls_deadlines *deadlines, unsigned class_index, struct ls_deadline *deadline);
void ls_deadline_disarm(struct ls_deadline *deadline);

#endif
