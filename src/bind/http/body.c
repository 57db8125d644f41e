/* SPDX-License-Identifier: MIT */
/* body: reading the body of a request: whole, as JSON, as a form, or in chunks as they come. */
#include "base/error.h"
#include "bind/http/impl.h"
#include "bind/http/query.h"
#include "http/head.h"
#include "http/media.h"
#include "server/content.h"

/* ---- whole ---- */

/* Pushes the body as a string, which is kept, so that the next one who asks gets it too. Making it may run finalizers, and
 * those may read it as well, or end the request. */
static void push_and_keep(lua_State *L, struct ls_call *call, struct ls_slice body) {
  uint64_t generation = call->generation;
  lua_pushlstring(L, body.len > 0 ? body.ptr : "", body.len);
  if (call->generation != generation || call->body_ref != LUA_NOREF)
    return;
  lua_pushvalue(L, -1);
  call->body_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static int push_body(lua_State *L, struct ls_op *op) {
  struct ls_wait *wait = ls_container_of(op, struct ls_wait, op);
  struct ls_call *call = wait->call;
  if (wait->status == 0 && call->request == NULL)
    wait->status = LS_ECLOSED;
  if (wait->status != 0)
    return ls_push_failure(L, wait->status, "the body of the request");
  if (call->body_ref == LUA_NOREF) {
    push_and_keep(L, call, ls_slice(ls_buf_bytes(&call->body), call->body.len));
    ls_buf_dispose(&call->body);
  } else {
    lua_rawgeti(L, LUA_REGISTRYINDEX, call->body_ref);
  }
  if (lua_rawlen(L, -1) > wait->limit) {
    lua_pop(L, 1);
    return ls_push_failure(L, LS_ETOOBIG, "the body of the request");
  }
  return 1;
}

static const struct ls_op_type body_type = {
    .name = "req:body", .push = push_body, .cancel = ls_wait_cancel, .free = ls_wait_free};

/* A body that has come with its head, as most do, becomes a string where it lies. The request may have ended then. */
static void take_at_once(lua_State *L, struct ls_call *call, uint64_t limit) {
  const struct ls_exchange *exchange = &call->request->exchange;
  struct ls_slice body = ls_exchange_content(exchange);
  bool is_whole = exchange->body_state == LS_BODY_DONE && body.len == ls_exchange_content_len(exchange);
  bool is_first = call->body_ref == LUA_NOREF && call->body.len == 0;
  if (!is_first || !is_whole || body.len == 0 || body.len > limit || call->request->decode != NULL)
    return;
  uint64_t generation = call->generation;
  push_and_keep(L, call, body);
  lua_pop(L, 1);
  if (call->generation == generation && ls_exchange_content(exchange).len == body.len)
    ls_content_take(call->request, body.len);
}

static int await_body(lua_State *L, struct ls_call *call, uint64_t limit, int callback_index) {
  if (call->body_use == LS_BODY_CHUNKS)
    return luaL_error(L, "the body is being read with req:chunks already");
  call->body_use = LS_BODY_WHOLE;
  take_at_once(L, call, limit);
  call = ls_http_check(L, 1, ls_http_request_type);
  struct ls_wait *wait = ls_wait_new(L, call, LS_WAIT_BODY, &body_type);
  wait->limit = limit;
  ls_call_want_body(call);
  wait->status = call->body_ref != LUA_NOREF ? 0 : ls_call_collect_body(call, limit);
  if (wait->status == 1)
    ls_list_push(&call->waits, &wait->link);
  else
    ls_op_done(&wait->op);
  return ls_op_await(L, &wait->op, callback_index);
}

static uint64_t check_limit(lua_State *L, int index) {
  if (lua_isnoneornil(L, index))
    return UINT64_MAX;
  lua_Integer limit = luaL_checkinteger(L, index);
  luaL_argcheck(L, limit >= 0, index, "a size in bytes");
  return (uint64_t)limit;
}

/* req:body([limit] [, callback]) -> string; or nil, message, code
 * Async. Waits for the whole body; "" where there is none. It stays: later calls, also of other tasks, get the same
 * string. limit (bytes) can only lower the server's max_body. Sends 100 Continue where the client waits for it.
 * Codes: ETOOBIG (over a limit), ETIMEDOUT (body_timeout), EPROTO (broken chunks), ECLOSED (the client has left, or the
 * response is complete and what was missing is thrown away). Raises after req:chunks.
 *   local body = assert(req:body(1 << 16)) -- an error here is answered 413, 408 or 400 */
int ls_http_l_body(lua_State *L) {
  int callback_index = lua_isfunction(L, 2) ? 2 : 3;
  uint64_t limit = callback_index == 2 ? UINT64_MAX : check_limit(L, 2);
  ls_op_check(L, callback_index, "req:body");
  return await_body(L, ls_http_check(L, 1, ls_http_request_type), limit, callback_index);
}

/* ---- decoded ---- */

/* Pushed nil, message, code: remembers the message. Returns 3. */
static int reject(lua_State *L, struct ls_call *call, int status) {
  lua_pushvalue(L, -2);
  ls_call_reject_body(L, call, status);
  return 3;
}

static struct ls_slice type_of(const struct ls_call *call) {
  return ls_head_get(&call->request->exchange.head, LS_FIELD_CONTENT_TYPE);
}

/* nil, message, code for a body of another media type than a method decodes: what: "JSON". */
static int reject_type(lua_State *L, struct ls_call *call, const char *what) {
  struct ls_slice type = type_of(call);
  lua_pushnil(L);
  lua_pushfstring(L, "EMEDIATYPE: the body is no %s: its content-type is ", what);
  lua_pushlstring(L, type.ptr, type.len);
  lua_concat(L, 2);
  lua_pushliteral(L, "EMEDIATYPE");
  return reject(L, call, 415);
}

static int k_json(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  if (lua_isnil(L, -3))
    return 3;
  struct ls_call *call = ls_http_check(L, 1, ls_http_request_type);
  ls_http_push_json(L, call->module, false);
  lua_pushvalue(L, -4);
  lua_call(L, 1, LUA_MULTRET);
  int results = lua_gettop(L) - 4; /* under it: req and the three results of req:body */
  return results == 3 && lua_isnil(L, -3) ? reject(L, call, 400) : results;
}

/* Calls req:body so that its three results are what stands above req. */
static int call_body(lua_State *L, lua_KFunction next) {
  lua_settop(L, 1);
  ls_http_check(L, 1, ls_http_request_type);
  lua_pushcfunction(L, ls_http_l_body);
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 3, 0, next);
  return next(L, LUA_OK, 0);
}

