/* SPDX-License-Identifier: MIT */
/* require "luaserve.dns": what names mean, asked the way every other program of this machine asks (/etc/hosts, the
 * resolver's configuration). */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "bind/modules.h"
#include "loop/lookup.h"
#include "script/op.h"
#include "script/options.h"
#include "script/runtime.h"

#define ADDRESS_SIZE 128 /* an address and its scope */

struct lookup {
  struct ls_op op;
  struct ls_lookup lookup;
};

/* ---- dns.lookup ---- */

static void push_address(lua_State *L, const struct addrinfo *entry) {
  char text[ADDRESS_SIZE];
  if (ls_lookup_text(entry, text, sizeof text) != 0)
    luaL_error(L, "dns.lookup: an address that has no text");
  lua_createtable(L, 0, 2);
  lua_pushstring(L, text);
  lua_setfield(L, -2, "address");
  lua_pushstring(L, entry->ai_family == AF_INET6 ? "ipv6" : "ipv4");
  lua_setfield(L, -2, "family");
}

static int push_lookup(lua_State *L, struct ls_op *op) {
  const struct ls_lookup *lookup = &ls_container_of(op, struct lookup, op)->lookup;
  if (lookup->status != 0)
    return ls_push_failure(L, lookup->status, "lookup '%s'", lookup->host);
  lua_newtable(L);
  lua_Integer count = 0;
  for (const struct addrinfo *entry = lookup->found; entry != NULL; entry = entry->ai_next) {
    if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6)
      continue;
    push_address(L, entry);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

static bool cancel_lookup(struct ls_op *op) {
  return ls_lookup_cancel(&ls_container_of(op, struct lookup, op)->lookup);
}

static void free_lookup(struct ls_op *op) {
  struct lookup *lookup = ls_container_of(op, struct lookup, op);
  ls_lookup_dispose(&lookup->lookup);
  free(lookup);
}

static void on_lookup(struct ls_lookup *lookup) {
  ls_op_done(&ls_container_of(lookup, struct lookup, lookup)->op);
}

static int check_family(lua_State *L, int index) {
  static const char *const known[] = {"family", NULL};
  ls_options_check(L, index, "dns.lookup", known);
  const char *family = ls_option_string(L, index, "family", NULL);
  if (family == NULL)
    return AF_UNSPEC;
  if (strcmp(family, "ipv4") == 0)
    return AF_INET;
  if (strcmp(family, "ipv6") == 0)
    return AF_INET6;
  return luaL_error(L, "option 'family' must be 'ipv4' or 'ipv6', not '%s'", family);
}

/* dns.lookup(name [, {family = "ipv4" | "ipv6"}] [, callback]) -> {{address = "127.0.0.1", family = "ipv4"}, ...}
 * Async. All addresses of a host name, the one to try first first. A numeric address is answered as it is.
 * Fails with nil, message, code: "EAI_NONAME" (no such name), "EAI_AGAIN" (no answer now), and the like.
 *   for _, found in ipairs(assert(dns.lookup("localhost"))) do print(found.address) end */
static int l_lookup(lua_State *L) {
  static const struct ls_op_type type = {"dns.lookup", push_lookup, cancel_lookup, free_lookup};
  int callback_index = lua_isfunction(L, 2) ? 2 : 3;
  size_t size;
  const char *name = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, strlen(name) == size, 1, "a name has no NUL in it");
  int family = callback_index == 3 ? check_family(L, 2) : AF_UNSPEC;
  ls_op_check(L, callback_index, type.name);
  struct lookup *lookup = ls_op_alloc(L, sizeof *lookup);
  ls_op_init(L, &lookup->op, &type);
  int status = ls_lookup_init(&lookup->lookup, name, family, on_lookup);
  if (status == 0 && ls_lookup_numeric(&lookup->lookup))
    ls_op_done(&lookup->op);
  else if (status == 0)
    status = ls_lookup_start(lookup->op.rt->loop, &lookup->lookup);
  if (status != 0) {
    free_lookup(&lookup->op);
    return ls_push_failure(L, status, "lookup '%s'", name);
  }
  return ls_op_await(L, &lookup->op, callback_index);
}

int luaopen_luaserve_dns(lua_State *L) {
  static const luaL_Reg functions[] = {{"lookup", l_lookup}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
