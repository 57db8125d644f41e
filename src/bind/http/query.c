/* SPDX-License-Identifier: MIT */
#include "bind/http/query.h"

#include <lauxlib.h>

#include "http/url.h"

static void push_decoded(lua_State *L, struct ls_slice slice) {
  if (slice.len == 0) {
    lua_pushliteral(L, "");
    return;
  }
  if (memchr(slice.ptr, '%', slice.len) == NULL && memchr(slice.ptr, '+', slice.len) == NULL) {
    lua_pushlstring(L, slice.ptr, slice.len);
    return;
  }
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, slice.len);
  luaL_pushresultsize(&buffer, ls_url_decode(slice, true, out));
}

void ls_query_push_table(lua_State *L, struct ls_slice query) {
  struct ls_slice name, value;
  lua_newtable(L);
  while (ls_url_next_pair(&query, &name, &value)) {
    push_decoded(L, name);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {
      lua_pop(L, 2);
      continue;
    }
    lua_pop(L, 1);
    push_decoded(L, value);
    lua_rawset(L, -3);
  }
}

void ls_query_push_all(lua_State *L, struct ls_slice query, int wanted) {
  struct ls_slice name, value;
  lua_Integer count = 0;
  lua_newtable(L);
  while (ls_url_next_pair(&query, &name, &value)) {
    push_decoded(L, name);
    if (lua_rawequal(L, -1, wanted)) {
      push_decoded(L, value);
      lua_rawseti(L, -3, ++count);
    }
    lua_pop(L, 1);
  }
}
