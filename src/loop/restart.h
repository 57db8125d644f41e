/* SPDX-License-Identifier: MIT */
/* restart: for development: when a source file changes, the program is replaced by itself, started anew: the process
 * executes its own file again. It keeps its number, its terminal and its listening sockets (handover.h), and has the
 * arguments, the environment and the working folder of its first start.
 *
 * A thread watches the files. When the last change is complete and SETTLE_MS old, it asks the loop, which ends what is under
 * way and returns from the main function, the last act of which is ls_restart_execute. A loop that does not come to that
 * within FORCE_MS, because code runs on it that does not wait, is not asked any more: the thread executes the successor
 * itself, and the other threads are gone.
 *
 * What the successor has to know is in a variable of its environment, which it removes. It begins with the number of the
 * process, so that no other takes it for its own. */
#ifndef LS_LOOP_RESTART_H
#define LS_LOOP_RESTART_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "loop/handover.h"
#include "loop/sources.h"

#define LS_RESTART_GRACE_MS 100 /* left to what is under way */

struct ls_inherited;
struct ls_loop;

struct ls_restart {
  struct ls_handover handover;
  char **arguments;    /* of the start */
  char **environment;  /* the same */
  char *program;       /* the file that this process runs; NULL: not known */
  int folder;          /* a descriptor: the working folder of the start */
  sigset_t signals;    /* that were blocked at the start */
  unsigned inherited;  /* descriptors from 3 on that systemd has passed */
  char *changed;       /* because of which this is a successor; NULL: it is the first */
  uint64_t changed_at; /* ns */
  char *failure;       /* why the program could not be started; NULL: it could. Owned */

  pthread_t thread;
  bool has_thread;
  int wake; /* an eventfd, on which the thread is told to end */
  uv_async_t async;

  /* mutex */
  pthread_mutex_t mutex;
  struct ls_sources sources;
  struct ls_loop *loop; /* that is asked; NULL: none is attached */
  void (*on_change)(void *data);
  void *data;
  bool due;           /* the loop was asked, or is to be when it attaches */
  bool given_up;      /* the process is to end for another reason */
  const char *path;   /* of the last change; lives in sources */
  uint64_t change_at; /* ns */
};

/* At the very start of the process, before its environment changes. NULL: out of memory or descriptors.
 * arguments is NULL-terminated. Removes the variable, wherever it comes from: also ls_restart_forget. */
struct ls_restart *ls_restart_new(char **arguments);

/* Removes the variable where nothing is to be restarted. */
void ls_restart_forget(void);

/* Ends the thread, frees. NULL is allowed. */
void ls_restart_free(struct ls_restart *restart);

/* The loop runs from now on: on_change(data) is called on its thread, once, when a file has changed, also before this. It
 * does not keep the loop alive. 0 or a negative code. */
int ls_restart_attach(struct ls_restart *restart, struct ls_loop *loop, void (*on_change)(void *data), void *data);

/* The loop is about to end. Any time after attach, on its thread. */
void ls_restart_detach(struct ls_restart *restart);

/* A file is about to be read that is a part of the program. Any thread. */
void ls_restart_watch(struct ls_restart *restart, const char *path);

/* Whether a change was seen that has not led to a successor yet. */
bool ls_restart_is_due(struct ls_restart *restart);

/* The process ends for another reason: no successor is wanted any more. */
void ls_restart_give_up(struct ls_restart *restart);

/* Waits, without a loop, until a change is due; not where the restart was given up. On the thread that may do that. */
void ls_restart_wait(struct ls_restart *restart);

/* Goes back to the working folder of the start. */
void ls_restart_go_home(struct ls_restart *restart);

/* Executes the successor. Returns only where that fails: a negative code. */
int ls_restart_execute(struct ls_restart *restart);

#endif
