/* SPDX-License-Identifier: MIT */
/* scope: who started what. Tasks, callback operations and timers that a request starts are members of its scope, so that
 * it can wait for them and cancel them. Handles (sockets, files, servers) are not members: they may outlive it. */
#ifndef LS_SCRIPT_SCOPE_H
#define LS_SCRIPT_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct ls_scope;
struct ls_trace;

struct ls_member {
  struct ls_list link;
  struct ls_scope *scope;                   /* NULL: in none */
  void (*cancel)(struct ls_member *member); /* asks it to end; it leaves the scope when it has (maybe at once) */
};

struct ls_scope {
  struct ls_list members;
  /* The last member has left. May free the scope. NULL: nobody cares. Never called from ls_scope_cancel itself. */
  void (*on_empty)(struct ls_scope *scope);
  /* An error that nobody joined ended one of its tasks: logs the text, which has the traceback, and does what is to be
   * done. NULL: the text is logged, and that is all. */
  void (*on_error)(struct ls_scope *scope, const char *text);
  /* Puts what it is the scope of into text, cut to size: "GET /users". NULL: nothing to say. */
  void (*describe)(struct ls_scope *scope, char *text, size_t size);
  /* Logs the text, answers what can be answered, and cancels all members and what else is the scope's. NULL: cannot. */
  void (*give_up)(struct ls_scope *scope, const char *text);
  size_t charge;          /* bytes of Lua's memory that it is taken to hold: memory.c */
  int locals;             /* registry reference of the table of task.locals; 0: not asked for yet */
  struct ls_trace *trace; /* of its tasks; NULL: they are not traced */
  bool is_request;
  bool cancelling;
  bool stopped; /* one of its tasks was stopped for holding the loop: watchdog.c */
};

void ls_scope_init(struct ls_scope *scope, void (*on_empty)(struct ls_scope *scope));
void ls_scope_join(struct ls_scope *scope, struct ls_member *member);

/* Takes member out of its scope (harmless when in none). May call on_empty. */
void ls_scope_leave(struct ls_member *member);

/* Asks all members to end. */
void ls_scope_cancel(struct ls_scope *scope);

#endif
