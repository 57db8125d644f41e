/* SPDX-License-Identifier: MIT */
/* routes: require "luaserve.core.routes": what luaserve.app needs of C: the tree of its routes, and the limits that a
 * route or a middleware sets for its request. A route is any Lua value; the tree's ids are their places in the table that
 * is the userdata's value, where the names of the route's parameters follow it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/http/chain.h"
#include "bind/http/fault.h"
#include "bind/http/impl.h"
#include "bind/modules.h"
#include "http/status.h"
#include "script/handle.h"
#include "script/options.h"
#include "script/task.h"
#include "script/transparent.h"
#include "server/response.h"
#include "server/routes.h"

#define ROUTES "luaserve.routes"

struct ls_routes *ls_http_check_routes(lua_State *L, int index) {
  struct ls_routes **handle = luaL_checkudata(L, index, ROUTES);
  return *handle;
}

static int l_gc(lua_State *L) {
  struct ls_routes **handle = luaL_checkudata(L, 1, ROUTES);
  ls_routes_unref(*handle);
  *handle = NULL;
  return 0;
}

/* routes.new(strict, ignore_case) -> routes */
static int l_new(lua_State *L) {
  struct ls_routes **handle = lua_newuserdatauv(L, sizeof *handle, 1);
  *handle = NULL;
  luaL_setmetatable(L, ROUTES);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  *handle = ls_routes_new(lua_toboolean(L, 1), lua_toboolean(L, 2));
  return *handle != NULL ? 1 : luaL_error(L, "not enough memory");
}

/* ---- adding ---- */

static unsigned read_steps(lua_State *L, int index, struct ls_slice *steps) {
  lua_Integer count = luaL_len(L, index);
  luaL_argcheck(L, count < LS_ROUTES_DEPTH, index, "a pattern of too many segments");
  for (lua_Integer i = 0; i < count; i++) { /* the table keeps them */
    lua_rawgeti(L, index, i + 1);
    steps[i].ptr = lua_tolstring(L, -1, &steps[i].len);
    luaL_argcheck(L, steps[i].ptr != NULL && steps[i].len > 0, index, "an empty step");
    lua_pop(L, 1);
  }
  return (unsigned)count;
}

static void read_limits(lua_State *L, int index, struct ls_route *route) {
  lua_getfield(L, index, "body_limit");
  route->has_body_limit = !lua_isnil(L, -1);
  route->body_limit = lua_toboolean(L, -1) ? (uint64_t)lua_tointeger(L, -1) : UINT64_MAX;
  lua_getfield(L, index, "timeout");
  route->has_timeout = !lua_isnil(L, -1);
  lua_getfield(L, index, "cancel_on_close");
  route->cancel_on_close = lua_toboolean(L, -1);
  lua_pop(L, 3);
  route->timeout = ls_option_seconds(L, index, "timeout", 0);
}

/* The place for the route, with its names behind it. */
static lua_Integer append(lua_State *L, int table, int route, int names) {
  lua_Integer id = (lua_Integer)lua_rawlen(L, table) + 1, count = luaL_len(L, names);
  lua_pushvalue(L, route);
  lua_rawseti(L, table, id);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, names, i);
    lua_rawseti(L, table, id + i);
  }
  return id;
}

/* routes:add(method, steps, route, names, where, options) -> nil, or the route that there is already; or nil, what is wrong
 * with a constraint. options: body_limit (false: none), timeout (seconds, false: none), cancel_on_close. */
static int l_add(lua_State *L) {
  struct ls_routes *routes = ls_http_check_routes(L, 1);
  struct ls_slice steps[LS_ROUTES_DEPTH];
  size_t len;
  const char *method = luaL_checklstring(L, 2, &len);
  struct ls_route route = {.where = (char *)(uintptr_t)luaL_checkstring(L, 6)};
  luaL_argcheck(L, len < sizeof route.method, 2, "a method");
  snprintf(route.method, sizeof route.method, "%s", method);
  unsigned count = read_steps(L, 3, steps);
  luaL_checktype(L, 5, LUA_TTABLE);
  luaL_checktype(L, 7, LUA_TTABLE);
  read_limits(L, 7, &route);
  lua_getiuservalue(L, 1, 1);
  route.id = (uintptr_t)append(L, lua_gettop(L), 4, 5);
  const struct ls_route *other = NULL;
  const char *problem = NULL;
  int err = ls_routes_add(routes, steps, count, &route, &other, &problem);
  if (err == -ENOMEM)
    return luaL_error(L, "not enough memory");
  if (err == -EEXIST) {
    lua_rawgeti(L, -1, (lua_Integer)other->id);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, problem);
  return 2;
}

/* ---- finding ---- */

/* Room for what is decoded of a path: on the stack, as a rule. */
struct room {
  char small[512];
};

