/* SPDX-License-Identifier: MIT */
/* process.run: a program from its start to its end, with what it wrote. It has ended when its exit was seen and both of
 * its outputs have ended; one that is stopped (too slow, too much output) has ended when its exit was seen, because
 * whom it started may keep the outputs open. */
#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "bind/process/impl.h"
#include "bind/process/process.h"
#include "bind/shutdown.h"
#include "loop/loop.h"
#include "loop/stream.h"
#include "script/op.h"
#include "script/options.h"
#include "script/runtime.h"

#define MAX_OUTPUT (64 * 1024 * 1024)

struct run;

struct pipe {
  struct ls_stream stream;
  struct run *run;
  struct ls_buf bytes; /* that have come */
  bool open;           /* until on_closed */
  bool ended;          /* nothing more will come; also where there is none */
};

/* The op layer owns it until it frees it; then it waits for its streams to close. */
struct run {
  struct ls_op op;
  struct ls_process_watch watch;
  struct ls_list link; /* in rt->process->runs */
  struct ls_process_child *child;
  struct ls_timer timer;
  struct pipe pipes[3];
  size_t max_output;
  int stopped; /* why it was stopped: a negative code; 0 */
  bool finished;
  bool freed;
  char command[]; /* for messages */
};

static void release(struct run *run) {
  if (run->freed && !run->pipes[0].open && !run->pipes[1].open && !run->pipes[2].open)
    free(run);
}

/* ---- the end ---- */

static void finish_if_ended(struct run *run) {
  bool outputs_ended = run->pipes[1].ended && run->pipes[2].ended;
  if (run->finished || !run->child->child.exited || !(outputs_ended || run->stopped != 0))
    return;
  run->finished = true;
  ls_timer_stop(run->op.rt->loop, &run->timer);
  ls_op_done(&run->op);
}

static void on_exited(struct ls_process_watch *watch) {
  finish_if_ended(ls_container_of(watch, struct run, watch));
}

/* Its own exit may have been long ago, when somebody in its group holds the outputs open: then there is no grace. */
static void stop(struct run *run, int code) {
  struct ls_child *child = &run->child->child;
  if (run->stopped == 0)
    run->stopped = code;
  if (!child->exited)
    ls_child_terminate(child);
  else
    ls_child_kill_group(child, SIGKILL);
  finish_if_ended(run);
}

static void on_timeout(struct ls_timer *timer) {
  stop(ls_container_of(timer, struct run, timer), UV_ETIMEDOUT);
}

/* ---- the pipes ---- */

static struct pipe *pipe_of(struct ls_stream *stream) {
  return ls_container_of(stream, struct pipe, stream);
}

static void on_end(struct ls_stream *stream, int status) {
  struct pipe *pipe = pipe_of(stream);
  struct run *run = pipe->run;
  (void)status; /* a pipe can only end */
  pipe->ended = true;
  ls_stream_close(stream);
  finish_if_ended(run);
}

static void on_read(struct ls_stream *stream, const char *bytes, size_t size) {
  struct pipe *pipe = pipe_of(stream);
  struct run *run = pipe->run;
  int code = size <= run->max_output - pipe->bytes.len ? ls_buf_append(&pipe->bytes, bytes, size) : LS_ETOOBIG;
  if (code == 0)
    return;
  pipe->ended = true;
  ls_stream_close(stream);
  stop(run, code);
}

/* A program need not read its input to the end. */
static void on_written(struct ls_stream *stream, int status) {
  (void)status;
  ls_stream_close(stream);
}

static void on_pipe_closed(struct ls_stream *stream) {
  struct pipe *pipe = pipe_of(stream);
  pipe->open = false;
  release(pipe->run);
}

/* Takes fd over, which may be -1: there is no pipe then. */
static int open_pipe(struct run *run, struct pipe *pipe, int fd) {
  static const struct ls_stream_events events = {on_read, on_end, on_written, on_pipe_closed};
  pipe->ended = fd < 0;
  if (fd < 0)
    return 0;
  pipe->open = true;
  return ls_stream_open(run->op.rt->loop, &pipe->stream, fd, AF_UNIX, &events);
}

/* 0 or a negative code. Takes all of fds over. */
static int open_pipes(struct run *run, const int fds[3]) {
  int code = 0;
  for (int i = 0; i < 3; i++) {
    int status = open_pipe(run, &run->pipes[i], fds[i]);
    if (status == 0 && i > 0 && fds[i] >= 0)
      status = ls_stream_read_start(&run->pipes[i].stream);
    if (code == 0)
      code = status;
  }
  struct pipe *input = &run->pipes[0];
  if (code == 0 && input->open)
    code = ls_stream_write(&input->stream, &input->bytes, NULL);
  return code;
}

/* ---- the op ---- */

static void push_output(lua_State *L, const struct pipe *pipe, bool is_pipe, const char *name) {
  if (!is_pipe)
    return;
  lua_pushlstring(L, pipe->bytes.len > 0 ? ls_buf_bytes(&pipe->bytes) : "", pipe->bytes.len);
  lua_setfield(L, -2, name);
}

static int push_run(lua_State *L, struct ls_op *op) {
  struct run *run = ls_container_of(op, struct run, op);
  if (run->stopped != 0)
    return ls_push_failure(L, run->stopped, "run '%s'", run->command);
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, ls_process_child_status(run->child));
  lua_setfield(L, -2, "status");
  if (run->child->child.signal != 0) {
    ls_process_push_signal(L, run->child->child.signal);
    lua_setfield(L, -2, "signal");
  }
  push_output(L, &run->pipes[1], run->pipes[1].run != NULL, "stdout");
  push_output(L, &run->pipes[2], run->pipes[2].run != NULL, "stderr");
  return 1;
}

