/* SPDX-License-Identifier: MIT */
/* require "luaserve.process": the process itself and those it starts. Here: what it is, where it is, what it uses.
 * Children are in child.c and run.c, signals in signal.c, its end in exit.c. */
#include "bind/process/process.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "bind/modules.h"
#include "bind/net/impl.h"
#include "bind/process/impl.h"
#include "loop/loop.h"
#include "script/alloc.h"
#include "script/module.h"
#include "script/op.h"
#include "script/runtime.h"
#include "version.h"

#define TITLE_MAX (1024 * 1024)

/* ---- the folder ---- */

/* process.cwd() -> path | nil, message, code
 * The working folder. "ENOENT": it was removed. */
static int l_cwd(lua_State *L) {
  char path[PATH_MAX + 1];
  size_t size = sizeof path;
  int code = uv_cwd(path, &size);
  if (code != 0)
    return ls_push_failure(L, code, "cwd");
  lua_pushlstring(L, path, size);
  return 1;
}

/* process.chdir(path) -> true | nil, message, code
 * Changes the working folder, of the whole process: every relative path is then another one, in every request.
 * Workers cannot. */
static int l_chdir(lua_State *L) {
  size_t size;
  const char *path = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, strlen(path) == size, 1, "a path has no NUL in it");
  ls_runtime_check_main(L, "process.chdir");
  int code = uv_chdir(path);
  if (code != 0)
    return ls_push_failure(L, code, "chdir '%s'", path);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- signals to others ---- */

/* process.kill(pid [, signal]) -> true | nil, message, code
 * Sends a signal, "SIGTERM" if none is named, to a process; 0 only asks whether it is there. A negative pid is a group.
 * Fails with "ESRCH" (no such process), "EPERM". */
static int l_kill(lua_State *L) {
  lua_Integer pid = luaL_checkinteger(L, 1);
  luaL_argcheck(L, pid >= INT_MIN && pid <= INT_MAX, 1, "no process has this number");
  int number = ls_process_check_signal(L, 2, SIGTERM);
  int code = uv_kill((int)pid, number);
  if (code != 0)
    return ls_push_failure(L, code, "kill %d", (int)pid);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- use ---- */

/* process.memory() -> {rss =, peak_rss =, lua =}
 * Bytes: resident now, the most there has been, and what Lua holds. */
static int l_memory(lua_State *L) {
  struct rusage usage = {0};
  size_t rss = 0;
  uv_resident_set_memory(&rss); /* without /proc: 0 */
  getrusage(RUSAGE_SELF, &usage);
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, (lua_Integer)rss);
  lua_setfield(L, -2, "rss");
  lua_pushinteger(L, (lua_Integer)usage.ru_maxrss * 1024);
  lua_setfield(L, -2, "peak_rss");
  lua_pushinteger(L, (lua_Integer)ls_alloc_used(ls_runtime_of(L)->alloc));
  lua_setfield(L, -2, "lua");
  return 1;
}

static lua_Number seconds_of(struct timeval time) {
  return (lua_Number)time.tv_sec + (lua_Number)time.tv_usec / 1e6;
}

/* process.cpu() -> {user =, system =}
 * Seconds of CPU that all threads of the process have used, in its own code and in the kernel. */
static int l_cpu(lua_State *L) {
  struct rusage usage = {0};
  getrusage(RUSAGE_SELF, &usage);
  lua_createtable(L, 0, 2);
  lua_pushnumber(L, seconds_of(usage.ru_utime));
  lua_setfield(L, -2, "user");
  lua_pushnumber(L, seconds_of(usage.ru_stime));
  lua_setfield(L, -2, "system");
  return 1;
}

/* process.hrtime() -> integer
 * Nanoseconds on a clock that only runs forward, from some point in the past: for measuring.
 *   local start = process.hrtime(); work(); print((process.hrtime() - start) / 1e6, "ms") */
static int l_hrtime(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)ls_timers_now(ls_runtime_of(L)->loop));
  return 1;
}

/* Seconds from the start of the machine to that of this process: field 22 of /proc/self/stat, in ticks. */
static int read_start(lua_Number *seconds) {
  char text[1024];
  unsigned long long ticks;
  FILE *file = fopen("/proc/self/stat", "re");
  if (file == NULL)
    return -errno;
  size_t size = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[size] = '\0';
  const char *rest = strrchr(text, ')'); /* the name of the program may hold anything */
  if (rest == NULL ||
      sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &ticks) !=
          1)
    return -EIO;
  *seconds = (lua_Number)ticks / (lua_Number)sysconf(_SC_CLK_TCK);
  return 0;
}

