/* SPDX-License-Identifier: MIT */
/* resolve: dns.resolve, and which name servers it asks. The resolver is one per runtime: the first upvalue of these
 * functions, and in the registry. */
#include <arpa/inet.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/dns/impl.h"
#include "loop/loop.h"
#include "loop/resolver.h"
#include "script/handle.h"
#include "script/op.h"
#include "script/options.h"
#include "script/runtime.h"

#define RESOLVER "luaserve.dns_resolver"
#define DNS_PORT 53
#define DEFAULT_TIMEOUT_MS 2000
#define MAX_TIMEOUT_MS 3600000 /* doubled MAX_TRIES times it is still an int */
#define DEFAULT_TRIES 3
#define MAX_TRIES 9
#define SERVER_TEXT_SIZE (INET6_ADDRSTRLEN + sizeof "[]:65535")

struct resolve {
  struct ls_op op;
  struct ls_question question;
  char name[];
};

static struct ls_resolver *get_resolver(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

/* ---- dns.resolve ---- */

static int push_resolve(lua_State *L, struct ls_op *op) {
  const struct resolve *resolve = ls_container_of(op, struct resolve, op);
  const struct ls_question *question = &resolve->question;
  int status = question->status;
  if (status == 0)
    status = ls_dns_push_records(L, question->type, question->answer, question->answer_len);
  if (status == 0)
    return 1;
  return ls_push_failure(L, status, "resolve %s '%s'", ls_dns_type_name(question->type), resolve->name);
}

static bool cancel_resolve(struct ls_op *op) {
  ls_resolver_cancel(&ls_container_of(op, struct resolve, op)->question);
  return true;
}

static void free_resolve(struct ls_op *op) {
  struct resolve *resolve = ls_container_of(op, struct resolve, op);
  ls_question_dispose(&resolve->question);
  free(resolve);
}

static void on_resolve(struct ls_question *question) {
  ls_op_done(&ls_container_of(question, struct resolve, question)->op);
}

static struct ls_question check_question(lua_State *L) {
  static const char *const known[] = {"timeout", "tries", NULL};
  struct ls_question question = {.done = on_resolve};
  size_t size;
  question.name = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, strlen(question.name) == size, 1, "a name has no NUL in it");
  question.type = ls_dns_check_type(L, 2);
  ls_options_check(L, 3, "dns.resolve", known);
  uint64_t timeout_ms = ls_option_seconds(L, 3, "timeout", DEFAULT_TIMEOUT_MS);
  if (timeout_ms == 0 || timeout_ms > MAX_TIMEOUT_MS)
    luaL_error(L, "option 'timeout' must be more than 0 and at most 3600 seconds");
  question.timeout_ms = (unsigned)timeout_ms;
  question.tries = (unsigned)ls_option_integer(L, 3, "tries", 1, MAX_TRIES, DEFAULT_TRIES);
  return question;
}

/* dns.resolve(name [, type = "A" [, {timeout = 2, tries = 3}]] [, callback]) -> {record, ...}
 * Async. Asks the name servers for the records of one type: not /etc/hosts, no search domains (see dns.lookup). Aliases
 * are followed. Each record is a table with ttl (seconds) and, by type:
 *   A, AAAA: address. NS, CNAME, PTR: name. MX: exchange, priority. SRV: name, port, priority, weight. TXT: text.
 *   CAA: flags, tag, value. SOA: primary, hostmaster, serial, refresh, retry, expire, minimum.
 * timeout: seconds that the first try with a server may take; each further round of tries takes twice as long as the
 * one before. tries: with each server, 1 to 9.
 * Fails with nil, message, code: "ENOTFOUND" (no such name), "ENODATA" (the name has no such record), "ESERVFAIL",
 * "EREFUSED", "ENOTIMP", "EFORMERR" (no server could say), "EBADRESP" (a malformed answer), "EBADNAME",
 * "ECONNREFUSED", "ETIMEDOUT".
 *   for _, mx in ipairs(assert(dns.resolve("example.com", "MX"))) do print(mx.priority, mx.exchange) end */
static int l_resolve(lua_State *L) {
  static const struct ls_op_type type = {"dns.resolve", push_resolve, cancel_resolve, free_resolve};
  for (int i = 2; i < 4; i++) {
    if (lua_isfunction(L, i)) {
      lua_pushnil(L);
      lua_insert(L, i);
    }
  }
  struct ls_question question = check_question(L);
  ls_op_check(L, 4, type.name);
  size_t size = strlen(question.name) + 1;
  struct resolve *resolve = ls_op_alloc(L, sizeof *resolve + size);
  ls_op_init(L, &resolve->op, &type);
  memcpy(resolve->name, question.name, size);
  resolve->question = question;
  resolve->question.name = resolve->name;
  int status = ls_resolver_ask(get_resolver(L), &resolve->question);
  if (status != 0) {
    free_resolve(&resolve->op);
    return ls_push_failure(L, status, "resolve %s '%s'", ls_dns_type_name(question.type), question.name);
  }
  return ls_op_await(L, &resolve->op, 4);
}

/* ---- servers ---- */

