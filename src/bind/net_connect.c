/* SPDX-License-Identifier: MIT */
/* net.connect: looks the name up, then tries its addresses one after another. Each attempt has memory of its own,
 * because its handle closes later than the next one begins (and so that several could race). */
#include <errno.h>
#include <lauxlib.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "bind/net_impl.h"
#include "loop/connector.h"
#include "loop/lookup.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "script/op.h"
#include "script/options.h"
#include "script/runtime.h"

#define NS_PER_MS UINT64_C(1000000)

struct connect;

/* Outlives a connect that gives up while it runs. */
struct name {
  struct ls_lookup lookup;
  struct connect *connect; /* NULL: it has given up */
  bool running;
};

struct attempt {
  struct ls_connector connector;
  struct connect *connect; /* NULL: it has given up, or got its answer */
};

struct connect {
  struct ls_op op;
  struct ls_timer timer;
  struct name *name;           /* NULL for a unix socket */
  const struct addrinfo *next; /* the address to try next */
  struct attempt *attempt;     /* that runs now */
  struct sockaddr_un path;     /* of a unix socket, if next_is_path */
  bool next_is_path;
  int port;
  int fd;                        /* connected; -1 */
  int family;                    /* of the last attempt */
  int status;                    /* of the last attempt, or what ended it all */
  const char *what;              /* for the message: what failed with status */
  char last[LS_NET_FORMAT_SIZE]; /* the last address tried */
  char target[];                 /* what was asked for: "host:port" or the path */
};

static void free_name(struct name *name) {
  ls_lookup_dispose(&name->lookup);
  free(name);
}

/* Nobody waits any more for what still runs. */
static void give_up(struct connect *connect) {
  ls_timer_stop(connect->op.rt->loop, &connect->timer);
  struct attempt *attempt = connect->attempt;
  if (attempt != NULL) {
    connect->attempt = NULL;
    attempt->connect = NULL;
    ls_connector_cancel(&attempt->connector);
  }
  struct name *name = connect->name;
  if (name != NULL && name->running) {
    connect->name = NULL;
    name->connect = NULL;
    if (ls_lookup_cancel(&name->lookup))
      free_name(name);
  }
}

static void finish(struct connect *connect, int status, const char *what) {
  connect->status = status;
  connect->what = what;
  give_up(connect);
  ls_op_done(&connect->op);
}

static void try_next(struct connect *connect);

static void on_connected(struct ls_connector *connector, int fd, int status) {
  struct attempt *attempt = ls_container_of(connector, struct attempt, connector);
  struct connect *connect = attempt->connect;
  attempt->connect = NULL;
  connect->attempt = NULL;
  connect->status = status;
  connect->fd = fd;
  if (status == 0)
    finish(connect, 0, NULL);
  else
    try_next(connect);
}

static void on_attempt_closed(struct ls_connector *connector) {
  free(ls_container_of(connector, struct attempt, connector));
}

static int start_attempt(struct connect *connect, const struct sockaddr *address, socklen_t len) {
  struct attempt *attempt = calloc(1, sizeof *attempt);
  if (attempt == NULL)
    return -ENOMEM;
  attempt->connect = connect;
  attempt->connector.on_connected = on_connected;
  attempt->connector.on_closed = on_attempt_closed;
  int status = ls_connector_start(connect->op.rt->loop, &attempt->connector, address, len);
  if (status == 0)
    connect->attempt = attempt;
  else
    free(attempt);
  return status;
}

/* The next address, with its port; its length, or 0 when there is none left. */
static socklen_t take_address(struct connect *connect, struct sockaddr_storage *address) {
  if (connect->next_is_path) {
    connect->next_is_path = false;
    memcpy(address, &connect->path, sizeof connect->path);
    return sizeof connect->path;
  }
  const struct addrinfo *next = connect->next;
  if (next == NULL)
    return 0;
  connect->next = next->ai_next;
  memcpy(address, next->ai_addr, next->ai_addrlen);
  if (next->ai_family == AF_INET6)
    ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)connect->port);
  else
    ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)connect->port);
  return next->ai_addrlen;
}

