/* SPDX-License-Identifier: MIT */
#include "script/collector.h"

#include <lauxlib.h>

#include "base/clock.h"
#include "script/runtime.h"

/* An object that nobody holds: its finalizer runs once a cycle, counts it, and marks the object for the next one by
 * setting its metatable, upvalue 1, again. */
static int l_cycle(lua_State *L) {
  struct ls_runtime *rt = ls_runtime_of(L);
  rt->collector.cycles++;
  if (rt->exiting)
    return 0;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, 1);
  return 0;
}

static void count_cycles(lua_State *L) {
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, l_cycle, 1);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

bool ls_collector_run(lua_State *L) {
  struct ls_collector *collector = &ls_runtime_of(L)->collector;
  uint64_t start = ls_clock_ns();
  if (lua_gc(L, LUA_GCCOLLECT) != 0)
    return false;
  uint64_t took = ls_clock_ns() - start;
  collector->full++;
  collector->full_ns_total += took;
  if (took > collector->full_ns_max)
    collector->full_ns_max = took;
  return true;
}

/* collectgarbage([what, ...]), manual 6.1. A wrong what is refused here, so that the error names this function. */
static int l_collectgarbage(lua_State *L) {
  static const char *const options[] = {"collect",    "stop",      "restart",      "count",       "step", "setpause",
                                        "setstepmul", "isrunning", "generational", "incremental", NULL};
  if (luaL_checkoption(L, 1, "collect", options) == 0) {
    if (ls_collector_run(L))
      lua_pushinteger(L, 0);
    else
      luaL_pushfail(L);
    return 1;
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

void ls_collector_open(lua_State *L) {
  count_cycles(L);
  lua_getglobal(L, "collectgarbage");
  lua_pushcclosure(L, l_collectgarbage, 1);
  lua_setglobal(L, "collectgarbage");
}