/* Everything is let go of by free_run. */
static bool cancel_run(struct ls_op *op) {
  (void)op;
  return true;
}

/* A child that still runs is told to end, and is reaped by itself. */
static void free_run(struct ls_op *op) {
  struct run *run = ls_container_of(op, struct run, op);
  ls_timer_stop(op->rt->loop, &run->timer);
  ls_list_remove(&run->watch.link);
  ls_list_remove(&run->link);
  if (run->child->pid != 0 && !run->child->child.exited)
    ls_child_terminate(&run->child->child);
  ls_process_child_unref(run->child);
  for (int i = 0; i < 3; i++) {
    if (run->pipes[i].open)
      ls_stream_close(&run->pipes[i].stream);
    ls_buf_dispose(&run->pipes[i].bytes);
  }
  run->freed = true;
  release(run);
}

void ls_process_terminate_runs(struct ls_process *process) {
  struct ls_list *runs = &process->runs;
  for (struct ls_list *link = runs->next; link != runs; link = link->next) {
    struct run *run = ls_container_of(link, struct run, link);
    if (!run->child->child.exited)
      ls_child_terminate(&run->child->child);
  }
}

/* NULL: out of memory. */
static struct run *new_run(lua_State *L, struct ls_process_child *child, const struct ls_process_start *start) {
  static const struct ls_op_type type = {"process.run", push_run, cancel_run, free_run};
  size_t size = strlen(start->options.file) + 1;
  struct run *run = calloc(1, sizeof *run + size);
  if (run == NULL)
    return NULL;
  ls_op_init(L, &run->op, &type);
  memcpy(run->command, start->options.file, size);
  ls_list_init(&run->link);
  ls_list_init(&run->watch.link);
  run->watch.on_exit = on_exited;
  run->timer.fire = on_timeout;
  run->child = child;
  child->owners++;
  for (int i = 0; i < 3; i++)
    if (start->stdio[i] == LS_STDIO_PIPE)
      run->pipes[i].run = run;
  return run;
}

/* 0 or a negative code. The timeout is the run's own: it holds for the outputs too. */
static int start_run(struct run *run, struct ls_process_start *start, struct ls_slice input) {
  uint64_t timeout = start->options.timeout_ns;
  int fds[3];
  start->options.timeout_ns = 0;
  int code = ls_buf_append(&run->pipes[0].bytes, input.ptr, input.len);
  if (code == 0 && timeout > 0)
    code = ls_timer_start(run->op.rt->loop, &run->timer, timeout);
  if (code == 0)
    code = ls_process_child_start(run->child, start, fds);
  if (code != 0)
    return code;
  ls_list_push(&run->child->watches, &run->watch.link);
  ls_list_push(&run->op.rt->process->runs, &run->link);
  ls_shutdown_watch(run->op.rt); /* it is in a group of its own: the terminal's Ctrl-C does not reach it */
  return open_pipes(run, fds);
}

/* The first function after the command is the callback. */
static int find_callback(lua_State *L) {
  for (int i = 2; i <= 3; i++)
    if (lua_isfunction(L, i))
      return i;
  return 4;
}

/* process.run(command [, arguments [, options]] [, callback]) -> {status =, signal =, stdout =, stderr =}
 * Async. Runs a program to its end and collects what it writes. status and signal are those of child:wait: a status
 * that is not 0 is no failure of run. Options env, cwd, uid, gid, grace, stdout and stderr are those of spawn, but
 *   input       string for its standard input (default: none, /dev/null)
 *   max_output  bytes of each output (64 MiB): more ends it, and the result is nil, message, "ETOOBIG"
 *   timeout     seconds for it and its outputs: over them it is ended, and the result is nil, message, "ETIMEDOUT"
 *   stdout, stderr  "pipe" (the default: collected); else the field is nil
 *   group       true (the default): what it started ends with it when it is ended
 * It is ended (SIGTERM, and SIGKILL after the grace) too when the task that waits is cancelled or luaserve ends.
 * Other failures are those of spawn.
 *   local result = assert(process.run("git", {"log", "--oneline"}, {cwd = repository, timeout = 10})) */
int ls_process_l_run(lua_State *L) {
  static const char *const known[] = {"input", "max_output", "stdout", "stderr",  "env",   "cwd",
                                      "uid",   "gid",        "group",  "timeout", "grace", NULL};
  struct ls_process_start start = {.options.group = true, .stdio = {LS_STDIO_NULL, LS_STDIO_PIPE, LS_STDIO_PIPE}};
  int callback_index = find_callback(L);
  lua_settop(L, 4);
  if (callback_index < 4) { /* what follows the callback means nothing */
    lua_pushvalue(L, callback_index);
    lua_replace(L, 4);
    for (int i = callback_index; i < 4; i++) {
      lua_pushnil(L);
      lua_replace(L, i);
    }
  }
  ls_process_check_start(L, "process.run", known, &start);
  struct ls_slice input = ls_option_bytes(L, 3, "input");
  lua_Integer max_output = ls_option_integer(L, 3, "max_output", 0, LUA_MAXINTEGER, MAX_OUTPUT);
  if (input.len > 0)
    start.stdio[0] = LS_STDIO_PIPE;
  ls_op_check(L, 4, "process.run");
  struct ls_process_child *child = ls_process_child_new(L);
  struct run *run = new_run(L, child, &start);
  if (run == NULL) {
    ls_process_child_drop(child);
    return luaL_error(L, "not enough memory");
  }
  run->max_output = (size_t)max_output;
  int code = start_run(run, &start, input);
  if (code == 0)
    return ls_op_await(L, &run->op, 4);
  bool started = child->pid != 0;
  free_run(&run->op);
  if (!started)
    ls_process_child_drop(child);
  return ls_process_push_failure(L, code, "run", &start);
}
