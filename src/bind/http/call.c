/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bind/http/events.h"
#include "bind/http/fault.h"
#include "bind/http/hints.h"
#include "bind/http/impl.h"
#include "http/head.h"
#include "script/alloc.h"
#include "script/memory.h"
#include "script/runtime.h"
#include "script/seal.h"
#include "script/task.h"
#include "server/content.h"
#include "server/response.h"

#define NS_PER_MS UINT64_C(1000000)

static bool is_finished(const struct ls_call *call) {
  return ls_response_is_finished(call->request);
}

void ls_call_describe(const struct ls_call *call, char *text, size_t size) {
  const struct ls_head *head = &call->request->exchange.head;
  struct ls_slice method = ls_head_method(head), url = ls_head_url(head);
  const char *query = memchr(url.ptr, '?', url.len); /* may hold secrets */
  int len = (int)(query != NULL ? (size_t)(query - url.ptr) : url.len);
  snprintf(text, size, "%.*s %.*s", (int)method.len, method.ptr, len, url.ptr);
}

/* ---- the end ---- */

static void pool(struct ls_call *call) {
  call->module->rt->requests_ended++;
  ls_list_remove(&call->link);
  ls_list_push_front(&call->module->pool->calls, &call->link);
  ls_http_server_settle(call->server);
}

static void wake_all(struct ls_call *call, int status) {
  struct ls_list waits;
  ls_list_init(&waits);
  ls_list_move(&waits, &call->waits);
  struct ls_list *link;
  while ((link = ls_list_shift(&waits)) != NULL) {
    struct ls_wait *wait = ls_container_of(link, struct ls_wait, link);
    wait->status = status;
    ls_op_done(&wait->op);
  }
}

static void wake_feed(struct ls_call *call) {
  if (call->feed != NULL)
    call->feed->go_on(call->feed);
}

static void forget_route(struct ls_call *call) {
  ls_routes_unref(call->routes);
  call->routes = NULL;
  call->route = NULL;
}

static void drop_ref(lua_State *L, int *ref) {
  if (*ref != LUA_NOREF)
    luaL_unref(L, LUA_REGISTRYINDEX, *ref);
  *ref = LUA_NOREF;
}

static void drop_refs(struct ls_call *call) {
  lua_State *L = call->module->rt->L;
  drop_ref(L, &call->body_ref);
  drop_ref(L, &call->close_ref);
  drop_ref(L, &call->head_ref);
  drop_ref(L, &call->end_ref);
  drop_ref(L, &call->rejection_ref);
  drop_ref(L, &call->failure_ref);
  if (call->scope.locals != 0)
    luaL_unref(L, LUA_REGISTRYINDEX, call->scope.locals);
  call->scope.locals = 0;
}

/* Drops what the call holds; the memory is pooled once the last wait has been freed. */
static void end(struct ls_call *call) {
  struct ls_runtime *rt = call->module->rt;
  if (call->scope.trace != NULL)
    ls_call_trace_end(call);
  struct ls_request *request = call->request;
  call->request = NULL;
  call->generation++;
  ls_timer_stop(rt->loop, &call->timer);
  ls_loop_unqueue(&call->abandoned);
  ls_buf_dispose(&call->body);
  drop_refs(call);
  forget_route(call);
  request->user = NULL;
  ls_request_release(request);
  call->wait_count++; /* whichever wait ends in here is not the last */
  wake_all(call, LS_ECLOSED);
  wake_feed(call);
  call->feed = NULL;
  if (--call->wait_count == 0)
    pool(call);
}

/* The answer to an error of the handler. What waited to read or write goes on, and sees that it is over. */
static void answer_error(struct ls_call *call) {
  int fault = ls_fault_status(call);
  ls_response_fail(call->request, call->scope.stopped ? 503 : fault != 0 ? fault : 500, NULL);
  ls_call_on_finish(call);
}

