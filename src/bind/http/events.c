/* SPDX-License-Identifier: MIT */
#include "bind/http/events.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "bind/http/impl.h"
#include "bind/http/response.h"
#include "http/event.h"
#include "http/parser.h"
#include "script/handle.h"
#include "script/options.h"
#include "script/runtime.h"
#include "server/response.h"

#define EVENTS "luaserve.events"
#define NS_PER_MS UINT64_C(1000000)
#define DEFAULT_HEARTBEAT_MS 15000

enum { RETRY_MAX = 24 };

/* User values: res, so that one who has the stream keeps what res:later() has said, and last_id. */
enum { KEPT_RES = 1, KEPT_LAST_ID, KEPT_COUNT = KEPT_LAST_ID };

static struct ls_call_handle *check(lua_State *L) {
  return luaL_checkudata(L, 1, EVENTS);
}

static bool is_open(const struct ls_call_handle *handle) {
  const struct ls_call *call = handle->call;
  return handle->generation == call->generation && !call->gone && !ls_response_is_finished(call->request);
}

/* ---- the end ---- */

void ls_events_end(struct ls_call *call) {
  if (ls_response_finish(call->request) < 0)
    ls_response_abort(call->request);
  ls_call_on_finish(call);
}

void ls_events_end_all(struct ls_http_server *server) {
  struct ls_list *next;
  for (struct ls_list *link = server->calls.next; link != &server->calls; link = next) {
    next = link->next;
    struct ls_call *call = ls_container_of(link, struct ls_call, link);
    if (!call->has_events || call->request == NULL || call->gone || ls_response_is_finished(call->request))
      continue;
    ls_events_end(call);
    ls_call_on_gone(call);
  }
}

/* events:close() -> true
 * The stream ends; the client will come back after a while, unless it has been told not to. Harmless when it has ended. */
static int l_close(lua_State *L) {
  struct ls_call_handle *handle = check(L);
  lua_pushboolean(L, true);
  if (!is_open(handle))
    return 1;
  ls_events_end(handle->call);
  ls_call_settle(handle->call);
  return 1;
}

/* ---- sending ---- */

/* A value of the event: a string, or a number, which becomes one; it stays on the stack. ptr NULL: there is none. */
static struct ls_slice get_text(lua_State *L, const char *name) {
  int type = lua_getfield(L, 2, name);
  if (type == LUA_TNIL)
    return (struct ls_slice){0};
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    luaL_error(L, "events:send: the field '%s' must be a string, not a %s", name, luaL_typename(L, -1));
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  return ls_slice(text, len);
}

static struct ls_slice get_line(lua_State *L, const char *name) {
  struct ls_slice value = get_text(L, name);
  if (value.ptr != NULL && !ls_event_is_line(value))
    luaL_error(L, "events:send: the field '%s' contains CR, LF or NUL", name);
  return value;
}

/* Tables go as JSON. */
static struct ls_slice get_data(lua_State *L, struct ls_http_module *module) {
  if (lua_getfield(L, 2, "data") != LUA_TTABLE) {
    lua_pop(L, 1);
    return get_text(L, "data");
  }
  ls_http_push_json(L, module, true);
  lua_insert(L, -2);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    if (lua_isstring(L, -1))
      luaL_error(L, "events:send: %s", lua_tostring(L, -1));
    lua_error(L);
  }
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  return ls_slice(text, len);
}

/* Seconds, which the stream tells as milliseconds, into room. */
static struct ls_slice get_retry(lua_State *L, char room[RETRY_MAX]) {
  uint64_t ms = ls_option_seconds(L, 2, "retry", UINT64_MAX);
  if (ms == UINT64_MAX)
    return (struct ls_slice){0};
  return ls_slice(room, (size_t)snprintf(room, RETRY_MAX, "%llu", (unsigned long long)ms));
}

/* What is written as one event; strings are Lua's. */
struct event {
  struct ls_slice event, id, retry, data;
  char retry_room[RETRY_MAX];
};

static void read_event(lua_State *L, struct ls_http_module *module, struct event *event) {
  static const char *const known[] = {"data", "event", "id", "retry", NULL};
  *event = (struct event){.data = {NULL, 0}};
  if (!lua_istable(L, 2)) {
    event->data = ls_http_check_slice(L, 2);
    return;
  }
  ls_options_check(L, 2, "events:send", known);
  event->event = get_line(L, "event");
  event->id = get_line(L, "id");
  event->retry = get_retry(L, event->retry_room);
  event->data = get_data(L, module);
  if (event->data.ptr == NULL && event->event.ptr != NULL)
    event->data = ls_slice("", 0); /* without a line of data a client would drop it */
}

static int append(struct ls_buf *out, const char *name, struct ls_slice value) {
  return value.ptr == NULL ? 0 : ls_event_append(out, name, value);
}

static int format(struct ls_buf *out, const struct event *event) {
  int err = append(out, "event", event->event);
  if (err == 0)
    err = append(out, "id", event->id);
  if (err == 0)
    err = append(out, "retry", event->retry);
  if (err == 0)
    err = append(out, "data", event->data);
  return err == 0 ? ls_buf_append(out, "\n", 1) : err;
}

