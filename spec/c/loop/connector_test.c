/* SPDX-License-Identifier: MIT */
/* connector: connections made, refused and given up, and the stream that is opened on the result. */
#include "loop/connector.h"

#include "loop/stream.h"
#include "net.h"

struct probe {
  struct ls_connector connector;
  struct ls_stream stream;
  struct net *net;
  bool open_stream, cancel;
  int told, fd, status, closed, stream_closed, ends;
  char got[16];
  size_t got_len;
};

static void on_read(struct ls_stream *stream, const char *bytes, size_t len) {
  struct probe *probe = ls_container_of(stream, struct probe, stream);
  CHECK(probe->got_len + len <= sizeof probe->got);
  memcpy(probe->got + probe->got_len, bytes, len);
  probe->got_len += len;
}

static void on_end(struct ls_stream *stream, int status) {
  CHECK_INT(status, 0);
  ls_container_of(stream, struct probe, stream)->ends++;
}

static void on_stream_closed(struct ls_stream *stream) {
  ls_container_of(stream, struct probe, stream)->stream_closed++;
}

static const struct ls_stream_events events = {on_read, on_end, NULL, on_stream_closed};

static void on_connected(struct ls_connector *connector, int fd, int status) {
  struct probe *probe = ls_container_of(connector, struct probe, connector);
  CHECK((fd >= 0) == (status == 0));
  CHECK(fd < 0 || net_sends_at_once(fd));
  probe->told++;
  probe->fd = fd;
  probe->status = status;
  net_note(&probe->net->loop);
  if (probe->cancel)
    ls_connector_cancel(connector);
  if (probe->open_stream && status == 0) {
    CHECK_INT(ls_stream_open(&probe->net->loop, &probe->stream, fd, AF_INET, &events), 0);
    CHECK_INT(ls_stream_read_start(&probe->stream), 0);
  }
}

static void on_closed(struct ls_connector *connector) {
  ls_container_of(connector, struct probe, connector)->closed++;
}

static int start(struct net *net, struct probe *probe, const void *address, socklen_t len) {
  probe->net = net;
  probe->connector.on_connected = on_connected;
  probe->connector.on_closed = on_closed;
  int rc = ls_connector_start(&net->loop, &probe->connector, address, len);
  CHECK_INT(probe->told, 0); /* never from within the start */
  return rc;
}

/* Starts, waits for both events; the status. */
static int run(struct net *net, struct probe *probe, const void *address, socklen_t len) {
  CHECK_INT(start(net, probe, address, len), 0);
  UNTIL(net, probe->closed);
  CHECK_INT(probe->told, 1);
  CHECK(net->drains > 0);
  net->drains = 0;
  return probe->status;
}

static void opens_a_stream_at_once(void) {
  struct net net;
  struct probe probe = {.open_stream = true};
  int port;
  net_open(&net);
  int listening = net_bound(&port);
  CHECK_INT(listen(listening, 1), 0);
  struct sockaddr_in address = net_local(port);
  CHECK_INT(run(&net, &probe, &address, sizeof address), 0);
  CHECK_INT(probe.closed, 1);
  int peer = accept(listening, NULL, NULL);
  CHECK_INT(write(peer, "hello", 5), 5);
  UNTIL(&net, probe.got_len == 5);
  CHECK_BYTES(probe.got, probe.got_len, "hello");
  CHECK_INT(ls_stream_try_write(&probe.stream, &(struct ls_slice){"ok", 2}, 1), 2);
  CHECK_INT(read(peer, probe.got, sizeof probe.got), 2);
  close(peer);
  UNTIL(&net, probe.ends);
  ls_stream_close(&probe.stream);
  UNTIL(&net, probe.stream_closed);
  close(listening);
  net_close(&net);
}

