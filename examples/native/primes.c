/* SPDX-License-Identifier: MIT */
/* primes: a Lua module in C whose work runs on luaserve's thread pool.
 *
 *   local primes = require "primes"
 *   primes.count(1000000)                        --> 78498; other tasks run meanwhile
 *   primes.count(1000000, function(message, count) ... end) */
#include <errno.h>
#include <lauxlib.h>
#include <luaserve.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct count {
  lua_Integer below;
  lua_Integer found;
  int error; /* an errno */
  atomic_bool stopped;
};

static bool is_stopped(struct count *count) {
  return atomic_load_explicit(&count->stopped, memory_order_relaxed);
}

/* The sieve of Eratosthenes, on a thread of the pool. Others wait for that thread, so it looks often whether it is still
 * wanted: each pass of a large sieve takes seconds. */
static void run_count(void *data) {
  struct count *count = data;
  char *composite = calloc((size_t)count->below + 1, 1);
  if (composite == NULL) {
    count->error = ENOMEM;
    return;
  }
  for (lua_Integer n = 2; n < count->below && !is_stopped(count); n++) {
    if (composite[n])
      continue;
    count->found++;
    for (lua_Integer multiple = 2 * n; multiple < count->below && !is_stopped(count); multiple += n)
      composite[multiple] = 1;
  }
  free(composite);
}

static int push_count(lua_State *L, void *data) {
  const struct count *count = data;
  if (count->error != 0)
    return luaserve_fail(L, count->error, "count primes");
  lua_pushinteger(L, count->found);
  return 1;
}

static void stop_count(void *data) {
  struct count *count = data;
  atomic_store(&count->stopped, true);
}

static const struct luaserve_work count_work = {.api = LUASERVE_API,
                                                .name = "primes.count",
                                                .run = run_count,
                                                .push = push_count,
                                                .stop = stop_count,
                                                .free = free};

/* primes.count(below [, callback]) -> how many primes are below it, or nil, message, code */
static int l_count(lua_State *L) {
  lua_Integer below = luaL_checkinteger(L, 1);
  luaL_argcheck(L, below >= 0 && below <= 1000000000, 1, "from 0 to a billion");
  luaserve_check(L, 2, count_work.name);
  struct count *count = calloc(1, sizeof *count);
  if (count == NULL)
    return luaL_error(L, "not enough memory");
  count->below = below;
  return luaserve_queue(L, &count_work, count, 2);
}

LUASERVE_EXPORT int luaopen_primes(lua_State *L) {
  static const luaL_Reg functions[] = {{"count", l_count}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
