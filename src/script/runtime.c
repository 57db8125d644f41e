/* SPDX-License-Identifier: MIT */
#include "script/runtime.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

#include "loop/loop.h"
#include "script/alloc.h"
#include "script/interrupt.h"
#include "script/library.h"
#include "script/loader.h"
#include "script/op.h"
#include "script/require.h"
#include "script/seal.h"
#include "script/task.h"
#include "script/transparent.h"
#include "script/watchdog.h"

static int l_panic(lua_State *L) {
  const char *text = lua_tostring(L, -1);
  if (ls_runtime_of(L)->loop == NULL)
    return 0;
  ls_log_write(ls_runtime_of(L)->loop->log, LS_LOG_ERROR, "panic: an error outside any protected call: %s",
               text != NULL ? text : "(not a string)");
  ls_log_flush(ls_runtime_of(L)->loop->log, 1000);
  return 0; /* Lua aborts the process */
}

static int l_open(lua_State *L) {
  luaL_openlibs(L);
  ls_transparent_open(L);
  ls_library_open(L);
  ls_collector_open(L);
  ls_require_open(L);
  ls_loader_open(L);
  return 0;
}

static int init(struct ls_runtime *rt, struct ls_loop *loop, lua_CFunction open) {
  *rt = (struct ls_runtime){.loop = loop};
  ls_list_init(&rt->idle_tasks);
  ls_list_init(&rt->live_tasks);
  ls_list_init(&rt->callback_ops);
  ls_list_init(&rt->loads);
  ls_list_init(&rt->workers);
  ls_list_init(&rt->remains);
  ls_scope_init(&rt->root, NULL);
  rt->alloc = ls_alloc_new();
  if (rt->alloc == NULL)
    return -ENOMEM;
  rt->L = lua_newstate(ls_alloc_block, rt->alloc);
  if (rt->L == NULL) {
    ls_alloc_free(rt->alloc);
    return -ENOMEM;
  }
  *(struct ls_runtime **)lua_getextraspace(rt->L) = rt;
  lua_atpanic(rt->L, l_panic);
  rt->current = rt->L;
  lua_pushcfunction(rt->L, open);
  if (lua_pcall(rt->L, 0, 0, 0) == LUA_OK)
    return 0;
  ls_runtime_dispose(rt);
  return -ENOMEM;
}

int ls_runtime_init(struct ls_runtime *rt, struct ls_loop *loop) {
  return init(rt, loop, l_open);
}

int ls_runtime_init_detached(struct ls_runtime *rt, lua_CFunction open) {
  return init(rt, NULL, open);
}

/* What a live task waits for, or was just given, is let go of; jobs that cannot be stopped free themselves later. */
static void abandon(struct ls_task *task) {
  if (task->member.scope != NULL)
    ls_list_remove(&task->member.link); /* without telling the scope, which may be gone when the tasks go */
  struct ls_op *op = task->op;
  if (op != NULL) {
    task->op = NULL;
    op->state = LS_OP_ORPHANED;
    if (op->type->cancel(op))
      op->type->free(op);
  }
  if (task->woken_by != NULL)
    task->woken_by->type->free(task->woken_by);
  ls_op_forget_pushed(task);
}

static void free_tasks(struct ls_list *tasks) {
  struct ls_list *link;
  while ((link = ls_list_shift(tasks)) != NULL) {
    struct ls_task *task = ls_container_of(link, struct ls_task, link);
    ls_loop_unqueue(&task->ready);
    free(task);
  }
}

/* As lua_close does for a main coroutine. */
void ls_runtime_close_main(struct ls_runtime *rt) {
  struct ls_task *task = rt->main_task;
  if (task == NULL)
    return;
  rt->exiting = true;
  rt->main_task = NULL;
  rt->current = task->co;
  ls_interrupt_check(task->co, rt);
  lua_resetthread(task->co);
  rt->current = rt->L;
}

void ls_runtime_leave(struct ls_runtime *rt, struct ls_remains *remains) {
  ls_list_push(&rt->remains, &remains->link);
}

static void free_remains(struct ls_list *all) {
  struct ls_list *link;
  while ((link = ls_list_shift(all)) != NULL) {
    struct ls_remains *remains = ls_container_of(link, struct ls_remains, link);
    remains->free(remains);
  }
}

void ls_runtime_dispose(struct ls_runtime *rt) {
  rt->exiting = true;
  ls_watchdog_stop(rt);
  rt->root.on_empty = NULL;
  ls_op_cancel_callbacks(rt);
  for (struct ls_list *link = rt->live_tasks.next; link != &rt->live_tasks; link = link->next)
    abandon(ls_container_of(link, struct ls_task, link));
  ls_runtime_close_main(rt);
  lua_close(rt->L);
  rt->L = NULL;
  free_remains(&rt->remains);
  ls_require_dispose(rt);
  free_tasks(&rt->live_tasks);
  free_tasks(&rt->idle_tasks);
  ls_alloc_free(rt->alloc);
  rt->alloc = NULL;
}

void ls_runtime_exit(struct ls_runtime *rt, int status) {
  rt->exiting = true;
  rt->exit_status = status;
  ls_loop_stop(rt->loop);
}

int ls_runtime_exit_here(lua_State *L, int status) {
  struct ls_runtime *rt = ls_runtime_of(L);
  bool can_await = ls_op_can_await(L);
  ls_runtime_exit(rt, status);
  if (can_await) {
    ls_task_push_parked(L);
    return lua_yield(L, 1);
  }
  ls_interrupt_send(rt->interrupt);
  return 0;
}

void ls_runtime_check_main(lua_State *L, const char *name) {
  if (ls_runtime_of(L)->worker != NULL)
    luaL_error(L, "%s cannot be used in a worker: it is the whole program's, and its main thread's", name);
}
