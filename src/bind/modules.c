/* SPDX-License-Identifier: MIT */
#include "bind/modules.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "script/loader.h"

/* open NULL: it is written in Lua, and compiled in. in_jobs: needs no loop and no task, so jobs of the pool can require it
 * too; of others in Lua nothing is said here. */
static const struct {
  const char *name;
  lua_CFunction open;
  bool in_jobs;
} modules[] = {
    {"luaserve.cookie", NULL, true},
    {"luaserve.crypto", luaopen_luaserve_crypto, true},
    {"luaserve.dns", luaopen_luaserve_dns, false},
    {"luaserve.fs", luaopen_luaserve_fs, false},
    {"luaserve.http", luaopen_luaserve_http, false},
    {"luaserve.json", luaopen_luaserve_json, true},
    {"luaserve.jwt", NULL, true},
    {"luaserve.net", luaopen_luaserve_net, false},
    {"luaserve.pool", luaopen_luaserve_pool, false},
    {"luaserve.process", luaopen_luaserve_process, false},
    {"luaserve.core.clock", luaopen_luaserve_core_clock, false},
    {"luaserve.core.cookie", luaopen_luaserve_core_cookie, true},
    {"luaserve.core.development", luaopen_luaserve_core_development, false},
    {"luaserve.core.files", luaopen_luaserve_core_files, false},
    {"luaserve.core.log", luaopen_luaserve_core_log, false},
    {"luaserve.core.multipart", luaopen_luaserve_core_multipart, false},
    {"luaserve.core.html", luaopen_luaserve_core_html, false},
    {"luaserve.core.options", luaopen_luaserve_core_options, true},
    {"luaserve.core.request", luaopen_luaserve_core_request, false},
    {"luaserve.core.routes", luaopen_luaserve_core_routes, false},
    {"luaserve.core.text", NULL, true},
    {"luaserve.core.task", luaopen_luaserve_core_task, false},
    {"luaserve.core.mailbox", luaopen_luaserve_core_mailbox, false},
    {"luaserve.runtime", luaopen_luaserve_runtime, false},
    {"luaserve.shared", luaopen_luaserve_shared, false},
    {"luaserve.terminal", luaopen_luaserve_terminal, false},
    {"luaserve.timer", luaopen_luaserve_timer, false},
    {"luaserve.url", NULL, true},
    {"luaserve.validate", NULL, true},
    {"luaserve.worker", luaopen_luaserve_worker, false},
};

#define COUNT (sizeof modules / sizeof *modules)

void ls_modules_open(lua_State *L) {
  for (size_t i = 0; i < COUNT; i++)
    if (modules[i].open != NULL)
      ls_loader_add(L, modules[i].name, modules[i].open);
}

/* Searches, in a job, after package.preload: what else is luaserve's cannot be used there. */
static int l_refuse(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  if (strcmp(name, "luaserve") != 0 && strncmp(name, "luaserve.", 9) != 0)
    return 0;
  lua_pushfstring(L, "'%s' cannot be used in a job of the pool; what can be there:", name);
  for (size_t i = 0; i < COUNT; i++) {
    if (!modules[i].in_jobs || strncmp(modules[i].name, "luaserve.core.", 14) == 0) /* those are not for users */
      continue;
    lua_pushfstring(L, " %s", modules[i].name);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

void ls_modules_open_in_job(lua_State *L) {
  for (size_t i = 0; i < COUNT; i++) {
    if (modules[i].in_jobs && modules[i].open != NULL)
      ls_loader_add(L, modules[i].name, modules[i].open);
    else if (modules[i].in_jobs)
      ls_loader_add_embedded(L, modules[i].name);
  }
  lua_getglobal(L, "table");
  lua_getfield(L, -1, "insert");
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  lua_replace(L, -2);
  lua_pushinteger(L, 2);
  lua_pushcfunction(L, l_refuse);
  lua_call(L, 3, 0);
  lua_pop(L, 1);
}
