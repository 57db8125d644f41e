/* SPDX-License-Identifier: MIT */
/* json: require "luaserve.json", a strict RFC 8259 codec. Stands on the Lua API alone: no runtime, no loop. */
#ifndef LS_BIND_JSON_H
#define LS_BIND_JSON_H

#include <lua.h>

#include "base/slice.h"

int luaopen_luaserve_json(lua_State *L);

/* For C that sends the text on: pushes a function like json.encode, whose result is the text where it has been written, and
 * no string that Lua would have to make and collect. Raises when out of memory. */
void ls_json_push_writer(lua_State *L);

/* What that result at index holds; until it is released. */
struct ls_slice ls_json_text(lua_State *L, int index);

/* The memory serves the next text. A result that is not released, because of an error, is just collected. */
void ls_json_release(lua_State *L, int index);

#endif