static void answer_nobody_gave(struct ls_call *call) {
  char failure[LS_FAULT_SIZE];
  char text[2 * LUA_IDSIZE + 160];
  bool stopped = call->ended[0] != '\0';
  const char *where = stopped ? call->ended : call->route != NULL ? call->route->where : call->server->where;
  const char *who = stopped ? "middleware" : "handler";
  if (ls_response_is_begun(call->request))
    snprintf(text, sizeof text, "the %s (%s) ended without finishing the answer it began: res:finish", who, where);
  else if (call->returned != NULL)
    snprintf(text, sizeof text, "the %s (%s) returned a %s instead of answering: %s sends it", who, where,
             call->returned, strcmp(call->returned, "table") == 0 ? "res:json" : "res:send");
  else
    snprintf(text, sizeof text, "the %s (%s) ended without %sanswering", who, where, stopped ? "calling next or " : "");
  ls_fault_log(call, ls_fault_level(call), text, ls_fault_unseen(call, failure, sizeof failure));
  answer_error(call);
}

void ls_call_settle(struct ls_call *call) {
  if (call->module->rt->exiting) /* ls_call_forsake is coming */
    return;
  if (call->request == NULL || call->task != NULL || !ls_list_is_empty(&call->scope.members))
    return;
  if (!is_finished(call)) {
    if (call->later) /* also when the client has left: who holds res is told so, not that the request has ended */
      return;
    if (call->has_events && !call->gone)
      ls_events_end(call);
    else if (!call->gone)
      answer_nobody_gave(call);
  }
  if (!ls_call_run_end_functions(call))
    end(call);
}

/* Everything the call started is asked to end; it settles when that has. */
static void cancel(struct ls_call *call) {
  if (call->task != NULL)
    ls_task_cancel(call->task);
  ls_scope_cancel(&call->scope);
  call->later = false;
  ls_call_settle(call);
}

static void on_scope_empty(struct ls_scope *scope) {
  ls_call_settle(ls_container_of(scope, struct ls_call, scope));
}

static void on_scope_error(struct ls_scope *scope, const char *text) {
  struct ls_call *call = ls_container_of(scope, struct ls_call, scope);
  ls_fault_log(call, ls_fault_level(call), text, ls_http_hint_for_text(text));
  if (!call->gone && !is_finished(call))
    answer_error(call);
}

static void describe_scope(struct ls_scope *scope, char *text, size_t size) {
  struct ls_call *call = ls_container_of(scope, struct ls_call, scope);
  if (call->request != NULL)
    ls_call_describe(call, text, size);
  else
    snprintf(text, size, "a request that has ended");
}

void ls_call_fail(struct ls_call *call, lua_State *L) {
  if (L != NULL)
    ls_fault_log_error(call, call->module->rt->running, L);
  if (ls_response_is_begun(call->request) && !is_finished(call))
    answer_error(call);
  ls_scope_cancel(&call->scope);
}

static void on_handler_end(struct ls_task *task, lua_State *L, int status) {
  struct ls_call *call = task->data;
  if (status == LUA_OK) {
    call->task = NULL;
    ls_call_settle(call);
    return;
  }
  call->rejected = L != NULL && ls_fault_is_rejection(call, L);
  if (L == NULL || !ls_task_is_cancellation(L, -1))
    ls_fault_log_error(call, task, L);
  call->task = NULL;
  answer_error(call);
  cancel(call);
}

static void on_timeout(struct ls_timer *timer) {
  struct ls_call *call = ls_container_of(timer, struct ls_call, timer);
  if (!is_finished(call)) {
    char text[80];
    const char *name = call->has_own_timeout ? "its timeout" : "handler_timeout";
    snprintf(text, sizeof text, "no answer within %s (%g s)", name, (double)call->timeout / 1e3);
    ls_fault_log(call, LS_LOG_WARN, text, NULL);
    ls_response_fail(call->request, 504, NULL);
  }
  cancel(call);
}

static void give_up(struct ls_scope *scope, const char *text) {
  struct ls_call *call = ls_container_of(scope, struct ls_call, scope);
  ls_fault_log(call, LS_LOG_ERROR, text, NULL);
  if (!is_finished(call)) {
    ls_response_fail(call->request, 500, NULL);
    ls_call_on_finish(call);
  }
  cancel(call);
}

static void free_wait_of(struct ls_wait *wait) {
  struct ls_call *call = wait->call;
  ls_list_remove(&wait->link);
  if (wait == &call->wait)
    call->wait_used = false;
  else
    free(wait);
  call->wait_count--;
}

/* The order of teardown: the tasks and operations of this scope are freed after Lua's finalizers, so they must not find
 * links into this memory. */