/* process.uptime() -> seconds | nil, message, code
 * How long ago the process was started, to a hundredth of a second. */
static int l_uptime(lua_State *L) {
  struct timespec now;
  lua_Number start;
  int code = read_start(&start);
  if (code != 0)
    return ls_push_failure(L, code, "read '/proc/self/stat'");
  clock_gettime(CLOCK_BOOTTIME, &now);
  lua_Number uptime = (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec / 1e9 - start;
  lua_pushnumber(L, uptime > 0 ? uptime : 0);
  return 1;
}

/* ---- fields that change ---- */

static int push_title(lua_State *L) {
  for (size_t size = 512; size <= TITLE_MAX; size *= 2) {
    luaL_Buffer buffer;
    char *title = luaL_buffinitsize(L, &buffer, size);
    int code = uv_get_process_title(title, size);
    if (code == 0) {
      luaL_pushresultsize(&buffer, strlen(title));
      return 1;
    }
    luaL_pushresultsize(&buffer, 0);
    lua_pop(L, 1);
  }
  lua_pushliteral(L, "");
  return 1;
}

/* process.title, process.ppid: asked for each time. */
static int l_index(lua_State *L) {
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(name, "title") == 0)
    return push_title(L);
  if (strcmp(name, "ppid") == 0)
    lua_pushinteger(L, getppid());
  else
    return ls_module_no_field(L, "luaserve.process");
  return 1;
}

/* process.title = text: what ps shows; it has the room that the command line had, and is cut there. Anything else is
 * set as in any table. */
static int l_newindex(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "title") != 0) {
    lua_rawset(L, 1);
    return 0;
  }
  size_t size;
  if (lua_type(L, 3) != LUA_TSTRING)
    return luaL_error(L, "process.title must be a string, not a %s", luaL_typename(L, 3));
  const char *title = lua_tolstring(L, 3, &size);
  if (strlen(title) != size)
    return luaL_error(L, "process.title must not have a NUL in it");
  int code = uv_set_process_title(title);
  if (code == 0)
    return 0;
  ls_push_failure(L, code, "process.title");
  lua_pop(L, 1);
  return luaL_error(L, "%s", lua_tostring(L, -1));
}

/* A copy of the arguments: what follows the script, and the script itself at 0. */
static void push_arguments(lua_State *L) {
  lua_newtable(L);
  if (lua_getglobal(L, "arg") == LUA_TTABLE) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 0; i <= count; i++) {
      lua_rawgeti(L, -1, i);
      lua_rawseti(L, -3, i);
    }
  }
  lua_pop(L, 1);
}

/* ---- the module ---- */

/* Without a finalizer, so that it outlives those of the handles. */
static void open_state(lua_State *L) {
  struct ls_process *process = lua_newuserdatauv(L, sizeof *process, 0);
  *process = (struct ls_process){0};
  ls_list_init(&process->signals);
  ls_list_init(&process->hooks);
  ls_list_init(&process->runs);
  luaL_ref(L, LUA_REGISTRYINDEX);
  ls_runtime_of(L)->process = process;
}

static void set_fields(lua_State *L) {
  lua_pushinteger(L, getpid());
  lua_setfield(L, -2, "pid");
  lua_pushliteral(L, LS_VERSION);
  lua_setfield(L, -2, "version");
  push_arguments(L);
  lua_setfield(L, -2, "arguments");
  lua_pushboolean(L, ls_runtime_of(L)->development);
  lua_setfield(L, -2, "development");
  ls_process_env_push(L);
  lua_setfield(L, -2, "env");
}

int luaopen_luaserve_process(lua_State *L) {
  static const luaL_Reg functions[] = {{"chdir", l_chdir},
                                       {"cpu", l_cpu},
                                       {"cwd", l_cwd},
                                       {"exit", ls_process_l_exit},
                                       {"hrtime", l_hrtime},
                                       {"kill", l_kill},
                                       {"memory", l_memory},
                                       {"on", ls_process_l_on},
                                       {"on_exit", ls_process_l_on_exit},
                                       {"run", ls_process_l_run},
                                       {"spawn", ls_process_l_spawn},
                                       {"uptime", l_uptime},
                                       {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__index", l_index}, {"__newindex", l_newindex}, {NULL, NULL}};
  if (ls_runtime_of(L)->process == NULL)
    open_state(L);
  ls_net_socket_open_type(L);
  ls_process_child_open_type(L);
  ls_process_signal_open_type(L);
  ls_process_exit_open_type(L);
  luaL_newlib(L, functions);
  set_fields(L);
  luaL_newlib(L, metamethods);
  lua_setmetatable(L, -2);
  return 1;
}
