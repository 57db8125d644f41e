/* SPDX-License-Identifier: MIT */
/* The thread pool in numbers, for pool.stats and runtime.stats. */
#include "bind/pool/pool.h"

#include <lauxlib.h>

#include "loop/work.h"

static void set_integer(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

static void set_seconds(lua_State *L, const char *name, uint64_t ns) {
  lua_pushnumber(L, (lua_Number)ns / 1e9);
  lua_setfield(L, -2, name);
}

static void push_lane(lua_State *L, const struct ls_lane_stats *stats) {
  lua_createtable(L, 0, 8);
  set_integer(L, "cap", stats->cap);
  set_integer(L, "queued", stats->queued);
  set_integer(L, "running", stats->running);
  set_integer(L, "done", stats->done);
  set_seconds(L, "wait_total", stats->wait_ns_total);
  set_seconds(L, "wait_max", stats->wait_ns_max);
  set_seconds(L, "wait_p50", ls_histogram_quantile(&stats->waits, 0.5));
  set_seconds(L, "wait_p99", ls_histogram_quantile(&stats->waits, 0.99));
}

static void add_lane(struct ls_lane_stats *total, const struct ls_lane_stats *lane) {
  total->queued += lane->queued;
  total->running += lane->running;
  total->done += lane->done;
  total->wait_ns_total += lane->wait_ns_total;
  if (lane->wait_ns_max > total->wait_ns_max)
    total->wait_ns_max = lane->wait_ns_max;
  ls_histogram_merge(&total->waits, &lane->waits);
}

void ls_pool_push_stats(lua_State *L, struct ls_pool *pool) {
  struct ls_lane_stats total = {.cap = ls_pool_threads(pool)};
  lua_createtable(L, 0, 3);
  set_integer(L, "threads", ls_pool_threads(pool));
  lua_createtable(L, 0, LS_LANES);
  for (int lane = 0; lane < LS_LANES; lane++) {
    struct ls_lane_stats stats;
    ls_pool_stats(pool, (enum ls_lane)lane, &stats);
    add_lane(&total, &stats);
    push_lane(L, &stats);
    lua_setfield(L, -2, ls_lane_name((enum ls_lane)lane));
  }
  lua_setfield(L, -2, "lanes");
  push_lane(L, &total);
  lua_setfield(L, -2, "total");
}
