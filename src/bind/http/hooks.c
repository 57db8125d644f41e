/* SPDX-License-Identifier: MIT */
/* hooks: functions that Lua code has a request call at a point of its life: before the head of the response is made
 * (res:on_head), when the client has left (req:on_close), when all is over (req:on_end). Each kind is a list, a table in
 * the registry, made when the first one is registered. */
#include "bind/http/impl.h"
#include "script/runtime.h"
#include "script/task.h"
#include "server/response.h"

/* Appends the function at index 2. */
static void append(lua_State *L, int *list) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  bool first = *list == LUA_NOREF;
  if (first)
    lua_newtable(L);
  else
    lua_rawgeti(L, LUA_REGISTRYINDEX, *list);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  if (first)
    *list = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void drop(lua_State *L, int *list) {
  luaL_unref(L, LUA_REGISTRYINDEX, *list);
  *list = LUA_NOREF;
}

/* ---- before the head ---- */

/* res:on_head(fn) -> res
 * Calls fn(body) once, just before the head of the response is made, whichever method makes it; the function that was
 * registered last is called first. It may still set fields and res.status, and wait. body: what send, json or finish give
 * as the whole answer, after json has encoded it; nil where the body comes in pieces, from a file, or is none. An error in
 * it is one of the method that answers. Not called for an answer that no handler has given (an error's 500, a timeout's
 * 504), for interim responses, and where the client has left. Raises once the head has been sent.
 *   res:on_head(function(body) res:set("x-status", res.status) end) */
int ls_http_l_on_head(lua_State *L) {
  struct ls_call *call = ls_http_check(L, 1, ls_http_response_type);
  if (ls_response_is_begun(call->request) && !call->gone)
    return luaL_error(L, "the headers have been sent already");
  append(L, &call->head_ref);
  lua_settop(L, 1);
  return 1;
}

/* Pushes the last function of the list and removes it. */
static void take_last(lua_State *L, int *list) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, *list);
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  lua_rawgeti(L, -1, count);
  lua_pushnil(L);
  lua_rawseti(L, -3, count);
  if (count == 1)
    drop(L, list);
  lua_remove(L, -2);
}

/* (res, body): the request is looked up anew after each function, because it may have waited. */
static int k_run_head_functions(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  for (;;) {
    struct ls_call *call = ls_http_check(L, 1, ls_http_response_type);
    if (!ls_call_has_head_functions(call))
      return 0;
    take_last(L, &call->head_ref);
    lua_pushvalue(L, 2);
    lua_callk(L, 1, 0, 0, k_run_head_functions);
  }
}

static int l_run_head_functions(lua_State *L) {
  return k_run_head_functions(L, LUA_OK, 0);
}

static int k_go_on(lua_State *L, int status, lua_KContext context) {
  (void)status;
  return ((lua_CFunction)context)(L);
}

int ls_http_before_head(lua_State *L, int body_index, lua_CFunction go_on) {
  lua_pushcfunction(L, l_run_head_functions);
  lua_pushvalue(L, 1);
  if (body_index != 0)
    lua_pushvalue(L, body_index);
  else
    lua_pushnil(L);
  lua_callk(L, 2, 0, (lua_KContext)go_on, k_go_on);
  return go_on(L);
}

static int l_head_task(lua_State *L) {
  struct ls_call *call = lua_touserdata(L, 1);
  lua_pushcfunction(L, l_run_head_functions);
  ls_http_push_handle(L, call, ls_http_response_type, call->module->response_type, 1);
  lua_pushnil(L);
  lua_callk(L, 2, 0, 0, ls_task_return_nothing);
  return 0;
}

struct ls_task *ls_call_run_head_functions(struct ls_call *call, void *data, ls_task_end on_end) {
  struct ls_task *task = ls_task_take(call->module->rt, &call->scope, true);
  if (task == NULL)
    return NULL;
  task->data = data;
  ls_task_start_c(task, l_head_task, call, on_end);
  return task;
}

/* ---- one after the other, each in a task of its own: one that raises or waits is not in the way of the next ---- */

/* Shielded until it has begun: a handler that fails because the client has left must not take these along. */
static bool start(struct ls_call *call, lua_CFunction entry) {
  struct ls_task *task = ls_task_take(call->module->rt, &call->scope, true);
  if (task == NULL) {
    ls_log_write(call->module->rt->loop->log, LS_LOG_ERROR,
                 "out of memory: functions of req:on_close or req:on_end are not called");
    return false;
  }
  task->shield = 1;
  ls_task_start_c(task, entry, call, ls_task_end_logged);
  return true;
}

/* Calls the first function of the list, after starting the task of the next. */
static int call_first(lua_State *L, struct ls_call *call, int *list, lua_CFunction entry) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, *list);
  lua_rawgeti(L, 2, 1);
  lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 2, i + 1);
    lua_rawseti(L, 2, i);
  }
  if (count == 1 || !start(call, entry))
    drop(L, list);
  call->module->rt->running->shield = 0;
  lua_callk(L, 0, 0, 0, ls_task_return_nothing);
  return 0;
}

static int l_close_task(lua_State *L) {
  struct ls_call *call = lua_touserdata(L, 1);
  return call_first(L, call, &call->close_ref, l_close_task);
}

static int l_end_task(lua_State *L) {
  struct ls_call *call = lua_touserdata(L, 1);
  return call_first(L, call, &call->end_ref, l_end_task);
}

void ls_call_run_close_functions(struct ls_call *call) {
  if (call->close_ref != LUA_NOREF)
    start(call, l_close_task);
}

bool ls_call_run_end_functions(struct ls_call *call) {
  return call->end_ref != LUA_NOREF && start(call, l_end_task);
}

/* req:on_close(fn)
 * Calls fn() when the client leaves before the response is complete (a half-close is no leaving), or soon if it has
 * left. Several functions are called in their order, each in a task of its own: an error in one is logged and does not
 * keep the others. They always begin; where the handler has failed their first await is cancelled. */
int ls_http_l_on_close(lua_State *L) {
  struct ls_call *call = ls_http_check(L, 1, ls_http_request_type);
  bool first = call->close_ref == LUA_NOREF;
  append(L, &call->close_ref);
  if (call->gone && first)
    ls_call_run_close_functions(call);
  return 0;
}

/* req:on_end(fn)
 * Calls fn() when all is over: the response is complete or the client has left, and the handler and everything it started
 * have ended. However that came: after an error, a timeout, an answer given later too. req and res can still be asked
 * (res.status is what was sent). Functions are called in their order, as those of on_close. For logs and figures. */
int ls_http_l_on_end(lua_State *L) {
  struct ls_call *call = ls_http_check(L, 1, ls_http_request_type);
  append(L, &call->end_ref);
  return 0;
}
