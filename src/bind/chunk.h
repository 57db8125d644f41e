/* SPDX-License-Identifier: MIT */
/* chunk: the main chunk of a runtime, the program's or a worker's, from its start to the end of all that it leaves. */
#ifndef LS_BIND_CHUNK_H
#define LS_BIND_CHUNK_H

#include <lua.h>

#include "script/task.h"

/* Opens the modules, runs entry(arg) as rt->main_task, and then the loop until nothing keeps it alive or the runtime is
 * told to exit. on_end sets rt->main_task to NULL: where it still stands afterwards, and rt is not exiting, the chunk
 * waits for something that can no longer happen. 0 or -ENOMEM. */
int ls_chunk_run(struct ls_runtime *rt, lua_CFunction entry, void *arg, ls_task_end on_end);

/* Pushes that it waits for ever, and where; raises for memory. what: "the script". */
void ls_chunk_push_stuck(lua_State *L, const char *what);

#endif
