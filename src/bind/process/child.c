/* SPDX-License-Identifier: MIT */
/* process.spawn and its children. Our ends of their pipes are sockets of luaserve.net. */
#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bind/net/impl.h"
#include "bind/process/impl.h"
#include "loop/loop.h"
#include "script/handle.h"
#include "script/op.h"
#include "script/runtime.h"
#include "script/task.h"

#define CHILD "luaserve.child"

/* ---- the life of a child ---- */

void ls_process_child_unref(struct ls_process_child *child) {
  if (--child->owners == 0)
    free(child);
}

static void unanchor(struct ls_process_child *child) {
  luaL_unref(child->rt->L, LUA_REGISTRYINDEX, child->self);
  child->self = LUA_NOREF;
}

static void on_exited(struct ls_child *handle) {
  struct ls_process_child *child = ls_container_of(handle, struct ls_process_child, child);
  struct ls_list watches;
  ls_list_init(&watches);
  ls_list_move(&watches, &child->watches);
  struct ls_list *link;
  while ((link = ls_list_shift(&watches)) != NULL) {
    struct ls_process_watch *watch = ls_container_of(link, struct ls_process_watch, link);
    watch->on_exit(watch);
  }
}

/* Before, it is in the registry, so that the end of the runtime finds it. */
static void on_closed(struct ls_child *handle) {
  struct ls_process_child *child = ls_container_of(handle, struct ls_process_child, child);
  if (child->rt->L != NULL)
    unanchor(child);
  ls_process_child_unref(child);
}

/* Not started, or its exit was seen. */
static bool is_over(const struct ls_process_child *child) {
  return child->pid == 0 || child->child.exited;
}

int ls_process_child_status(const struct ls_process_child *child) {
  return child->child.signal != 0 ? 128 + child->child.signal : (int)child->child.status;
}

struct ls_process_child *ls_process_child_new(lua_State *L) {
  struct ls_process_child **slot = lua_newuserdatauv(L, sizeof *slot, 3);
  *slot = NULL;
  luaL_setmetatable(L, CHILD);
  struct ls_process_child *child = ls_op_alloc(L, sizeof *child);
  child->rt = ls_runtime_of(L);
  child->owners = 1;
  child->self = LUA_NOREF;
  ls_list_init(&child->watches);
  *slot = child;
  lua_pushvalue(L, -1);
  child->self = luaL_ref(L, LUA_REGISTRYINDEX);
  return child;
}

void ls_process_child_drop(struct ls_process_child *child) {
  unanchor(child);
}

/* ---- the start ---- */

void ls_process_close_fds(const int fds[3]) {
  for (int i = 0; i < 3; i++)
    if (fds[i] >= 0)
      close(fds[i]);
}

/* fds[i]: what the child gets; opened[i]: our end and the child's, where there is a pipe. */
static int open_stdio(const struct ls_process_start *start, int fds[3], int ours[3], int theirs[3]) {
  for (int i = 0; i < 3; i++) {
    switch (start->stdio[i]) {
    case LS_STDIO_NULL:
      break;
    case LS_STDIO_INHERIT:
      fds[i] = i;
      break;
    case LS_STDIO_FD:
      fds[i] = start->fds[i];
      break;
    case LS_STDIO_OUTPUT:
      fds[i] = fds[STDOUT_FILENO];
      break;
    case LS_STDIO_PIPE: {
      int ends[2];
      int code = ls_child_pipe(ends, i == STDIN_FILENO);
      if (code != 0)
        return code;
      ours[i] = ends[0];
      fds[i] = theirs[i] = ends[1];
      break;
    }
    }
  }
  return 0;
}

int ls_process_child_start(struct ls_process_child *child, const struct ls_process_start *start, int ours[3]) {
  static const struct ls_child_events events = {on_exited, on_closed};
  struct ls_child_options options = start->options;
  int theirs[3] = {-1, -1, -1};
  for (int i = 0; i < 3; i++)
    options.fds[i] = ours[i] = -1;
  int code = open_stdio(start, options.fds, ours, theirs);
  if (code == 0) {
    child->owners++;
    code = ls_child_spawn(child->rt->loop, &child->child, &options, &events);
  }
  ls_process_close_fds(theirs);
  if (code == 0) {
    child->pid = child->child.uv.pid;
    return 0;
  }
  ls_process_close_fds(ours);
  for (int i = 0; i < 3; i++)
    ours[i] = -1;
  return code;
}

