/* SPDX-License-Identifier: MIT */
/* deadlines: order, arming again, and callbacks that change the lists they are called from. */
#include "loop/deadlines.h"

#include "net.h"

enum { SHORT, LONG, NEVER, CLASSES };

struct entry {
  struct ls_deadline deadline;
  struct fixture *fixture;
  int fired;
  uint64_t at;    /* uv_now when it last fired */
  int place;      /* which it was among all that fired */
  unsigned rearm; /* how often to arm again */
  unsigned rearm_class;
  struct entry *disarms, *arms;
  bool closes, frees;
};

struct fixture {
  struct net net;
  struct ls_deadline_class classes[CLASSES];
  struct ls_deadlines deadlines;
  int fired, closed;
};

static void expired(struct ls_deadline *deadline) {
  struct entry *entry = ls_container_of(deadline, struct entry, deadline);
  struct fixture *fixture = entry->fixture;
  CHECK(ls_list_is_empty(&deadline->link));
  CHECK(uv_now(&fixture->net.loop.uv) >= deadline->due);
  CHECK(uv_now(&fixture->net.loop.uv) > entry->at); /* one tick, one expiry, however late the tick is */
  entry->at = uv_now(&fixture->net.loop.uv);
  net_note(&fixture->net.loop);
  entry->fired++;
  entry->place = ++fixture->fired;
  if (entry->disarms != NULL)
    ls_deadline_disarm(&entry->disarms->deadline);
  if (entry->arms != NULL)
    ls_deadline_arm(&fixture->deadlines, LONG, &entry->arms->deadline);
  if (entry->rearm > 0) {
    entry->rearm--;
    ls_deadline_arm(&fixture->deadlines, entry->rearm_class, deadline);
  }
  if (entry->closes)
    ls_deadlines_close(&fixture->deadlines);
  if (entry->frees)
    free(entry);
}

static void on_closed(struct ls_deadlines *deadlines) {
  ls_container_of(deadlines, struct fixture, deadlines)->closed++;
}

static void fixture_open(struct fixture *fixture) {
  *fixture = (struct fixture){0};
  net_open(&fixture->net);
  for (int i = 0; i < CLASSES; i++)
    fixture->classes[i].expired = expired;
  fixture->classes[SHORT].duration = 1;
  fixture->classes[LONG].duration = 120;
  fixture->deadlines.on_closed = on_closed;
  CHECK_INT(ls_deadlines_init(&fixture->net.loop, &fixture->deadlines, fixture->classes, CLASSES), 0);
}

static void fixture_close(struct fixture *fixture) {
  if (!uv_is_closing((uv_handle_t *)&fixture->deadlines.tick))
    ls_deadlines_close(&fixture->deadlines);
  UNTIL(&fixture->net, fixture->closed);
  CHECK_INT(fixture->closed, 1);
  net_close(&fixture->net);
}

static void entry_init(struct fixture *fixture, struct entry *entry) {
  *entry = (struct entry){.fixture = fixture};
  ls_deadline_init(&entry->deadline);
}

static void arm(struct entry *entry, unsigned class_index) {
  ls_deadline_arm(&entry->fixture->deadlines, class_index, &entry->deadline);
}

static bool is_ticking(struct fixture *fixture) {
  return uv_is_active((uv_handle_t *)&fixture->deadlines.tick);
}

static void expires_in_order_of_arming(void) {
  struct fixture fixture;
  struct entry entries[4];
  fixture_open(&fixture);
  for (int i = 0; i < 4; i++)
    entry_init(&fixture, &entries[i]);
  arm(&entries[3], LONG);
  arm(&entries[0], SHORT);
  arm(&entries[1], SHORT);
  arm(&entries[2], SHORT);
  arm(&entries[0], SHORT); /* again: behind the others now */
  UNTIL(&fixture.net, fixture.fired == 4);
  CHECK_INT(entries[1].place, 1);
  CHECK_INT(entries[2].place, 2);
  CHECK_INT(entries[0].place, 3);
  CHECK_INT(entries[3].place, 4);
  CHECK_INT(entries[0].fired, 1);
  fixture_close(&fixture);
}

