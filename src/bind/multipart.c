/* SPDX-License-Identifier: MIT */
/* multipart: require "luaserve.core.multipart": the parser of http/multipart for lua/luaserve/multipart.lua, which knows
 * what parts mean. */
#include "http/multipart.h"

#include <lauxlib.h>

#include "base/error.h"
#include "bind/modules.h"
#include "script/handle.h"

#define PARSER "luaserve.multipart_parser"

/* The chunk that is being parsed is the userdata's value 1, so that it stays where it is. */
struct reader {
  struct ls_multipart parser;
  struct ls_slice chunk, rest;
};

static struct reader *check(lua_State *L) {
  return luaL_checkudata(L, 1, PARSER);
}

/* multipart.is_boundary(text) -> boolean */
static int l_is_boundary(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  lua_pushboolean(L, ls_multipart_is_boundary(ls_slice(text, len)));
  return 1;
}

/* multipart.parser(boundary, head_max) -> parser
 * boundary: one of which is_boundary says so. head_max: bytes of header lines of each part. */
static int l_parser(lua_State *L) {
  size_t len;
  const char *boundary = luaL_checklstring(L, 1, &len);
  lua_Integer head_max = luaL_checkinteger(L, 2);
  luaL_argcheck(L, ls_multipart_is_boundary(ls_slice(boundary, len)), 1, "no boundary");
  luaL_argcheck(L, head_max >= 0 && head_max < 1 << 30, 2, "a size in bytes");
  struct reader *reader = lua_newuserdatauv(L, sizeof *reader, 1);
  ls_multipart_init(&reader->parser, ls_slice(boundary, len), (size_t)head_max);
  reader->chunk = reader->rest = ls_slice(NULL, 0);
  luaL_setmetatable(L, PARSER);
  return 1;
}

/* parser:feed(chunk): what parser:next goes on with; once that has given nil. */
static int l_feed(lua_State *L) {
  struct reader *reader = check(L);
  reader->chunk.ptr = luaL_checklstring(L, 2, &reader->chunk.len);
  reader->rest = reader->chunk;
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, 1);
  return 0;
}

/* A chunk that is all content is given as it is, and not copied. */
static void push_data(lua_State *L, const struct reader *reader, struct ls_slice data) {
  if (data.ptr == reader->chunk.ptr && data.len == reader->chunk.len)
    lua_getiuservalue(L, 1, 1);
  else
    lua_pushlstring(L, data.len > 0 ? data.ptr : "", data.len);
}

static const char *reason_of(int status) {
  if (status == LS_ETOOBIG)
    return "the header of a part is too large";
  return "a boundary or a header line is malformed";
}

/* parser:next() -> "part", its header lines | "data", bytes | "part_end" | "end"; nil: it needs more; or
 * false, message, code (EPROTO, ETOOBIG): then, and from then on */
static int l_next(lua_State *L) {
  struct reader *reader = check(L);
  struct ls_slice data;
  int event = ls_multipart_next(&reader->parser, &reader->rest, &data);
  switch (event) {
  case LS_MULTIPART_MORE:
    lua_pushnil(L);
    return 1;
  case LS_MULTIPART_PART:
    lua_pushliteral(L, "part");
    push_data(L, reader, data);
    return 2;
  case LS_MULTIPART_DATA:
    lua_pushliteral(L, "data");
    push_data(L, reader, data);
    return 2;
  case LS_MULTIPART_PART_END:
    lua_pushliteral(L, "part_end");
    return 1;
  case LS_MULTIPART_END:
    lua_pushliteral(L, "end");
    return 1;
  default:
    if (event == -ENOMEM)
      return luaL_error(L, "not enough memory");
    lua_pushboolean(L, 0);
    lua_pushstring(L, reason_of(event));
    lua_pushstring(L, event == LS_ETOOBIG ? "ETOOBIG" : "EPROTO");
    return 3;
  }
}

/* parser:is_complete() -> boolean: whether "end" has been */
static int l_is_complete(lua_State *L) {
  lua_pushboolean(L, ls_multipart_is_complete(&check(L)->parser));
  return 1;
}

static int l_gc(lua_State *L) {
  ls_multipart_dispose(&check(L)->parser);
  return 0;
}

int luaopen_luaserve_core_multipart(lua_State *L) {
  static const luaL_Reg functions[] = {{"is_boundary", l_is_boundary}, {"parser", l_parser}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"feed", l_feed}, {"next", l_next}, {"is_complete", l_is_complete}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", l_gc}, {NULL, NULL}};
  ls_handle_type(L, PARSER, methods, metamethods);
  luaL_newlib(L, functions);
  return 1;
}
