/* SPDX-License-Identifier: MIT */
/* loop_test: in which order a drain and a turn run what is queued, and what a stop leaves. */
#include "loop/loop.h"

#include <stdlib.h>

#include "check.h"
#include "loop/work.h"

#define STEPS 26
#define LINE 64

/* Something that, when it runs, writes its letter and does one thing more. */
struct step {
  struct ls_ready ready;
  struct world *world;
  char letter;
  void (*then)(struct step *step);
  struct step *other; /* then's */
};

struct world {
  struct ls_log *log;
  struct ls_pool *pool;
  struct ls_loop loop;
  struct step steps[STEPS];
  char line[LINE]; /* the letters, in the order in which the steps ran */
  size_t length;
  unsigned left; /* of the steps that go on and on */
  unsigned ran;
};

static void run_step(struct ls_ready *ready) {
  struct step *step = ls_container_of(ready, struct step, ready);
  CHECK(!ls_ready_is_queued(ready));
  CHECK(step->world->length < LINE - 1);
  step->world->line[step->world->length++] = step->letter;
  if (step->then != NULL)
    step->then(step);
}

static void set_up(struct world *world) {
  *world = (struct world){.log = ls_log_new(2, 4096), .pool = ls_pool_new(4)};
  CHECK_INT(ls_loop_init(&world->loop, world->pool, world->log), 0);
  for (int i = 0; i < STEPS; i++) {
    struct step *step = &world->steps[i];
    ls_ready_init(&step->ready, run_step);
    step->world = world;
    step->letter = (char)('a' + i);
  }
}

static void tear_down(struct world *world) {
  ls_loop_dispose(&world->loop);
  ls_pool_free(world->pool);
  ls_log_free(world->log);
}

static struct step *step_of(struct world *world, char letter) {
  return &world->steps[letter - 'a'];
}

static struct ls_ready *ready_of(struct world *world, char letter) {
  return &step_of(world, letter)->ready;
}

static void after(struct world *world, char letter, void (*then)(struct step *step), char other) {
  step_of(world, letter)->then = then;
  step_of(world, letter)->other = step_of(world, other);
}

static void check_line(const struct world *world, const char *expected) {
  CHECK_BYTES(world->line, world->length, expected);
}

static void queue_ready(struct step *step) {
  ls_loop_ready(&step->world->loop, &step->other->ready);
}

static void queue_tick(struct step *step) {
  ls_loop_tick(&step->world->loop, &step->other->ready);
}

static void queue_flush(struct step *step) {
  ls_loop_flush(&step->world->loop, &step->other->ready);
}

static void queue_immediate(struct step *step) {
  ls_loop_immediate(&step->world->loop, &step->other->ready);
}

static void unqueue_other(struct step *step) {
  ls_loop_unqueue(&step->other->ready);
}

static void drain_inside(struct step *step) {
  ls_loop_drain(&step->world->loop);
}

static void stop(struct step *step) {
  ls_loop_stop(&step->world->loop);
}

/* ---- a drain ---- */

static void ready_then_ticks_then_flushes(void) {
  struct world world;
  set_up(&world);
  ls_loop_flush(&world.loop, ready_of(&world, 'e'));
  ls_loop_tick(&world.loop, ready_of(&world, 'c'));
  ls_loop_tick(&world.loop, ready_of(&world, 'd'));
  ls_loop_ready(&world.loop, ready_of(&world, 'a'));
  ls_loop_ready(&world.loop, ready_of(&world, 'b'));
  check_line(&world, "");
  ls_loop_drain(&world.loop);
  check_line(&world, "abcde");
  ls_loop_drain(&world.loop);
  check_line(&world, "abcde");
  tear_down(&world);
}

/* What the callback made ready comes first, even before ticks; from then on ticks come before what is ready. */
static void ticks_come_before_what_becomes_ready_meanwhile(void) {
  struct world world;
  set_up(&world);
  after(&world, 'a', queue_ready, 'e');
  after(&world, 'b', queue_tick, 'c');
  after(&world, 'c', queue_tick, 'd');
  after(&world, 'e', queue_tick, 'g');
  ls_loop_ready(&world.loop, ready_of(&world, 'a'));
  ls_loop_ready(&world.loop, ready_of(&world, 'b'));
  step_of(&world, 'd')->then = queue_ready;
  step_of(&world, 'd')->other = step_of(&world, 'f');
  ls_loop_drain(&world.loop);
  check_line(&world, "abcdefg");
  tear_down(&world);
}

