/* SPDX-License-Identifier: MIT */
/* require "luaserve.terminal": the lines that the REPL reads. Not for programs. */
#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>

#include "bind/modules.h"
#include "loop/line_reader.h"
#include "loop/loop.h"
#include "script/handle.h"
#include "script/op.h"
#include "script/runtime.h"
#include "script/task.h"

#define TERMINAL "luaserve.terminal"

enum outcome { LINE, INTERRUPTED, CLOSED };

struct wait {
  struct ls_op op;
  struct terminal *terminal; /* NULL once it has ended */
  enum outcome outcome;
  char *line; /* LINE; NULL: the end of the input */
};

struct terminal {
  struct ls_runtime *rt;
  struct ls_line_reader *reader; /* NULL: closed */
  struct wait *reading;          /* read_line */
  int uses;                      /* the userdata, a completion that runs: what the struct lives for */
  int completer;                 /* registry reference */
  struct ls_ready complete;
  char *before; /* to be completed */
};

static void release(struct terminal *terminal) {
  if (--terminal->uses > 0)
    return;
  free(terminal->before);
  free(terminal);
}

static struct terminal *check_terminal(lua_State *L) {
  struct terminal *terminal = *(struct terminal **)luaL_checkudata(L, 1, TERMINAL);
  if (terminal == NULL || terminal->reader == NULL)
    luaL_error(L, "the terminal is closed");
  return terminal;
}

/* ---- waiting ---- */

static void finish(struct wait *wait, enum outcome outcome, char *line) {
  wait->outcome = outcome;
  wait->line = line;
  wait->terminal->reading = NULL;
  wait->terminal = NULL;
  ls_op_done(&wait->op);
}

static int push_wait(lua_State *L, struct ls_op *op) {
  struct wait *wait = ls_container_of(op, struct wait, op);
  if (wait->outcome == INTERRUPTED)
    return ls_push_failure(L, -EINTR, NULL);
  if (wait->outcome == CLOSED)
    return ls_push_failure(L, -ECANCELED, NULL);
  lua_pushstring(L, wait->line);
  return 1;
}

static void free_wait(struct ls_op *op) {
  struct wait *wait = ls_container_of(op, struct wait, op);
  free(wait->line);
  free(wait);
}

static bool cancel_wait(struct ls_op *op) {
  struct wait *wait = ls_container_of(op, struct wait, op);
  if (wait->terminal == NULL)
    return true;
  ls_line_reader_stop(wait->terminal->reader);
  wait->terminal->reading = NULL;
  return true;
}

/* terminal:read_line(prompt) -> line; nil at the end of the input; nil, message, "EINTR" when interrupted
 * Async. */
static int l_read_line(lua_State *L) {
  static const struct ls_op_type type = {"terminal.read_line", push_wait, cancel_wait, free_wait};
  struct terminal *terminal = check_terminal(L);
  const char *prompt = luaL_checkstring(L, 2);
  ls_op_check(L, 0, type.name);
  if (terminal->reading != NULL)
    return luaL_error(L, "a line is being read already");
  struct wait *wait = ls_op_alloc(L, sizeof *wait);
  ls_op_init(L, &wait->op, &type);
  int code = ls_line_reader_start(terminal->reader, prompt);
  if (code != 0) {
    free_wait(&wait->op);
    return ls_push_failure(L, code, "read a line");
  }
  wait->terminal = terminal;
  terminal->reading = wait;
  return ls_op_await(L, &wait->op, 0);
}

/* terminal:interrupt() -> whether a line was being read, which is given up */
static int l_interrupt(lua_State *L) {
  struct terminal *terminal = check_terminal(L);
  lua_pushboolean(L, terminal->reading != NULL);
  if (terminal->reading != NULL) {
    ls_line_reader_stop(terminal->reader);
    finish(terminal->reading, INTERRUPTED, NULL);
  }
  return 1;
}

/* ---- events ---- */

static void on_line(void *data, char *line) {
  struct terminal *terminal = data;
  if (terminal->reading != NULL)
    finish(terminal->reading, LINE, line);
  else
    free(line);
}

static void on_complete(void *data, char *before) {
  struct terminal *terminal = data;
  free(terminal->before);
  terminal->before = before;
  ls_loop_ready(terminal->rt->loop, &terminal->complete);
}

