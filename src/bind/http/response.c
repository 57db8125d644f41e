/* SPDX-License-Identifier: MIT */
/* response: res: the answer. After the client has left nothing here raises: what sends returns nil, "closed",
 * "ECLOSED". */
#include <string.h>

#include "base/error.h"
#include "bind/http/answer.h"
#include "bind/http/events.h"
#include "bind/http/hints.h"
#include "bind/http/precondition.h"
#include "bind/http/response.h"
#include "bind/http/send_file.h"
#include "script/options.h"
#include "script/runtime.h"
#include "server/response.h"

static struct ls_call *check(lua_State *L) {
  return ls_http_check(L, 1, ls_http_response_type);
}

struct ls_slice ls_http_check_slice(lua_State *L, int index) {
  size_t len;
  const char *text = luaL_checklstring(L, index, &len);
  return ls_slice(text, len);
}

static bool is_head_sent(const struct ls_call *call) {
  return ls_response_is_begun(call->request);
}

static bool is_finished(const struct ls_call *call) {
  return ls_response_is_finished(call->request);
}

/* ---- results ---- */

int ls_http_push_closed(lua_State *L) {
  lua_pushnil(L);
  lua_pushliteral(L, "closed");
  lua_pushliteral(L, "ECLOSED");
  return 3;
}

int ls_http_push_sent(lua_State *L, int status) {
  switch (status) {
  case LS_ECLOSED:
    return ls_http_push_closed(L);
  case LS_ESTATE:
    return luaL_error(L, "the response has been sent already");
  case LS_EHEADER:
    return luaL_error(L, "invalid value for header 'content-length'");
  case -EINVAL:
    return luaL_error(L, "a response cannot have this status");
  case -ENOMEM:
    return luaL_error(L, "not enough memory");
  default:
    lua_pushboolean(L, true);
    return 1;
  }
}

/* As ls_http_push_sent, after writing len bytes or (-1) the end. */
static int push_written(lua_State *L, const struct ls_call *call, int status, int64_t len) {
  const struct ls_exchange *exchange = &call->request->exchange;
  if (status != LS_ELENGTH)
    return ls_http_push_sent(L, status);
  lua_Integer promised = (lua_Integer)exchange->response_length;
  lua_Integer sent = promised - (lua_Integer)exchange->response_left;
  if (len >= 0)
    return luaL_error(L, "%I bytes after %I are more body than the content-length of %I says", (LUAI_UACINT)len,
                      (LUAI_UACINT)sent, (LUAI_UACINT)promised);
  return luaL_error(L, "the body ends after %I bytes, its content-length is %I", (LUAI_UACINT)sent,
                    (LUAI_UACINT)promised);
}

int ls_http_finish(lua_State *L, struct ls_call *call, int status) {
  int results = push_written(L, call, status, -1);
  ls_call_on_finish(call);
  ls_call_settle(call);
  return results;
}

/* ---- headers ---- */

static int raise_header(lua_State *L, int status, struct ls_slice name) {
  if (status != LS_EHEADER)
    return luaL_error(L, "not enough memory");
  lua_pushlstring(L, name.ptr, name.len);
  if (!ls_field_name_is_valid(name))
    return luaL_error(L, "invalid header name '%s'", lua_tostring(L, -1));
  return luaL_error(L, "invalid value for header '%s': it contains CR, LF, NUL or another control character",
                    lua_tostring(L, -1));
}

void ls_http_set_header(lua_State *L, struct ls_call *call, struct ls_slice name, struct ls_slice value) {
  int status = ls_headers_set(&call->request->headers, name, value);
  if (status != 0)
    raise_header(L, status, name);
}

struct ls_call *ls_http_check_unsent(lua_State *L) {
  struct ls_call *call = check(L);
  if (is_head_sent(call) && !call->gone)
    luaL_error(L, "the headers have been sent already");
  return call;
}

/* res:set(name, value) -> res
 * Sets a header field, in place of all of that name. value: a string or number. Transfer-Encoding is ignored,
 * Content-Length is a promise for res:write (res:send knows better), Connection: close closes.
 * Raises for CR, LF, NUL and other control characters, for a name that is no token, and once the head has been sent.
 *   res:set("cache-control", "no-store"):set("x-id", 7) */
static int l_set(lua_State *L) {
  struct ls_call *call = ls_http_check_unsent(L);
  struct ls_slice name = ls_http_check_slice(L, 2), value = ls_http_check_slice(L, 3);
  ls_http_set_header(L, call, name, value);
  lua_settop(L, 1);
  return 1;
}

