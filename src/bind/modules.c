/* SPDX-License-Identifier: MIT */
#include "bind/modules.h"

#include <stddef.h>

#include "script/loader.h"

static const struct {
  const char *name;
  lua_CFunction open;
} modules[] = {
    {"luaserve.crypto", luaopen_luaserve_crypto},
    {"luaserve.dns", luaopen_luaserve_dns},
    {"luaserve.fs", luaopen_luaserve_fs},
    {"luaserve.http", luaopen_luaserve_http},
    {"luaserve.json", luaopen_luaserve_json},
    {"luaserve.net", luaopen_luaserve_net},
    {"luaserve.process", luaopen_luaserve_process},
    {"luaserve.core.task", luaopen_luaserve_core_task},
    {"luaserve.core.mailbox", luaopen_luaserve_core_mailbox},
    {"luaserve.runtime", luaopen_luaserve_runtime},
    {"luaserve.terminal", luaopen_luaserve_terminal},
    {"luaserve.timer", luaopen_luaserve_timer},
};

void ls_modules_open(lua_State *L) {
  for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
    ls_loader_add(L, modules[i].name, modules[i].open);
}
