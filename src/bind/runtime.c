/* SPDX-License-Identifier: MIT */
/* require "luaserve.runtime": what the runtime holds at this moment, and what it has done, in numbers. For a page of
 * metrics, and for specs that want to know whether everything was closed. */
#include "script/runtime.h"

#include <lauxlib.h>
#include <uv.h>

#include "bind/modules.h"
#include "bind/pool/pool.h"
#include "loop/loop.h"
#include "script/alloc.h"

struct handle_count {
  const struct ls_loop *loop;
  unsigned total, active;
  unsigned types[UV_HANDLE_TYPE_MAX];
};

static void set_integer(lua_State *L, const char *name, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void set_seconds(lua_State *L, const char *name, uint64_t ns) {
  lua_pushnumber(L, (lua_Number)ns / 1e9);
  lua_setfield(L, -2, name);
}

static lua_Integer length(const struct ls_list *list) {
  lua_Integer count = 0;
  for (const struct ls_list *link = list->next; link != list; link = link->next)
    count++;
  return count;
}

/* Nothing may raise in here: libuv is in the middle of its list. */
static void count_handle(uv_handle_t *handle, void *data) {
  struct handle_count *count = data;
  if (uv_is_closing(handle) || ls_loop_is_own(count->loop, handle))
    return;
  count->total++;
  if (uv_is_active(handle))
    count->active++;
  count->types[uv_handle_get_type(handle)]++;
}

static void push_handles(lua_State *L, struct ls_loop *loop) {
  struct handle_count count = {.loop = loop};
  uv_walk(&loop->uv, count_handle, &count);
  lua_createtable(L, 0, 3);
  set_integer(L, "total", count.total);
  set_integer(L, "active", count.active);
  lua_newtable(L);
  for (int type = 0; type < UV_HANDLE_TYPE_MAX; type++)
    if (count.types[type] > 0)
      set_integer(L, uv_handle_type_name((uv_handle_type)type), count.types[type]);
  lua_setfield(L, -2, "types");
}

static void push_tasks(lua_State *L, const struct ls_runtime *rt) {
  lua_createtable(L, 0, 2);
  set_integer(L, "live", length(&rt->live_tasks));
  set_integer(L, "idle", rt->idle_count);
}

static void push_watchdog(lua_State *L, const struct ls_runtime *rt) {
  lua_createtable(L, 0, 2);
  set_integer(L, "slow", (lua_Integer)rt->slow_slices);
  set_integer(L, "stopped", (lua_Integer)rt->stopped_slices);
}

/* A quantile is the end of its bucket, and so can be above the maximum. */
static void set_quantile(lua_State *L, const char *name, const struct ls_loop *loop, double part) {
  uint64_t ns = ls_histogram_quantile(&loop->turns, part);
  set_seconds(L, name, ns < loop->turn_max ? ns : loop->turn_max);
}

static void push_loop_delay(lua_State *L, const struct ls_loop *loop) {
  lua_createtable(L, 0, 4);
  set_quantile(L, "p50", loop, 0.5);
  set_quantile(L, "p99", loop, 0.99);
  set_seconds(L, "max", loop->turn_max);
  set_integer(L, "count", (lua_Integer)ls_histogram_count(&loop->turns));
}

static void push_memory(lua_State *L, const struct ls_runtime *rt) {
  size_t resident = 0;
  uv_resident_set_memory(&resident); /* without /proc: 0 */
  lua_createtable(L, 0, 2);
  set_integer(L, "lua", (lua_Integer)ls_alloc_used(rt->alloc));
  set_integer(L, "resident", (lua_Integer)resident);
}

static void push_collector(lua_State *L, const struct ls_collector *collector) {
  lua_createtable(L, 0, 4);
  set_integer(L, "cycles", (lua_Integer)collector->cycles);
  set_integer(L, "full", (lua_Integer)collector->full);
  set_seconds(L, "full_total", collector->full_ns_total);
  set_seconds(L, "full_max", collector->full_ns_max);
}

static void push_requests(lua_State *L, const struct ls_runtime *rt) {
  lua_createtable(L, 0, 2);
  set_integer(L, "total", (lua_Integer)rt->requests);
  set_integer(L, "live", (lua_Integer)(rt->requests - rt->requests_ended));
}

/* runtime.stats() -> {handles =, tasks =, operations =, timers =, requests =, loop_delay =, memory =, collector =,
 *                     pool =, task_errors =, watchdog =}
 * What is open, running and waiting right now, and how long the loop was held up; docs/api/runtime.md has every field.
 * The pool is the process's, all else this runtime's. Takes time in proportion to what it counts.
 *   local before = runtime.stats().handles.total */
static int l_stats(lua_State *L) {
  struct ls_runtime *rt = ls_runtime_of(L);
  lua_createtable(L, 0, 11);
  push_handles(L, rt->loop);
  lua_setfield(L, -2, "handles");
  push_tasks(L, rt);
  lua_setfield(L, -2, "tasks");
  set_integer(L, "operations", length(&rt->callback_ops));
  set_integer(L, "timers", (lua_Integer)ls_timers_count(&rt->loop->timers));
  push_requests(L, rt);
  lua_setfield(L, -2, "requests");
  push_loop_delay(L, rt->loop);
  lua_setfield(L, -2, "loop_delay");
  push_memory(L, rt);
  lua_setfield(L, -2, "memory");
  push_collector(L, &rt->collector);
  lua_setfield(L, -2, "collector");
  ls_pool_push_stats(L, rt->loop->pool);
  lua_setfield(L, -2, "pool");
  set_integer(L, "task_errors", (lua_Integer)rt->task_errors);
  push_watchdog(L, rt);
  lua_setfield(L, -2, "watchdog");
  return 1;
}

int luaopen_luaserve_runtime(lua_State *L) {
  static const luaL_Reg functions[] = {{"stats", l_stats}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