/* req:json() -> value; or nil, message, code
 * Async. The body, decoded by json.decode. Fails as req:body; with EMEDIATYPE where Content-Type says that it is something
 * else than JSON; with the position of what is no JSON (EJSON). assert(req:json()) is answered 415 or 400 then. */
int ls_http_l_json(lua_State *L) {
  struct ls_call *call = ls_http_check(L, 1, ls_http_request_type);
  struct ls_slice type = type_of(call);
  return type.len == 0 || ls_media_is_json(type) ? call_body(L, k_json) : reject_type(L, call, "JSON");
}

static int k_form(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  if (lua_isnil(L, -3))
    return 3;
  size_t len;
  const char *body = lua_tolstring(L, -3, &len);
  ls_query_push_table(L, ls_slice(body, len));
  return 1;
}

/* req:form() -> table; or nil, message, code
 * Async. The body of an HTML form (application/x-www-form-urlencoded), { name = value }; of a repeated name the first.
 * Fails as req:body; EMEDIATYPE where Content-Type says that it is something else, which assert makes a 415. */
int ls_http_l_form(lua_State *L) {
  struct ls_call *call = ls_http_check(L, 1, ls_http_request_type);
  struct ls_slice type = type_of(call);
  bool is_form = type.len == 0 || ls_media_is(type, "application/x-www-form-urlencoded");
  return is_form ? call_body(L, k_form) : reject_type(L, call, "form");
}

