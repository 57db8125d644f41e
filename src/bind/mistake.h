/* SPDX-License-Identifier: MIT */
/* mistake: what a person is told of a program that does not start. lua/luaserve/core/mistake.lua knows what to say; when
 * it cannot (there is no memory, say), the message stays as it was. */
#ifndef LS_BIND_MISTAKE_H
#define LS_BIND_MISTAKE_H

#include <lua.h>
#include <stdbool.h>

#include "bind/listen.h"
#include "bind/program.h"

/* Each takes the message on top of the stack, and leaves a text there. */

/* luaL_loadfile or luaL_loadbuffer failed with this status. */
void ls_mistake_of_load(lua_State *L, int status, const struct ls_program *program);
/* Nobody caught it: the message and its traceback, as ls_task_push_error gives them. folder: of the script, or NULL. */
void ls_mistake_of_run(lua_State *L, const char *folder);
/* server:listen gave this code for the place. is_option: that is where --host and --port say. */
void ls_mistake_of_listen(lua_State *L, const char *code, const struct ls_listen_options *place, bool is_option);

/* The text of an error of a handler: pushes what its first line probably means, or "". */
const char *ls_mistake_push_hint(lua_State *L, const char *text);

/* The script called name has returned the value at index, which cannot be served: pushes what to say of that; "" for nil,
 * unless it has made an app. */
const char *ls_mistake_push_result(lua_State *L, const char *name, int index);

#endif
