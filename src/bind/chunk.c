/* SPDX-License-Identifier: MIT */
#include "bind/chunk.h"

#include <errno.h>
#include <lauxlib.h>

#include "bind/modules.h"
#include "loop/loop.h"
#include "script/runtime.h"

int ls_chunk_run(struct ls_runtime *rt, lua_CFunction entry, void *arg, ls_task_end on_end) {
  struct ls_task *task = ls_task_take(rt, &rt->root, false);
  if (task == NULL)
    return -ENOMEM;
  rt->main_task = task;
  ls_modules_open(rt->L);
  ls_task_start_c(task, entry, arg, on_end);
  ls_loop_run(rt->loop);
  return 0;
}

void ls_chunk_push_stuck(lua_State *L, const char *what) {
  lua_pushfstring(L, "%s waits for something that can no longer happen", what);
  luaL_traceback(L, ls_runtime_of(L)->main_task->co, lua_tostring(L, -1), 0);
  lua_remove(L, -2);
}