static void what_a_flush_queues_runs_in_the_same_drain(void) {
  struct world world;
  set_up(&world);
  after(&world, 'a', queue_ready, 'c');
  after(&world, 'b', queue_tick, 'd');
  after(&world, 'c', queue_flush, 'e');
  ls_loop_flush(&world.loop, ready_of(&world, 'a'));
  ls_loop_flush(&world.loop, ready_of(&world, 'b'));
  ls_loop_drain(&world.loop);
  check_line(&world, "abdce");
  tear_down(&world);
}

static void a_queued_one_stays_where_it_is(void) {
  struct world world;
  set_up(&world);
  ls_loop_ready(&world.loop, ready_of(&world, 'a'));
  ls_loop_ready(&world.loop, ready_of(&world, 'b'));
  ls_loop_ready(&world.loop, ready_of(&world, 'c'));
  ls_loop_ready(&world.loop, ready_of(&world, 'a'));
  ls_loop_drain(&world.loop);
  check_line(&world, "abc");
  ls_loop_ready(&world.loop, ready_of(&world, 'd'));
  ls_loop_ready(&world.loop, ready_of(&world, 'e'));
  ls_loop_tick(&world.loop, ready_of(&world, 'd')); /* nor does it change queues */
  ls_loop_tick(&world.loop, ready_of(&world, 'f'));
  ls_loop_drain(&world.loop);
  check_line(&world, "abcdef");
  tear_down(&world);
}

static void one_that_runs_may_queue_itself_and_unqueue_others(void) {
  struct world world;
  set_up(&world);
  after(&world, 'a', unqueue_other, 'b');
  ls_loop_ready(&world.loop, ready_of(&world, 'a'));
  ls_loop_ready(&world.loop, ready_of(&world, 'b'));
  ls_loop_ready(&world.loop, ready_of(&world, 'c'));
  after(&world, 'c', queue_ready, 'a');
  ls_loop_drain(&world.loop);
  check_line(&world, "aca");
  CHECK(!ls_ready_is_queued(ready_of(&world, 'b')));
  ls_loop_unqueue(ready_of(&world, 'b')); /* harmless when in none */
  tear_down(&world);
}

static void a_drain_inside_a_drain_does_nothing(void) {
  struct world world;
  set_up(&world);
  after(&world, 'a', drain_inside, 'a');
  ls_loop_ready(&world.loop, ready_of(&world, 'a'));
  ls_loop_ready(&world.loop, ready_of(&world, 'b'));
  ls_loop_tick(&world.loop, ready_of(&world, 'c'));
  ls_loop_drain(&world.loop);
  check_line(&world, "abc");
  tear_down(&world);
}

/* ---- turns ---- */

static void immediates_run_one_by_one_each_with_its_drain(void) {
  struct world world;
  set_up(&world);
  after(&world, 'a', queue_tick, 'b');
  after(&world, 'b', queue_ready, 'c');
  ls_loop_immediate(&world.loop, ready_of(&world, 'a'));
  ls_loop_immediate(&world.loop, ready_of(&world, 'd'));
  ls_loop_drain(&world.loop);
  check_line(&world, ""); /* they are not for a drain */
  ls_loop_run(&world.loop);
  check_line(&world, "abcd");
  tear_down(&world);
}

/* c is queued in the check phase of one turn, so it is for the next one's. */
static void an_immediate_of_an_immediate_is_for_the_next_turn(void) {
  struct world world;
  set_up(&world);
  after(&world, 'a', queue_immediate, 'c');
  after(&world, 'c', queue_immediate, 'd');
  ls_loop_immediate(&world.loop, ready_of(&world, 'a'));
  ls_loop_immediate(&world.loop, ready_of(&world, 'b'));
  CHECK(uv_run(&world.loop.uv, UV_RUN_NOWAIT) != 0); /* c keeps the loop alive */
  check_line(&world, "ab");
  CHECK(uv_run(&world.loop.uv, UV_RUN_NOWAIT) != 0);
  check_line(&world, "abc");
  CHECK_INT(uv_run(&world.loop.uv, UV_RUN_NOWAIT), 0);
  check_line(&world, "abcd");
  tear_down(&world);
}

