/* SPDX-License-Identifier: MIT */
/* json: require "luaserve.json", a strict RFC 8259 codec. Stands on the Lua API alone: no runtime, no loop. */
#ifndef LS_BIND_JSON_H
#define LS_BIND_JSON_H

#include <lua.h>

int luaopen_luaserve_json(lua_State *L);

#endif