/* Pushes what has been formatted, whose memory is freed before anything can raise. */
static struct ls_slice push_formatted(lua_State *L, struct ls_buf *out, int err) {
  size_t len = out->len;
  if (err != 0) {
    ls_buf_dispose(out);
    luaL_error(L, "not enough memory");
  }
  char *text = lua_newuserdatauv(L, len, 0);
  memcpy(text, ls_buf_bytes(out), len);
  ls_buf_dispose(out);
  return ls_slice(text, len);
}

static int write_event(lua_State *L, const struct ls_call_handle *handle, struct ls_slice bytes) {
  struct ls_call *call = handle->call;
  if (!is_open(handle)) /* also where a metamethod has let it end */
    return ls_http_push_closed(L);
  call->has_sent_event = true;
  return ls_http_await_write(L, call, bytes, 3);
}

/* events:send(event [, callback]) -> true; or nil, "closed", "ECLOSED"
 * Async. event: { data =, event =, id =, retry = }, or the data alone. data: a string, of any number of lines, or a table,
 * which goes as JSON. event: its type, "message" unless given; id: comes back as last_id; both without CR, LF and NUL. retry:
 * seconds after which a client that lost the stream comes back. Waits while the client does not take what was sent before.
 * ECLOSED: the client has left, the stream was closed, or the server closes. Raises for other fields and for what is said
 * above not to be.
 *   if not events:send { event = "price", data = { usd = 7 }, id = 12 } then return end */
static int l_send(lua_State *L) {
  ls_op_check(L, 3, "events:send");
  struct ls_call_handle *handle = check(L);
  lua_settop(L, 3);
  struct event event;
  read_event(L, handle->call->module, &event);
  if (!is_open(handle))
    return ls_http_push_closed(L);
  struct ls_buf out = {0};
  int err = format(&out, &event);
  return write_event(L, handle, push_formatted(L, &out, err));
}

/* events:comment([text] [, callback]) -> true; or nil, "closed", "ECLOSED"
 * Async. Lines that a client does not show to its script: they keep the connection in use. As send.
 *   events:comment("still here") */
static int l_comment(lua_State *L) {
  ls_op_check(L, 3, "events:comment");
  struct ls_call_handle *handle = check(L);
  struct ls_slice text = lua_isnoneornil(L, 2) ? ls_slice("", 0) : ls_http_check_slice(L, 2);
  lua_settop(L, 3);
  if (!is_open(handle))
    return ls_http_push_closed(L);
  struct ls_buf out = {0};
  int err = ls_event_append(&out, "", text);
  if (err == 0)
    err = ls_buf_append(&out, "\n", 1);
  return write_event(L, handle, push_formatted(L, &out, err));
}

/* ---- the beginning ---- */

static void on_heartbeat(struct ls_timer *timer) {
  struct ls_call *call = ls_container_of(timer, struct ls_call, timer);
  if (call->gone || ls_response_is_finished(call->request))
    return;
  if (!call->has_sent_event)
    ls_response_write(call->request, ":\n\n", 3); /* where it fails the client has left, as is told elsewhere */
  call->has_sent_event = false;
  ls_timer_start(call->module->rt->loop, &call->timer, call->heartbeat);
}

/* The timer was that of handler_timeout, which has nothing to say any more: the answer has begun, and has no end. */
static void start_heartbeat(struct ls_call *call, uint64_t interval_ms) {
  struct ls_loop *loop = call->module->rt->loop;
  ls_timer_stop(loop, &call->timer);
  call->timer.fire = on_heartbeat;
  call->heartbeat = interval_ms * NS_PER_MS;
  if (interval_ms != 0) /* without memory for the timer there is none */
    ls_timer_start(loop, &call->timer, call->heartbeat);
}

static void set_default(lua_State *L, struct ls_call *call, const char *name, const char *value) {
  if (ls_headers_find(&call->request->headers, ls_slice_of(name), 0) < 0)
    ls_http_set_header(L, call, ls_slice_of(name), ls_slice_of(value));
}

static void set_headers(lua_State *L, struct ls_call *call) {
  ls_headers_remove(&call->request->headers, ls_slice_of("content-length"));
  ls_http_set_header(L, call, ls_slice_of("content-type"), ls_slice_of("text/event-stream"));
  set_default(L, call, "cache-control", "no-store");
  set_default(L, call, "x-accel-buffering", "no"); /* nginx would collect a page of it */
}

/* The head and what comes first, or all, where nobody will take more. 0 or a code of ls_response_*. */
static int begin(struct ls_call *call, struct ls_slice first) {
  int status = ls_response_begin(call->request, -1);
  if (status < 0)
    return status;
  bool ends = call->request->exchange.head.method == HTTP_HEAD || call->server->closing;
  if (ends) {
    ls_events_end(call);
    return 0;
  }
  status = first.len == 0 ? 0 : ls_response_write(call->request, first.ptr, first.len);
  return status < 0 ? status : 0;
}