static void an_immediate_that_is_taken_out_does_not_run(void) {
  struct world world;
  set_up(&world);
  after(&world, 'a', unqueue_other, 'b');
  ls_loop_immediate(&world.loop, ready_of(&world, 'a'));
  ls_loop_immediate(&world.loop, ready_of(&world, 'b'));
  ls_loop_immediate(&world.loop, ready_of(&world, 'c'));
  ls_loop_run(&world.loop); /* and the loop ends */
  check_line(&world, "ac");
  tear_down(&world);
}

static void a_loop_without_work_ends_at_once(void) {
  struct world world;
  set_up(&world);
  ls_loop_run(&world.loop);
  ls_loop_ready(&world.loop, ready_of(&world, 'a'));
  ls_loop_run(&world.loop); /* drains first */
  check_line(&world, "a");
  tear_down(&world);
}

/* ---- too much ---- */

static void run_again(struct ls_ready *ready) {
  struct step *step = ls_container_of(ready, struct step, ready);
  struct world *world = step->world;
  world->ran++;
  if (--world->left > 0)
    step->letter == 't' ? ls_loop_tick(&world->loop, ready) : ls_loop_ready(&world->loop, ready);
}

/* Twice the cap and a half: two polls come in between. */
static void run_too_many(char letter) {
  struct world world;
  set_up(&world);
  world.left = 2 * LS_LOOP_BURST + LS_LOOP_BURST / 2;
  struct ls_ready *ready = ready_of(&world, letter);
  ready->run = run_again;
  if (letter == 't')
    ls_loop_tick(&world.loop, ready);
  else
    ls_loop_ready(&world.loop, ready);
  ls_loop_flush(&world.loop, ready_of(&world, 'f'));
  ls_loop_drain(&world.loop);
  CHECK_INT(world.ran, LS_LOOP_BURST);
  check_line(&world, "f"); /* flushes are not held up */
  CHECK(ls_ready_is_queued(ready));
  ls_loop_immediate(&world.loop, ready_of(&world, 'i'));
  CHECK(uv_run(&world.loop.uv, UV_RUN_NOWAIT) != 0);
  CHECK(world.ran >= 2 * LS_LOOP_BURST);
  ls_loop_run(&world.loop);
  CHECK_INT(world.ran, 2 * LS_LOOP_BURST + LS_LOOP_BURST / 2);
  check_line(&world, "fi");
  CHECK(!uv_is_active((uv_handle_t *)&world.loop.spin));
  tear_down(&world);
}

static void too_many_ready_ones_wait_for_a_poll(void) {
  run_too_many('r');
}

static void too_many_ticks_wait_for_a_poll(void) {
  run_too_many('t');
}

static void count_run(struct ls_ready *ready) {
  struct step *step = ls_container_of(ready, struct step, ready);
  step->world->ran++;
}

/* A connection whose flush waited would point into a read buffer that is the next one's already. */
static void no_flush_waits_however_many_they_are(void) {
  enum { COUNT = LS_LOOP_BURST + 5 };
  struct world world;
  set_up(&world);
  struct step *steps = calloc(COUNT, sizeof *steps);
  for (int i = 0; i < COUNT; i++) {
    steps[i].world = &world;
    ls_ready_init(&steps[i].ready, count_run);
    ls_loop_flush(&world.loop, &steps[i].ready);
  }
  ls_loop_flush(&world.loop, ready_of(&world, 'f'));
  ls_loop_drain(&world.loop);
  CHECK_INT(world.ran, COUNT);
  check_line(&world, "f");
  free(steps);
  tear_down(&world);
}

/* ---- the end ---- */

