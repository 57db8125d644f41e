/* SPDX-License-Identifier: MIT */
/* listen: where to listen, as every server takes it: a port, or a table of options. */
#ifndef LS_BIND_LISTEN_H
#define LS_BIND_LISTEN_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "loop/listener.h"

/* Reads the place (port and host, path, fd, or systemd) and what belongs to it (backlog, mode, reuse_port, ipv6_only)
 * from the integer or table at index. known: all options of the caller, what: its name; both for the errors. The
 * strings live as long as the table holds them. */
struct ls_listen_options ls_check_listen(lua_State *L, int index, const char *what, const char *const *known);

/* nil, "EADDRINUSE: address already in use: listen 127.0.0.1:8080", "EADDRINUSE". Returns 3. */
int ls_push_listen_failure(lua_State *L, int code, const struct ls_listen_options *options);

#define LS_LISTEN_HOST_SIZE 256

/* A place as the command line takes it: "host:port", "[ipv6]:port", "unix:path", "fd:3", "systemd" or "systemd:name".
 * Its strings point into text, and to host, the caller's room of that size. False: it is none of these. */
bool ls_listen_parse(const char *text, char *host, size_t size, struct ls_listen_options *options);

/* Pushes the place as a table for ls_check_listen. */
void ls_push_listen(lua_State *L, const struct ls_listen_options *options);

#endif
