/* SPDX-License-Identifier: MIT */
/* net.connect: looks the name up, and lets a dialer race its addresses. */
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "bind/net/impl.h"
#include "loop/address.h"
#include "loop/dialer.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "script/op.h"
#include "script/options.h"
#include "script/runtime.h"

#define NS_PER_MS UINT64_C(1000000)
#define LEAST_DELAY_MS 10 /* RFC 8305, section 5 */

struct connect {
  struct ls_op op;
  struct ls_timer timer;
  struct ls_net_name *name; /* being looked up, or that could not be */
  struct ls_dialer dialer;
  int port;
  int fd; /* connected; -1 */
  int status;
  bool is_about_address; /* status is what dialer.addresses[told] said */
  char target[];         /* what was asked for: "host:port" or the path */
};

/* What connect was asked for. */
struct target {
  const char *host, *path;
  int addresses; /* how many are in the option of that name */
  int port;
  uint64_t timeout_ms, delay_ms;
  int callback_index;
};

/* ---- the course of things ---- */

static void finish(struct connect *connect, int status) {
  connect->status = status;
  ls_timer_stop(connect->op.rt->loop, &connect->timer);
  ls_op_done(&connect->op);
}

static void on_dialed(struct ls_dialer *dialer, int fd, int status) {
  struct connect *connect = ls_container_of(dialer, struct connect, dialer);
  connect->fd = fd;
  connect->is_about_address = true;
  finish(connect, status);
}

static int add_found(struct connect *connect, const struct addrinfo *found) {
  int status = 0;
  for (; found != NULL && status == 0; found = found->ai_next) {
    struct sockaddr_storage address = {0};
    if (found->ai_family != AF_INET && found->ai_family != AF_INET6)
      continue;
    memcpy(&address, found->ai_addr, found->ai_addrlen);
    ls_address_set_port(&address, connect->port);
    status = ls_dialer_add(&connect->dialer, (struct sockaddr *)&address, found->ai_addrlen);
  }
  return status == 0 && connect->dialer.count == 0 ? UV_EAI_NODATA : status;
}

static void on_found(void *owner) {
  struct connect *connect = owner;
  const struct ls_lookup *lookup = &connect->name->lookup;
  int status = lookup->status != 0 ? lookup->status : add_found(connect, lookup->found);
  if (status == 0)
    ls_dialer_start(connect->op.rt->loop, &connect->dialer);
  else
    finish(connect, status);
}

static void on_timeout(struct ls_timer *timer) {
  struct connect *connect = ls_container_of(timer, struct connect, timer);
  ls_net_name_drop(connect->name);
  connect->name = NULL;
  ls_dialer_dispose(&connect->dialer);
  finish(connect, UV_ETIMEDOUT);
}

/* ---- its end ---- */

static void format_told(const struct ls_dialer *dialer, char *text, size_t size) {
  const struct sockaddr *address = (const struct sockaddr *)&dialer->addresses[dialer->told].address;
  struct ls_net_address told = {.is_path = address->sa_family == AF_UNIX};
  if (told.is_path)
    memcpy(told.text, ((const struct sockaddr_un *)(const void *)address)->sun_path, sizeof told.text - 1);
  else
    ls_address_text(address, told.text, sizeof told.text, &told.port);
  ls_net_address_format(&told, text, size);
}

static int push_connect(lua_State *L, struct ls_op *op) {
  struct connect *connect = ls_container_of(op, struct connect, op);
  char text[LS_NET_FORMAT_SIZE];
  if (connect->status == 0) {
    struct ls_net_socket **slot = ls_net_socket_push(L);
    int fd = connect->fd;
    connect->fd = -1;
    int family = connect->dialer.addresses[connect->dialer.told].address.ss_family;
    *slot = ls_net_socket_open(op->rt, fd, family, &connect->status);
  }
  if (connect->status == 0)
    return 1;
  if (connect->is_about_address) {
    format_told(&connect->dialer, text, sizeof text);
    return ls_push_failure(L, connect->status, "connect %s", text);
  }
  if (connect->name != NULL)
    return ls_push_failure(L, connect->status, "lookup '%s'", connect->name->lookup.host);
  return ls_push_failure(L, connect->status, "connect %s", connect->target);
}

static bool cancel_connect(struct ls_op *op) {
  (void)op; /* freeing stops everything */
  return true;
}

