/* SPDX-License-Identifier: MIT */
/* listener: addresses, bursts, running out of descriptors, and the files of unix sockets. */
#include "loop/listener.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "net.h"

enum { MANY = 200 };

struct probe {
  struct net net;
  struct ls_listener listener;
  int accepted[MANY];
  int count, refused, closed;
  int close_at, pause_at; /* the listener, from the n-th on_accept; 0: not */
  bool starve;            /* on_refused lowers the limit: not even the reserve can be opened again */
};

static struct probe *probe_of(struct ls_listener *listener) {
  return ls_container_of(listener, struct probe, listener);
}

static rlim_t set_limit(rlim_t soft) {
  struct rlimit limit;
  CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlim_t before = limit.rlim_cur;
  limit.rlim_cur = soft;
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
  return before;
}

static void on_accept(struct ls_listener *listener, int fd) {
  struct probe *probe = probe_of(listener);
  CHECK_INT(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
  CHECK(net_sends_at_once(fd));
  CHECK(probe->count < MANY);
  probe->accepted[probe->count++] = fd;
  net_note(&probe->net.loop);
  if (probe->count == probe->close_at)
    ls_listener_close(listener);
  if (probe->count == probe->pause_at)
    ls_listener_pause(listener);
}

static void on_refused(struct ls_listener *listener, int fd) {
  struct probe *probe = probe_of(listener);
  probe->refused++;
  CHECK_INT(send(fd, "busy", 4, MSG_DONTWAIT | MSG_NOSIGNAL), 4);
  if (probe->starve)
    set_limit(1);
}

static void on_closed(struct ls_listener *listener) {
  probe_of(listener)->closed++;
}

static int start(struct probe *probe, struct ls_listen_options options) {
  probe->listener.on_accept = on_accept;
  probe->listener.on_refused = on_refused;
  probe->listener.on_closed = on_closed;
  return ls_listener_start(&probe->net.loop, &probe->listener, &options);
}

static void probe_open(struct probe *probe) {
  *probe = (struct probe){0};
  net_open(&probe->net);
}

/* A listener on 127.0.0.1; its port. */
static int probe_listen(struct probe *probe) {
  char text[64];
  int port;
  probe_open(probe);
  CHECK_INT(start(probe, (struct ls_listen_options){.host = "127.0.0.1"}), 0);
  CHECK_INT(ls_listener_address(&probe->listener, text, sizeof text, &port), 0);
  CHECK_BYTES(text, strlen(text), "127.0.0.1");
  CHECK(port > 0);
  return port;
}

static void drop_accepted(struct probe *probe) {
  for (int i = 0; i < probe->count; i++)
    close(probe->accepted[i]);
  probe->count = 0;
}

static void stop(struct probe *probe) {
  ls_listener_close(&probe->listener);
  ls_listener_close(&probe->listener);
  UNTIL(&probe->net, probe->closed);
  net_turn(&probe->net);
  CHECK_INT(probe->closed, 1);
  probe->closed = 0;
  drop_accepted(probe);
}

static void probe_close(struct probe *probe) {
  stop(probe);
  net_close(&probe->net);
}

static void accepts_and_drains(void) {
  struct probe probe;
  int port = probe_listen(&probe);
  int client = net_connect(port);
  UNTIL(&probe.net, probe.count == 1);
  CHECK_INT(probe.net.drains, 1);
  CHECK_INT(probe.listener.family, AF_INET);
  CHECK_INT(probe.listener.accepted, 1);
  CHECK_INT(write(client, "x", 1), 1);
  char byte;
  net_poll(probe.accepted[0], POLLIN);
  CHECK_INT(read(probe.accepted[0], &byte, 1), 1);
  close(client);
  probe_close(&probe);
}

static void accepts_bursts_of_a_bounded_size(void) {
  struct probe probe;
  int clients[MANY];
  int port = probe_listen(&probe);
  for (int i = 0; i < MANY; i++)
    clients[i] = net_connect(port);
  int most = 0;
  while (probe.count < MANY) {
    int before = probe.count;
    uv_run(&probe.net.loop.uv, UV_RUN_ONCE);
    most = probe.count - before > most ? probe.count - before : most;
  }
  CHECK_INT(most, LS_LISTENER_BURST);
  for (int i = 0; i < MANY; i++)
    close(clients[i]);
  probe_close(&probe);
}

/* Whether a client of this family reaches the port of this machine. */
static bool reaches(int family, int port) {
  struct sockaddr_in four = net_local(port);
  struct sockaddr_in6 six = {
      .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(family, SOCK_STREAM, 0);
  if (fd < 0)
    return false;
  int rc = family == AF_INET ? connect(fd, (struct sockaddr *)&four, sizeof four)
                             : connect(fd, (struct sockaddr *)&six, sizeof six);
  close(fd);
  return rc == 0;
}

static bool has_ipv6(void) {
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(AF_INET6, SOCK_STREAM, 0);
  bool has = fd >= 0 && bind(fd, (struct sockaddr *)&six, sizeof six) == 0;
  if (fd >= 0)
    close(fd);
  return has;
}

static void no_host_means_both_families(void) {
  struct probe probe;
  char text[64];
  int port;
  probe_open(&probe);
  CHECK_INT(start(&probe, (struct ls_listen_options){0}), 0);
  CHECK_INT(ls_listener_address(&probe.listener, text, sizeof text, &port), 0);
  CHECK(reaches(AF_INET, port));
  CHECK(!has_ipv6() || reaches(AF_INET6, port));
  probe_close(&probe);
}

static void a_name_is_looked_up(void) {
  struct probe probe;
  char text[64];
  int port;
  probe_open(&probe);
  CHECK_INT(start(&probe, (struct ls_listen_options){.host = "localhost"}), 0);
  CHECK_INT(ls_listener_address(&probe.listener, text, sizeof text, &port), 0);
  CHECK(reaches(probe.listener.family, port));
  probe_close(&probe);
}

static void refuses_bad_addresses(void) {
  struct probe probe;
  probe_open(&probe);
  int before = net_descriptors();
  CHECK_INT(start(&probe, (struct ls_listen_options){.host = "192.0.2.1"}), -EADDRNOTAVAIL);
  CHECK_INT(start(&probe, (struct ls_listen_options){.port = 65536}), -EINVAL);
  CHECK_INT(start(&probe, (struct ls_listen_options){.port = -1}), -EINVAL);
  CHECK_INT(net_descriptors(), before);
  net_turn(&probe.net);
  CHECK_INT(probe.closed, 0);
  net_close(&probe.net);
}

static void a_port_in_use_is_told(void) {
  struct probe first, second;
  int port = probe_listen(&first);
  probe_open(&second);
  CHECK_INT(start(&second, (struct ls_listen_options){.host = "127.0.0.1", .port = port}), -EADDRINUSE);
  CHECK_INT(start(&second, (struct ls_listen_options){.port = port}), -EADDRINUSE);
  net_close(&second.net);
  probe_close(&first);
}

static void reuse_port_shares_it(void) {
  struct probe first, second;
  struct ls_listen_options options = {.host = "127.0.0.1", .reuse_port = true};
  char text[64];
  probe_open(&first);
  probe_open(&second);
  CHECK_INT(start(&first, options), 0);
  CHECK_INT(ls_listener_address(&first.listener, text, sizeof text, &options.port), 0);
  CHECK_INT(start(&second, options), 0);
  probe_close(&first);
  probe_close(&second);
}

static void on_accept_may_close_it(void) {
  struct probe probe;
  int clients[5];
  int port = probe_listen(&probe);
  probe.close_at = 3;
  for (int i = 0; i < 5; i++)
    clients[i] = net_connect(port);
  UNTIL(&probe.net, probe.closed);
  CHECK_INT(probe.count, 3);
  CHECK_INT(probe.closed, 1);
  for (int i = 0; i < 5; i++)
    close(clients[i]);
  drop_accepted(&probe);
  net_close(&probe.net);
}

static void a_paused_one_waits_and_keeps_the_loop_alive(void) {
  struct probe probe;
  int port = probe_listen(&probe);
  probe.pause_at = 1;
  int first = net_connect(port), second = net_connect(port);
  uv_unref((uv_handle_t *)&probe.net.keep);
  UNTIL(&probe.net, probe.count == 1);
  net_turn(&probe.net);
  net_turn(&probe.net);
  CHECK_INT(probe.count, 1);
  CHECK(uv_loop_alive(&probe.net.loop.uv));
  CHECK_INT(uv_backend_timeout(&probe.net.loop.uv), -1); /* it waits, without a timer */
  ls_listener_set_ref(&probe.listener, false);
  CHECK(!uv_loop_alive(&probe.net.loop.uv));
  ls_listener_set_ref(&probe.listener, true);
  ls_listener_resume(&probe.listener);
  UNTIL(&probe.net, probe.count == 2);
  close(first);
  close(second);
  probe_close(&probe);
}

/* Lets no descriptor be opened beyond the ones that are open; the limit to go back to. */
static rlim_t take_all_descriptors(void) {
  int next = open("/dev/null", O_RDONLY);
  CHECK(next >= 0);
  close(next); /* the lowest free number, and with it all above */
  rlim_t before = set_limit((rlim_t)next);
  CHECK_INT(open("/dev/null", O_RDONLY), -1);
  CHECK_INT(errno, EMFILE);
  return before;
}

static void answers_with_the_reserve(void) {
  struct probe probe;
  char reply[16];
  int port = probe_listen(&probe);
  int clients[3];
  for (int i = 0; i < 3; i++) {
    clients[i] = net_connect(port);
    CHECK_INT(write(clients[i], "a request", 9), 9); /* unread: a bare close would reset */
  }
  rlim_t before = take_all_descriptors();
  UNTIL(&probe.net, probe.refused == 3);
  net_turn(&probe.net);
  CHECK_INT(probe.count, 0);
  CHECK_INT(probe.refused, 3);
  CHECK_INT(probe.listener.refused, 3);
  CHECK(probe.listener.reserve >= 0);
  CHECK_INT(uv_backend_timeout(&probe.net.loop.uv), -1); /* and goes on listening, idle */
  for (int i = 0; i < 3; i++) {
    CHECK_INT(read(clients[i], reply, sizeof reply), 4);
    CHECK_BYTES(reply, 4, "busy");
    CHECK_INT(read(clients[i], reply, sizeof reply), 0);
  }
  set_limit(before);
  int client = net_connect(port);
  UNTIL(&probe.net, probe.count == 1); /* recovered */
  close(client);
  for (int i = 0; i < 3; i++)
    close(clients[i]);
  probe_close(&probe);
}

static void looks_away_without_a_reserve(void) {
  struct probe probe;
  int port = probe_listen(&probe);
  int first = net_connect(port), second = net_connect(port);
  probe.starve = true;
  rlim_t before = take_all_descriptors();
  UNTIL(&probe.net, probe.refused == 1);
  CHECK_INT(probe.listener.reserve, -1);
  int timeout = uv_backend_timeout(&probe.net.loop.uv);
  CHECK(timeout >= 0 && timeout <= LS_LISTENER_RETRY_MS);
  CHECK(uv_is_active((uv_handle_t *)&probe.listener.retry));
  uv_unref((uv_handle_t *)&probe.net.keep);
  CHECK(uv_loop_alive(&probe.net.loop.uv)); /* for the listener, not for its timer */
  ls_listener_set_ref(&probe.listener, false);
  CHECK(!uv_loop_alive(&probe.net.loop.uv));
  ls_listener_set_ref(&probe.listener, true);
  uv_ref((uv_handle_t *)&probe.net.keep);
  UNTIL(&probe.net, !uv_is_active((uv_handle_t *)&probe.listener.retry));
  UNTIL(&probe.net, uv_is_active((uv_handle_t *)&probe.listener.retry)); /* tried, and looked away again */
  CHECK_INT(probe.count, 0);
  set_limit(before);
  UNTIL(&probe.net, probe.count == 1);
  CHECK(probe.listener.reserve >= 0);
  close(first);
  close(second);
  probe_close(&probe);
}

static bool is_there(const char *path) {
  struct stat info;
  return lstat(path, &info) == 0;
}

static void unix_connect(const char *path) {
  struct sockaddr_un address = net_path(path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  close(fd);
}

static void listens_on_a_path_and_removes_it(void) {
  struct probe probe;
  char path[64], text[64];
  int port;
  net_temp(path, sizeof path);
  probe_open(&probe);
  CHECK_INT(start(&probe, (struct ls_listen_options){.path = path}), 0);
  CHECK_INT(ls_listener_address(&probe.listener, text, sizeof text, &port), 0);
  CHECK_BYTES(text, strlen(text), path);
  CHECK_INT(port, 0);
  CHECK_INT(ls_listener_address(&probe.listener, text, 5, &port), -ENOSPC);
  unix_connect(path);
  UNTIL(&probe.net, probe.count == 1);
  CHECK_INT(probe.listener.family, AF_UNIX);
  stop(&probe);
  CHECK(!is_there(path));
  net_close(&probe.net);
  net_temp_remove(path);
}

static void a_stale_socket_file_is_replaced(void) {
  struct probe probe;
  char path[64];
  net_temp(path, sizeof path);
  probe_open(&probe);
  close(net_unix_bound(path, 1));
  CHECK(is_there(path));
  CHECK_INT(start(&probe, (struct ls_listen_options){.path = path}), 0);
  unix_connect(path);
  UNTIL(&probe.net, probe.count == 1);
  probe_close(&probe);
  net_temp_remove(path);
}

static void a_living_socket_and_other_files_stay(void) {
  struct probe probe;
  char path[64];
  struct ls_listen_options options = {.path = path};
  net_temp(path, sizeof path);
  probe_open(&probe);
  int living = net_unix_bound(path, 1);
  CHECK_INT(start(&probe, options), -EADDRINUSE);
  unix_connect(path); /* and the file is still its own (the attempt took one place of the backlog) */
  close(living);
  unlink(path);
  int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  close(file);
  CHECK_INT(start(&probe, options), -EADDRINUSE);
  CHECK(is_there(path));
  net_close(&probe.net);
  net_temp_remove(path);
}

static void a_successors_socket_stays(void) {
  struct probe probe;
  char path[64];
  net_temp(path, sizeof path);
  probe_open(&probe);
  CHECK_INT(start(&probe, (struct ls_listen_options){.path = path}), 0);
  unlink(path);
  int successor = net_unix_bound(path, 1);
  stop(&probe);
  unix_connect(path);
  close(successor);
  net_close(&probe.net);
  net_temp_remove(path);
}

static void bad_paths_are_told(void) {
  struct probe probe;
  char path[200];
  memset(path, 'x', sizeof path);
  path[sizeof path - 1] = '\0';
  probe_open(&probe);
  int before = net_descriptors();
  CHECK_INT(start(&probe, (struct ls_listen_options){.path = path}), -ENAMETOOLONG);
  CHECK_INT(start(&probe, (struct ls_listen_options){.path = ""}), -EINVAL);
  CHECK_INT(start(&probe, (struct ls_listen_options){.path = "/nowhere/at/all"}), -ENOENT);
  CHECK_INT(net_descriptors(), before);
  net_close(&probe.net);
}

int main(void) {
  net_main();
  int before = net_descriptors();
  RUN(accepts_and_drains);
  RUN(accepts_bursts_of_a_bounded_size);
  RUN(no_host_means_both_families);
  RUN(a_name_is_looked_up);
  RUN(refuses_bad_addresses);
  RUN(a_port_in_use_is_told);
  RUN(reuse_port_shares_it);
  RUN(on_accept_may_close_it);
  RUN(a_paused_one_waits_and_keeps_the_loop_alive);
  RUN(answers_with_the_reserve);
  RUN(looks_away_without_a_reserve);
  RUN(listens_on_a_path_and_removes_it);
  RUN(a_stale_socket_file_is_replaced);
  RUN(a_living_socket_and_other_files_stay);
  RUN(a_successors_socket_stays);
  RUN(bad_paths_are_told);
  CHECK_INT(net_descriptors(), before);
  return 0;
}