void ls_call_forsake(struct ls_call *call) {
  struct ls_list *link;
  while ((link = ls_list_shift(&call->scope.members)) != NULL)
    ls_container_of(link, struct ls_member, link)->scope = NULL;
  struct ls_request *request = call->request;
  call->generation++;
  call->request = NULL;
  ls_timer_stop(call->module->rt->loop, &call->timer);
  ls_loop_unqueue(&call->abandoned);
  ls_buf_dispose(&call->body);
  forget_route(call);
  if (request != NULL) {
    request->user = NULL;
    ls_request_release(request);
  }
  while ((link = call->waits.next) != &call->waits)
    free_wait_of(ls_container_of(link, struct ls_wait, link));
  call->feed = NULL;
  pool(call);
}

/* ---- the beginning ---- */

/* Without a limit: a seal that is left half-way cannot be made again. */
static void seal(lua_State *L, struct ls_runtime *rt) {
  ls_alloc_limit(rt->alloc, 0);
  ls_seal(L);
  ls_memory_begin(rt, rt->running);
}

/* What a handler returns counts for nothing, but says what it has probably meant. */
static int k_returned(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct ls_call *call = (struct ls_call *)context;
  if (!lua_isnil(L, -1))
    call->returned = luaL_typename(L, -1);
  return 0;
}

static int l_dispatch(lua_State *L) {
  struct ls_call *call = lua_touserdata(L, 1);
  struct ls_http_module *module = call->module;
  if (module->rt->globals == LS_GLOBALS_UNSEALED)
    seal(L, module->rt);
  lua_rawgeti(L, LUA_REGISTRYINDEX, call->server->handler);
  ls_http_push_handle(L, call, ls_http_request_type, module->request_type, 3);
  ls_http_push_handle(L, call, ls_http_response_type, module->response_type, 1);
  lua_callk(L, 2, 1, (lua_KContext)call, k_returned);
  return k_returned(L, LUA_OK, (lua_KContext)call);
}

static void run_abandoned(struct ls_ready *ready) {
  ls_call_settle(ls_container_of(ready, struct ls_call, abandoned));
}

static struct ls_call *take(struct ls_http_server *server) {
  struct ls_http_module *module = server->module;
  struct ls_list *link = ls_list_shift(&module->pool->calls);
  if (link != NULL)
    return ls_container_of(link, struct ls_call, link);
  struct ls_call *call = calloc(1, sizeof *call);
  if (call == NULL)
    return NULL;
  call->module = module;
  call->generation = 1;
  call->timer.unref = true;
  call->timer.program = true;
  call->body_ref = call->close_ref = call->rejection_ref = call->failure_ref = LUA_NOREF;
  call->head_ref = call->end_ref = LUA_NOREF;
  ls_list_init(&call->link);
  ls_list_init(&call->waits);
  ls_ready_init(&call->abandoned, run_abandoned);
  return call;
}

/* Without memory for the timer it runs without one. */
static void start_timer(struct ls_call *call) {
  ls_timer_start(call->module->rt->loop, &call->timer, call->timeout * NS_PER_MS);
}

void ls_call_set_timeout(struct ls_call *call, uint64_t timeout) {
  if (call->has_events) /* which have no end to wait for, and the timer */
    return;
  call->timeout = timeout;
  call->has_own_timeout = true;
  if (timeout != 0)
    start_timer(call);
  else
    ls_timer_stop(call->module->rt->loop, &call->timer);
}

void ls_call_take_route(struct ls_call *call, struct ls_routes *routes, const struct ls_route *route) {
  forget_route(call);
  call->routes = ls_routes_ref(routes);
  call->route = route;
  call->cancel_on_close |= route->cancel_on_close;
  if (route->has_timeout)
    ls_call_set_timeout(call, route->timeout);
}

