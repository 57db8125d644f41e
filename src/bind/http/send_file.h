/* SPDX-License-Identifier: MIT */
/* send_file: res:send_file. */
#ifndef LS_BIND_HTTP_SEND_FILE_H
#define LS_BIND_HTTP_SEND_FILE_H

#include <lua.h>

int ls_http_l_send_file(lua_State *L);

#endif
