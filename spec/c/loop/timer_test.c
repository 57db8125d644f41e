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

/* ---- the program's clock ---- */

static void on_fire_held(struct ls_timer *timer) {
  struct probe *probe = ls_container_of(timer, struct probe, timer);
  probe->order = ++probe->world->fired;
}

/* Both clocks are one at first: the order does not tell which timer is on which. */
static void the_clocks_run_together(void) {
  struct world world;
  set_up(&world);
  uint64_t base = uv_hrtime();
  CHECK(ls_timers_now(&world.loop) - base < 1000 * MS);
  for (unsigned i = 0; i < MANY; i++) {
    world.probes[i].timer.program = i % 2 == 0;
    CHECK_INT(ls_timer_start_at(&world.loop, &world.probes[i].timer, base + i * 7 % MANY / 2), 0);
  }
  CHECK_INT(ls_timers_count(&world.loop.timers), MANY);
  ls_loop_run(&world.loop);
  for (unsigned i = 0; i < MANY; i++)
    for (unsigned j = 0; j < i; j++)
      CHECK((world.probes[j].order < world.probes[i].order) ==
            (world.probes[j].timer.due <= world.probes[i].timer.due));
  tear_down(&world);
}

/* A held clock moves only when it is set, fires what is due then, and keeps nothing alive; the machine's runs on. */
static void a_held_clock_fires_when_it_is_set(void) {
  struct world world;
  uint64_t due = 0;
  set_up(&world);
  CHECK(!ls_timers_first_due(&world.loop, &due));
  for (unsigned i = 0; i < 2; i++) {
    world.probes[i].timer.program = true;
    world.probes[i].timer.fire = on_fire_held;
    CHECK_INT(ls_timer_start(&world.loop, &world.probes[i].timer, (2 - i) * 60000 * MS), 0);
  }
  ls_timers_hold(&world.loop, 0);
  CHECK_INT(ls_timers_time(&world.loop), 0);
  uint64_t start = ls_timers_now(&world.loop);
  CHECK_INT(ls_timer_start(&world.loop, &world.probes[2].timer, MS), 0);
  ls_loop_run(&world.loop);
  CHECK_INT(world.fired, 1);
  CHECK_INT(world.probes[2].order, 1);
  CHECK(ls_timers_now(&world.loop) == start);
  CHECK(ls_timers_first_due(&world.loop, &due));
  CHECK(due == world.probes[1].timer.due);
  ls_timers_set(&world.loop, due);
  CHECK_INT(ls_timer_start(&world.loop, &world.probes[2].timer, MS), 0);
  ls_loop_run(&world.loop);
  CHECK_INT(world.fired, 3);
  CHECK_INT(world.probes[1].order, 2);
  CHECK(ls_timers_time(&world.loop) == (int64_t)(due - start));
  tear_down(&world);
}

/* What was to wait for another minute waits for that minute, however far the clock was moved. */
static void a_released_clock_goes_on_from_where_it_is(void) {
  struct world world;
  set_up(&world);
  ls_timers_hold(&world.loop, 0);
  uint64_t moved = ls_timers_now(&world.loop) + 3600000 * MS;
  ls_timers_set(&world.loop, moved);
  world.probes[0].timer.program = true;
  CHECK_INT(ls_timer_start(&world.loop, &world.probes[0].timer, 2 * MS), 0);
  world.probes[0].timer.fire = on_fire_held;
  ls_timers_release(&world.loop);
  uint64_t before = uv_hrtime();
  CHECK(ls_timers_now(&world.loop) >= moved);
  CHECK(ls_timers_now(&world.loop) - moved < 60000 * MS);
  CHECK(ls_timers_time(&world.loop) > 3600000 * (int64_t)MS);
  ls_loop_run(&world.loop);
  CHECK_INT(world.fired, 1);
  CHECK(uv_hrtime() > before);
  CHECK(ls_timers_now(&world.loop) >= moved + 2 * MS);
  tear_down(&world);
}

int main(void) {
  RUN(fires_by_due_time_then_by_arming);
  RUN(keeps_the_loop_alive_unless_unref);
  RUN(a_stop_in_a_pass_ends_the_loop);
  RUN(the_clocks_run_together);
  RUN(a_held_clock_fires_when_it_is_set);
  RUN(a_released_clock_goes_on_from_where_it_is);
  return 0;
}
