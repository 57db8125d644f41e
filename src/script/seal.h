/* SPDX-License-Identifier: MIT */
/* seal: nothing is shared by accident. From the first request on, globals cannot be assigned, nor can the fields of Lua's
 * own libraries (string, table, ...).
 *
 * Sealing moves the content of _G, and of each of these tables, into a table of its own and gives the original a
 * metatable that reads from there (about 10 ns a read; methods of strings go to the content at once), iterates over it, and
 * refuses assignments, except by the main chunk until it returns and by code inside require. Before that nothing is touched,
 * so libraries find the tables they know. A metatable that one has, or that setmetatable gives it later, lives on behind
 * ours. rawget, next and getmetatable see the content too (not the originals, where a library kept them from before), and
 * rawset(_G, ...) goes past the seal: it says what it does. */
#ifndef LS_SCRIPT_SEAL_H
#define LS_SCRIPT_SEAL_H

#include <lua.h>
#include <stdbool.h>

struct ls_runtime;

/* How a program wants its globals. */
enum ls_globals { LS_GLOBALS_OPEN, LS_GLOBALS_UNSEALED, LS_GLOBALS_SEALED };

/* Seals, unless the runtime's globals are open or sealed already. Raises for memory only: call it protected. */
void ls_seal(lua_State *L);

#endif
