/* SPDX-License-Identifier: MIT */
/* scope_test: members join, leave and are asked to end; the last one to leave is told of. */
#include "script/scope.h"

#include "check.h"

#define MEMBERS 4

struct probe {
  struct ls_member member;
  struct world *world;
  int asked; /* how often it was asked to end */
};

struct world {
  struct ls_scope scope;
  struct probe probes[MEMBERS];
  int empties;
};

static struct probe *probe_of(struct ls_member *member) {
  return ls_container_of(member, struct probe, member);
}

static void stay(struct ls_member *member) {
  probe_of(member)->asked++;
}

static void leave_at_once(struct ls_member *member) {
  probe_of(member)->asked++;
  ls_scope_leave(member);
}

static void leave_all(struct ls_member *member) {
  struct probe *probe = probe_of(member);
  probe->asked++;
  for (int i = 0; i < MEMBERS; i++)
    ls_scope_leave(&probe->world->probes[i].member);
}

/* Lets the last probe in, which is none yet. */
static void invite_last(struct ls_member *member) {
  struct probe *probe = probe_of(member);
  probe->asked++;
  ls_scope_join(&probe->world->scope, &probe->world->probes[MEMBERS - 1].member);
}

static void cancel_again(struct ls_member *member) {
  struct probe *probe = probe_of(member);
  probe->asked++;
  ls_scope_cancel(&probe->world->scope);
}

static void on_empty(struct ls_scope *scope) {
  CHECK(ls_list_is_empty(&scope->members));
  ls_container_of(scope, struct world, scope)->empties++;
}

/* The first count probes are members. */
static void set_up(struct world *world, int count) {
  *world = (struct world){0};
  ls_scope_init(&world->scope, on_empty);
  for (int i = 0; i < MEMBERS; i++) {
    struct probe *probe = &world->probes[i];
    probe->world = world;
    probe->member.cancel = stay;
    if (i < count)
      ls_scope_join(&world->scope, &probe->member);
  }
}

static int members_of(const struct ls_scope *scope) {
  int count = 0;
  for (const struct ls_list *link = scope->members.next; link != &scope->members; link = link->next) {
    CHECK(link->next->prev == link);
    count++;
  }
  return count;
}

static void tells_when_the_last_member_leaves(void) {
  struct world world;
  set_up(&world, 3);
  CHECK(world.probes[1].member.scope == &world.scope);
  ls_scope_leave(&world.probes[1].member);
  CHECK(world.probes[1].member.scope == NULL);
  ls_scope_leave(&world.probes[0].member);
  CHECK_INT(world.empties, 0);
  CHECK_INT(members_of(&world.scope), 1);
  ls_scope_leave(&world.probes[2].member);
  CHECK_INT(world.empties, 1);
}

static void leaving_twice_is_harmless(void) {
  struct world world;
  set_up(&world, 2);
  ls_scope_leave(&world.probes[0].member);
  ls_scope_leave(&world.probes[0].member);
  ls_scope_leave(&world.probes[3].member); /* has never been in one */
  CHECK_INT(world.empties, 0);
  ls_scope_leave(&world.probes[1].member);
  ls_scope_leave(&world.probes[1].member);
  CHECK_INT(world.empties, 1);
}

static void is_empty_as_often_as_it_gets_so(void) {
  struct world world;
  set_up(&world, 1);
  ls_scope_leave(&world.probes[0].member);
  ls_scope_join(&world.scope, &world.probes[0].member);
  ls_scope_leave(&world.probes[0].member);
  CHECK_INT(world.empties, 2);
}

static void needs_nobody_who_cares(void) {
  struct world world;
  set_up(&world, 1);
  world.scope.on_empty = NULL;
  ls_scope_leave(&world.probes[0].member);
  CHECK_INT(members_of(&world.scope), 0);
}

static void asks_everyone_once_and_keeps_who_stays(void) {
  struct world world;
  set_up(&world, 3);
  ls_scope_cancel(&world.scope);
  for (int i = 0; i < MEMBERS; i++)
    CHECK_INT(world.probes[i].asked, i < 3);
  CHECK_INT(members_of(&world.scope), 3);
  CHECK(world.scope.members.next == &world.probes[0].member.link); /* in the order in which they joined */
  ls_scope_cancel(&world.scope);
  CHECK_INT(world.probes[0].asked, 2);
}

static void cancel_itself_does_not_tell_of_the_end(void) {
  struct world world;
  set_up(&world, 3);
  for (int i = 0; i < 3; i++)
    world.probes[i].member.cancel = leave_at_once;
  ls_scope_cancel(&world.scope);
  CHECK_INT(members_of(&world.scope), 0);
  CHECK_INT(world.empties, 0);
  CHECK(!world.scope.cancelling);
  ls_scope_join(&world.scope, &world.probes[0].member);
  ls_scope_leave(&world.probes[0].member);
  CHECK_INT(world.empties, 1);
}

static void members_may_leave_while_others_are_asked(void) {
  struct world world;
  set_up(&world, MEMBERS);
  world.probes[1].member.cancel = leave_all; /* with those asked already, itself, and those still to be asked */
  ls_scope_cancel(&world.scope);
  CHECK_INT(world.probes[0].asked, 1);
  CHECK_INT(world.probes[1].asked, 1);
  CHECK_INT(world.probes[2].asked, 0);
  CHECK_INT(world.probes[3].asked, 0);
  CHECK_INT(members_of(&world.scope), 0);
  CHECK_INT(world.empties, 0);
}

static void who_joins_meanwhile_is_asked_too(void) {
  struct world world;
  set_up(&world, MEMBERS - 1);
  world.probes[0].member.cancel = invite_last;
  ls_scope_cancel(&world.scope);
  for (int i = 0; i < MEMBERS; i++)
    CHECK_INT(world.probes[i].asked, 1);
  CHECK_INT(members_of(&world.scope), MEMBERS);
}

static void a_cancel_inside_a_cancel_does_nothing(void) {
  struct world world;
  set_up(&world, MEMBERS);
  world.probes[1].member.cancel = cancel_again;
  ls_scope_cancel(&world.scope);
  for (int i = 0; i < MEMBERS; i++)
    CHECK_INT(world.probes[i].asked, 1);
  CHECK(!world.scope.cancelling);
  CHECK_INT(members_of(&world.scope), MEMBERS);
}

int main(void) {
  RUN(tells_when_the_last_member_leaves);
  RUN(leaving_twice_is_harmless);
  RUN(is_empty_as_often_as_it_gets_so);
  RUN(needs_nobody_who_cares);
  RUN(asks_everyone_once_and_keeps_who_stays);
  RUN(cancel_itself_does_not_tell_of_the_end);
  RUN(members_may_leave_while_others_are_asked);
  RUN(who_joins_meanwhile_is_asked_too);
  RUN(a_cancel_inside_a_cancel_does_nothing);
  return 0;
}
