/* SPDX-License-Identifier: MIT */
/* library: what else is replaced in Lua's standard libraries, because the process is not only Lua's: os.exit, and
 * what can hold a thread (bounded.h). And warn, which the standalone interpreter brings and the library does not. */
#ifndef LS_SCRIPT_LIBRARY_H
#define LS_SCRIPT_LIBRARY_H

#include <lua.h>

void ls_library_open(lua_State *L);

#endif
