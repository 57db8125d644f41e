/* SPDX-License-Identifier: MIT */
/* chain: a middleware and what comes behind it. A request pays one object for each: the function next. */
#include "bind/http/chain.h"

#include "bind/http/impl.h"
#include "script/task.h"
#include "script/transparent.h"
#include "server/response.h"

/* A link is a function of req and res: l_link, with these upvalues. The rest is a link too, or the handler. */
enum { LINK_MIDDLEWARE = 1, LINK_REST, LINK_SELF };

/* Those of next. It has no req once it has been called. */
enum { NEXT_REQ = 1, NEXT_RES, NEXT_LINK };

static int l_next(lua_State *L);

/* The middleware has called no next. Where it has not answered either, the handler is not to blame. */
static void note_end(lua_State *L) {
  struct ls_call *call = ls_http_find(L, 2, ls_http_request_type);
  if (call == NULL || ls_response_is_finished(call->request) || call->ended[0] != '\0')
    return;
  lua_getupvalue(L, 1, LINK_MIDDLEWARE);
  ls_http_note_where(L, lua_gettop(L), call->ended, sizeof call->ended);
  lua_pop(L, 1);
}

/* Stack: the link, req, res, next, what the middleware has returned. */
static int k_link(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  lua_getupvalue(L, 4, NEXT_REQ);
  if (!lua_isnil(L, -1))
    note_end(L);
  lua_pop(L, 1);
  return 1;
}

/* Calls the middleware of the link. Stack: the link, req, res. */
static int call_link(lua_State *L) {
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, l_next, NEXT_LINK);
  lua_getupvalue(L, 1, LINK_MIDDLEWARE);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 4);
  lua_callk(L, 3, 1, 0, k_link);
  return k_link(L, LUA_OK, 0);
}

static int l_link(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, lua_upvalueindex(LINK_SELF));
  lua_insert(L, 1);
  return call_link(L);
}

static int k_next(lua_State *L, int status, lua_KContext context) {
  (void)status, (void)context;
  return lua_gettop(L);
}

static void refuse_argument(lua_State *L) {
  if (!lua_isnil(L, 1))
    luaL_error(L, "next takes no argument: error(...) refuses the request, http_error.new(403) with a status");
  lua_settop(L, 0);
}

/* next() -> what the rest returns. Raises where it is given a value, and where it has been called before. */
static int l_next(lua_State *L) {
  if (lua_gettop(L) > 0)
    refuse_argument(L);
  lua_getupvalue(L, lua_upvalueindex(NEXT_LINK), LINK_REST);
  lua_pushvalue(L, lua_upvalueindex(NEXT_REQ));
  if (lua_isnil(L, 2))
    return luaL_error(L, "next was called twice");
  lua_pushvalue(L, lua_upvalueindex(NEXT_RES));
  lua_pushnil(L);
  lua_replace(L, lua_upvalueindex(NEXT_REQ));
  if (lua_tocfunction(L, 1) ==
      l_link) /* as calling it would, in half of the C frames, of which Lua nests 200 at most */
    return call_link(L);
  lua_callk(L, 2, LUA_MULTRET, 0, k_next);
  return k_next(L, LUA_OK, 0);
}

void ls_http_open_chain(lua_State *L) {
  ls_transparent_add(L, l_link);
  ls_transparent_add(L, l_next);
}

int ls_http_l_where(lua_State *L) {
  char where[LUA_IDSIZE + 16];
  lua_settop(L, 1);
  ls_http_note_where(L, 1, where, sizeof where);
  lua_pushstring(L, where);
  return 1;
}

int ls_http_l_link(lua_State *L) {
  lua_settop(L, 2);
  lua_pushnil(L);
  lua_pushcclosure(L, l_link, LINK_SELF);
  lua_pushvalue(L, 1);
  lua_setupvalue(L, 1, LINK_SELF);
  return 1;
}