/* res:add(name, value) -> res. As set, beside those of that name: for Set-Cookie. */
static int l_add(lua_State *L) {
  struct ls_call *call = ls_http_check_unsent(L);
  struct ls_slice name = ls_http_check_slice(L, 2), value = ls_http_check_slice(L, 3);
  int status = ls_headers_add(&call->request->headers, name, value);
  if (status != 0)
    return raise_header(L, status, name);
  lua_settop(L, 1);
  return 1;
}

/* res:remove(name) -> res. Removes all fields of that name. Raises once the head has been sent. */
static int l_remove(lua_State *L) {
  struct ls_call *call = ls_http_check_unsent(L);
  ls_headers_remove(&call->request->headers, ls_http_check_slice(L, 2));
  lua_settop(L, 1);
  return 1;
}

/* res:get(name) -> string or nil. What was set, repeated fields joined by ", ". */
static int l_get(lua_State *L) {
  struct ls_call *call = check(L);
  const struct ls_headers *headers = &call->request->headers;
  struct ls_slice name = ls_http_check_slice(L, 2);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  bool found = false;
  for (int i = ls_headers_find(headers, name, 0); i >= 0; i = ls_headers_find(headers, name, (uint32_t)i + 1)) {
    struct ls_slice value = ls_headers_value(headers, (uint32_t)i);
    if (found)
      luaL_addstring(&buffer, ", ");
    luaL_addlstring(&buffer, value.ptr, value.len);
    found = true;
  }
  luaL_pushresult(&buffer);
  if (!found)
    lua_pushnil(L);
  return 1;
}

void ls_http_default_type(lua_State *L, struct ls_call *call, struct ls_slice type) {
  int status = ls_headers_default(&call->request->headers, LS_FIELD_CONTENT_TYPE, type);
  if (status != 0)
    raise_header(L, status, ls_field_name(LS_FIELD_CONTENT_TYPE));
}

/* res:trailer(name, value) -> res
 * A field behind the body, for what is known only then, such as a digest; in place of all trailers of that name. Sent
 * where the body goes in chunks (res:write to an HTTP/1.1 client without a Content-Length), else dropped. Announce it with
 * res:set("trailer", name) before (RFC 9110 6.6.2). Raises as set, for a field that must come first (RFC 9110 6.5.1), and
 * once the response is complete.
 *   res:trailer("content-digest", digest):finish() */
static int l_trailer(lua_State *L) {
  struct ls_call *call = check(L);
  struct ls_slice name = ls_http_check_slice(L, 2), value = ls_http_check_slice(L, 3);
  if (is_finished(call) && !call->gone)
    return luaL_error(L, "the response has been sent already");
  if (ls_field_name_is_valid(name) && !ls_field_may_trail(name))
    return luaL_error(L, "'%s' cannot be a trailer: it must be known before the body", name.ptr);
  int status = ls_headers_set(&call->request->trailers, name, value);
  if (status != 0)
    return raise_header(L, status, name);
  lua_settop(L, 1);
  return 1;
}

/* ---- status ---- */

int ls_http_check_status(lua_State *L, int index, int least) {
  int exact;
  lua_Integer status = lua_tointegerx(L, index, &exact);
  if (!exact || lua_type(L, index) != LUA_TNUMBER)
    return luaL_error(L,
                      lua_type(L, index) == LUA_TSTRING ? "the status must be an integer, not the string '%s'"
                                                        : "the status must be an integer, not %s",
                      luaL_tolstring(L, index, NULL));
  if (status < least || status > 599)
    return luaL_error(L, "the status must be from %d to 599, not %I", least, (LUAI_UACINT)status);
  return (int)status;
}

/* res.status -> integer: what was or will be sent; 200 at first */
static int get_status(lua_State *L, struct ls_call *call) {
  lua_pushinteger(L, call->request->status);
  return 1;
}

/* res.headers_sent -> whether the response has been begun: its status and fields cannot change */
static int get_headers_sent(lua_State *L, struct ls_call *call) {
  lua_pushboolean(L, is_head_sent(call));
  return 1;
}

/* res.finished -> whether the response is complete */
static int get_finished(lua_State *L, struct ls_call *call) {
  lua_pushboolean(L, is_finished(call));
  return 1;
}

/* res.bytes_written -> integer: of the body so far, as they go to the client: coded, and with the frames of chunks */
static int get_bytes_written(lua_State *L, struct ls_call *call) {
  const struct ls_exchange *exchange = &call->request->exchange;
  lua_pushinteger(L, (lua_Integer)(exchange->response_bytes - exchange->response_head_bytes));
  return 1;
}

