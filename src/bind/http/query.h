/* SPDX-License-Identifier: MIT */
/* query: "a=1&b=2", of URLs and forms, as Lua tables. */
#ifndef LS_BIND_HTTP_QUERY_H
#define LS_BIND_HTTP_QUERY_H

#include <lua.h>

#include "base/slice.h"

/* A table from names to their first values, decoded. */
void ls_query_push_table(lua_State *L, struct ls_slice query);

/* A list of all values of the name at stack index. */
void ls_query_push_all(lua_State *L, struct ls_slice query, int name);

#endif
