/* SPDX-License-Identifier: MIT */
#include "script/memory.h"

#include <stdio.h>

#include "base/clock.h"
#include "script/alloc.h"
#include "script/collector.h"
#include "script/runtime.h"
#include "script/task.h"
#include "script/watchdog.h"

#define RESERVE_BYTES ((size_t)256 * 1024) /* for the words about it, and for cleanup */
#define COLLECT_NS UINT64_C(1000000000)
#define MIB (1024.0 * 1024.0)

enum { FULL_PERCENT = 90, RELIEVED_PERCENT = 80 };

/* ---- a slice ---- */

void ls_memory_begin(struct ls_runtime *rt, struct ls_task *task) {
  const struct ls_limits *limits = &rt->limits;
  struct ls_scope *scope = ls_task_request(task);
  size_t used = ls_alloc_used(rt->alloc), limit = limits->memory;
  rt->slice_bytes = used;
  rt->limited_alone = false;
  if (scope != NULL && limits->request_memory != 0) {
    if (scope->charge > used)
      scope->charge = used;
    size_t room = limits->request_memory > scope->charge ? limits->request_memory - scope->charge : 0;
    rt->limited_alone = limit == 0 || used + room < limit;
    if (rt->limited_alone)
      limit = used + room;
  }
  ls_alloc_limit(rt->alloc, limit);
}

/* A scope whose last task has ended may be another request's by now, and holds nothing. */
void ls_memory_end(struct ls_runtime *rt, const struct ls_task *task) {
  struct ls_scope *scope = ls_task_request(task);
  size_t used = ls_alloc_used(rt->alloc), before = rt->slice_bytes;
  ls_alloc_limit(rt->alloc, 0);
  if (scope == NULL || (task->ended && ls_list_is_empty(&scope->members)))
    return;
  if (used >= before)
    scope->charge += used - before;
  else
    scope->charge -= scope->charge < before - used ? scope->charge : before - used;
}

int ls_memory_task_ends(struct ls_task *task, lua_State *L, int status) {
  struct ls_runtime *rt = task->rt;
  const struct ls_limits *limits = &rt->limits;
  if (status != LUA_ERRMEM || !ls_alloc_has_refused(rt->alloc) || rt->worker != NULL) /* a worker's limit has no name */
    return status;
  rt->wants_collection = true;
  ls_alloc_limit(rt->alloc, ls_alloc_used(rt->alloc) + RESERVE_BYTES);
  char text[128];
  snprintf(text, sizeof text,
           rt->limited_alone ? "not enough memory: a request may hold %.0f MiB (--request-memory)"
                             : "not enough memory: all Lua code may hold %.0f MiB (--memory-limit)",
           (double)(rt->limited_alone ? limits->request_memory : limits->memory) / MIB);
  lua_pushstring(L, text);
  lua_replace(L, -2);
  return status;
}

/* ---- all together ---- */

static size_t percent(size_t bytes, unsigned percent) {
  return bytes / 100 * percent;
}

/* NULL: no request is alive. */
static struct ls_scope *find_largest(struct ls_runtime *rt) {
  struct ls_scope *largest = NULL;
  for (struct ls_list *link = rt->live_tasks.next; link != &rt->live_tasks; link = link->next) {
    struct ls_scope *scope = ls_task_request(ls_container_of(link, struct ls_task, link));
    if (scope != NULL && !scope->cancelling && scope->give_up != NULL &&
        (largest == NULL || scope->charge > largest->charge))
      largest = scope;
  }
  return largest;
}

static void cancel_largest(struct ls_runtime *rt) {
  struct ls_scope *scope = find_largest(rt);
  if (scope == NULL)
    return;
  char text[160];
  snprintf(text, sizeof text,
           "Lua holds %.0f of %.0f MiB (--memory-limit), and this request most of it (some %.0f MiB): it is cancelled",
           (double)ls_alloc_used(rt->alloc) / MIB, (double)rt->limits.memory / MIB, (double)scope->charge / MIB);
  scope->give_up(scope, text);
}

static bool is_full(const struct ls_runtime *rt) {
  return rt->limits.memory != 0 && ls_alloc_used(rt->alloc) >= percent(rt->limits.memory, FULL_PERCENT);
}

/* At most once in a while. Whether it did. It is watched as a slice is: it holds up everything, and finalizers of C run in it. */
static bool collect(struct ls_runtime *rt) {
  uint64_t now = ls_clock_ns();
  bool watched = rt->watchdog != NULL && rt->running == NULL;
  if (rt->collected_at != 0 && now - rt->collected_at < COLLECT_NS)
    return false;
  rt->collected_at = now;
  rt->wants_collection = false;
  if (watched)
    ls_watchdog_begin(rt, NULL);
  ls_collector_run(rt->L);
  if (watched)
    ls_watchdog_end(rt);
  return true;
}

void ls_memory_relieve(struct ls_runtime *rt) {
  if (!rt->wants_collection && !is_full(rt))
    return;
  if (!collect(rt) || !is_full(rt))
    return;
  rt->refuses = true;
  cancel_largest(rt);
}

static bool is_relieved(const struct ls_runtime *rt) {
  return ls_alloc_used(rt->alloc) < percent(rt->limits.memory, RELIEVED_PERCENT);
}

/* While all are refused nothing else may run, and so nothing that collects. What is left after a collection is what the program
 * keeps: waiting would free none of it, so that it need not leave more room than is wanted to be full. */
bool ls_memory_is_short(struct ls_runtime *rt) {
  if (rt->refuses && (is_relieved(rt) || (collect(rt) && !is_full(rt))))
    rt->refuses = false;
  return rt->refuses;
}
