/* SPDX-License-Identifier: MIT */
/* mailbox: what other bindings do with one. */
#ifndef LS_BIND_MAILBOX_H
#define LS_BIND_MAILBOX_H

#include <lua.h>

/* Raises unless a mailbox is at index. */
void ls_mailbox_check(lua_State *L, int index);

/* Pops a value and leaves it in the mailbox at index; without effect when that is closed. Raises for memory. */
void ls_mailbox_put(lua_State *L, int index);

#endif
