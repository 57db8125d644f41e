/* SPDX-License-Identifier: MIT */
/* modules: the list of what require "luaserve.x" can find that is written in C. */
#ifndef LS_BIND_MODULES_H
#define LS_BIND_MODULES_H

#include <lua.h>

/* Registers all of them; none is opened before it is required. */
void ls_modules_open(lua_State *L);

/* The same for the Lua state of jobs: only those that need no loop; to require another one is an error that says so. */
void ls_modules_open_in_job(lua_State *L);

int luaopen_luaserve_core_clock(lua_State *L);
int luaopen_luaserve_core_cookie(lua_State *L);
int luaopen_luaserve_core_development(lua_State *L);
int luaopen_luaserve_core_files(lua_State *L);
int luaopen_luaserve_core_log(lua_State *L);
int luaopen_luaserve_core_html(lua_State *L);
int luaopen_luaserve_core_mailbox(lua_State *L);
int luaopen_luaserve_core_multipart(lua_State *L);
int luaopen_luaserve_core_options(lua_State *L);
int luaopen_luaserve_core_request(lua_State *L);
int luaopen_luaserve_core_routes(lua_State *L);
int luaopen_luaserve_core_task(lua_State *L);
int luaopen_luaserve_crypto(lua_State *L);
int luaopen_luaserve_dns(lua_State *L);
int luaopen_luaserve_fs(lua_State *L);
int luaopen_luaserve_http(lua_State *L);
int luaopen_luaserve_json(lua_State *L);
int luaopen_luaserve_net(lua_State *L);
int luaopen_luaserve_pool(lua_State *L);
int luaopen_luaserve_process(lua_State *L);
int luaopen_luaserve_runtime(lua_State *L);
int luaopen_luaserve_shared(lua_State *L);
int luaopen_luaserve_terminal(lua_State *L);
int luaopen_luaserve_timer(lua_State *L);
int luaopen_luaserve_worker(lua_State *L);

#endif