void ls_call_start(struct ls_http_server *server, struct ls_request *request) {
  request->user = NULL;
  struct ls_call *call = ls_memory_is_short(server->module->rt) ? NULL : take(server);
  if (call == NULL) {
    ls_request_refuse(request, 503, "not enough memory");
    return;
  }
  struct ls_runtime *rt = server->module->rt;
  rt->requests++;
  ls_scope_init(&call->scope, on_scope_empty);
  call->scope.on_error = on_scope_error;
  call->scope.describe = describe_scope;
  call->scope.give_up = give_up;
  call->scope.is_request = true;
  call->server = server;
  if (rt->tracing.on)
    ls_call_trace_begin(call, request);
  call->body_use = LS_BODY_UNUSED;
  call->in_app = call->later = call->gone = call->rejected = call->over_limit = call->has_events = false;
  call->returned = NULL;
  call->ended[0] = '\0';
  call->timer.fire = on_timeout;
  ls_list_push(&server->calls, &call->link);
  call->task = ls_task_take(rt, &call->scope, false);
  if (call->task == NULL) {
    pool(call);
    ls_request_refuse(request, 503, "not enough memory");
    return;
  }
  call->request = request;
  request->user = call;
  call->task->data = call;
  call->cancel_on_close = server->cancel_on_close;
  call->timeout = server->handler_timeout;
  call->has_own_timeout = false;
  if (call->timeout != 0)
    start_timer(call);
  ls_task_start_c(call->task, l_dispatch, call, on_handler_end);
}

/* ---- waits ---- */

struct ls_wait *ls_wait_new(lua_State *L, struct ls_call *call, enum ls_wait_kind kind, const struct ls_op_type *type) {
  struct ls_wait *wait = &call->wait;
  if (call->wait_used)
    wait = ls_op_alloc(L, sizeof *wait);
  else
    call->wait_used = true;
  call->wait_count++;
  wait->call = call;
  wait->kind = kind;
  wait->status = 0;
  ls_list_init(&wait->link);
  ls_op_init(L, &wait->op, type);
  return wait;
}

bool ls_wait_cancel(struct ls_op *op) {
  ls_list_remove(&ls_container_of(op, struct ls_wait, op)->link);
  return true;
}

void ls_wait_free(struct ls_op *op) {
  struct ls_wait *wait = ls_container_of(op, struct ls_wait, op);
  struct ls_call *call = wait->call;
  free_wait_of(wait);
  if (call->request == NULL && call->wait_count == 0)
    pool(call);
}

static void wake(struct ls_wait *wait, int status) {
  ls_list_remove(&wait->link);
  wait->status = status;
  ls_op_done(&wait->op);
}

static void look_at_body(struct ls_wait *wait) {
  struct ls_call *call = wait->call;
  if (wait->kind == LS_WAIT_CHUNK) {
    if (ls_content_next(call->request).len > 0 || !ls_call_awaits_body(call))
      wake(wait, 0);
  } else if (wait->kind == LS_WAIT_BODY) {
    int status = ls_call_collect_body(call, wait->limit);
    if (status <= 0)
      wake(wait, status);
  }
}

void ls_call_on_body(struct ls_call *call) {
  struct ls_list waits;
  ls_list_init(&waits);
  ls_list_move(&waits, &call->waits);
  struct ls_list *link;
  while ((link = ls_list_shift(&waits)) != NULL) {
    ls_list_push(&call->waits, link);
    look_at_body(ls_container_of(link, struct ls_wait, link));
  }
}

void ls_call_on_drain(struct ls_call *call) {
  struct ls_list *next;
  for (struct ls_list *link = call->waits.next; link != &call->waits; link = next) {
    next = link->next;
    struct ls_wait *wait = ls_container_of(link, struct ls_wait, link);
    if (wait->kind == LS_WAIT_DRAIN)
      wake(wait, 0);
  }
  wake_feed(call);
}

void ls_call_on_finish(struct ls_call *call) {
  if (ls_list_is_empty(&call->waits) && call->feed == NULL)
    return;
  ls_call_on_drain(call);
  ls_call_on_body(call);
}

/* ---- the client leaves ---- */

void ls_call_on_gone(struct ls_call *call) {
  if (call->gone) /* a stream that the server ends is told before its connection is reset */
    return;
  call->gone = true;
  wake_all(call, LS_ECLOSED);
  wake_feed(call);
  ls_call_run_close_functions(call);
  if (call->cancel_on_close && call->task != NULL)
    ls_task_cancel(call->task);
  ls_call_settle(call);
}

void ls_call_on_half_close(struct ls_call *call) {
  if (call->cancel_on_close && call->task != NULL && !is_finished(call))
    ls_task_cancel(call->task);
}