static char *room_for(lua_State *L, struct room *room, struct ls_slice path) {
  return path.len <= sizeof room->small ? room->small : lua_newuserdatauv(L, path.len, 0);
}

/* Makes req.params. */
static void set_params(lua_State *L, int req, int table, const struct ls_route_match *match) {
  unsigned count = match->route->params;
  lua_createtable(L, 0, (int)count);
  for (unsigned i = 0; i < count; i++) {
    lua_rawgeti(L, table, (lua_Integer)(match->route->id + i + 1));
    lua_pushlstring(L, match->params[i].ptr, match->params[i].len);
    lua_rawset(L, -3);
  }
  lua_setiuservalue(L, req, LS_HTTP_PARAMS);
}

/* Puts the route of the request at index 3, or nil. What its pattern has caught is in req.params then, and its timeout runs.
 * True: the body is over its limit. table: of the ids. */
static bool find_route(lua_State *L, struct ls_call *call, struct ls_routes *routes, int table) {
  struct ls_route_match match;
  struct room room;
  struct ls_slice path = ls_http_path(L, call);
  ls_routes_find(routes, ls_head_method(&call->request->exchange.head), path, room_for(L, &room, path), &match);
  if (match.route == NULL) {
    lua_settop(L, 2);
    lua_pushnil(L);
    return false;
  }
  if (match.route->params > 0)
    set_params(L, 1, table, &match);
  if (lua_gettop(L) > 2) /* what its path and parameters were made in */
    lua_settop(L, 2);
  ls_call_take_route(call, routes, match.route);
  lua_rawgeti(L, table, (lua_Integer)match.route->id);
  return match.route->has_body_limit && !ls_call_limit_body(call, match.route->body_limit);
}

/* keep_traceback(err) -> err, for protected calls. An error that is an answer needs none. */
static int l_keep_traceback(lua_State *L) {
  if (lua_istable(L, 1) && luaL_getmetafield(L, 1, "__name") == LUA_TSTRING) {
    bool is_answer = strcmp(lua_tostring(L, -1), "luaserve.http_error") == 0;
    lua_pop(L, 1);
    if (is_answer)
      return 1;
  }
  return ls_task_keep_traceback(L);
}

/* ---- serving ---- */

enum { UP_ROUTES = 1, UP_TABLE, UP_UNMATCHED, UP_LINK, UP_FAIL };

/* Stack: req, res, the route, the message handler; above them what the chain has returned, or its error. */
static int k_serve(lua_State *L, int status, lua_KContext seq) {
  if (ls_task_cancel_seq(L) != (unsigned)seq)
    return ls_task_raise_cancel(L);
  if (status == LUA_OK || status == LUA_YIELD)
    return 1;
  if (status == LUA_ERRMEM) /* there is none for on_error; lua_error knows this message, and raises it as what it is */
    return lua_error(L);
  int err = lua_gettop(L);
  lua_pushvalue(L, lua_upvalueindex(UP_FAIL));
  lua_pushvalue(L, 3);
  lua_pushvalue(L, err);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_callk(L, 4, 0, 0, ls_task_return_nothing);
  return 0;
}

/* The function of routes:handler(): serve(req, res). */
static int l_serve(lua_State *L) {
  struct ls_routes *routes = *(struct ls_routes **)lua_touserdata(L, lua_upvalueindex(UP_ROUTES));
  struct ls_call *call = ls_http_check(L, 1, ls_http_request_type);
  call->in_app = true;
  lua_settop(L, 2);
  bool is_over = find_route(L, call, routes, lua_upvalueindex(UP_TABLE));
  if (is_over || lua_isnil(L, 3)) {
    lua_pushvalue(L, lua_upvalueindex(UP_UNMATCHED));
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 3);
    lua_call(L, 2, 1);
    lua_replace(L, 3);
  }
  lua_pushcfunction(L, l_keep_traceback);
  if (lua_rawgeti(L, 3, 1) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(UP_LINK));
    lua_pushvalue(L, 3);
    lua_call(L, 1, 1);
  }
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_KContext seq = (lua_KContext)ls_task_cancel_seq(L);
  return k_serve(L, lua_pcallk(L, 2, 1, 4, seq, k_serve), seq);
}

/* routes:handler(unmatched, link, fail) -> serve(req, res)
 * What runs for a request: the function at index 1 of its route, which link(route) makes where it is not there yet.
 * unmatched(req, route) gives another route where there is none, or where the body is over the limit of the one there is;
 * fail(route, err, req, res) answers for what was raised. */
static int l_handler(lua_State *L) {
  ls_http_check_routes(L, 1);
  lua_settop(L, 4);
  lua_getiuservalue(L, 1, 1);
  lua_insert(L, UP_TABLE);
  lua_pushcclosure(L, l_serve, UP_FAIL);
  return 1;
}

/* ---- what else is there ---- */