static void a_stop_leaves_what_is_queued(void) {
  struct world world;
  set_up(&world);
  after(&world, 'b', stop, 'b');
  ls_loop_ready(&world.loop, ready_of(&world, 'a'));
  ls_loop_ready(&world.loop, ready_of(&world, 'b'));
  ls_loop_ready(&world.loop, ready_of(&world, 'c'));
  ls_loop_tick(&world.loop, ready_of(&world, 'd'));
  ls_loop_flush(&world.loop, ready_of(&world, 'e'));
  ls_loop_immediate(&world.loop, ready_of(&world, 'f'));
  ls_loop_run(&world.loop);
  check_line(&world, "ab");
  ls_loop_drain(&world.loop);
  check_line(&world, "ab");
  for (char letter = 'c'; letter <= 'f'; letter++)
    ls_loop_unqueue(ready_of(&world, letter)); /* their owners may still take them out */
  CHECK(ls_list_is_empty(&world.loop.ready));
  CHECK(ls_list_is_empty(&world.loop.ticks));
  CHECK(ls_list_is_empty(&world.loop.flushes));
  CHECK(ls_list_is_empty(&world.loop.immediates));
  tear_down(&world);
}

static void a_stop_in_an_immediate_leaves_the_others(void) {
  struct world world;
  set_up(&world);
  after(&world, 'a', stop, 'a');
  ls_loop_immediate(&world.loop, ready_of(&world, 'a'));
  ls_loop_immediate(&world.loop, ready_of(&world, 'b'));
  ls_loop_run(&world.loop);
  check_line(&world, "a");
  CHECK(ls_ready_is_queued(ready_of(&world, 'b')));
  CHECK(world.loop.immediates.next == &ready_of(&world, 'b')->link);
  tear_down(&world);
}

static void on_idle(uv_idle_t *idle) {
  (void)idle;
}

static void disposal_closes_what_is_left(void) {
  struct world world;
  set_up(&world);
  uv_idle_t forgotten;
  uv_idle_init(&world.loop.uv, &forgotten);
  uv_idle_start(&forgotten, on_idle);
  CHECK(!ls_loop_is_own(&world.loop, (uv_handle_t *)&forgotten));
  CHECK(ls_loop_is_own(&world.loop, (uv_handle_t *)&world.loop.check));
  tear_down(&world);
  CHECK(uv_is_closing((uv_handle_t *)&forgotten));
}

static void count_foreign(uv_handle_t *handle, void *count) {
  if (!ls_loop_is_own(ls_loop_of(handle), handle))
    (*(int *)count)++;
}

static void a_new_loop_has_only_its_own_handles(void) {
  struct world world;
  set_up(&world);
  int foreign = 0;
  uv_walk(&world.loop.uv, count_foreign, &foreign);
  CHECK_INT(foreign, 0);
  tear_down(&world);
}

static void inlining_is_fair_for_a_while_only(void) {
  struct world world;
  set_up(&world);
  uint64_t start = uv_hrtime();
  CHECK(ls_loop_may_inline(&world.loop));
  while (ls_loop_may_inline(&world.loop))
    CHECK(uv_hrtime() - start < UINT64_C(60000000000)); /* it has an end */
  CHECK(uv_hrtime() - start >= UINT64_C(1000000));
  ls_loop_drain(&world.loop);
  CHECK(ls_loop_may_inline(&world.loop)); /* a new turn */
  tear_down(&world);
}

int main(void) {
  RUN(ready_then_ticks_then_flushes);
  RUN(ticks_come_before_what_becomes_ready_meanwhile);
  RUN(what_a_flush_queues_runs_in_the_same_drain);
  RUN(a_queued_one_stays_where_it_is);
  RUN(one_that_runs_may_queue_itself_and_unqueue_others);
  RUN(a_drain_inside_a_drain_does_nothing);
  RUN(immediates_run_one_by_one_each_with_its_drain);
  RUN(an_immediate_of_an_immediate_is_for_the_next_turn);
  RUN(an_immediate_that_is_taken_out_does_not_run);
  RUN(a_loop_without_work_ends_at_once);
  RUN(too_many_ready_ones_wait_for_a_poll);
  RUN(too_many_ticks_wait_for_a_poll);
  RUN(no_flush_waits_however_many_they_are);
  RUN(a_stop_leaves_what_is_queued);
  RUN(a_stop_in_an_immediate_leaves_the_others);
  RUN(disposal_closes_what_is_left);
  RUN(a_new_loop_has_only_its_own_handles);
  RUN(inlining_is_fair_for_a_while_only);
  return 0;
}