static bool parse_port(const char *text, int *port) {
  char *end;
  if (*text < '0' || *text > '9')
    return false;
  long number = strtol(text, &end, 10);
  *port = (int)number;
  return *end == '\0' && number >= 1 && number <= 65535;
}

/* Splits "[::1]:53", "[::1]", "127.0.0.1:53", or an address alone. */
static bool split_server(const char *text, char address[INET6_ADDRSTRLEN], int *port) {
  const char *start = text, *end, *colon;
  *port = DNS_PORT;
  if (*text == '[') {
    start++;
    end = strchr(start, ']');
    if (end == NULL || (end[1] != '\0' && (end[1] != ':' || !parse_port(end + 2, port))))
      return false;
  } else {
    colon = strchr(text, ':');
    bool has_port = colon != NULL && strchr(colon + 1, ':') == NULL;
    end = has_port ? colon : text + strlen(text);
    if (has_port && !parse_port(colon + 1, port))
      return false;
  }
  size_t len = (size_t)(end - start);
  if (len >= INET6_ADDRSTRLEN)
    return false;
  memcpy(address, start, len);
  address[len] = '\0';
  return true;
}

static bool parse_server(const char *text, struct ls_resolver_server *server) {
  char address[INET6_ADDRSTRLEN];
  *server = (struct ls_resolver_server){.family = AF_INET};
  if (!split_server(text, address, &server->port))
    return false;
  if (*text != '[' && inet_pton(AF_INET, address, server->address) == 1)
    return true;
  server->family = AF_INET6;
  return inet_pton(AF_INET6, address, server->address) == 1;
}

/* dns.set_servers([{"127.0.0.1:5353", "[::1]:53", "192.0.2.1"}]) -> true
 * The name servers that dns.resolve asks from now on, in this order, at most 16; queries that are under way keep theirs.
 * The port is 53 unless given. No list: those of /etc/resolv.conf, which is read again. dns.lookup and dns.reverse are
 * the system's and always ask its own. Raises for what is not an address.
 *   dns.set_servers({"9.9.9.9", "149.112.112.112"}) */
static int l_set_servers(lua_State *L) {
  struct ls_resolver_server servers[LS_RESOLVER_SERVERS];
  if (lua_isnoneornil(L, 1)) {
    ls_resolver_set_servers(get_resolver(L), NULL, 0);
    lua_pushboolean(L, 1);
    return 1;
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer count = luaL_len(L, 1);
  luaL_argcheck(L, count >= 1 && count <= LS_RESOLVER_SERVERS, 1, "a list of 1 to 16 servers expected");
  for (lua_Integer i = 1; i <= count; i++) {
    lua_geti(L, 1, i);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (text == NULL || !parse_server(text, &servers[i - 1]))
      return luaL_error(L, "dns.set_servers: not an address with or without a port: '%s'", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
  }
  ls_resolver_set_servers(get_resolver(L), servers, (int)count);
  lua_pushboolean(L, 1);
  return 1;
}

static void push_server(lua_State *L, const struct ls_resolver_server *server) {
  char address[INET6_ADDRSTRLEN], text[SERVER_TEXT_SIZE];
  inet_ntop(server->family, server->address, address, sizeof address);
  if (server->port == DNS_PORT)
    snprintf(text, sizeof text, "%s", address);
  else
    snprintf(text, sizeof text, server->family == AF_INET6 ? "[%s]:%d" : "%s:%d", address, server->port);
  lua_pushstring(L, text);
}

/* dns.get_servers() -> {"127.0.0.1:5353", "::1"}
 * The name servers that dns.resolve asks, as dns.set_servers takes them; port 53 is not written. Does not wait: where
 * none have been set it reads /etc/resolv.conf. Fails with nil, message, code. */
static int l_get_servers(lua_State *L) {
  struct ls_resolver *resolver = get_resolver(L);
  int status = ls_resolver_load_servers(resolver);
  if (status != 0)
    return ls_push_failure(L, status, "dns.get_servers");
  lua_createtable(L, resolver->server_count, 0);
  for (int i = 0; i < resolver->server_count; i++) {
    push_server(L, &resolver->servers[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* ---- the resolver ---- */

static int l_resolver_gc(lua_State *L) {
  ls_resolver_dispose(luaL_checkudata(L, 1, RESOLVER));
  return 0;
}

/* The same one when the module is loaded a second time. */
static void push_resolver(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", l_resolver_gc}, {NULL, NULL}};
  static const char key = 'r';
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) != LUA_TNIL)
    return;
  lua_pop(L, 1);
  ls_handle_type(L, RESOLVER, methods, metamethods);
  struct ls_resolver *resolver = lua_newuserdatauv(L, sizeof *resolver, 0);
  ls_resolver_init(resolver, ls_runtime_of(L)->loop);
  luaL_setmetatable(L, RESOLVER);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}

void ls_dns_open_resolve(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"get_servers", l_get_servers}, {"resolve", l_resolve}, {"set_servers", l_set_servers}, {NULL, NULL}};
  push_resolver(L);
  luaL_setfuncs(L, functions, 1);
}