static void free_connect(struct ls_op *op) {
  struct connect *connect = ls_container_of(op, struct connect, op);
  ls_timer_stop(op->rt->loop, &connect->timer);
  ls_net_name_drop(connect->name);
  ls_dialer_dispose(&connect->dialer);
  if (connect->fd >= 0)
    close(connect->fd);
  free(connect);
}

/* ---- its beginning ---- */

static void check_text(lua_State *L, const char *what, const char *text, size_t size) {
  if (*text == '\0' || strlen(text) != size)
    luaL_error(L, "net.connect: %s must not be empty or have a NUL in it", what);
}

static uint64_t check_delay(lua_State *L, int index) {
  uint64_t delay_ms = ls_option_seconds(L, index, "attempt_delay", LS_DIALER_DELAY_NS / NS_PER_MS);
  if (delay_ms != 0 && delay_ms < LEAST_DELAY_MS)
    luaL_error(L, "option 'attempt_delay' must be at least 0.01, or false");
  return delay_ms;
}

/* Every one is looked at before anything is allocated. */
static int check_addresses(lua_State *L, int index) {
  struct sockaddr_storage address;
  int type = lua_getfield(L, index, "addresses");
  if (type != LUA_TNIL && (type != LUA_TTABLE || lua_rawlen(L, -1) == 0))
    luaL_error(L, "option 'addresses' must be a list of numeric addresses");
  lua_Integer count = type == LUA_TNIL ? 0 : (lua_Integer)lua_rawlen(L, -1);
  for (lua_Integer i = 1; i <= count; i++) {
    const char *text = lua_rawgeti(L, -1, i) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    if (ls_address_parse(text, 0, &address) != 0)
      luaL_error(L, "option 'addresses' must be a list of numeric addresses; %s is none", luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return (int)count;
}

static struct target check_target_table(lua_State *L) {
  static const char *const known[] = {"addresses", "attempt_delay", "host", "path", "port", "timeout", NULL};
  ls_options_check(L, 1, "net.connect", known);
  struct target target = {.host = ls_option_string(L, 1, "host", NULL),
                          .path = ls_option_string(L, 1, "path", NULL),
                          .addresses = check_addresses(L, 1),
                          .port = (int)ls_option_integer(L, 1, "port", 1, 65535, 0),
                          .timeout_ms = ls_option_seconds(L, 1, "timeout", 0),
                          .delay_ms = check_delay(L, 1),
                          .callback_index = 2};
  int ways = (target.host != NULL) + (target.path != NULL) + (target.addresses > 0);
  if (ways != 1 || (target.path == NULL) != (target.port != 0))
    luaL_error(L, "net.connect: give host and port, addresses and port, or path");
  if (target.addresses > 0)
    return target;
  lua_getfield(L, 1, target.host != NULL ? "host" : "path");
  check_text(L, target.host != NULL ? "host" : "path", lua_tostring(L, -1), lua_rawlen(L, -1));
  lua_pop(L, 1);
  return target;
}

static struct target check_target(lua_State *L) {
  static const char *const known[] = {"attempt_delay", "timeout", NULL};
  if (lua_istable(L, 1))
    return check_target_table(L);
  size_t size;
  struct target target = {.host = luaL_checklstring(L, 1, &size)};
  check_text(L, "host", target.host, size);
  lua_Integer port = luaL_checkinteger(L, 2);
  luaL_argcheck(L, port >= 1 && port <= 65535, 2, "a port is from 1 to 65535");
  target.port = (int)port;
  target.callback_index = lua_isfunction(L, 3) ? 3 : 4;
  int index = target.callback_index == 4 ? 3 : 0;
  if (index != 0)
    ls_options_check(L, index, "net.connect", known);
  target.timeout_ms = index != 0 ? ls_option_seconds(L, index, "timeout", 0) : 0;
  target.delay_ms = index != 0 ? check_delay(L, index) : LS_DIALER_DELAY_NS / NS_PER_MS;
  return target;
}

static const struct ls_op_type connect_type = {"net.connect", push_connect, cancel_connect, free_connect};

/* Pushes what the target is called in messages. */
static const char *push_target_text(lua_State *L, const struct target *target) {
  if (target->path != NULL)
    return lua_pushstring(L, target->path);
  if (target->host == NULL)
    return lua_pushfstring(L, "port %d of %d addresses", target->port, target->addresses);
  return lua_pushfstring(L, strchr(target->host, ':') != NULL ? "[%s]:%d" : "%s:%d", target->host, target->port);
}

/* Leaves the text of the target on the stack. */
static struct connect *new_connect(lua_State *L, const struct target *target) {
  const char *text = push_target_text(L, target);
  size_t size = strlen(text) + 1;
  struct connect *connect = ls_op_alloc(L, sizeof *connect + size);
  ls_op_init(L, &connect->op, &connect_type);
  connect->fd = -1;
  connect->port = target->port;
  connect->timer.fire = on_timeout;
  connect->dialer.delay_ns = target->delay_ms * NS_PER_MS;
  connect->dialer.on_done = on_dialed;
  memcpy(connect->target, text, size);
  return connect;
}

static int begin_path(struct connect *connect, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path)
    return -ENAMETOOLONG;
  strcpy(address.sun_path, path);
  int status = ls_dialer_add(&connect->dialer, (struct sockaddr *)&address, sizeof address);
  if (status == 0)
    ls_dialer_start(connect->op.rt->loop, &connect->dialer);
  return status;
}

static int add_numeric(struct connect *connect, const char *text) {
  struct sockaddr_storage address;
  int status = ls_address_parse(text, connect->port, &address);
  const struct sockaddr *generic = (const struct sockaddr *)&address;
  return status == 0 ? ls_dialer_add(&connect->dialer, generic, ls_address_size(generic)) : status;
}

static int begin_host(struct connect *connect, const char *host) {
  int status = add_numeric(connect, host);
  if (status == 0)
    ls_dialer_start(connect->op.rt->loop, &connect->dialer);
  if (status != -EINVAL)
    return status;
  connect->name = ls_net_name_new(host, AF_UNSPEC, connect, on_found);
  return connect->name == NULL ? -ENOMEM : ls_net_name_start(connect->name, connect->op.rt->loop);
}

/* The list is above the callback. Nothing raises here: it was checked, and is read raw. */
static int begin_addresses(lua_State *L, struct connect *connect, const struct target *target) {
  int status = 0;
  for (int i = 1; status == 0 && i <= target->addresses; i++) {
    const char *text = lua_rawgeti(L, target->callback_index + 1, i) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    status = add_numeric(connect, text);
    lua_pop(L, 1);
  }
  if (status == 0)
    ls_dialer_start(connect->op.rt->loop, &connect->dialer);
  return status;
}

static int begin(lua_State *L, struct connect *connect, const struct target *target) {
  int status = 0;
  if (target->timeout_ms > 0)
    status = ls_timer_start(connect->op.rt->loop, &connect->timer, target->timeout_ms * NS_PER_MS);
  if (status != 0)
    return status;
  if (target->path != NULL)
    return begin_path(connect, target->path);
  return target->host != NULL ? begin_host(connect, target->host) : begin_addresses(L, connect, target);
}

/* net.connect(host, port [, {timeout = seconds, attempt_delay = seconds}] [, callback]) -> socket
 * net.connect({host =, port =, timeout =, attempt_delay =} [, callback]) -> socket
 * net.connect({addresses = {...}, port =, timeout =, attempt_delay =} [, callback]) -> socket
 * net.connect({path =, timeout =} [, callback]) -> socket of a unix socket
 * Async. The addresses of a name (or those given, all numeric) are tried as RFC 8305 says: IPv6 and IPv4 by turns,
 * beginning with the family of the first one; the next one attempt_delay (0.25; false: never) after the one before it,
 * or as soon as that has failed; the first to connect wins. timeout (none) bounds it all, the lookup too.
 * Fails with nil, message, code: what the first address said ("ECONNREFUSED", "ETIMEDOUT", ...), unless that was only
 * that this machine has no way to it ("ENETUNREACH", "EADDRNOTAVAIL") and another one said more; "ETIMEDOUT" (timeout);
 * what the lookup said ("EAI_NONAME").
 *   local sock <close> = assert(net.connect("example.com", 80, {timeout = 5})) */
int ls_net_l_connect(lua_State *L) {
  struct target target = check_target(L);
  ls_op_check(L, target.callback_index, connect_type.name);
  luaL_checkstack(L, 8, NULL);
  lua_settop(L, target.callback_index);
  if (target.addresses > 0)
    lua_getfield(L, 1, "addresses");
  struct connect *connect = new_connect(L, &target);
  int status = begin(L, connect, &target);
  if (status != 0) {
    free_connect(&connect->op);
    return ls_push_failure(L, status, "connect %s", lua_tostring(L, -1)); /* the target's text, left there */
  }
  return ls_op_await(L, &connect->op, target.callback_index);
}