/* res.status = integer, 100 to 599; any other name raises, so does a status once the head has been sent. */
static int l_newindex(lua_State *L) {
  check(L);
  const char *name = luaL_checkstring(L, 2);
  char snake[LS_NAME_SIZE];
  const char *hint = ls_options_snake_case(name, snake) ? ls_http_hint_for_name(ls_http_response_type, snake) : NULL;
  if (hint != NULL)
    return luaL_error(L, "res.%s cannot be set: %s", name, hint);
  if (strcmp(name, "status") != 0)
    return luaL_error(L, "res.%s cannot be set; req.locals is the place for a request's own values", name);
  int status = ls_http_check_status(L, 3, 100);
  ls_http_check_unsent(L)->request->status = status;
  return 0;
}

/* ---- writing ---- */

static int l_begin(lua_State *L) {
  struct ls_call *call = check(L);
  return call->gone ? ls_http_push_closed(L) : ls_http_push_sent(L, ls_response_begin(call->request, -1));
}

/* res:write_head(status [, headers]) -> true; or nil, "closed", "ECLOSED"
 * Begins the response; headers ({ name = value }) are set first. Without a Content-Length the body goes in chunks (to
 * the end of the connection for HTTP/1.0). A status of 1xx is an interim response and leaves the response as it was;
 * its headers go with it. 101 is refused. Raises when the head has been sent already.
 *   res:write_head(103, { link = "</style.css>; rel=preload" }) */
static int l_write_head(lua_State *L) {
  struct ls_call *call = check(L);
  int status = ls_http_check_status(L, 2, 100);
  if (!lua_isnoneornil(L, 3))
    luaL_checktype(L, 3, LUA_TTABLE);
  if (call->gone)
    return ls_http_push_closed(L);
  if (is_head_sent(call))
    return luaL_error(L, "the headers have been sent already");
  if (lua_istable(L, 3)) {
    lua_pushnil(L);
    while (lua_next(L, 3) != 0) {
      luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, 3, "header names must be strings");
      ls_http_set_header(L, call, ls_http_check_slice(L, -2), ls_http_check_slice(L, -1));
      lua_pop(L, 1);
    }
  }
  int before = call->request->status;
  call->request->status = status;
  if (status >= 200)
    return ls_call_has_head_functions(call) ? ls_http_before_head(L, 0, l_begin) : l_begin(L);
  int result = ls_response_begin(call->request, -1);
  call->request->status = before;
  ls_headers_clear(&call->request->headers);
  return ls_http_push_sent(L, result);
}

static int push_drained(lua_State *L, struct ls_op *op) {
  struct ls_wait *wait = ls_container_of(op, struct ls_wait, op);
  return ls_http_push_sent(L, wait->status);
}

static const struct ls_op_type write_type = {
    .name = "res:write", .push = push_drained, .cancel = ls_wait_cancel, .free = ls_wait_free};

void ls_http_check_no_feed(lua_State *L, const struct ls_call *call) {
  if (call->feed != NULL)
    luaL_error(L, "res:send_file is sending the response");
}

int ls_http_await_write(lua_State *L, struct ls_call *call, struct ls_slice bytes, int callback_index) {
  int status = ls_response_write(call->request, bytes.ptr, bytes.len);
  bool misused = status < 0 && status != LS_ECLOSED;
  if (misused || (status != 1 && !lua_isfunction(L, callback_index)))
    return push_written(L, call, status, (int64_t)bytes.len);
  struct ls_wait *wait = ls_wait_new(L, call, LS_WAIT_DRAIN, &write_type);
  wait->status = status == 1 ? 0 : status;
  if (status == 1)
    ls_list_push(&call->waits, &wait->link);
  else
    ls_op_done(&wait->op);
  return ls_op_await(L, &wait->op, callback_index);
}

/* res:write(chunk [, callback]) -> true; or nil, "closed", "ECLOSED"
 * Async. Sends a piece of the body, after the head where that has not been sent; waits while the client does not take
 * what was written before. The result does not say that the client has it. Raises after the end, and for more than
 * Content-Length promised.
 *   for line in io.lines(path) do if not res:write(line .. "\n") then break end end */
static int l_write(lua_State *L) {
  ls_op_check(L, 3, "res:write");
  struct ls_call *call = check(L);
  struct ls_slice chunk = ls_http_check_slice(L, 2);
  if (call->gone)
    return ls_http_push_closed(L);
  ls_http_check_no_feed(L, call);
  if (ls_call_has_head_functions(call))
    return ls_http_before_head(L, 0, l_write);
  return ls_http_await_write(L, call, chunk, 3);
}

/* ---- the end ---- */

/* res:finish([chunk]) -> true; or nil, "closed", "ECLOSED"
 * The end of the response, after a last piece; without res:write before, the whole answer. Raises when it was complete
 * already; also where less was written than Content-Length promised, and the connection is reset. */
