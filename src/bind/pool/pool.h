/* SPDX-License-Identifier: MIT */
/* pool: what other modules show of the thread pool. */
#ifndef LS_BIND_POOL_POOL_H
#define LS_BIND_POOL_POOL_H

#include <lua.h>

struct ls_pool;

/* Pushes {threads =, lanes = {files =, dns =, hashing =, user =}, total =}; docs/api/pool.md has every field. */
void ls_pool_push_stats(lua_State *L, struct ls_pool *pool);

#endif
