/* SPDX-License-Identifier: MIT */
/* watchdog: bounds the time that Lua code holds a loop. What runs between two returns to the loop is a slice. A thread looks
 * at the slice counter every 10 ms (no clock is read for each slice), and signals the loop's thread (script/interrupt.h):
 *   - after limits.slow_ms, for the place in the code; the log says it when the slice has ended;
 *   - after limits.cpu_ms, to stop the slice: a cancellation is raised in it, cleanup has 100 ms, and the task ends with an
 *     error that tells how long it was and where;
 *   - limits.hang_ms later, where nothing came of that (a C function that blocks, a finalizer): the process is aborted.
 *
 * The main chunk is never watched, nor is anything before the first server listens. */
#ifndef LS_SCRIPT_WATCHDOG_H
#define LS_SCRIPT_WATCHDOG_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct ls_runtime;
struct ls_task;
struct ls_watchdog;

/* Begins to watch what runs on rt's loop, by rt->limits; on its thread. Does nothing where it watches already, or where
 * neither slow_ms nor cpu_ms is set. Without memory or a thread the log says that nothing is watched. */
void ls_watchdog_start(struct ls_runtime *rt);

/* Ends that; on the loop's thread, with nothing running. */
void ls_watchdog_stop(struct ls_runtime *rt);

/* A slice that resumes task begins, ends. For task.c, where rt->watchdog is set; and for a full collection, of no task: NULL. */
void ls_watchdog_begin(struct ls_runtime *rt, struct ls_task *task);
void ls_watchdog_end(struct ls_runtime *rt);

/* A task is about to end with this status: L's top is its error, if it is one. A task that was stopped gets the error that
 * says so in its place. Returns the status. */
int ls_watchdog_task_ends(struct ls_task *task, lua_State *L, int status);

#endif
