/* SPDX-License-Identifier: MIT */
#include "bind/http/fault.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bind/http/hints.h"
#include "bind/http/impl.h"
#include "script/runtime.h"
#include "script/task.h"
#include "server/content.h"

#define FAULT_LINES 10 /* in so long, of each kind */
#define FAULT_PERIOD_NS UINT64_C(60000000000)

/* ---- whose it is ---- */

/* Pushes the text of the handler's error, on top of L: of an object, such as the assert of specs raises, its field. */
static void push_text(lua_State *L) {
  lua_pushvalue(L, -1);
  if (lua_istable(L, -1)) {
    lua_pushliteral(L, "message");
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
}

bool ls_fault_is_rejection(const struct ls_call *call, lua_State *L) {
  if (call->rejection_ref == LUA_NOREF)
    return false;
  size_t len, message_len;
  push_text(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->rejection_ref);
  const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &message_len) : NULL;
  const char *text = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &len) : NULL;
  bool same = message != NULL && text != NULL && len >= message_len &&
              memcmp(text + len - message_len, message, message_len) == 0;
  same = same || lua_rawequal(L, -1, -3);
  lua_pop(L, 2);
  return same;
}

int ls_fault_status(const struct ls_call *call) {
  if (call->rejected)
    return call->rejection_status;
  if (call->over_limit)
    return 413;
  int status = ls_content_failure_status(call->request);
  bool failed = ls_content_state(call->request) == LS_BODY_FAILED && status >= 400 && status < 500;
  return failed ? status : 0;
}

int ls_fault_status_of_error(struct ls_call *call, lua_State *L) {
  call->rejected = ls_fault_is_rejection(call, L);
  int status = ls_fault_status(call);
  return status != 0 ? status : 500;
}

enum ls_log_level ls_fault_level(const struct ls_call *call) {
  return call->gone || ls_fault_status(call) != 0 ? LS_LOG_INFO : LS_LOG_ERROR;
}

/* ---- the log ---- */

/* Whether a line about what the client did may be written: it can send rubbish as often as it likes. more: behind the line. */
static bool may_blame_client(struct ls_call *call, char *more, size_t size) {
  int fault = ls_fault_status(call);
  struct ls_log_limit *limit = &call->module->faults[fault == 0 ? 0 : fault - 399];
  return ls_log_limit_take(limit, FAULT_LINES, FAULT_PERIOD_NS, ls_clock_ns(), more, size);
}

void ls_fault_log(struct ls_call *call, enum ls_log_level level, const char *text, const char *hint) {
  char what[512], more[48] = "";
  int line = (int)strcspn(text, "\n");
  if (level == LS_LOG_INFO && !may_blame_client(call, more, sizeof more))
    return;
  ls_call_describe(call, what, sizeof what);
  ls_log_write(call->module->rt->loop->log, level, "%s: %.*s%s%s%s%s", what, line, text, hint != NULL ? ": " : "",
               hint != NULL ? hint : "", more, text + line);
}

const char *ls_fault_unseen(const struct ls_call *call, char *text, size_t size) {
  lua_State *L = call->module->rt->L;
  bool is_of_body = call->failure_ref == LUA_NOREF;
  int ref = is_of_body ? call->rejection_ref : call->failure_ref;
  if (ref == LUA_NOREF)
    return NULL;
  bool is_text = lua_rawgeti(L, LUA_REGISTRYINDEX, ref) == LUA_TSTRING;
  if (is_text)
    snprintf(text, size, "%s%s", is_of_body ? "the body was refused: " : "", lua_tostring(L, -1));
  lua_pop(L, 1);
  for (char *at = text; is_text && *at != '\0'; at++)
    if ((unsigned char)*at < ' ') /* of a path, which may be the client's: no lines of its own */
      *at = '?';
  return is_text ? text : NULL;
}

void ls_fault_note(lua_State *L, struct ls_call *call, const char *name) {
  luaL_unref(L, LUA_REGISTRYINDEX, call->failure_ref);
  call->failure_ref = LUA_NOREF;
  lua_pushfstring(L, "%s failed: %s", name, lua_tostring(L, -2));
  call->failure_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

void ls_fault_log_error(struct ls_call *call, struct ls_task *task, lua_State *L) {
  enum ls_log_level level = ls_fault_level(call);
  if (L == NULL) {
    ls_fault_log(call, level, "not enough memory", NULL);
    return;
  }
  const char *text = level == LS_LOG_ERROR ? ls_task_push_error(task, L) : luaL_tolstring(L, -1, NULL);
  const char *hint = ls_http_push_hint(L, -2);
  char failure[LS_FAULT_SIZE];
  if (hint == NULL && strstr(text, "a nil value") != NULL)
    hint = ls_fault_unseen(call, failure, sizeof failure);
  ls_fault_log(call, level, text, hint);
}
