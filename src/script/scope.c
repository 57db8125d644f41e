/* SPDX-License-Identifier: MIT */
#include "script/scope.h"

#include <stddef.h>

void ls_scope_init(struct ls_scope *scope, void (*on_empty)(struct ls_scope *scope)) {
  *scope = (struct ls_scope){.on_empty = on_empty};
  ls_list_init(&scope->members);
}

void ls_scope_join(struct ls_scope *scope, struct ls_member *member) {
  member->scope = scope;
  ls_list_push(&scope->members, &member->link);
}

void ls_scope_leave(struct ls_member *member) {
  struct ls_scope *scope = member->scope;
  if (scope == NULL)
    return;
  member->scope = NULL;
  ls_list_remove(&member->link);
  if (ls_list_is_empty(&scope->members) && !scope->cancelling && scope->on_empty != NULL)
    scope->on_empty(scope);
}

/* Members leave, and others may join, while they are asked: those asked already move to a list of their own first. */
void ls_scope_cancel(struct ls_scope *scope) {
  if (scope->cancelling)
    return;
  scope->cancelling = true;
  struct ls_list asked;
  ls_list_init(&asked);
  struct ls_list *link;
  while ((link = ls_list_shift(&scope->members)) != NULL) {
    struct ls_member *member = ls_container_of(link, struct ls_member, link);
    ls_list_push(&asked, link);
    member->cancel(member);
  }
  ls_list_move(&scope->members, &asked);
  scope->cancelling = false;
}
