/* SPDX-License-Identifier: MIT */
/* bounded: the functions of Lua's string and table libraries that can hold a thread without end, because of a pattern, a
 * count or a __len, where no hook sees the time pass. These versions ask every thousand steps or so whether the code that
 * runs was interrupted (ls_interrupt_poll). In all else they are as in Lua 5.4: results, messages, the order in which
 * metamethods and comparisons are called. */
#ifndef LS_SCRIPT_BOUNDED_H
#define LS_SCRIPT_BOUNDED_H

#include <lua.h>

/* Replaces the functions in the globals of L; the standard libraries are open. */
void ls_bounded_open(lua_State *L);

enum { LS_BOUNDED_STEPS = 1024 }; /* between two polls; a power of two */

/* What a value that is no table must have a metamethod for, to be taken as one. */
enum { LS_TABLE_READ = 1, LS_TABLE_WRITE = 2, LS_TABLE_LEN = 4 };

/* The length of an argument that is a table or as good as one; raises where it is not. For the table library. */
lua_Integer ls_bounded_len(lua_State *L, int arg, unsigned needs);

/* The parts: each sets its functions in the library's table, which is at the top. */
void ls_bounded_string_open(lua_State *L);
void ls_bounded_table_open(lua_State *L);
void ls_bounded_sort_open(lua_State *L);

#endif
