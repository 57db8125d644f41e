/* SPDX-License-Identifier: MIT */
/* collector: what is known of Lua's garbage collector: how many cycles it has completed, and how long full collections held
 * everything up. Its ordinary steps are small and lie in between the allocations of whatever runs; Lua tells nobody of
 * them, so they are not timed on their own: they are part of the turns of the loop, which are. */
#ifndef LS_SCRIPT_COLLECTOR_H
#define LS_SCRIPT_COLLECTOR_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct ls_collector {
  uint64_t cycles;        /* completed, full collections among them */
  uint64_t full;          /* full collections: collectgarbage()'s, and ls_collector_run's */
  uint64_t full_ns_total; /* that they took */
  uint64_t full_ns_max;
};

/* Begins to count, and replaces collectgarbage by one that takes the time of full collections. */
void ls_collector_open(lua_State *L);

/* A full collection. False: inside of a finalizer, where none is possible. */
bool ls_collector_run(lua_State *L);

#endif
