/* SPDX-License-Identifier: MIT */
/* A task is in one state at a time, and task->traced_at is when that began. */
#include "script/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "script/op.h"
#include "script/runtime.h"
#include "script/task.h"

#define WINDOW_NS UINT64_C(10000000000)
#define SLOW_NS UINT64_C(1000000)
#define SHORT_NS UINT64_C(5000)

static const char *const part_names[LS_TRACE_PARTS] = {"lua",     "queue", "pool",  "timers",
                                                       "sockets", "dns",   "tasks", "other"};

/* By the beginning of an operation's name. What modules in C of others do is work for the pool, and has any name. */
static enum ls_trace_part part_of(const char *name) {
  static const struct {
    const char *prefix;
    enum ls_trace_part part;
  } rules[] = {
      {"timer.", LS_TRACE_TIMERS},  {"socket:", LS_TRACE_SOCKETS}, {"udp:", LS_TRACE_SOCKETS},
      {"net.", LS_TRACE_SOCKETS},   {"req:", LS_TRACE_SOCKETS},    {"res:", LS_TRACE_SOCKETS},
      {"dns.", LS_TRACE_DNS},       {"task.", LS_TRACE_TASKS},     {"worker.", LS_TRACE_TASKS},
      {"take", LS_TRACE_TASKS},     {"send", LS_TRACE_TASKS},      {"receive", LS_TRACE_TASKS},
      {"process.", LS_TRACE_OTHER}, {"child:", LS_TRACE_OTHER},    {"server:", LS_TRACE_OTHER},
      {"require", LS_TRACE_OTHER},
  };
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    if (strncmp(name, rules[i].prefix, strlen(rules[i].prefix)) == 0)
      return rules[i].part;
  return LS_TRACE_POOL;
}

/* ---- states ---- */

static uint64_t advance(struct ls_task *task) {
  uint64_t now = ls_clock_ns();
  uint64_t took = now - task->traced_at;
  task->traced_at = now;
  return took;
}

void ls_trace_begin(struct ls_task *task) {
  task->traced_at = ls_clock_ns();
  task->traced_place = NULL;
}

void ls_trace_resume(struct ls_task *task) {
  task->trace->parts[LS_TRACE_QUEUE] += advance(task);
}

void ls_trace_pause(struct ls_task *task) {
  task->trace->parts[LS_TRACE_LUA] += advance(task);
}

void ls_trace_wake(struct ls_task *task) {
  struct ls_trace_place *place = task->traced_place;
  if (place == NULL)
    return;
  uint64_t took = advance(task);
  place->ns += took;
  task->trace->parts[task->traced_part] += took;
  task->traced_place = NULL;
}

/* ---- places ---- */

static void describe_place(lua_State *L, const struct ls_task *task, char *where, size_t size) {
  if (!ls_task_find_place(L, 0, where, size))
    snprintf(where, size, "%s", task->origin != NULL ? task->origin : "?");
}

static struct ls_trace_place *place_of(struct ls_trace *trace, const char *name, const char *where) {
  for (unsigned i = 0; i < trace->place_count; i++) {
    struct ls_trace_place *place = &trace->places[i];
    bool same = strncmp(place->name, name, sizeof place->name - 1) == 0 && strcmp(place->where, where) == 0;
    if (same || *place->name == '\0')
      return place;
  }
  struct ls_trace_place *place = &trace->places[trace->place_count++];
  bool is_last = trace->place_count == LS_TRACE_PLACES;
  place->ns = place->count = 0;
  snprintf(place->name, sizeof place->name, "%s", is_last ? "" : name);
  snprintf(place->where, sizeof place->where, "%s", is_last ? "other places" : where);
  return place;
}

void ls_trace_wait(lua_State *L, struct ls_task *task, const struct ls_op_type *type) {
  char where[LUA_IDSIZE + 16];
  describe_place(L, task, where, sizeof where);
  task->traced_place = place_of(task->trace, type->name, where);
  task->traced_place->count++;
  task->traced_part = part_of(type->name);
}

/* ---- what comes of it ---- */

void ls_trace_start(struct ls_trace *trace) {
  trace->since = ls_clock_ns();
  memset(trace->parts, 0, sizeof trace->parts);
  trace->place_count = 0;
}

uint64_t ls_trace_update(struct ls_trace *trace, const struct ls_runtime *rt) {
  if (rt->running != NULL && rt->running->trace == trace && !rt->running->ended)
    ls_trace_pause(rt->running);
  return ls_clock_ns() - trace->since;
}

static double ms_of(uint64_t ns) {
  return (double)ns / 1e6;
}

/* Appends to text, which is used up to *length and ends with its size. */
static void append(char *text, size_t size, size_t *length, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void append(char *text, size_t size, size_t *length, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int added = vsnprintf(text + *length, size - *length, format, args);
  va_end(args);
  if (added > 0)
    *length = *length + (size_t)added < size ? *length + (size_t)added : size - 1;
}

size_t ls_trace_format_timing(const struct ls_trace *trace, uint64_t total, char *text, size_t size) {
  size_t length = 0;
  append(text, size, &length, "total;dur=%.2f", ms_of(total));
  for (int part = 0; part < LS_TRACE_PARTS; part++)
    if (trace->parts[part] >= SHORT_NS)
      append(text, size, &length, ", %s;dur=%.2f", part_names[part], ms_of(trace->parts[part]));
  return length;
}

static int compare_places(const void *a, const void *b) {
  const struct ls_trace_place *one = a, *other = b;
  return (one->ns < other->ns) - (one->ns > other->ns);
}

void ls_trace_format_line(struct ls_trace *trace, uint64_t total, char *text, size_t size) {
  size_t length = 0;
  append(text, size, &length, "%.1f ms:", ms_of(total));
  for (int part = 0; part < LS_TRACE_PARTS; part++)
    if (part == LS_TRACE_LUA || trace->parts[part] >= SHORT_NS)
      append(text, size, &length, "%s %s %.1f", part == LS_TRACE_LUA ? "" : ",", part_names[part],
             ms_of(trace->parts[part]));
  qsort(trace->places, trace->place_count, sizeof *trace->places, compare_places);
  for (unsigned i = 0; i < trace->place_count; i++) {
    const struct ls_trace_place *place = &trace->places[i];
    append(text, size, &length, "%s %s %.1f at %s", i == 0 ? ";" : ",", *place->name != '\0' ? place->name : "awaits",
           ms_of(place->ns), place->where);
    if (place->count > 1)
      append(text, size, &length, " (%u times)", place->count);
  }
}

bool ls_tracing_is_slow(struct ls_tracing *tracing, uint64_t total) {
  uint64_t now = ls_clock_ns();
  if (now - tracing->window_since >= WINDOW_NS) {
    tracing->window_since = now;
    tracing->slowest = 0;
  }
  if (total < SLOW_NS || total < tracing->slowest + tracing->slowest / 4)
    return false;
  tracing->slowest = total;
  return true;
}
