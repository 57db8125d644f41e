/* SPDX-License-Identifier: MIT */
/* child: a program that runs as a child process: started, signalled, bounded in time, and reaped.
 *
 * The handle stays open until the exit has been seen, whoever has lost interest, so that no zombie is left; and, where
 * the child's whole group was told to end, until nobody is left in that group or its grace is over. */
#ifndef LS_LOOP_CHILD_H
#define LS_LOOP_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "loop/timer.h"

struct ls_child;
struct ls_loop;

struct ls_child_events {
  /* It has ended and was reaped: status and signal are set. Once, and not after ls_child_abandon. The drain follows. */
  void (*on_exit)(struct ls_child *child);
  /* The memory may go. */
  void (*on_closed)(struct ls_child *child);
};

struct ls_child_options {
  const char *file;    /* looked up in PATH (of env, if there is one) unless it has a slash */
  char **args;         /* argv, with argv[0], NULL-terminated */
  char **env;          /* "NAME=value", NULL-terminated; NULL: as ours */
  const char *cwd;     /* NULL: as ours */
  int fds[3];          /* what the child has as 0, 1, 2; -1: /dev/null. Not taken over */
  int64_t uid, gid;    /* -1: as ours. Supplementary groups are dropped when one is set, if that is allowed */
  bool group;          /* a session and process group of its own */
  uint64_t timeout_ns; /* after it: ls_child_terminate; 0: none */
  uint64_t grace_ns;   /* between SIGTERM and SIGKILL */
};

enum ls_child_phase { LS_CHILD_RUNNING, LS_CHILD_ENDING, LS_CHILD_KILLED };

struct ls_child {
  uv_process_t uv;
  struct ls_loop *loop;
  const struct ls_child_events *events;
  struct ls_timer timer; /* of the timeout, then of the grace */
  uint64_t grace_ns;
  uint64_t kill_at; /* ENDING: when SIGKILL comes */
  enum ls_child_phase phase;
  bool group;
  bool group_gone; /* nobody was left in it: its number may be another's now */
  bool timed_out;
  bool exited;
  int64_t status; /* once exited: the exit status; 0 when a signal ended it */
  int signal;     /* once exited: the signal that ended it, or 0 */
};

/* Starts it, and waits until the program has been loaded (exec). 0, or a negative code (-ENOENT: there is no such
 * program, or no such cwd): then there is no on_exit, but on_closed comes all the same. */
int ls_child_spawn(struct ls_loop *loop, struct ls_child *child, const struct ls_child_options *options,
                   const struct ls_child_events *events);

/* Signals the process. 0 or a negative code; -ESRCH once its exit was seen, as its number may be another's now. */
int ls_child_kill(struct ls_child *child, int signal);

/* Signals everyone in its group, also after its own exit. -ESRCH: nobody is left. -EINVAL: it has no group. */
int ls_child_kill_group(struct ls_child *child, int signal);

/* SIGTERM now, and after the grace SIGKILL, to its group if it has one. Harmless when it has been called before. */
void ls_child_terminate(struct ls_child *child);

/* Lets go of a child that may still run: no on_exit, on_closed comes. For the end of the loop only: nobody reaps it. */
void ls_child_abandon(struct ls_child *child);

/* Whether it keeps the loop alive; at first it does. */
void ls_child_set_ref(struct ls_child *child, bool ref);

/* A pipe to the child or from it: ends[0] is ours (non-blocking, for ls_stream_open with AF_UNIX), ends[1] the child's.
 * Both are closed on exec. 0 or a negative code. */
int ls_child_pipe(int ends[2], bool to_child);

#endif