static void ticks_only_while_armed_and_keeps_nothing_alive(void) {
  struct fixture fixture;
  struct entry entry;
  fixture_open(&fixture);
  entry_init(&fixture, &entry);
  CHECK(!is_ticking(&fixture));
  arm(&entry, SHORT);
  CHECK(is_ticking(&fixture));
  uv_unref((uv_handle_t *)&fixture.net.keep);
  CHECK(!uv_loop_alive(&fixture.net.loop.uv));
  uv_ref((uv_handle_t *)&fixture.net.keep);
  UNTIL(&fixture.net, entry.fired);
  CHECK(!is_ticking(&fixture));
  arm(&entry, LONG);
  ls_deadline_disarm(&entry.deadline);
  ls_deadline_disarm(&entry.deadline);
  UNTIL(&fixture.net, !is_ticking(&fixture));
  CHECK_INT(entry.fired, 1);
  fixture_close(&fixture);
}

static void a_class_without_duration_never_expires(void) {
  struct fixture fixture;
  struct entry never, other;
  fixture_open(&fixture);
  entry_init(&fixture, &never);
  entry_init(&fixture, &other);
  arm(&never, NEVER);
  CHECK(!is_ticking(&fixture));
  arm(&never, SHORT);
  arm(&never, NEVER); /* moves: out of the short class */
  CHECK(ls_list_is_empty(&never.deadline.link));
  arm(&other, SHORT);
  UNTIL(&fixture.net, other.fired);
  CHECK_INT(never.fired, 0);
  fixture_close(&fixture);
}

static void moves_between_classes(void) {
  struct fixture fixture;
  struct entry moved, other;
  fixture_open(&fixture);
  entry_init(&fixture, &moved);
  entry_init(&fixture, &other);
  arm(&moved, SHORT);
  arm(&moved, LONG);
  arm(&other, SHORT);
  UNTIL(&fixture.net, moved.fired);
  CHECK_INT(other.place, 1);
  CHECK_INT(moved.fired, 1);
  fixture_close(&fixture);
}

static void arms_again_from_its_callback(void) {
  struct fixture fixture;
  struct entry entry;
  fixture_open(&fixture);
  entry_init(&fixture, &entry);
  entry.rearm = 1;
  entry.rearm_class = SHORT;
  arm(&entry, SHORT);
  UNTIL(&fixture.net, entry.fired == 2);
  CHECK(!is_ticking(&fixture));
  CHECK_INT(fixture.net.drains, 2);
  fixture_close(&fixture);
}

static void callbacks_change_others(void) {
  struct fixture fixture;
  struct entry first, disarmed, delayed, last;
  fixture_open(&fixture);
  entry_init(&fixture, &first);
  entry_init(&fixture, &disarmed);
  entry_init(&fixture, &delayed);
  entry_init(&fixture, &last);
  first.disarms = &disarmed;
  first.arms = &delayed;
  arm(&first, SHORT);
  arm(&disarmed, SHORT);
  arm(&delayed, SHORT);
  arm(&last, SHORT);
  UNTIL(&fixture.net, delayed.fired);
  CHECK_INT(first.place, 1);
  CHECK_INT(last.place, 2);
  CHECK_INT(delayed.place, 3);
  CHECK_INT(disarmed.fired, 0);
  fixture_close(&fixture);
}

static void callbacks_free_and_close(void) {
  struct fixture fixture;
  struct entry closer, same, later;
  struct entry *freed = malloc(sizeof *freed);
  CHECK(freed != NULL);
  fixture_open(&fixture);
  entry_init(&fixture, freed);
  entry_init(&fixture, &closer);
  entry_init(&fixture, &same);
  entry_init(&fixture, &later);
  freed->frees = true;
  closer.closes = true;
  arm(freed, SHORT);
  arm(&closer, SHORT);
  arm(&same, SHORT);
  arm(&later, LONG);
  UNTIL(&fixture.net, fixture.closed);
  CHECK_INT(fixture.fired, 2);
  CHECK(ls_list_is_empty(&same.deadline.link));
  CHECK(ls_list_is_empty(&later.deadline.link));
  arm(&later, SHORT);
  CHECK(ls_list_is_empty(&later.deadline.link));
  fixture_close(&fixture);
}

int main(void) {
  net_main();
  RUN(expires_in_order_of_arming);
  RUN(ticks_only_while_armed_and_keeps_nothing_alive);
  RUN(a_class_without_duration_never_expires);
  RUN(moves_between_classes);
  RUN(arms_again_from_its_callback);
  RUN(callbacks_change_others);
  RUN(callbacks_free_and_close);
  return 0;
}
