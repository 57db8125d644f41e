/* SPDX-License-Identifier: MIT */
#include "loop/timer.h"

#include "check.h"
#include "loop/loop.h"
#include "loop/work.h"

#define MS UINT64_C(1000000)
#define MANY 500

struct probe {
  struct ls_timer timer;
  struct world *world;
  unsigned order; /* 1: fired first; 0: not fired */
};

struct world {
  struct ls_log *log;
  struct ls_pool *pool;
  struct ls_loop loop;
  struct probe probes[MANY];
  unsigned fired;
};

static void on_fire(struct ls_timer *timer) {
  struct probe *probe = ls_container_of(timer, struct probe, timer);
  CHECK(!ls_timer_is_armed(timer));
  CHECK(uv_hrtime() >= timer->due);
  probe->order = ++probe->world->fired;
}

static void set_up(struct world *world) {
  *world = (struct world){.log = ls_log_new(2, 4096), .pool = ls_pool_new(4)};
  CHECK_INT(ls_loop_init(&world->loop, world->pool, world->log), 0);
  for (int i = 0; i < MANY; i++) {
    world->probes[i].world = world;
    world->probes[i].timer.fire = on_fire;
  }
}

static void tear_down(struct world *world) {
  ls_loop_dispose(&world->loop);
  ls_pool_free(world->pool);
  ls_log_free(world->log);
}

static void fires_by_due_time_then_by_arming(void) {
  static const unsigned stride = 7;
  struct world world;
  set_up(&world);
  uint64_t base = uv_hrtime();
  for (unsigned i = 0; i < MANY; i++)
    CHECK_INT(ls_timer_start_at(&world.loop, &world.probes[i].timer, base + i * stride % MANY / 2), 0);
  for (unsigned i = 0; i < MANY; i += 3)
    ls_timer_stop(&world.loop, &world.probes[i].timer);
  ls_loop_run(&world.loop);
  for (unsigned i = 0; i < MANY; i++) {
    CHECK((world.probes[i].order == 0) == (i % 3 == 0));
    for (unsigned j = 0; j < i; j++) {
      const struct probe *a = &world.probes[j], *b = &world.probes[i];
      if (a->order != 0 && b->order != 0)
        CHECK((a->order < b->order) == (a->timer.due <= b->timer.due));
    }
  }
  tear_down(&world);
}

static void keeps_the_loop_alive_unless_unref(void) {
  struct world world;
  set_up(&world);
  ls_timer_set_ref(&world.loop, &world.probes[0].timer, false);
  CHECK_INT(ls_timer_start(&world.loop, &world.probes[0].timer, 60000 * MS), 0);
  CHECK_INT(ls_timer_start(&world.loop, &world.probes[1].timer, MS), 0);
  ls_loop_run(&world.loop);
  CHECK_INT(world.fired, 1);
  CHECK_INT(world.probes[1].order, 1);
  tear_down(&world);
}

static void on_fire_stop(struct ls_timer *timer) {
  on_fire(timer);
  ls_loop_stop(&ls_container_of(timer, struct probe, timer)->world->loop);
}

/* With the next one due already the loop must still come back, and not fire it. */
static void a_stop_in_a_pass_ends_the_loop(void) {
  struct world world;
  set_up(&world);
  uint64_t now = uv_hrtime();
  world.probes[0].timer.fire = on_fire_stop;
  ls_timer_start_at(&world.loop, &world.probes[0].timer, now - 2);
  ls_timer_start_at(&world.loop, &world.probes[1].timer, now - 1);
  ls_loop_run(&world.loop);
  CHECK_INT(world.fired, 1);
  tear_down(&world);
}

int main(void) {
  RUN(fires_by_due_time_then_by_arming);
  RUN(keeps_the_loop_alive_unless_unref);
  RUN(a_stop_in_a_pass_ends_the_loop);
  return 0;
}
