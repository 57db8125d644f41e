/* SPDX-License-Identifier: MIT */
/* deadlines: a tick compares the front of each class with the time that the loop has, and goes on while that is due.
 * What expired runs may arm and disarm at will: whatever is armed during a tick is due after the tick's own time, so
 * the walk ends, and nothing is held aside where ls_deadlines_close would not find it. */
#include "loop/deadlines.h"

#include "loop/loop.h"

#define TICK_MS 100

static bool is_idle(const struct ls_deadlines *deadlines) {
  for (unsigned i = 0; i < deadlines->count; i++) {
    if (!ls_list_is_empty(&deadlines->classes[i].armed))
      return false;
  }
  return true;
}

static void expire_class(struct ls_deadline_class *class, uint64_t now) {
  while (!ls_list_is_empty(&class->armed)) {
    struct ls_deadline *front = ls_container_of(class->armed.next, struct ls_deadline, link);
    if (front->due > now)
      return;
    ls_list_remove(&front->link);
    class->expired(front);
  }
}

static void on_tick(uv_timer_t *tick) {
  struct ls_deadlines *deadlines = ls_container_of(tick, struct ls_deadlines, tick);
  struct ls_loop *loop = ls_loop_of((uv_handle_t *)tick);
  uint64_t now = uv_now(&loop->uv);
  for (unsigned i = 0; i < deadlines->count; i++)
    expire_class(&deadlines->classes[i], now);
  if (is_idle(deadlines))
    uv_timer_stop(tick);
  ls_loop_drain(loop);
}

static void on_tick_closed(uv_handle_t *handle) {
  struct ls_deadlines *deadlines = ls_container_of(handle, struct ls_deadlines, tick);
  deadlines->on_closed(deadlines);
}

int ls_deadlines_init(struct ls_loop *loop, struct ls_deadlines *deadlines, struct ls_deadline_class *classes,
                      unsigned count) {
  deadlines->classes = classes;
  deadlines->count = count;
  for (unsigned i = 0; i < count; i++)
    ls_list_init(&classes[i].armed);
  int rc = uv_timer_init(&loop->uv, &deadlines->tick);
  if (rc == 0)
    uv_unref((uv_handle_t *)&deadlines->tick);
  return rc;
}

void ls_deadlines_close(struct ls_deadlines *deadlines) {
  for (unsigned i = 0; i < deadlines->count; i++) {
    while (ls_list_shift(&deadlines->classes[i].armed) != NULL) {
    }
  }
  uv_close((uv_handle_t *)&deadlines->tick, on_tick_closed);
}

void ls_deadline_arm(struct ls_deadlines *deadlines, unsigned class_index, struct ls_deadline *deadline) {
  struct ls_deadline_class *class = &deadlines->classes[class_index];
  uv_timer_t *tick = &deadlines->tick;
  ls_list_remove(&deadline->link);
  if (class->duration == 0 || uv_is_closing((uv_handle_t *)tick))
    return;
  deadline->due = uv_now(tick->loop) + class->duration;
  ls_list_push(&class->armed, &deadline->link);
  if (!uv_is_active((uv_handle_t *)tick))
    uv_timer_start(tick, on_tick, TICK_MS, TICK_MS); /* fails only for a closing handle or no callback */
}

void ls_deadline_disarm(struct ls_deadline *deadline) {
  ls_list_remove(&deadline->link);
}
