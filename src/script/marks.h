/* SPDX-License-Identifier: MIT */
/* marks: what stands for what Lua has no value for: json.null, and the metatables that tell an array from an object where
 * the content cannot. luaserve.json gives them to programs, and a clone keeps them from one Lua state to the next. Each
 * state has its own, made when first asked for, even when the module is loaded again. */
#ifndef LS_SCRIPT_MARKS_H
#define LS_SCRIPT_MARKS_H

#include <lua.h>

enum ls_mark { LS_MARK_NONE, LS_MARK_ARRAY, LS_MARK_OBJECT };

/* Pushes the null of this state, a userdata. May raise for memory, as does the next one. */
void ls_marks_push_null(lua_State *L);

/* Pushes the metatable of arrays or of objects. */
void ls_marks_push_metatable(lua_State *L, enum ls_mark mark);

/* Whether the value at index is this state's null. Neither this nor the next one allocates or raises. */
int ls_marks_is_null(lua_State *L, int index);

/* What the metatable at index marks. */
enum ls_mark ls_marks_of_metatable(lua_State *L, int index);

#endif
