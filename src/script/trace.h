/* SPDX-License-Identifier: MIT */
/* trace: where the time of a request goes. Whoever owns a scope may give it a trace: then each task of the scope adds up
 * how long it ran, how long it was queued to run, and how long it waited for what, by kind and by place. The tasks of a
 * scope wait at the same time, so together the parts can be more than the whole.
 *
 * A scope without one costs a comparison at each of these points. A trace is of a fixed size: when a request waits in
 * more than LS_TRACE_PLACES places, what comes later is added up in the last one. */
#ifndef LS_SCRIPT_TRACE_H
#define LS_SCRIPT_TRACE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LS_TRACE_PLACES 16
#define LS_TRACE_NAME 32

struct ls_op_type;
struct ls_runtime;
struct ls_task;

enum ls_trace_part {
  LS_TRACE_LUA,   /* Lua code, and what it calls in C, ran */
  LS_TRACE_QUEUE, /* ready to run, while others did */
  LS_TRACE_POOL,
  LS_TRACE_TIMERS,
  LS_TRACE_SOCKETS, /* the client's connection among them */
  LS_TRACE_DNS,
  LS_TRACE_TASKS, /* other tasks, threads and messages */
  LS_TRACE_OTHER,
  LS_TRACE_PARTS
};

/* Awaits of one kind in one place. */
struct ls_trace_place {
  char name[LS_TRACE_NAME];    /* of the operation: "fs.read_file"; "": of any, in the last place */
  char where[LUA_IDSIZE + 16]; /* "app.lua:12" */
  uint64_t ns;
  unsigned count;
};

struct ls_trace {
  uint64_t since; /* ns */
  uint64_t parts[LS_TRACE_PARTS];
  struct ls_trace_place places[LS_TRACE_PLACES];
  unsigned place_count;
};

/* A runtime's: whether requests are traced, and how slow the slowest of late was. */
struct ls_tracing {
  bool on;
  uint64_t window_since; /* ns */
  uint64_t slowest;      /* that was logged in this window */
};

/* Begins anew, now. */
void ls_trace_start(struct ls_trace *trace);

/* Counts the task that runs up to now, if it is one of the trace's. Returns how long it is since the start, in ns. */
uint64_t ls_trace_update(struct ls_trace *trace, const struct ls_runtime *rt);

/* The value of a Server-Timing field, in milliseconds: "total;dur=20.31, lua;dur=0.12, timers;dur=20.11"; after an update
 * that returned total. Parts under 5 us are left out. Returns its length. */
size_t ls_trace_format_timing(const struct ls_trace *trace, uint64_t total, char *text, size_t size);

/* For a log line: "20.3 ms: lua 0.1, timers 20.1; timer.sleep 20.1 at app.lua:3", the longest awaits first. */
void ls_trace_format_line(struct ls_trace *trace, uint64_t total, char *text, size_t size);

/* Whether a request that took that long is to be logged: it was at least a millisecond, and a quarter more than the one
 * logged before in the same ten seconds. So the slowest always is, give or take that quarter, and no burst of requests can
 * make more than some dozens of lines. Notes it if so. */
bool ls_tracing_is_slow(struct ls_tracing *tracing, uint64_t total);

/* ---- for task.c and op.c: task->trace is set ---- */

void ls_trace_begin(struct ls_task *task);  /* it will be queued */
void ls_trace_resume(struct ls_task *task); /* it was queued, and runs from now on */
void ls_trace_pause(struct ls_task *task);  /* it has run until now */
/* It is about to wait; L is the coroutine that does. */
void ls_trace_wait(lua_State *L, struct ls_task *task, const struct ls_op_type *type);
void ls_trace_wake(struct ls_task *task); /* what it waited for has come, or was cancelled */

#endif