/* Sockets around our ends, as user values of the child at index. */
static int open_sockets(lua_State *L, struct ls_process_child *child, int index, int ours[3]) {
  static const char *const names[] = {"stdin", "stdout", "stderr"}; /* for messages */
  int code = 0;
  for (int i = 0; i < 3; i++) {
    if (ours[i] < 0)
      continue;
    lua_getiuservalue(L, index, i + 1);
    struct ls_net_socket **slot = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (code == 0)
      *slot = ls_net_socket_open(child->rt, ours[i], AF_UNIX, &code);
    else
      close(ours[i]);
    if (*slot != NULL)
      snprintf((*slot)->peer.text, sizeof(*slot)->peer.text, "%s of process %d", names[i], child->pid);
  }
  return code;
}

/* The userdata of the sockets are made before there is anything that they must hold. */
static void push_sockets(lua_State *L, const struct ls_process_start *start, int index) {
  for (int i = 0; i < 3; i++) {
    if (start->stdio[i] != LS_STDIO_PIPE)
      continue;
    ls_net_socket_push(L);
    lua_setiuservalue(L, index, i + 1);
  }
}

/* A child whose pipes could not be opened: out of memory or descriptors. It is reaped as any other. */
static void give_up(struct ls_process_child *child) {
  if (child->child.group)
    ls_child_kill_group(&child->child, SIGKILL);
  ls_child_kill(&child->child, SIGKILL);
}

/* process.spawn(command [, arguments [, options]]) -> child | nil, message, code
 * Starts a program, without a shell: command is looked up in PATH unless it has a slash, arguments is a list of
 * strings. Returns when the program has been loaded, so a wrong name is told here: "ENOENT", "EACCES", "EAGAIN" (too
 * many processes), "EMFILE". It is loaded on the loop's thread, which takes about a millisecond.
 *   options.stdin   "null" (the default), "pipe", "inherit" or a descriptor's number
 *   options.stdout, options.stderr   "inherit" (the default), "pipe", "null", a descriptor's number; stderr also "stdout"
 *   options.env     table: its whole environment (default: luaserve's own)
 *   options.cwd     its folder            options.uid, options.gid   numbers of user and group
 *   options.group   true: a session and process group of its own (false, or true with a timeout)
 *   options.timeout seconds, after which it and its group get SIGTERM, and SIGKILL options.grace (5) seconds later
 * The child lives on when nobody holds the object; it is reaped when it ends.
 *   local child = assert(process.spawn("sort", {"-n"}, {stdin = "pipe", stdout = "pipe"}))
 *   child.stdin:write("10\n9\n"); child.stdin:close(); print(child.stdout:read_all(), child:wait()) */
int ls_process_l_spawn(lua_State *L) {
  static const char *const known[] = {"stdin", "stdout", "stderr",  "env",   "cwd", "uid",
                                      "gid",   "group",  "timeout", "grace", NULL};
  struct ls_process_start start = {.stdio = {LS_STDIO_NULL, LS_STDIO_INHERIT, LS_STDIO_INHERIT}};
  ls_process_check_start(L, "process.spawn", known, &start);
  if (ls_runtime_of(L)->exiting)
    return luaL_error(L, "process.spawn cannot start: the program is ending");
  struct ls_process_child *child = ls_process_child_new(L);
  int index = lua_gettop(L);
  push_sockets(L, &start, index);
  int ours[3];
  int code = ls_process_child_start(child, &start, ours);
  if (code != 0) {
    ls_process_child_drop(child);
    return ls_process_push_failure(L, code, "spawn", &start);
  }
  code = open_sockets(L, child, index, ours);
  if (code != 0) {
    give_up(child);
    return ls_process_push_failure(L, code, "spawn", &start);
  }
  lua_settop(L, index);
  return 1;
}

/* ---- waiting ---- */

struct wait {
  struct ls_op op;
  struct ls_process_watch watch;
  struct ls_process_child *child;
  int self; /* registry reference of the child's userdata */
};

