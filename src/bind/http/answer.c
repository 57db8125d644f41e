/* SPDX-License-Identifier: MIT */
#include "bind/http/answer.h"

#include <string.h>

#include "bind/http/response.h"
#include "bind/json/json.h"
#include "http/disposition.h"
#include "http/media.h"
#include "http/status.h"
#include "server/response.h"

static struct ls_call *check(lua_State *L) {
  return ls_http_check(L, 1, ls_http_response_type);
}

int ls_http_answer(lua_State *L, struct ls_call *call, struct ls_slice body) {
  return ls_http_finish(L, call, ls_response_send(call->request, body));
}

/* Whether there is a status at index 3, behind what should follow it. */
static bool is_status_last(lua_State *L) {
  lua_Integer last = lua_isinteger(L, 3) ? lua_tointeger(L, 3) : 0;
  return !lua_isinteger(L, 2) && last >= 100 && last <= 599;
}

/* (body) or (status, body): takes the status and leaves the body at index 2. */
static void take_status(lua_State *L, struct ls_call *call, const char *name) {
  int count = lua_gettop(L) - 1;
  if (count == 1)
    return;
  if (count == 0) {
    lua_pushnil(L);
    return;
  }
  if (count == 2 && is_status_last(L))
    luaL_error(L, "res:%s: the status comes first: res:%s(%I, ...)", name, name, (LUAI_UACINT)lua_tointeger(L, 3));
  if (count > 2 || !lua_isinteger(L, 2))
    luaL_error(L,
               "res:%s takes a body, or a status (an integer) and a body, not (%s, %s%s): did a call that returns "
               "several values, such as nil and a message, stand there? Parentheses around it keep the first",
               name, luaL_typename(L, 2), luaL_typename(L, 3), count > 2 ? ", ..." : "");
  int status = ls_http_check_status(L, 2, 200);
  if (!ls_response_is_begun(call->request))
    call->request->status = status;
  lua_remove(L, 2);
}

static void check_unanswered(lua_State *L, struct ls_call *call) {
  if (ls_response_is_finished(call->request))
    luaL_error(L, "the response has been sent already");
  if (ls_response_is_begun(call->request))
    luaL_error(L, "the response has been begun already: go on with res:write and res:finish");
}

/* Of a string, a number or nil, which is on top. */
static struct ls_slice to_slice(lua_State *L) {
  struct ls_slice body;
  body.ptr = lua_tolstring(L, -1, &body.len);
  return body.ptr != NULL ? body : ls_slice("", 0);
}

/* The functions of res:on_head have run, and may have answered. */
static int l_answer_body(lua_State *L) {
  struct ls_call *call = check(L);
  if (call->gone)
    return ls_http_push_closed(L);
  check_unanswered(L, call);
  return ls_http_answer(L, call, to_slice(L));
}

/* The whole answer, whose body is on top. */
static int send_body(lua_State *L, struct ls_call *call, struct ls_slice body) {
  if (ls_call_has_head_functions(call))
    return ls_http_before_head(L, lua_gettop(L), l_answer_body);
  return ls_http_answer(L, call, body);
}

/* ---- text ---- */

static int send_text(lua_State *L, const char *name, struct ls_slice content_type) {
  struct ls_call *call = check(L);
  take_status(L, call, name);
  int type = lua_type(L, 2);
  if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TNIL)
    return luaL_error(L, "res:%s takes a string, not a %s%s", name, luaL_typename(L, 2),
                      type == LUA_TTABLE ? "; for tables there is res:json" : "");
  if (call->gone)
    return ls_http_push_closed(L);
  check_unanswered(L, call);
  struct ls_slice body = to_slice(L);
  if (body.len > 0)
    ls_http_default_type(L, call, content_type);
  return send_body(L, call, body);
}

/* res:send([status,] body) -> true; or nil, "closed", "ECLOSED"
 * The whole answer: a string or number, or nil for no body. Content-Type is text/plain; charset=utf-8 unless set. Raises
 * for more values than that (a call that returned nil, message stood there), for a table, and when the response has been
 * begun or sent already.
 *   res:send(404, "no such page") */
int ls_http_l_send(lua_State *L) {
  return send_text(L, "send", ls_slice_of("text/plain; charset=utf-8"));
}

/* res:html([status,] body) -> true; or nil, "closed", "ECLOSED"
 * As send, of the type text/html; charset=utf-8. The body is sent as it is: luaserve.template makes one that is safe.
 *   res:html(views:render("page.html", { title = "Home" })) */
int ls_http_l_html(lua_State *L) {
  return send_text(L, "html", ls_slice_of("text/html; charset=utf-8"));
}