static void note_address(struct connect *connect, const struct sockaddr *address) {
  struct ls_net_address last = {.is_path = address->sa_family == AF_UNIX};
  connect->family = address->sa_family;
  if (last.is_path)
    memcpy(last.text, connect->path.sun_path, sizeof connect->path.sun_path);
  else
    ls_address_text(address, last.text, sizeof last.text, &last.port);
  ls_net_address_format(&last, connect->last, sizeof connect->last);
}

/* Goes on with the next address; when none is left, the last failure is the result. */
static void try_next(struct connect *connect) {
  struct sockaddr_storage address;
  socklen_t len;
  while ((len = take_address(connect, &address)) > 0) {
    note_address(connect, (struct sockaddr *)&address);
    connect->status = start_attempt(connect, (struct sockaddr *)&address, len);
    if (connect->status == 0)
      return;
  }
  finish(connect, connect->status, connect->last);
}

static void on_name(struct ls_lookup *lookup) {
  struct name *name = ls_container_of(lookup, struct name, lookup);
  struct connect *connect = name->connect;
  name->running = false;
  if (connect == NULL) {
    free_name(name);
    return;
  }
  connect->next = lookup->found;
  if (lookup->status != 0)
    finish(connect, lookup->status, NULL);
  else
    try_next(connect);
}

static void on_connect_timeout(struct ls_timer *timer) {
  struct connect *connect = ls_container_of(timer, struct connect, timer);
  finish(connect, UV_ETIMEDOUT, connect->target);
}

static int push_connect(lua_State *L, struct ls_op *op) {
  struct connect *connect = ls_container_of(op, struct connect, op);
  if (connect->status != 0 && connect->what == NULL)
    return ls_push_failure(L, connect->status, "lookup '%s'", connect->name->lookup.host);
  if (connect->status == 0) {
    struct ls_net_socket **slot = ls_net_socket_push(L);
    int fd = connect->fd;
    connect->fd = -1;
    *slot = ls_net_socket_open(op->rt, fd, connect->family, &connect->status);
    connect->what = connect->last;
  }
  if (connect->status != 0)
    return ls_push_failure(L, connect->status, "connect %s", connect->what);
  return 1;
}

static bool cancel_connect(struct ls_op *op) {
  give_up(ls_container_of(op, struct connect, op));
  return true;
}

static void free_connect(struct ls_op *op) {
  struct connect *connect = ls_container_of(op, struct connect, op);
  if (connect->name != NULL)
    free_name(connect->name);
  if (connect->fd >= 0)
    close(connect->fd);
  free(connect);
}

/* What connect was asked for. */
struct target {
  const char *host, *path;
  int port;
  uint64_t timeout_ms;
  int callback_index;
};

static void check_text(lua_State *L, const char *what, const char *text, size_t size) {
  if (*text == '\0' || strlen(text) != size)
    luaL_error(L, "net.connect: %s must not be empty or have a NUL in it", what);
}

static struct target check_target_table(lua_State *L) {
  static const char *const known[] = {"host", "port", "path", "timeout", NULL};
  ls_options_check(L, 1, "net.connect", known);
  struct target target = {.host = ls_option_string(L, 1, "host", NULL),
                          .path = ls_option_string(L, 1, "path", NULL),
                          .port = (int)ls_option_integer(L, 1, "port", 1, 65535, 0),
                          .timeout_ms = ls_option_seconds(L, 1, "timeout", 0),
                          .callback_index = 2};
  bool is_tcp = target.host != NULL && target.port != 0 && target.path == NULL;
  bool is_unix = target.host == NULL && target.port == 0 && target.path != NULL;
  if (!is_tcp && !is_unix)
    luaL_error(L, "net.connect: give host and port, or path");
  lua_getfield(L, 1, is_tcp ? "host" : "path");
  check_text(L, is_tcp ? "host" : "path", lua_tostring(L, -1), lua_rawlen(L, -1));
  lua_pop(L, 1);
  return target;
}