static int l_finish(lua_State *L) {
  struct ls_call *call = check(L);
  bool has_chunk = !lua_isnoneornil(L, 2);
  struct ls_slice chunk = has_chunk ? ls_http_check_slice(L, 2) : ls_slice("", 0);
  if (call->gone)
    return ls_http_push_closed(L);
  ls_http_check_no_feed(L, call);
  if (ls_call_has_head_functions(call))
    return ls_http_before_head(L, has_chunk ? 2 : 0, l_finish);
  if (has_chunk && !is_head_sent(call))
    return ls_http_answer(L, call, chunk);
  int status = has_chunk ? ls_response_write(call->request, chunk.ptr, chunk.len) : 0;
  if (status < 0)
    return push_written(L, call, status, (int64_t)chunk.len);
  return ls_http_finish(L, call, ls_response_finish(call->request));
}

/* ---- coding ---- */

/* res:compress(how) -> res
 * Whether and how this response is coded, whatever the server's option compress says: true, false, or options, over the
 * server's. Raises for other options, and once the head has been sent.
 *   res:compress { level = 9 } */
static int l_compress(lua_State *L) {
  struct ls_call *call = ls_http_check_unsent(L);
  struct ls_request *request = call->request;
  struct ls_encode_options encode = *ls_encode_options_of(request);
  lua_settop(L, 2);
  ls_http_read_compress(L, "res:compress", &encode);
  request->own_encode = encode;
  request->has_own_encode = true;
  lua_settop(L, 1);
  return 1;
}

/* ---- later ---- */

/* The finalizer of a sentinel that only res refers to: nobody can answer any more. It runs in the middle of whatever has
 * allocated, also of a function that uses this very request: the call ends once no Lua runs. */
static int l_abandoned(lua_State *L) {
  const struct ls_call_handle *handle = lua_touserdata(L, 1);
  struct ls_call *call = handle->call;
  if (handle->generation == call->generation) {
    call->later = false;
    ls_loop_ready(call->module->rt->loop, &call->abandoned);
  }
  return 0;
}

/* res:later() -> res
 * The answer comes after the handler has ended: from a callback, a timer, another request that was given res. If res is
 * collected unanswered the client gets 500; handler_timeout goes on. If the client leaves, res stays valid and its
 * methods
 * return nil, "closed", "ECLOSED".
 *   waiting[#waiting + 1] = res:later() */
static int l_later(lua_State *L) {
  struct ls_call *call = check(L);
  lua_settop(L, 1);
  if (call->later)
    return 1;
  struct ls_call_handle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = (struct ls_call_handle){.call = call, .generation = call->generation};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_abandoned);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setiuservalue(L, 1, 1);
  call->later = true;
  return 1;
}

int ls_http_make_response_type(lua_State *L) {
  static const struct ls_http_field fields[] = {
      LS_HTTP_GETTER("status", get_status),
      LS_HTTP_GETTER("headers_sent", get_headers_sent),
      LS_HTTP_GETTER("finished", get_finished),
      LS_HTTP_GETTER("bytes_written", get_bytes_written),
      LS_HTTP_METHOD("set", l_set),
      LS_HTTP_METHOD("add", l_add),
      LS_HTTP_METHOD("get", l_get),
      LS_HTTP_METHOD("remove", l_remove),
      LS_HTTP_METHOD("trailer", l_trailer),
      LS_HTTP_METHOD("write_head", l_write_head),
      LS_HTTP_METHOD("write", l_write),
      LS_HTTP_METHOD("finish", l_finish),
      LS_HTTP_METHOD("send", ls_http_l_send),
      LS_HTTP_METHOD("html", ls_http_l_html),
      LS_HTTP_METHOD("json", ls_http_l_json_answer),
      LS_HTTP_METHOD("problem", ls_http_l_problem),
      LS_HTTP_METHOD("redirect", ls_http_l_redirect),
      LS_HTTP_METHOD("redirect_local", ls_http_l_redirect_local),
      LS_HTTP_METHOD("attachment", ls_http_l_attachment),
      LS_HTTP_METHOD("events", ls_http_l_events),
      LS_HTTP_METHOD("send_file", ls_http_l_send_file),
      LS_HTTP_METHOD("precondition", ls_http_l_precondition),
      LS_HTTP_METHOD("compress", l_compress),
      LS_HTTP_METHOD("on_head", ls_http_l_on_head),
      LS_HTTP_METHOD("later", l_later),
      LS_HTTP_IN_LUA("set_cookie", "luaserve.core.response.cookie"),
      LS_HTTP_IN_LUA("clear_cookie", "luaserve.core.response.cookie"),
      {.name = NULL},
  };
  static const luaL_Reg metamethods[] = {{"__newindex", l_newindex}, {NULL, NULL}};
  return ls_http_make_type(L, ls_http_response_type, fields, metamethods);
}