/* ---- JSON ---- */

/* write(value [, options]): see ls_json_push_writer. As lua_pcall. */
static int call_writer(lua_State *L, struct ls_call *call, int value, bool replace_invalid) {
  ls_http_push_json_writer(L, call->module);
  lua_pushvalue(L, value);
  if (replace_invalid) {
    lua_createtable(L, 0, 1);
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "replace_invalid");
  }
  return lua_pcall(L, replace_invalid ? 2 : 1, 1, 0);
}

/* Encodes the value at the top, for the method of this name; raises what cannot be. In its place is what ls_json_text reads
 * then. Bytes that are no UTF-8 are most often those of a client, who shall not make a 500 of them: they are replaced, at the
 * second try. */
static void encode_json(lua_State *L, struct ls_call *call, const char *name) {
  int value = lua_gettop(L);
  bool done = call_writer(L, call, value, false) == LUA_OK;
  if (!done) {
    lua_settop(L, value);
    done = call_writer(L, call, value, true) == LUA_OK;
  }
  lua_replace(L, value);
  if (done)
    return;
  if (lua_isstring(L, -1))
    luaL_error(L, "res:%s: %s", name, lua_tostring(L, -1));
  lua_error(L);
}

/* The whole answer, of what encode_json has left on top. */
static int send_json(lua_State *L, struct ls_call *call) {
  int at = lua_gettop(L);
  struct ls_slice text = ls_json_text(L, at);
  if (ls_call_has_head_functions(call)) {
    lua_pushlstring(L, text.ptr, text.len);
    ls_json_release(L, at);
    return ls_http_before_head(L, lua_gettop(L), l_answer_body);
  }
  int results = ls_http_answer(L, call, text);
  ls_json_release(L, at);
  return results;
}

/* res:json([status,] value) -> true; or nil, "closed", "ECLOSED"
 * The whole answer, encoded by json.encode, but that bytes which are no UTF-8 become U+FFFD. Raises what cannot be encoded; and
 * as send.
 *   res:json(201, { id = 7 }) */
int ls_http_l_json_answer(lua_State *L) {
  struct ls_call *call = check(L);
  if (lua_gettop(L) == 1)
    return luaL_error(L, "res:json needs a value");
  take_status(L, call, "json");
  if (call->gone)
    return ls_http_push_closed(L);
  check_unanswered(L, call);
  encode_json(L, call, "json");
  call = check(L); /* metamethods have run: the request may have ended */
  ls_http_default_type(L, call, ls_slice_of("application/json"));
  return send_json(L, call);
}

/* The fields at index 4, if there are any, with what the others say. */
static void push_problem(lua_State *L, int status) {
  struct ls_slice reason = ls_status_reason(status);
  lua_createtable(L, 0, 4);
  for (lua_pushnil(L); lua_istable(L, 4) && lua_next(L, 4) != 0;) {
    luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, 4, "fields have names");
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, 5);
  }
  lua_settop(L, 5);
  if (lua_getfield(L, 5, "title") == LUA_TNIL && reason.len != 0) {
    lua_pushlstring(L, reason.ptr, reason.len);
    lua_setfield(L, 5, "title");
  }
  lua_settop(L, 5);
  lua_pushinteger(L, status);
  lua_setfield(L, 5, "status");
  lua_pushvalue(L, 3);
  lua_setfield(L, 5, "detail");
}

/* res:problem(status [, detail [, fields]]) -> true; or nil, "closed", "ECLOSED"
 * The whole answer: what went wrong, for programs (RFC 9457), as application/problem+json. status: 400 to 599. detail: a
 * string for who reads it, about this very case. fields: more members, such as type (a URI; without it the status says it
 * all), title (the status's name unless given), instance, and your own. Raises as json.
 *   res:problem(422, "age must not be negative", { errors = { age = "too small" } }) */
int ls_http_l_problem(lua_State *L) {
  struct ls_call *call = check(L);
  int status = ls_http_check_status(L, 2, 400);
  luaL_optstring(L, 3, NULL);
  if (!lua_isnoneornil(L, 4))
    luaL_checktype(L, 4, LUA_TTABLE);
  if (call->gone)
    return ls_http_push_closed(L);
  check_unanswered(L, call);
  lua_settop(L, 4);
  push_problem(L, status);
  encode_json(L, call, "problem");
  call = check(L);
  call->request->status = status;
  ls_http_set_header(L, call, ls_slice_of("content-type"), ls_slice_of("application/problem+json"));
  return send_json(L, call);
}

/* ---- elsewhere ---- */

