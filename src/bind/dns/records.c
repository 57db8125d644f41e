/* SPDX-License-Identifier: MIT */
/* records: records of a name server's answer as Lua tables. What a record holds beyond what its type says makes it
 * as malformed as what it lacks. */
#include <arpa/inet.h>
#include <lauxlib.h>
#include <string.h>

#include "base/error.h"
#include "bind/dns/impl.h"
#include "loop/dns_answer.h"

/* Each sets the fields of the table at the top and returns 0 or LS_EBADRESP. */
typedef int (*set_fields)(lua_State *L, struct ls_dns_record *record);

static int set_number(lua_State *L, struct ls_dns_record *record, size_t bytes, const char *field) {
  uint32_t number;
  int status = ls_dns_read_number(record, bytes, &number);
  lua_pushinteger(L, number);
  lua_setfield(L, -2, field);
  return status;
}

static int set_name(lua_State *L, struct ls_dns_record *record, const char *field) {
  char name[LS_DNS_NAME_SIZE];
  int status = ls_dns_read_name(record, name);
  lua_pushstring(L, status == 0 ? name : "");
  lua_setfield(L, -2, field);
  return status;
}

static int set_bytes(lua_State *L, struct ls_dns_record *record, size_t len, const char *field) {
  const unsigned char *bytes;
  int status = ls_dns_read_bytes(record, len, &bytes);
  lua_pushlstring(L, status == 0 ? (const char *)bytes : "", status == 0 ? len : 0);
  lua_setfield(L, -2, field);
  return status;
}

static int set_address(lua_State *L, struct ls_dns_record *record, int family, size_t len) {
  const unsigned char *bytes;
  char text[INET6_ADDRSTRLEN];
  if (ls_dns_read_bytes(record, len, &bytes) != 0)
    return LS_EBADRESP;
  lua_pushstring(L, inet_ntop(family, bytes, text, sizeof text));
  lua_setfield(L, -2, "address");
  return 0;
}

static int set_a(lua_State *L, struct ls_dns_record *record) {
  return set_address(L, record, AF_INET, 4);
}

static int set_aaaa(lua_State *L, struct ls_dns_record *record) {
  return set_address(L, record, AF_INET6, 16);
}

static int set_only_name(lua_State *L, struct ls_dns_record *record) {
  return set_name(L, record, "name");
}

static int set_mx(lua_State *L, struct ls_dns_record *record) {
  int status = set_number(L, record, 2, "priority");
  return status != 0 ? status : set_name(L, record, "exchange");
}

/* Strings of up to 255 bytes, which mean one text. */
static int set_txt(lua_State *L, struct ls_dns_record *record) {
  luaL_Buffer text;
  int status = 0;
  luaL_buffinit(L, &text);
  while (status == 0 && !ls_dns_record_is_read(record)) {
    const unsigned char *bytes;
    uint32_t len;
    status = ls_dns_read_number(record, 1, &len);
    if (status == 0)
      status = ls_dns_read_bytes(record, len, &bytes);
    if (status == 0)
      luaL_addlstring(&text, (const char *)bytes, len);
  }
  luaL_pushresult(&text);
  lua_setfield(L, -2, "text");
  return status;
}

static int set_srv(lua_State *L, struct ls_dns_record *record) {
  int status = set_number(L, record, 2, "priority");
  if (status == 0)
    status = set_number(L, record, 2, "weight");
  if (status == 0)
    status = set_number(L, record, 2, "port");
  return status != 0 ? status : set_name(L, record, "name");
}

static int set_caa(lua_State *L, struct ls_dns_record *record) {
  uint32_t tag_len = 0;
  int status = set_number(L, record, 1, "flags");
  if (status == 0)
    status = ls_dns_read_number(record, 1, &tag_len);
  if (status == 0)
    status = tag_len > 0 ? set_bytes(L, record, tag_len, "tag") : LS_EBADRESP;
  return status != 0 ? status : set_bytes(L, record, record->end - record->at, "value");
}

static int set_soa(lua_State *L, struct ls_dns_record *record) {
  static const char *const numbers[] = {"serial", "refresh", "retry", "expire", "minimum"};
  int status = set_name(L, record, "primary");
  if (status == 0)
    status = set_name(L, record, "hostmaster");
  for (size_t i = 0; status == 0 && i < sizeof numbers / sizeof *numbers; i++)
    status = set_number(L, record, 4, numbers[i]);
  return status;
}

static const struct type {
  const char *name;
  int number;
  set_fields set;
} types[] = {
    {"A", LS_DNS_A, set_a},
    {"AAAA", LS_DNS_AAAA, set_aaaa},
    {"CAA", LS_DNS_CAA, set_caa},
    {"CNAME", LS_DNS_CNAME, set_only_name},
    {"MX", LS_DNS_MX, set_mx},
    {"NS", LS_DNS_NS, set_only_name},
    {"PTR", LS_DNS_PTR, set_only_name},
    {"SOA", LS_DNS_SOA, set_soa},
    {"SRV", LS_DNS_SRV, set_srv},
    {"TXT", LS_DNS_TXT, set_txt},
};

#define TYPES (sizeof types / sizeof *types)

static const struct type *find_type(int number) {
  size_t i = 0;
  while (types[i].number != number)
    i++;
  return &types[i];
}

const char *ls_dns_type_name(int type) {
  return find_type(type)->name;
}

int ls_dns_check_type(lua_State *L, int index) {
  const char *name = luaL_optstring(L, index, "A");
  for (size_t i = 0; i < TYPES; i++) {
    if (strcmp(types[i].name, name) == 0)
      return types[i].number;
  }
  return luaL_error(L, "dns.resolve: no record type '%s': it is A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV or TXT",
                    name);
}

static int push_record(lua_State *L, struct ls_dns_record *record, set_fields set) {
  lua_newtable(L);
  lua_pushinteger(L, record->ttl);
  lua_setfield(L, -2, "ttl");
  int status = set(L, record);
  return status == 0 && !ls_dns_record_is_read(record) ? LS_EBADRESP : status;
}

/* Records of other types are the CNAMEs on the way, which name servers follow by themselves. */
static int push_all(lua_State *L, int type, struct ls_dns_answer *answer) {
  struct ls_dns_record record;
  set_fields set = find_type(type)->set;
  lua_Integer count = 0;
  int more;
  while ((more = ls_dns_answer_next(answer, &record)) > 0) {
    if (record.type != type)
      continue;
    int status = push_record(L, &record, set);
    lua_rawseti(L, -2, ++count);
    if (status != 0)
      return status;
  }
  return more == 0 && count == 0 ? LS_ENODATA : more;
}

int ls_dns_push_records(lua_State *L, int type, const unsigned char *bytes, size_t len) {
  struct ls_dns_answer answer;
  int status = ls_dns_answer_init(&answer, bytes, len);
  if (status != 0)
    return status;
  luaL_checkstack(L, 8, NULL);
  lua_newtable(L);
  status = push_all(L, type, &answer);
  if (status != 0)
    lua_pop(L, 1);
  return status;
}
