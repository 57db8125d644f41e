/* SPDX-License-Identifier: MIT */
/* module: the tables of luaserve's modules, where a name that is not there is an error that says which one was probably
 * meant, as with req and res: "luaserve.fs has no 'readFile' (did you mean 'read_file'?)". Who asks whether there is one
 * does so with rawget. */
#ifndef LS_SCRIPT_MODULE_H
#define LS_SCRIPT_MODULE_H

#include <lua.h>

/* Sees to it for the table on top of the stack, of the module of that name. Nothing is done to those with an __index, to
 * other values, and to modules that are not for users ("luaserve.core.log"). */
void ls_module_guard(lua_State *L, const char *name);

/* For an __index: returns nil, or raises for a string that begins with no '_', at index 2. The module's table is at 1. */
int ls_module_no_field(lua_State *L, const char *name);

#endif