/* The status at index 2, where a URL follows it, which is at index 2 then; 302. */
static int take_redirection(lua_State *L, const char *name) {
  if (lua_type(L, 2) != LUA_TNUMBER && lua_type(L, 3) != LUA_TNUMBER)
    return 302;
  if (lua_type(L, 2) == LUA_TSTRING && is_status_last(L))
    return luaL_error(L, "res:%s: the status comes first: res:%s(%I, ...)", name, name,
                      (LUAI_UACINT)lua_tointeger(L, 3));
  if (!lua_isinteger(L, 2))
    return luaL_error(L, "res:%s takes a URL, or a status (an integer) and a URL", name);
  int status = ls_http_check_status(L, 2, 300);
  bool redirects = (status >= 301 && status <= 303) || status == 307 || status == 308;
  luaL_argcheck(L, redirects, 2, "a redirection has the status 301, 302, 303, 307 or 308");
  lua_remove(L, 2);
  return status;
}

static int redirect(lua_State *L, struct ls_call *call, int status, struct ls_slice url) {
  if (call->gone)
    return ls_http_push_closed(L);
  check_unanswered(L, call);
  ls_http_set_header(L, call, ls_slice_of("location"), url);
  call->request->status = status;
  lua_pushnil(L);
  return send_body(L, call, to_slice(L));
}

/* res:redirect([status,] url) -> true; or nil, "closed", "ECLOSED"
 * The whole answer: Location and no body. status: 301, 302 (unless given), 303, 307 or 308. The url is sent as it is, so
 * one that comes from the client can lead anywhere ("//evil.example" too): see redirect_local. Raises for control
 * characters in it; and as send. */
int ls_http_l_redirect(lua_State *L) {
  struct ls_call *call = check(L);
  int status = take_redirection(L, "redirect");
  return redirect(L, call, status, ls_http_check_slice(L, 2));
}

/* Whether a browser takes it for a path of the site that it is on: one '/' in front, and nothing that it reads as another
 * ('\') or drops (tabs, line ends: WHATWG URL 4.4). */
static bool is_local(struct ls_slice url) {
  if (url.len == 0 || url.ptr[0] != '/' || (url.len > 1 && url.ptr[1] == '/'))
    return false;
  for (size_t i = 0; i < url.len; i++) {
    unsigned char c = (unsigned char)url.ptr[i];
    if (c < 0x20 || c == 0x7f || c == '\\')
      return false;
  }
  return true;
}

/* res:redirect_local([status,] target [, fallback]) -> true; or nil, "closed", "ECLOSED"
 * As redirect, where the client says to where: to target, if it is a path of this site ("/a?b"), else to fallback ("/").
 * target may be nil.
 *   res:redirect_local(303, req.query.next, "/home") */
int ls_http_l_redirect_local(lua_State *L) {
  struct ls_call *call = check(L);
  int status = take_redirection(L, "redirect_local");
  size_t len;
  const char *target = luaL_optlstring(L, 2, "", &len), *fallback = luaL_optstring(L, 3, "/");
  bool local = is_local(ls_slice(target, len));
  return redirect(L, call, status, local ? ls_slice(target, len) : ls_slice_of(fallback));
}

/* ---- to be saved ---- */

static struct ls_slice last_segment(struct ls_slice path) {
  for (size_t i = path.len; i > 0; i--)
    if (path.ptr[i - 1] == '/')
      return ls_slice(path.ptr + i, path.len - i);
  return path;
}

const char *ls_http_push_disposition(lua_State *L, struct ls_slice name) {
  name = last_segment(name);
  char *value = lua_newuserdatauv(L, ls_disposition_max(name.len) + 1, 0);
  value[ls_disposition_format(name, value)] = '\0';
  return value;
}

/* res:attachment([name]) -> res
 * The answer that follows is to be saved: Content-Disposition: attachment, under the last segment of name, which may have
 * any characters (RFC 6266; those beyond ASCII go as RFC 8187 says). Content-Type goes with the name's extension, unless
 * set. Raises once the head has been sent.
 *   res:attachment("Überblick.csv"):send(rows) */
int ls_http_l_attachment(lua_State *L) {
  struct ls_call *call = ls_http_check_unsent(L);
  static const char field[] = "content-disposition";
  if (lua_isnoneornil(L, 2)) {
    ls_http_set_header(L, call, ls_slice_of(field), ls_slice_of("attachment"));
  } else {
    struct ls_slice name = ls_http_check_slice(L, 2);
    ls_http_set_header(L, call, ls_slice_of(field), ls_slice_of(ls_http_push_disposition(L, name)));
    ls_http_default_type(L, call, ls_slice_of(ls_media_of(name)->type));
  }
  lua_settop(L, 1);
  return 1;
}
