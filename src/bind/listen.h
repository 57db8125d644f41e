/* SPDX-License-Identifier: MIT */
/* listen: where to listen, as every server takes it: a port, or a table of options. */
#ifndef LS_BIND_LISTEN_H
#define LS_BIND_LISTEN_H

#include <lua.h>

#include "loop/listener.h"

/* Reads port, host, path, backlog and mode from the integer or table at index. known: all options of the caller, what:
 * its name; both for the errors. The strings live as long as the table holds them. */
struct ls_listen_options ls_check_listen(lua_State *L, int index, const char *what, const char *const *known);

/* nil, "EADDRINUSE: address already in use: listen 127.0.0.1:8080", "EADDRINUSE". Returns 3. */
int ls_push_listen_failure(lua_State *L, int code, const struct ls_listen_options *options);

#endif
