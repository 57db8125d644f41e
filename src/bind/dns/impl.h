/* SPDX-License-Identifier: MIT */
/* impl: what the files of luaserve.dns share. */
#ifndef LS_BIND_DNS_IMPL_H
#define LS_BIND_DNS_IMPL_H

#include <lua.h>
#include <stddef.h>

/* Pushes the records of one type in a name server's answer as an array and returns 0; or a negative code (LS_EBADRESP;
 * LS_ENODATA: there is none) with the stack as it was. type: one of ls_dns_check_type. */
int ls_dns_push_records(lua_State *L, int type, const unsigned char *answer, size_t len);

/* The number of the type at index, "A" where there is nothing. Raises for one that is not known. */
int ls_dns_check_type(lua_State *L, int index);

/* "A". */
const char *ls_dns_type_name(int type);

/* Sets resolve, set_servers and get_servers in the table at the top: resolve.c. */
void ls_dns_open_resolve(lua_State *L);

#endif