/* The completer's two results, texts or nil. */
static void on_complete_end(struct ls_task *task, lua_State *L, int status) {
  struct terminal *terminal = task->data;
  bool found = L != NULL && status == LUA_OK && lua_gettop(L) >= 3;
  if (terminal->reader != NULL)
    ls_line_reader_complete(terminal->reader, found && lua_isstring(L, 2) ? lua_tostring(L, 2) : NULL,
                            found && lua_isstring(L, 3) ? lua_tostring(L, 3) : NULL);
  release(terminal);
}

static int k_completed(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L) - 1;
}

static int l_complete(lua_State *L) {
  struct terminal *terminal = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, terminal->completer);
  lua_pushstring(L, terminal->before);
  lua_callk(L, 1, 2, 0, k_completed);
  return k_completed(L, LUA_OK, 0);
}

static void run_complete(struct ls_ready *ready) {
  struct terminal *terminal = ls_container_of(ready, struct terminal, complete);
  struct ls_task *task = ls_task_take(terminal->rt, &terminal->rt->root, true);
  if (task == NULL) {
    ls_line_reader_complete(terminal->reader, NULL, NULL);
    return;
  }
  terminal->uses++;
  task->data = terminal;
  ls_task_run_c(task, l_complete, terminal, on_complete_end);
}

static void close_terminal(struct terminal *terminal) {
  if (terminal->reader == NULL)
    return;
  ls_line_reader_close(terminal->reader);
  terminal->reader = NULL;
  ls_loop_unqueue(&terminal->complete);
  luaL_unref(terminal->rt->L, LUA_REGISTRYINDEX, terminal->completer);
  if (terminal->reading != NULL)
    finish(terminal->reading, CLOSED, NULL);
}

/* ---- opening ---- */

/* terminal.open(completer) -> terminal
 * Keeps the process alive until it is closed. completer(text before the cursor) -> text to insert, listing to show: when
 * Tab is pressed; either may be nil. It must not wait. */
static int l_open(lua_State *L) {
  static const struct ls_line_reader_events events = {on_line, on_complete};
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct terminal **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, TERMINAL);
  lua_pushvalue(L, 1);
  int completer = luaL_ref(L, LUA_REGISTRYINDEX);
  struct terminal *terminal = calloc(1, sizeof *terminal);
  int code = -ENOMEM;
  if (terminal != NULL) {
    *terminal = (struct terminal){.rt = ls_runtime_of(L), .uses = 1, .completer = completer};
    ls_ready_init(&terminal->complete, run_complete);
    code = ls_line_reader_new(&terminal->reader, terminal->rt->loop, &events, terminal);
  }
  if (code != 0) {
    free(terminal);
    luaL_unref(L, LUA_REGISTRYINDEX, completer);
    return ls_push_failure(L, code, "open the terminal");
  }
  *handle = terminal;
  return 1;
}

/* terminal:remember(line). Adds it to the history. */
static int l_remember(lua_State *L) {
  ls_line_reader_remember(check_terminal(L)->reader, luaL_checkstring(L, 2));
  return 0;
}

/* terminal:refresh(). Its size has changed, or somebody else has had it: shows the line anew. */
static int l_refresh(lua_State *L) {
  ls_line_reader_refresh(check_terminal(L)->reader);
  return 0;
}

/* terminal:edits() -> whether lines can be edited, that is, libedit is installed */
static int l_edits(lua_State *L) {
  lua_pushboolean(L, ls_line_reader_edits(check_terminal(L)->reader));
  return 1;
}

/* terminal:close(). The terminal is as it was found. */
static int l_close(lua_State *L) {
  struct terminal **handle = luaL_checkudata(L, 1, TERMINAL);
  if (*handle != NULL) {
    close_terminal(*handle);
    release(*handle);
  }
  *handle = NULL;
  return 0;
}

int luaopen_luaserve_terminal(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", l_open}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"close", l_close},
                                     {"edits", l_edits},
                                     {"interrupt", l_interrupt},
                                     {"read_line", l_read_line},
                                     {"refresh", l_refresh},
                                     {"remember", l_remember},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", l_close}, {"__close", l_close}, {NULL, NULL}};
  ls_runtime_check_main(L, "luaserve.terminal");
  ls_handle_type(L, TERMINAL, methods, metamethods);
  luaL_newlib(L, functions);
  return 1;
}
