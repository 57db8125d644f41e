/* SPDX-License-Identifier: MIT */
/* luaserve: for modules written in C that block or compute for long. Such a module, loaded by require, hands its work to
 * luaserve's thread pool, and the Lua function that asked for it waits like any other of luaserve's, without holding up
 * the program. examples/native/primes.c is a whole one.
 *
 *   static int l_count(lua_State *L) {
 *     lua_Integer below = luaL_checkinteger(L, 1);              // 1. check the arguments; raising is free here
 *     luaserve_check(L, 2, count.name);                         // 2. raises where nothing can wait
 *     struct count *c = calloc(1, sizeof *c);                   // 3. copy what the work needs
 *     if (c == NULL) return luaL_error(L, "not enough memory");
 *     c->below = below;
 *     return luaserve_queue(L, &count, c, 2);                   // 4. the last statement
 *   }
 *
 * Compile it with -fPIC -shared and link it with nothing: the program has these functions and Lua's. */
#ifndef LUASERVE_H
#define LUASERVE_H

#include <lua.h>

#if defined(__cplusplus)
extern "C" {
#endif

#define LUASERVE_API 1 /* goes up when something is added; what was there stays */

#define LUASERVE_EXPORT __attribute__((visibility("default")))

/* A kind of work. It, and what it points to, live as long as the program. data is the module's own. */
struct luaserve_work {
  int api;                               /* LUASERVE_API */
  const char *name;                      /* "primes.count", for messages */
  void (*run)(void *data);               /* on a thread of the pool, while Lua goes on: must not touch Lua */
  int (*push)(lua_State *L, void *data); /* after run, on Lua's thread: pushes the results and returns their number;
                                          * may raise. For a failure of the world: nil, message, code (luaserve_fail) */
  void (*stop)(
      void *data); /* NULL: none. On Lua's thread, when nobody wants the result any more: run may be under way, or
                             * just over; it should end early */
  void (*free)(void *data); /* on Lua's thread, exactly once whatever happens, and last; not while run is under way */
};

/* The newest API this luaserve knows. */
LUASERVE_EXPORT int luaserve_api(void);

/* Raises unless a function called name can wait here, or index callback holds a function to call back. callback 0: the
 * function has no callback form. */
LUASERVE_EXPORT void luaserve_check(lua_State *L, int callback, const char *name);

/* Queues the work, which owns data from here on, also when this raises. With a function at index callback it returns an
 * operation (with :cancel()) at once and calls that function later with (nil, results...) or (message, code); else it
 * suspends the task, and the results are what push pushes. Must be the return statement of a lua_CFunction. */
LUASERVE_EXPORT int luaserve_queue(lua_State *L, const struct luaserve_work *work, void *data, int callback);

/* Pushes nil, "ENOENT: no such file or directory: what", "ENOENT" for an errno and returns 3. what: NULL, or what was done. */
LUASERVE_EXPORT int luaserve_fail(lua_State *L, int error, const char *what);

#if defined(__cplusplus)
}
#endif

#endif
