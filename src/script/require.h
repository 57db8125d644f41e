/* SPDX-License-Identifier: MIT */
/* require: as Lua's (manual, section 6.3), but the module's main chunk may wait.
 *
 * A module is loaded in a task of its own in the root scope, because what it starts outlives the request that happened
 * to ask first, and that request's end must not break the load for others. The task is resumed at once, inside the call
 * of require: a module that does not wait is loaded without the caller being suspended. Who asks for a module that
 * another task is loading waits for that load; a failed load is forgotten, and the next caller tries again. Loads that
 * wait for each other in a ring are an error that names the modules. */
#ifndef LS_SCRIPT_REQUIRE_H
#define LS_SCRIPT_REQUIRE_H

#include <lua.h>
#include <stdbool.h>

struct ls_runtime;
struct ls_task;

/* Replaces the global require. */
void ls_require_open(lua_State *L);

/* The runtime ends: frees what loads are left; Lua is closed. */
void ls_require_dispose(struct ls_runtime *rt);

/* Whether the task is loading a module. */
bool ls_require_is_loading(const struct ls_task *task);

#endif