struct list {
  lua_State *L;
  int table, ids;
};

static void add_to_list(void *user, const struct ls_route *route) {
  struct list *list = user;
  lua_rawgeti(list->L, list->ids, (lua_Integer)route->id);
  lua_rawseti(list->L, list->table, (lua_Integer)lua_rawlen(list->L, list->table) + 1);
}

/* routes:all(req) -> { route, ... }: whose pattern fits the path, of any method; the more specific ones first */
static int l_all(lua_State *L) {
  struct ls_routes *routes = ls_http_check_routes(L, 1);
  struct ls_call *call = ls_http_check(L, 2, ls_http_request_type);
  struct room room;
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, 1);
  lua_newtable(L);
  struct list list = {.L = L, .ids = 3, .table = 4};
  struct ls_slice path = ls_http_path(L, call);
  ls_routes_visit(routes, path, room_for(L, &room, path), add_to_list, &list);
  lua_pushvalue(L, 4);
  return 1;
}

/* routes:is_under(req, prefix) -> whether the path begins with the segments of prefix, "/a/b" */
static int l_is_under(lua_State *L) {
  struct ls_routes *routes = ls_http_check_routes(L, 1);
  struct ls_call *call = ls_http_check(L, 2, ls_http_request_type);
  struct room room;
  struct ls_slice prefix;
  prefix.ptr = luaL_checklstring(L, 3, &prefix.len);
  struct ls_slice path = ls_http_path(L, call);
  lua_pushboolean(L, ls_routes_is_under(routes, path, prefix, room_for(L, &room, path)));
  return 1;
}

/* ---- limits of one request ---- */

/* set_timeout(req, seconds): from now on, instead of the server's; where the route has one it stays */
static int l_set_timeout(lua_State *L) {
  struct ls_call *call = ls_http_check(L, 1, ls_http_request_type);
  uint64_t timeout = ls_check_seconds(L, 2, 1000000) / 1000000;
  if (call->route == NULL || !call->route->has_timeout)
    ls_call_set_timeout(call, timeout);
  return 0;
}

/* in_app(req) -> whether an app handles the request, and answers for what is raised */
static int l_in_app(lua_State *L) {
  lua_pushboolean(L, ls_http_check(L, 1, ls_http_request_type)->in_app);
  return 1;
}

/* limit_body(req, bytes) -> whether it can still fit */
static int l_limit_body(lua_State *L) {
  struct ls_call *call = ls_http_check(L, 1, ls_http_request_type);
  lua_Integer limit = luaL_checkinteger(L, 2);
  luaL_argcheck(L, limit >= 0, 2, "a size in bytes");
  lua_pushboolean(L, ls_call_limit_body(call, (uint64_t)limit));
  return 1;
}

/* status_of(req, err) -> status, text: with which an error of the handler is answered: 500, or 400, 408, 413 where the body of
 * the request has failed before; text: the message with which a method of req refused the body, or nil */
static int l_status_of(lua_State *L) {
  struct ls_call *call = ls_http_check(L, 1, ls_http_request_type);
  lua_settop(L, 2);
  lua_pushinteger(L, ls_fault_status_of_error(call, L));
  if (!call->rejected || lua_rawgeti(L, LUA_REGISTRYINDEX, call->rejection_ref) != LUA_TSTRING) {
    lua_settop(L, 3);
    lua_pushnil(L);
  }
  return 2;
}

/* fail(req, err, is_logged): the handler has raised err, and somebody answers for it */
static int l_fail(lua_State *L) {
  struct ls_call *call = ls_http_check(L, 1, ls_http_request_type);
  bool is_logged = lua_toboolean(L, 3);
  lua_settop(L, 2);
  ls_call_fail(call, is_logged ? L : NULL);
  return 0;
}

/* reason(status) -> "Not Found", or "" for one without a name */
static int l_reason(lua_State *L) {
  struct ls_slice reason = ls_status_reason((int)luaL_checkinteger(L, 1));
  lua_pushlstring(L, reason.len > 0 ? reason.ptr : "", reason.len);
  return 1;
}

int luaopen_luaserve_core_routes(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"add", l_add}, {"all", l_all}, {"handler", l_handler}, {"is_under", l_is_under}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", l_new},
                                       {"fail", l_fail},
                                       {"in_app", l_in_app},
                                       {"keep_traceback", l_keep_traceback},
                                       {"limit_body", l_limit_body},
                                       {"link", ls_http_l_link},
                                       {"reason", l_reason},
                                       {"set_timeout", l_set_timeout},
                                       {"status_of", l_status_of},
                                       {"where", ls_http_l_where},
                                       {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", l_gc}, {NULL, NULL}};
  ls_handle_type(L, ROUTES, methods, metamethods);
  ls_http_open_chain(L);
  ls_transparent_add(L, l_serve);
  luaL_newlib(L, functions);
  return 1;
}
