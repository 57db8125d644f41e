/* SPDX-License-Identifier: MIT */
/* finalizer: finalizers in Lua (manual 2.5.3) that are set while requests are served run as tasks of their own, where the
 * watchdog can stop them, an error is logged and they may wait. Lua itself runs them inside whatever allocates, with hooks
 * off: one without an end would hold the loop for ever. */
#ifndef LS_SCRIPT_FINALIZER_H
#define LS_SCRIPT_FINALIZER_H

#include <lua.h>

/* The table at index is about to become a metatable: puts a function in place of a __gc that is one of Lua's. Called by the
 * collector it starts a task that calls the original with the object; called by anybody else it is the original. */
void ls_finalizer_wrap(lua_State *L, int index);

#endif
