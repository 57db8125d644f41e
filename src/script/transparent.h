/* SPDX-License-Identifier: MIT */
/* transparent: the functions of Lua's own libraries that are replaced so that a task can wait, and be cancelled, in
 * every place: coroutine.* and pcall, xpcall.
 *
 * An await inside a coroutine of the user's own must suspend the whole task, not surface in the resumer. The runtime
 * yields a mark that Lua code cannot have (ls_task_push_parked); the replaced resume and wrap pass it outward, yielding
 * themselves, and go on inward when the task is resumed. A coroutine on that path is parked: until its own task resumes
 * it, status says normal, resume and wrap answer "cannot resume non-suspended coroutine", close raises.
 *
 * A cancellation cannot be swallowed: each delivery bumps the task's cancel_seq, and every function here that stops
 * errors compares it with what it was at entry and raises the cancellation again where it changed. */
#ifndef LS_SCRIPT_TRANSPARENT_H
#define LS_SCRIPT_TRANSPARENT_H

#include <lua.h>
#include <stdbool.h>

/* Replaces the functions in the globals of L; the standard libraries are open. */
void ls_transparent_open(lua_State *L);

/* For a C function elsewhere that calls what may wait, with a continuation: where waiting is impossible it is not what is in
 * the way. Raises for memory. */
void ls_transparent_add(lua_State *L, lua_CFunction function);

/* Whether a C function is one that can be yielded through. Takes two slots of the stack. */
bool ls_transparent_is(lua_State *L, lua_CFunction function);

/* The parts: each sets its functions (coroutine.c in the coroutine table, protect.c in the globals at the top). */
void ls_coroutine_open(lua_State *L);
bool ls_coroutine_is(lua_CFunction function);
void ls_protect_open(lua_State *L);
bool ls_protect_is(lua_CFunction function);

#endif
