/* SPDX-License-Identifier: MIT */
/* call_body: what a call takes of the body of its request: as much as it wants, up to its limit. */
#include "base/error.h"
#include "bind/http/impl.h"
#include "server/content.h"
#include "server/response.h"

#define BODY_AHEAD 16 /* times what has just come */

bool ls_call_limit_body(struct ls_call *call, uint64_t limit) {
  struct ls_exchange *exchange = &call->request->exchange;
  if (limit < exchange->body_limit)
    exchange->body_limit = limit;
  int64_t length = exchange->head.content_length;
  bool is_over = (length > 0 && (uint64_t)length > limit) || exchange->body_received > limit;
  call->over_limit |= is_over;
  return !is_over;
}

void ls_call_want_body(struct ls_call *call) {
  if (ls_request_is_open(call->request)) {
    ls_exchange_want_body(&call->request->exchange);
    ls_request_touch(call->request);
  }
}

/* What has not come by the end of the response is thrown away by the connection. */
bool ls_call_awaits_body(const struct ls_call *call) {
  return ls_content_state(call->request) == LS_BODY_READING && !call->gone && !ls_response_is_finished(call->request);
}

void ls_call_reject_body(lua_State *L, struct ls_call *call, int status) {
  luaL_unref(L, LUA_REGISTRYINDEX, call->rejection_ref);
  call->rejection_ref = LUA_NOREF;
  call->rejection_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  call->rejection_status = status;
}

/* Room for a body of known length, so that it is not copied as it grows; no more than what has come makes likely, since the
 * client may lie. */
static int reserve_body(struct ls_call *call, size_t come) {
  int64_t length = call->request->exchange.head.content_length;
  uint64_t left = length > 0 && (uint64_t)length > call->body.len ? (uint64_t)length - call->body.len : 0;
  return ls_buf_reserve(&call->body, left < BODY_AHEAD * come ? (size_t)left : BODY_AHEAD * come);
}

int ls_call_collect_body(struct ls_call *call, uint64_t limit) {
  struct ls_request *request = call->request;
  const struct ls_head *head = &request->exchange.head;
  if (head->content_length > 0 && (uint64_t)head->content_length > limit) {
    call->over_limit = true;
    return LS_ETOOBIG;
  }
  for (struct ls_slice run = ls_content_next(request); run.len > 0; run = ls_content_next(request)) {
    if (reserve_body(call, run.len) != 0 || ls_buf_append(&call->body, run.ptr, run.len) != 0)
      return -ENOMEM;
    ls_content_take(request, run.len);
    if (call->body.len > limit)
      break;
  }
  if (call->body.len > limit) {
    call->over_limit = true;
    return LS_ETOOBIG;
  }
  if (ls_content_state(request) == LS_BODY_FAILED)
    return ls_content_error(request);
  if (ls_content_state(request) == LS_BODY_READING)
    return ls_call_awaits_body(call) ? 1 : LS_ECLOSED;
  return 0;
}