/* Who waits for an exit wants the process to live until then. */
static void update_ref(struct ls_process_child *child) {
  if (!is_over(child))
    ls_child_set_ref(&child->child, !child->unref || !ls_list_is_empty(&child->watches));
}

static void on_waited(struct ls_process_watch *watch) {
  ls_op_done(&ls_container_of(watch, struct wait, watch)->op);
}

static int push_wait(lua_State *L, struct ls_op *op) {
  const struct ls_process_child *child = ls_container_of(op, struct wait, op)->child;
  lua_pushinteger(L, ls_process_child_status(child));
  if (child->child.signal == 0)
    return 1;
  ls_process_push_signal(L, child->child.signal);
  return 2;
}

static bool cancel_wait(struct ls_op *op) {
  struct wait *wait = ls_container_of(op, struct wait, op);
  ls_list_remove(&wait->watch.link);
  update_ref(wait->child);
  return true;
}

static void free_wait(struct ls_op *op) {
  struct wait *wait = ls_container_of(op, struct wait, op);
  if (op->rt->L != NULL)
    luaL_unref(op->rt->L, LUA_REGISTRYINDEX, wait->self);
  ls_list_remove(&wait->watch.link);
  free(wait);
}

static struct ls_process_child *check_child(lua_State *L) {
  struct ls_process_child **slot = luaL_checkudata(L, 1, CHILD);
  if (*slot == NULL)
    luaL_error(L, "the child was collected already");
  return *slot;
}

/* child:wait([callback]) -> status [, signal]
 * Async. Waits until it has ended: its exit status; or, if a signal ended it, 128 + the signal's number (as a shell
 * tells it) and the signal's name. Any number of tasks can wait, also long after the end. What it has written can be
 * read all the same: wait reads nothing, so read its pipes first, or in another task.
 *   local status, signal = child:wait() */
static int l_wait(lua_State *L) {
  static const struct ls_op_type type = {"child:wait", push_wait, cancel_wait, free_wait};
  struct ls_process_child *child = check_child(L);
  ls_op_check(L, 2, type.name);
  struct wait *wait = ls_op_alloc(L, sizeof *wait);
  ls_op_init(L, &wait->op, &type);
  ls_list_init(&wait->watch.link);
  wait->watch.on_exit = on_waited;
  wait->child = child;
  lua_pushvalue(L, 1);
  wait->self = luaL_ref(L, LUA_REGISTRYINDEX);
  if (is_over(child)) {
    ls_op_done(&wait->op);
  } else {
    ls_list_push(&child->watches, &wait->watch.link);
    update_ref(child);
  }
  return ls_op_await(L, &wait->op, 2);
}

/* ---- ending it ---- */

static int push_sent(lua_State *L, const struct ls_process_child *child, int code, const char *verb) {
  if (code != 0)
    return ls_push_failure(L, code, "%s %d", verb, child->pid);
  lua_pushboolean(L, 1);
  return 1;
}

/* child:kill([signal]) -> true | nil, message, code
 * Sends a signal, "SIGTERM" if none is named, to it alone. "ESRCH": it has ended. */
static int l_kill(lua_State *L) {
  struct ls_process_child *child = check_child(L);
  int number = ls_process_check_signal(L, 2, SIGTERM);
  return push_sent(L, child, ls_child_kill(&child->child, number), "kill");
}

/* child:kill_group([signal]) -> true | nil, message, code
 * Sends a signal to everyone in its group, also when it has ended itself. "ESRCH": nobody is left. Raises for a child
 * that was spawned without group = true. */
static int l_kill_group(lua_State *L) {
  struct ls_process_child *child = check_child(L);
  int number = ls_process_check_signal(L, 2, SIGTERM);
  if (!child->child.group)
    return luaL_error(L, "child:kill_group: it has no group of its own: spawn it with group = true");
  return push_sent(L, child, ls_child_kill_group(&child->child, number), "kill group");
}

/* child:terminate() -> child
 * SIGTERM, and SIGKILL after the grace that spawn was given; to its group, if it has one. Does not wait. */
static int l_terminate(lua_State *L) {
  struct ls_process_child *child = check_child(L);
  if (!is_over(child))
    ls_child_terminate(&child->child);
  lua_settop(L, 1);
  return 1;
}

