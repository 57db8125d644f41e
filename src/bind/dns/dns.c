/* SPDX-License-Identifier: MIT */
/* require "luaserve.dns". Here: what names and addresses mean, asked the way every other program of this machine asks
 * (/etc/hosts, the resolver's configuration); dns.resolve, which asks name servers itself, is in resolve.c. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "bind/dns/impl.h"
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

struct reverse {
  struct ls_op op;
  struct ls_reverse reverse;
  char address[];
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
  const char *family = ls_option_string(L, index, "family", NULL);
  if (family == NULL)
    return AF_UNSPEC;
  if (strcmp(family, "ipv4") == 0)
    return AF_INET;
  if (strcmp(family, "ipv6") == 0)
    return AF_INET6;
  return luaL_error(L, "option 'family' must be 'ipv4' or 'ipv6', not '%s'", family);
}

static void check_lookup_options(lua_State *L, int index, int *family, int *flags) {
  static const char *const known[] = {"addrconfig", "all", "family", "v4mapped", NULL};
  ls_options_check(L, index, "dns.lookup", known);
  *family = check_family(L, index);
  *flags = ls_option_boolean(L, index, "addrconfig", false) ? AI_ADDRCONFIG : 0;
  bool mapped = ls_option_boolean(L, index, "v4mapped", false);
  bool all = ls_option_boolean(L, index, "all", false);
  if (mapped && *family != AF_INET6)
    luaL_error(L, "option 'v4mapped' needs family = 'ipv6'");
  if (all && !mapped)
    luaL_error(L, "option 'all' needs v4mapped = true");
  *flags |= (mapped ? AI_V4MAPPED : 0) | (all ? AI_ALL : 0);
}

/* dns.lookup(name [, options] [, callback]) -> {{address = "127.0.0.1", family = "ipv4"}, ...}
 * Async. All addresses of a host name, the one to try first first. A numeric address is answered as it is.
 * Options: family = "ipv4" | "ipv6": only those. The hints of getaddrinfo(3): addrconfig = true: only of families that
 * this machine has an address of, loopback aside; v4mapped = true (with family "ipv6"): IPv4 addresses, as
 * "::ffff:192.0.2.1", of a name that has no IPv6 ones; all = true (with v4mapped): those besides the IPv6 ones.
 * Fails with nil, message, code: "EAI_NONAME" (no such name), "EAI_AGAIN" (no answer now), and the like.
 *   for _, found in ipairs(assert(dns.lookup("localhost"))) do print(found.address) end */
static int l_lookup(lua_State *L) {
  static const struct ls_op_type type = {"dns.lookup", push_lookup, cancel_lookup, free_lookup};
  int callback_index = lua_isfunction(L, 2) ? 2 : 3;
  int family = AF_UNSPEC, flags = 0;
  size_t size;
  const char *name = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, strlen(name) == size, 1, "a name has no NUL in it");
  if (callback_index == 3)
    check_lookup_options(L, 2, &family, &flags);
  ls_op_check(L, callback_index, type.name);
  struct lookup *lookup = ls_op_alloc(L, sizeof *lookup);
  ls_op_init(L, &lookup->op, &type);
  int status = ls_lookup_init(&lookup->lookup, name, family, on_lookup);
  lookup->lookup.flags = flags;
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

/* ---- dns.reverse ---- */

static int push_reverse(lua_State *L, struct ls_op *op) {
  const struct reverse *reverse = ls_container_of(op, struct reverse, op);
  const struct hostent *entry = &reverse->reverse.entry;
  if (reverse->reverse.status != 0)
    return ls_push_failure(L, reverse->reverse.status, "reverse '%s'", reverse->address);
  lua_newtable(L);
  lua_pushstring(L, entry->h_name);
  lua_rawseti(L, -2, 1);
  for (lua_Integer i = 0; entry->h_aliases != NULL && entry->h_aliases[i] != NULL; i++) {
    lua_pushstring(L, entry->h_aliases[i]);
    lua_rawseti(L, -2, i + 2);
  }
  return 1;
}

static bool cancel_reverse(struct ls_op *op) {
  return ls_reverse_cancel(&ls_container_of(op, struct reverse, op)->reverse);
}

static void free_reverse(struct ls_op *op) {
  struct reverse *reverse = ls_container_of(op, struct reverse, op);
  ls_reverse_dispose(&reverse->reverse);
  free(reverse);
}

static void on_reverse(struct ls_reverse *reverse) {
  ls_op_done(&ls_container_of(reverse, struct reverse, reverse)->op);
}

/* dns.reverse(address [, callback]) -> {"localhost", "ip6-localhost"}
 * Async. The names of an address, the main one first: those of its line in /etc/hosts, else what name servers say.
 * Fails with nil, message, code: "EAI_NONAME" (it has none), "EAI_AGAIN" (no answer now), "EINVAL" (not an address).
 *   local names = dns.reverse(req.remote_address) */
static int l_reverse(lua_State *L) {
  static const struct ls_op_type type = {"dns.reverse", push_reverse, cancel_reverse, free_reverse};
  size_t size;
  const char *address = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, strlen(address) == size, 1, "an address has no NUL in it");
  ls_op_check(L, 2, type.name);
  struct reverse *reverse = ls_op_alloc(L, sizeof *reverse + size + 1);
  ls_op_init(L, &reverse->op, &type);
  memcpy(reverse->address, address, size + 1);
  int status = ls_reverse_init(&reverse->reverse, address, on_reverse);
  if (status == 0)
    status = ls_reverse_start(reverse->op.rt->loop, &reverse->reverse);
  if (status != 0) {
    free_reverse(&reverse->op);
    return ls_push_failure(L, status, "reverse '%s'", address);
  }
  return ls_op_await(L, &reverse->op, 2);
}

int luaopen_luaserve_dns(lua_State *L) {
  static const luaL_Reg functions[] = {{"lookup", l_lookup}, {"reverse", l_reverse}, {NULL, NULL}};
  luaL_newlib(L, functions);
  ls_dns_open_resolve(L);
  return 1;
}