static struct target check_target(lua_State *L) {
  static const char *const known[] = {"timeout", NULL};
  if (lua_istable(L, 1))
    return check_target_table(L);
  size_t size;
  struct target target = {.host = luaL_checklstring(L, 1, &size)};
  check_text(L, "host", target.host, size);
  lua_Integer port = luaL_checkinteger(L, 2);
  luaL_argcheck(L, port >= 1 && port <= 65535, 2, "a port is from 1 to 65535");
  target.port = (int)port;
  target.callback_index = lua_isfunction(L, 3) ? 3 : 4;
  if (target.callback_index == 4) {
    ls_options_check(L, 3, "net.connect", known);
    target.timeout_ms = ls_option_seconds(L, 3, "timeout", 0);
  }
  return target;
}

static const struct ls_op_type connect_type = {"net.connect", push_connect, cancel_connect, free_connect};

static struct connect *new_connect(lua_State *L, const struct target *target) {
  const char *text = target->path != NULL ? target->path : target->host;
  size_t size = strlen(text) + sizeof "[]:65535";
  struct connect *connect = ls_op_alloc(L, sizeof *connect + size);
  ls_op_init(L, &connect->op, &connect_type);
  connect->fd = -1;
  connect->port = target->port;
  connect->timer.fire = on_connect_timeout;
  if (target->path != NULL)
    snprintf(connect->target, size, "%s", text);
  else
    snprintf(connect->target, size, strchr(text, ':') != NULL ? "[%s]:%d" : "%s:%d", text, target->port);
  return connect;
}

static int begin_path(struct connect *connect, const char *path) {
  if (strlen(path) >= sizeof connect->path.sun_path)
    return -ENAMETOOLONG;
  connect->path.sun_family = AF_UNIX;
  strcpy(connect->path.sun_path, path);
  connect->next_is_path = true;
  try_next(connect);
  return 0;
}

static int begin_host(struct connect *connect, const char *host) {
  struct name *name = calloc(1, sizeof *name);
  if (name == NULL)
    return -ENOMEM;
  name->connect = connect;
  connect->name = name;
  int status = ls_lookup_init(&name->lookup, host, AF_UNSPEC, on_name);
  if (status != 0)
    return status;
  if (ls_lookup_numeric(&name->lookup)) {
    on_name(&name->lookup);
    return 0;
  }
  status = ls_lookup_start(connect->op.rt->loop, &name->lookup);
  name->running = status == 0;
  return status;
}

/* net.connect(host, port [, {timeout = seconds}] [, callback]) -> socket
 * net.connect({host =, port =, timeout =} [, callback]) -> socket
 * net.connect({path =, timeout =} [, callback]) -> socket of a unix socket
 * Async. A name's addresses are tried one after another, in the order of dns.lookup; timeout (none) bounds it all.
 * Fails with nil, message, code: what the last address said ("ECONNREFUSED", "ENETUNREACH", ...), "ETIMEDOUT", or what
 * the lookup said ("EAI_NONAME").
 *   local sock <close> = assert(net.connect("example.com", 80, {timeout = 5})) */
int ls_net_l_connect(lua_State *L) {
  struct target target = check_target(L);
  ls_op_check(L, target.callback_index, connect_type.name);
  struct connect *connect = new_connect(L, &target);
  int status = 0;
  if (target.timeout_ms > 0)
    status = ls_timer_start(connect->op.rt->loop, &connect->timer, target.timeout_ms * NS_PER_MS);
  if (status == 0)
    status = target.path != NULL ? begin_path(connect, target.path) : begin_host(connect, target.host);
  if (status != 0) {
    give_up(connect);
    free_connect(&connect->op);
    return ls_push_failure(L, status, "connect %s", target.path != NULL ? target.path : target.host);
  }
  return ls_op_await(L, &connect->op, target.callback_index);
}