/* reject(req, status, value): of luaserve.core.request, for methods of req that are written in Lua: should value, a message
 * or an error object, become the handler's error, the client gets this status. */
int ls_http_l_reject(lua_State *L) {
  struct ls_call *call = ls_http_check(L, 1, ls_http_request_type);
  lua_Integer status = luaL_checkinteger(L, 2);
  luaL_argcheck(L, status >= 400 && status <= 499, 2, "a status of 4xx");
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  ls_call_reject_body(L, call, (int)status);
  return 0;
}

/* ---- in chunks ---- */

/* In a for loop nil would look like the end of the body, so a body that breaks off is an error here. */
static int push_chunk(lua_State *L, struct ls_op *op) {
  struct ls_wait *wait = ls_container_of(op, struct ls_wait, op);
  struct ls_call *call = wait->call;
  int status = call->request == NULL ? LS_ECLOSED : 0;
  if (status == 0) {
    struct ls_request *request = call->request;
    struct ls_slice content = ls_content_next(request);
    if (content.len > 0) {
      lua_pushlstring(L, content.ptr, content.len);
      ls_content_take(request, content.len);
      return 1;
    }
    if (ls_content_state(request) == LS_BODY_FAILED)
      status = ls_content_error(request);
    else if (ls_content_state(request) == LS_BODY_READING)
      status = LS_ECLOSED;
  }
  if (status == 0) {
    lua_pushnil(L);
    return 1;
  }
  ls_push_failure(L, status, "the body of the request");
  return luaL_error(L, "%s", lua_tostring(L, -2));
}

static const struct ls_op_type chunk_type = {
    .name = "req:chunks", .push = push_chunk, .cancel = ls_wait_cancel, .free = ls_wait_free};

static bool is_waited_for(const struct ls_call *call) {
  for (struct ls_list *link = call->waits.next; link != &call->waits; link = link->next)
    if (ls_container_of(link, struct ls_wait, link)->kind == LS_WAIT_CHUNK)
      return true;
  return false;
}

/* The iterator of req:chunks; its upvalue is req. -> string, or nil at the end. Async. */
static int l_next_chunk(lua_State *L) {
  ls_op_check(L, 0, "req:chunks");
  struct ls_call *call = ls_http_check(L, lua_upvalueindex(1), ls_http_request_type);
  if (is_waited_for(call))
    return luaL_error(L, "another task waits for the next chunk of this body");
  struct ls_wait *wait = ls_wait_new(L, call, LS_WAIT_CHUNK, &chunk_type);
  ls_call_want_body(call);
  if (ls_content_next(call->request).len == 0 && ls_call_awaits_body(call))
    ls_list_push(&call->waits, &wait->link);
  else
    ls_op_done(&wait->op);
  return ls_op_await(L, &wait->op, 0);
}

/* req:chunks() -> iterator
 * The body in pieces as they come, for bodies that should not be held whole; reading from the client stops while nobody
 * takes them. A loop may be left early: the rest is thrown away with the response. Raises where the body breaks off
 * (ETOOBIG, ETIMEDOUT, EPROTO, ECLOSED in the message), because nil would look like its end; also when the body was
 * read
 * before, and when two tasks wait for the next chunk.
 *   for chunk in req:chunks() do file:write(chunk) end */
int ls_http_l_chunks(lua_State *L) {
  struct ls_call *call = ls_http_check(L, 1, ls_http_request_type);
  if (call->body_use != LS_BODY_UNUSED)
    return luaL_error(L, "the body has been read already");
  call->body_use = LS_BODY_CHUNKS;
  lua_settop(L, 1);
  lua_pushcclosure(L, l_next_chunk, 1);
  return 1;
}