/* Pushes the last id that the client has seen, or nil. */
static void push_last_id(lua_State *L, const struct ls_call *call) {
  const struct ls_head *head = &call->request->exchange.head;
  int index = ls_head_find(head, ls_slice_of("last-event-id"), 0);
  struct ls_slice value = index < 0 ? ls_slice("", 0) : ls_head_value(head, (uint32_t)index);
  if (value.len == 0)
    lua_pushnil(L);
  else
    lua_pushlstring(L, value.ptr, value.len);
}

static void push_handle(lua_State *L, struct ls_call *call) {
  struct ls_call_handle *handle = lua_newuserdatauv(L, sizeof *handle, KEPT_COUNT);
  *handle = (struct ls_call_handle){.type = EVENTS, .call = call, .generation = call->generation};
  luaL_setmetatable(L, EVENTS);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, KEPT_RES);
  push_last_id(L, call);
  lua_setiuservalue(L, -2, KEPT_LAST_ID);
}

/* res:events([options]) -> events
 * The answer is a stream of events (Content-Type: text/event-stream), which has begun now: Cache-Control: no-store and
 * X-Accel-Buffering: no unless set.
 *   heartbeat  15  seconds; a comment is sent where nothing else was sent for so long, so that proxies keep the connection
 *                  and a client that is gone without a word is noticed; false: none
 *   retry      none  seconds after which a client that has lost the stream should come back
 * handler_timeout is over with it. The stream ends when it is closed, when the handler and what it started have ended (after
 * res:later() when events and res are not held any more), and at once when the server closes. For a HEAD request, or where
 * the client has left, it has ended already. Raises for other options and once the head has been sent.
 *   local events <close> = res:events { retry = 3 } */
int ls_http_l_events(lua_State *L) {
  static const char *const known[] = {"heartbeat", "retry", NULL};
  struct ls_call *call = ls_http_check_unsent(L);
  lua_settop(L, 2);
  ls_options_check(L, 2, "res:events", known);
  uint64_t heartbeat = ls_option_seconds(L, 2, "heartbeat", DEFAULT_HEARTBEAT_MS);
  char room[RETRY_MAX], first[RETRY_MAX + 16];
  struct ls_slice retry = get_retry(L, room);
  int first_len = retry.ptr == NULL ? 0 : snprintf(first, sizeof first, "retry: %s\n\n", room);
  if (ls_call_has_head_functions(call) && !call->gone)
    return ls_http_before_head(L, 0, ls_http_l_events);
  push_handle(L, call);
  if (call->gone)
    return 1;
  set_headers(L, call);
  int status = begin(call, ls_slice(first, (size_t)first_len));
  if (status < 0 && status != LS_ECLOSED)
    return ls_http_push_sent(L, status);
  call->has_events = true;
  call->has_sent_event = false;
  start_heartbeat(call, heartbeat);
  return 1;
}

/* ---- the type ---- */

/* Whether somebody waits for the client to take what was sent. */
static bool is_behind(const struct ls_call_handle *handle) {
  const struct ls_list *waits = &handle->call->waits;
  if (!is_open(handle))
    return false;
  for (const struct ls_list *link = waits->next; link != waits; link = link->next)
    if (ls_container_of(link, struct ls_wait, link)->kind == LS_WAIT_DRAIN)
      return true;
  return false;
}

/* Upvalue: the methods.
 * events.last_id -> string or nil: the id of the last event that the client has seen before it came back
 * events.behind -> whether the client has yet to take what was sent, and an event that was sent now would be kept for it
 * events.closed -> whether the stream has ended */
static int l_index(lua_State *L) {
  struct ls_call_handle *handle = check(L);
  const char *name = lua_tostring(L, 2);
  if (name != NULL && strcmp(name, "last_id") == 0) {
    lua_getiuservalue(L, 1, KEPT_LAST_ID);
  } else if (name != NULL && strcmp(name, "behind") == 0) {
    lua_pushboolean(L, is_behind(handle));
  } else if (name != NULL && strcmp(name, "closed") == 0) {
    lua_pushboolean(L, !is_open(handle));
  } else {
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
  }
  return 1;
}

/* tostring(events) -> "luaserve.events (GET /prices)" or "luaserve.events (closed)" */
static int l_tostring(lua_State *L) {
  const struct ls_call_handle *handle = check(L);
  char text[256] = "closed";
  if (is_open(handle))
    ls_call_describe(handle->call, text, sizeof text);
  lua_pushfstring(L, EVENTS " (%s)", text);
  return 1;
}

void ls_events_make_type(lua_State *L) {
  static const luaL_Reg methods[] = {{"send", l_send}, {"comment", l_comment}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__close", l_close}, {"__tostring", l_tostring}, {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  ls_handle_type(L, EVENTS, none, metamethods);
  luaL_getmetatable(L, EVENTS);
  luaL_newlib(L, methods);
  lua_pushcclosure(L, l_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
