/* SPDX-License-Identifier: MIT */
/* What `make bench-instr` needs inside the program that it measures: a library that is preloaded, and that Lua requires as
 * "callgrind".
 *
 * Preloaded, it stands before two functions of libc:
 *
 *   time      says what the environment variable INSTR_TIME says. Lua makes the seed of its string hashes of that and of
 *             addresses, which valgrind keeps the same: so a program has the same seed each time, and with another
 *             INSTR_TIME another seed.
 *   syscall   does openat2(2) by openat(2). Valgrind has openat2 only since 3.20; without it files would be opened by the
 *             thread pool, which is not what happens outside of valgrind. What openat2 may refuse is not asked for here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <linux/openat2.h>
#include <lua.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

#define EXPORT __attribute__((visibility("default")))

static time_t now;
static long (*next_syscall)(long number, ...);

__attribute__((constructor)) static void set_up(void) {
  const char *text = getenv("INSTR_TIME");
  now = text ? (time_t)strtol(text, NULL, 10) : 0;
  *(void **)&next_syscall = dlsym(RTLD_NEXT, "syscall");
}

EXPORT time_t time(time_t *result) {
  if (result)
    *result = now;
  return now;
}

EXPORT long syscall(long number, ...) {
  long a[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++)
    a[i] = va_arg(list, long);
  va_end(list);
  if (number != SYS_openat2)
    return next_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  const struct open_how *how = (const struct open_how *)a[2];
  return openat((int)a[0], (const char *)a[1], (int)how->flags, (mode_t)how->mode);
}

/* callgrind.dump(label): writes what has been executed since the last time to the next file of valgrind's
 * --callgrind-out-file. */
static int l_callgrind_dump(lua_State *L) {
  CALLGRIND_DUMP_STATS_AT(luaL_checkstring(L, 1));
  return 0;
}

EXPORT int luaopen_callgrind(lua_State *L) {
  static const luaL_Reg functions[] = {{"dump", l_callgrind_dump}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
