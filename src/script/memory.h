/* SPDX-License-Identifier: MIT */
/* memory: bounds what Lua code of one request, and all of it together, may hold. While a slice of a task runs (see
 * watchdog.h) the allocator has a limit; between slices, where the runtime's own code runs, it has none.
 *
 * What a request holds is not known: memory has no owner. Its charge is by how much Lua's memory has grown in its slices, and in
 * those of what it has started; what the collector frees in a slice is taken off it. The collector works in proportion to
 * what a slice allocates, so who makes garbage also frees it, and a body that streams through is charged for what it keeps.
 * A charge is never more than all that Lua holds.
 *
 * Over limits.request_memory an allocation of that request fails, after a full collection: "not enough memory" in it
 * alone, a 500. Near limits.memory (90 %) all garbage is collected, at most once a second, and where that does not help the
 * request with the largest charge is cancelled; new ones are refused until use is below 80 %, or below 90 % with all
 * garbage collected. */
#ifndef LS_SCRIPT_MEMORY_H
#define LS_SCRIPT_MEMORY_H

#include <lua.h>
#include <stdbool.h>

struct ls_runtime;
struct ls_task;

/* A slice that resumes task begins, ends. For task.c. */
void ls_memory_begin(struct ls_runtime *rt, struct ls_task *task);
void ls_memory_end(struct ls_runtime *rt, const struct ls_task *task);

/* Between two slices: collects and cancels where there is little left. */
void ls_memory_relieve(struct ls_runtime *rt);

/* A task is about to end with this status. Puts a sentence that names the limit in the place of Lua's "not enough memory" at
 * the top of L. Returns the status. */
int ls_memory_task_ends(struct ls_task *task, lua_State *L, int status);

/* Whether there is too little left to begin another request. */
bool ls_memory_is_short(struct ls_runtime *rt);

#endif
