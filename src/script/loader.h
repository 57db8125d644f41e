/* SPDX-License-Identifier: MIT */
/* loader: how require finds luaserve's own modules: C bindings that were registered, and the Lua files of lua/ that are
 * compiled into the binary (or, with the environment variable LUASERVE_LUA=dir, read from there). */
#ifndef LS_SCRIPT_LOADER_H
#define LS_SCRIPT_LOADER_H

#include <lua.h>

/* Adds the embedded modules to package.preload. */
void ls_loader_open(lua_State *L);

/* Adds a C module to package.preload. It is opened once: who clears package.loaded, as test runners do between files, gets
 * the same module again, because its types and state are the runtime's. */
void ls_loader_add(lua_State *L, const char *name, lua_CFunction open);

/* Registers one of the embedded modules alone, in a state that ls_loader_open has not filled. */
void ls_loader_add_embedded(lua_State *L, const char *name);

#endif
