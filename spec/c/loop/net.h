/* SPDX-License-Identifier: MIT */
/* net: what the specs of the loop's sockets share: a loop to run, and plain sockets to play the other side. */
#ifndef LS_SPEC_LOOP_NET_H
#define LS_SPEC_LOOP_NET_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "check.h"
#include "loop/loop.h"
#include "loop/work.h"

/* A loop, and an async handle that keeps it alive while a test waits. */
struct net {
  struct ls_pool *pool;
  struct ls_loop loop;
  uv_async_t keep;
  struct ls_ready note;
  int drains; /* how often what net_note queued was run */
};

/* Runs turns until the condition holds. Where it never does, the alarm of net_main ends the program. */
#define UNTIL(net, condition)               \
  do {                                      \
    while (!(condition))                    \
      uv_run(&(net)->loop.uv, UV_RUN_ONCE); \
  } while (0)

static inline void net_run_note(struct ls_ready *ready) {
  ls_container_of(ready, struct net, note)->drains++;
}

/* Called in an event: counts in drains if the loop drains after it. */
static inline void net_note(struct ls_loop *loop) {
  ls_loop_ready(loop, &ls_container_of(loop, struct net, loop)->note);
}

static inline void net_open(struct net *net) {
  ls_ready_init(&net->note, net_run_note);
  net->drains = 0;
  net->pool = ls_pool_new(4);
  CHECK(net->pool != NULL);
  CHECK_INT(ls_loop_init(&net->loop, net->pool, NULL), 0);
  CHECK_INT(uv_async_init(&net->loop.uv, &net->keep, NULL), 0);
}

static inline void net_close(struct net *net) {
  ls_loop_dispose(&net->loop);
  ls_pool_free(net->pool);
}

/* Begins main: ignores SIGPIPE, as luaserve does, and opens what libuv keeps open for the whole process, so that the
 * descriptors can be counted. */
static inline void net_main(void) {
  struct net first;
  signal(SIGPIPE, SIG_IGN);
  alarm(60);
  net_open(&first);
  net_close(&first);
}

/* One turn that does not wait. */
static inline void net_turn(struct net *net) {
  uv_run(&net->loop.uv, UV_RUN_NOWAIT);
}

/* Open descriptors of this process, among the numbers that a spec can reach. */
static inline int net_descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 1024; fd++)
    count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

static inline struct sockaddr_in net_local(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/* A bound socket on a port of the system's choice, and the port. */
static inline int net_bound(int *port) {
  struct sockaddr_in address = net_local(0);
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  CHECK_INT(bind(fd, (struct sockaddr *)&address, len), 0);
  CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &len), 0);
  *port = ntohs(address.sin_port);
  return fd;
}

/* A blocking connection to a port of this machine; the listener's backlog answers. */
static inline int net_connect(int port) {
  struct sockaddr_in address = net_local(port);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

/* Two connected sockets: ours is non-blocking. */
static inline void net_tcp_pair(int *ours, int *theirs) {
  int port;
  int listening = net_bound(&port);
  CHECK_INT(listen(listening, 1), 0);
  *theirs = net_connect(port);
  *ours = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  CHECK(*ours >= 0);
  close(listening);
}

static inline void net_unix_pair(int *ours, int *theirs) {
  int pair[2];
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  CHECK_INT(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
  *ours = pair[0];
  *theirs = pair[1];
}

/* Closes with RST. */
static inline void net_reset(int fd) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
  close(fd);
}

/* Waits until poll(2) tells one of the events, or an error or hang-up, and returns what it told. */
static inline int net_poll(int fd, short events) {
  struct pollfd probe = {.fd = fd, .events = events};
  CHECK_INT(poll(&probe, 1, -1), 1);
  return probe.revents;
}

static inline struct sockaddr_un net_path(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  CHECK(strlen(path) < sizeof address.sun_path);
  memcpy(address.sun_path, path, strlen(path));
  return address;
}

/* A fresh folder; the path of a file in it. */
static inline void net_temp(char *path, size_t size) {
  char folder[] = "/tmp/luaserve-spec-XXXXXX";
  CHECK(mkdtemp(folder) != NULL);
  CHECK((size_t)snprintf(path, size, "%s/socket", folder) < size);
}

static inline void net_temp_remove(const char *path) {
  char folder[256];
  snprintf(folder, sizeof folder, "%s", path);
  *strrchr(folder, '/') = '\0';
  unlink(path);
  CHECK_INT(rmdir(folder), 0);
}

/* A unix socket that is bound to path, listening if backlog >= 0. */
static inline int net_unix_bound(const char *path, int backlog) {
  struct sockaddr_un address = net_path(path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  if (backlog >= 0)
    CHECK_INT(listen(fd, backlog), 0);
  return fd;
}

/* Whether a TCP socket sends small writes at once; true for others. */
static inline bool net_sends_at_once(int fd) {
  int on = 0;
  socklen_t len = sizeof on;
  return getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len) != 0 || on != 0;
}

#endif