static void close_pipes(lua_State *L) {
  for (int i = 1; i <= 3; i++) {
    if (lua_getiuservalue(L, 1, i) == LUA_TUSERDATA) {
      lua_getfield(L, -1, "close");
      lua_pushvalue(L, -2);
      lua_call(L, 1, 0);
    }
    lua_pop(L, 1);
  }
}

/* child:close() -> true
 * Closes its pipes, and terminates it if it still runs: what a <close> variable does. Does not wait. */
static int l_close(lua_State *L) {
  struct ls_process_child *child = check_child(L);
  close_pipes(L);
  if (!is_over(child))
    ls_child_terminate(&child->child);
  lua_pushboolean(L, 1);
  return 1;
}

static int set_ref(lua_State *L, bool ref) {
  struct ls_process_child *child = check_child(L);
  child->unref = !ref;
  update_ref(child);
  lua_settop(L, 1);
  return 1;
}

/* child:ref() -> child. As at first: while it runs, luaserve does not end by itself. */
static int l_ref(lua_State *L) {
  return set_ref(L, true);
}

/* child:unref() -> child. luaserve may end before it, unless somebody waits for it. */
static int l_unref(lua_State *L) {
  return set_ref(L, false);
}

/* What is not over is in the registry, so for that the runtime ends here: nobody will reap it any more. */
static int l_gc(lua_State *L) {
  struct ls_process_child **slot = luaL_checkudata(L, 1, CHILD);
  struct ls_process_child *child = *slot;
  *slot = NULL;
  if (child == NULL)
    return 0;
  if (child->child.loop != NULL && child->rt->exiting)
    ls_child_abandon(&child->child);
  ls_process_child_unref(child);
  return 0;
}

/* ---- fields ---- */

static int push_stdio(lua_State *L, int which) {
  lua_getiuservalue(L, 1, which);
  return 1;
}

static int push_field(lua_State *L, const struct ls_process_child *child, const char *name) {
  if (strcmp(name, "stdin") == 0)
    return push_stdio(L, 1);
  if (strcmp(name, "stdout") == 0)
    return push_stdio(L, 2);
  if (strcmp(name, "stderr") == 0)
    return push_stdio(L, 3);
  if (strcmp(name, "pid") == 0)
    lua_pushinteger(L, child->pid);
  else if (strcmp(name, "timed_out") == 0)
    lua_pushboolean(L, child->child.timed_out);
  else if (strcmp(name, "status") == 0 && child->child.exited)
    lua_pushinteger(L, ls_process_child_status(child));
  else if (strcmp(name, "signal") == 0 && child->child.exited && child->child.signal != 0)
    ls_process_push_signal(L, child->child.signal);
  else
    lua_pushnil(L);
  return 1;
}

/* child.pid; child.stdin, child.stdout, child.stderr: sockets, or nil where there is no pipe; child.status and
 * child.signal: nil until its end was seen, then what child:wait says; child.timed_out: whether its timeout came. */
static int l_index(lua_State *L) {
  struct ls_process_child *child = check_child(L);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL || lua_type(L, 2) != LUA_TSTRING)
    return 1;
  return push_field(L, child, lua_tostring(L, 2));
}

/* "child (pid 42)", "child (pid 42, status 0)", "child (pid 42, SIGTERM)" */
static int l_tostring(lua_State *L) {
  struct ls_process_child *child = check_child(L);
  if (!is_over(child)) {
    lua_pushfstring(L, "child (pid %d)", child->pid);
  } else if (child->child.signal == 0) {
    lua_pushfstring(L, "child (pid %d, status %d)", child->pid, ls_process_child_status(child));
  } else {
    ls_process_push_signal(L, child->child.signal);
    lua_pushfstring(L, "child (pid %d, %s)", child->pid, lua_tostring(L, -1));
  }
  return 1;
}

void ls_process_child_open_type(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", l_close}, {"kill", l_kill}, {"kill_group", l_kill_group}, {"ref", l_ref},
                                     {"unref", l_unref}, {"wait", l_wait}, {"terminate", l_terminate},   {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", l_close}, {"__gc", l_gc}, {"__tostring", l_tostring}, {NULL, NULL}};
  ls_handle_type(L, CHILD, methods, metamethods);
  luaL_getmetatable(L, CHILD);
  lua_getfield(L, -1, "__index");
  lua_pushcclosure(L, l_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
