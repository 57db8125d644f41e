/* SPDX-License-Identifier: MIT */
#include "script/finalizer.h"

#include <lauxlib.h>
#include <string.h>

#include "script/runtime.h"
#include "script/task.h"

static bool is_called_by_collector(lua_State *L) {
  lua_Debug frame;
  return lua_getstack(L, 0, &frame) && lua_getinfo(L, "n", &frame) && frame.name != NULL &&
         strcmp(frame.name, "__gc") == 0 && strcmp(frame.namewhat, "metamethod") == 0;
}

static int k_original(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L);
}

/* Upvalue: the original. */
static int l_finalize(lua_State *L) {
  struct ls_runtime *rt = ls_runtime_of(L);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  struct ls_task *task = NULL;
  if (!rt->exiting && lua_gettop(L) == 2 && is_called_by_collector(L))
    task = ls_task_take(rt, &rt->root, true);
  if (task == NULL) { /* also without memory for one */
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, k_original);
    return lua_gettop(L);
  }
  lua_xmove(L, task->co, 2); /* an idle coroutine has room for these */
  ls_task_start(task, LS_TASK_READY, ls_task_end_logged);
  return 0;
}

void ls_finalizer_wrap(lua_State *L, int index) {
  lua_pushliteral(L, "__gc");
  if (lua_rawget(L, index) == LUA_TFUNCTION && !lua_iscfunction(L, -1)) {
    lua_pushliteral(L, "__gc");
    lua_insert(L, -2);
    lua_pushcclosure(L, l_finalize, 1);
    lua_rawset(L, index);
    return;
  }
  lua_pop(L, 1);
}
