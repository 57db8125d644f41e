/* SPDX-License-Identifier: MIT */
/* shutdown: what SIGINT and SIGTERM do once the program serves: no new connections, what is under way has
 * rt->grace_ms, then the process ends with status 0. A second signal ends it at once, as if nobody handled it; so does
 * every signal of a program that serves nothing, after its exit hooks.
 *
 * A handler of process.on replaces this for its signal.
 *
 * The handlers here are one-shot: the kernel takes them away with the first signal, so that the second one ends also a
 * process whose loop hangs. */
#ifndef LS_BIND_SHUTDOWN_H
#define LS_BIND_SHUTDOWN_H

struct ls_runtime;

/* A server listens, or there is something to do at the end (exit hooks, children): watches from now on. Harmless when
 * watching already, and in a worker: signals are the main program's. Without memory the signals just kill. */
void ls_shutdown_watch(struct ls_runtime *rt);

/* A handler of process.on has gone, which was called instead: watches again. */
void ls_shutdown_rearm(struct ls_runtime *rt);

/* The program is to be replaced (loop/restart.h): no new connections, what is under way has a moment, then the loop ends. */
void ls_shutdown_restart(struct ls_runtime *rt);

/* The runtime ends. The memory goes when the loop has closed the handles. */
void ls_shutdown_close(struct ls_runtime *rt);

#endif
