/* SPDX-License-Identifier: MIT */
/* impl: what the files of luaserve.process share: the module's state, and a child process behind its userdata.
 *
 * A child has several owners: its libuv handle, its userdata, and a process.run that collects its output. The userdata
 * is in the registry until the handle has closed, so it is collected before only when the runtime ends. */
#ifndef LS_BIND_PROCESS_IMPL_H
#define LS_BIND_PROCESS_IMPL_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "loop/child.h"

struct ls_runtime;

/* rt->process: a userdata in the registry, from the first require on. */
struct ls_process {
  struct ls_list signals; /* handlers of process.on */
  struct ls_list hooks;   /* of process.on_exit */
  struct ls_list runs;    /* of process.run, under way */
  bool ended;             /* the hooks have been run */
};

/* Somebody who is told of a child's exit. Out of the list when told. */
struct ls_process_watch {
  struct ls_list link;
  void (*on_exit)(struct ls_process_watch *watch);
};

struct ls_process_child {
  struct ls_child child;
  struct ls_runtime *rt;
  struct ls_list watches;
  unsigned owners;
  int self; /* registry reference of the userdata until the handle has closed */
  int pid;
  bool unref; /* does not keep the process alive */
};

enum ls_process_stdio { LS_STDIO_NULL, LS_STDIO_INHERIT, LS_STDIO_PIPE, LS_STDIO_FD, LS_STDIO_OUTPUT };

/* What spawn and run have in common: a command, its arguments, its options. */
struct ls_process_start {
  struct ls_child_options options;
  enum ls_process_stdio stdio[3];
  int fds[3]; /* of LS_STDIO_FD */
};

/* Reads command, arguments and options from indices 1, 2 and 3. The strings live as long as what it leaves on the
 * stack. start->stdio and start->options.group hold the defaults. Raises. */
void ls_process_check_start(lua_State *L, const char *name, const char *const *known, struct ls_process_start *start);

/* Pushes the userdata of a child that has not been started, in the registry. Raises. */
struct ls_process_child *ls_process_child_new(lua_State *L);

/* Starts it; ours[i] is our end of the pipe, or -1. 0 or a negative code: then the child is no more, and ours are -1. */
int ls_process_child_start(struct ls_process_child *child, const struct ls_process_start *start, int ours[3]);

/* It never came to a start, or the start failed: takes it out of the registry. */
void ls_process_child_drop(struct ls_process_child *child);

void ls_process_child_unref(struct ls_process_child *child);

/* The child's exit as others show it: the exit status, or 128 + the signal's number. */
int ls_process_child_status(const struct ls_process_child *child);

/* nil, message, code: "ENOENT: no such file or directory: spawn 'x'". */
int ls_process_push_failure(lua_State *L, int code, const char *verb, const struct ls_process_start *start);

/* "SIGTERM" pushed for its number. */
void ls_process_push_signal(lua_State *L, int number);

/* The number of the signal at index, a name or a number (0 asks whether it could be sent). Raises for unknown ones. */
int ls_process_check_signal(lua_State *L, int index, int fallback);

void ls_process_close_fds(const int fds[3]);

/* Tells the programs of all process.run to end. */
void ls_process_terminate_runs(struct ls_process *process);

/* One function for each file's share of the module. */
int ls_process_l_spawn(lua_State *L);
int ls_process_l_run(lua_State *L);
int ls_process_l_on(lua_State *L);
int ls_process_l_on_exit(lua_State *L);
int ls_process_l_exit(lua_State *L);
void ls_process_child_open_type(lua_State *L);
void ls_process_signal_open_type(lua_State *L);
void ls_process_exit_open_type(lua_State *L);
void ls_process_env_push(lua_State *L);

#endif