static void tells_a_refused_connection(void) {
  struct net net;
  struct probe probe = {0};
  int port;
  net_open(&net);
  int bound = net_bound(&port); /* nobody listens on it, nobody else can */
  struct sockaddr_in address = net_local(port);
  CHECK_INT(run(&net, &probe, &address, sizeof address), -ECONNREFUSED);
  close(bound);
  net_close(&net);
}

static void tells_what_connect_says_at_once(void) {
  struct net net;
  struct probe broadcast = {0};
  net_open(&net);
  struct sockaddr_in address = net_local(80);
  address.sin_addr.s_addr = htonl(INADDR_BROADCAST);
  CHECK_INT(run(&net, &broadcast, &address, sizeof address), -ENETUNREACH);
  net_close(&net);
}

static void connects_to_unix_sockets(void) {
  struct net net;
  struct probe missing = {0}, stale = {0}, good = {0};
  char path[64];
  net_open(&net);
  net_temp(path, sizeof path);
  struct sockaddr_un address = net_path(path);
  CHECK_INT(run(&net, &missing, &address, sizeof address), -ENOENT);
  close(net_unix_bound(path, -1));
  CHECK_INT(run(&net, &stale, &address, sizeof address), -ECONNREFUSED);
  unlink(path);
  int listening = net_unix_bound(path, 1);
  CHECK_INT(run(&net, &good, &address, sizeof address), 0);
  CHECK_INT(fcntl(good.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  CHECK_INT(fcntl(good.fd, F_GETFD), FD_CLOEXEC);
  close(good.fd);
  close(listening);
  net_temp_remove(path);
  net_close(&net);
}

static void tells_a_full_unix_backlog(void) {
  struct net net;
  struct probe first = {0}, second = {0};
  char path[64];
  net_open(&net);
  net_temp(path, sizeof path);
  struct sockaddr_un address = net_path(path);
  int listening = net_unix_bound(path, 0);
  CHECK_INT(run(&net, &first, &address, sizeof address), 0);
  CHECK_INT(run(&net, &second, &address, sizeof address), -EAGAIN);
  close(first.fd);
  close(listening);
  net_temp_remove(path);
  net_close(&net);
}

static void cancel_is_silent(void) {
  struct net net;
  struct probe probe = {0}, after = {.cancel = true};
  int port;
  net_open(&net);
  int listening = net_bound(&port);
  CHECK_INT(listen(listening, 2), 0);
  struct sockaddr_in address = net_local(port);
  CHECK_INT(start(&net, &probe, &address, sizeof address), 0);
  ls_connector_cancel(&probe.connector);
  ls_connector_cancel(&probe.connector);
  UNTIL(&net, probe.closed);
  CHECK_INT(run(&net, &after, &address, sizeof address), 0);
  CHECK_INT(after.closed, 1);
  CHECK_INT(probe.told, 0);
  CHECK_INT(probe.closed, 1);
  CHECK_INT(fcntl(after.fd, F_GETFD), FD_CLOEXEC); /* a cancel after the event leaves the descriptor alone */
  close(after.fd);
  close(listening);
  net_close(&net);
}

static void failing_to_start_leaves_nothing(void) {
  struct net net;
  struct probe probe = {0};
  net_open(&net);
  int before = net_descriptors();
  struct sockaddr address = {.sa_family = AF_MAX - 1};
  CHECK(start(&net, &probe, &address, sizeof address) < 0);
  net_turn(&net);
  CHECK_INT(probe.told + probe.closed, 0);
  CHECK_INT(net_descriptors(), before);
  net_close(&net);
}

int main(void) {
  net_main();
  int before = net_descriptors();
  RUN(opens_a_stream_at_once);
  RUN(tells_a_refused_connection);
  RUN(tells_what_connect_says_at_once);
  RUN(connects_to_unix_sockets);
  RUN(tells_a_full_unix_backlog);
  RUN(cancel_is_silent);
  RUN(failing_to_start_leaves_nothing);
  CHECK_INT(net_descriptors(), before);
  return 0;
}
