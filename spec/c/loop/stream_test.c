/* SPDX-License-Identifier: MIT */
/* stream: real connections, TCP and unix, with a plain socket on the other side. */
#include "loop/stream.h"

#include <netinet/tcp.h>

#include "base/buf.h"
#include "base/error.h"
#include "net.h"

struct probe {
  struct ls_stream stream;
  struct ls_buf got;
  int ends, end_status, writtens, written_status, closed;
  bool echo, close_on_read;
  int fd; /* the stream's own, for poll(2) */
  int peer;
};

static struct probe *probe_of(struct ls_stream *stream) {
  return ls_container_of(stream, struct probe, stream);
}

static void on_read(struct ls_stream *stream, const char *bytes, size_t len) {
  struct probe *probe = probe_of(stream);
  net_note(ls_loop_of(&stream->uv.handle));
  CHECK_INT(ls_buf_append(&probe->got, bytes, len), 0);
  struct ls_slice part = ls_slice(bytes, len);
  if (probe->echo)
    CHECK_INT(ls_stream_try_write(stream, &part, 1), len);
  if (probe->close_on_read)
    ls_stream_close(stream);
}

static void on_end(struct ls_stream *stream, int status) {
  struct probe *probe = probe_of(stream);
  net_note(ls_loop_of(&stream->uv.handle));
  probe->ends++;
  probe->end_status = status;
}

static void on_written(struct ls_stream *stream, int status) {
  struct probe *probe = probe_of(stream);
  CHECK(!stream->closing);
  net_note(ls_loop_of(&stream->uv.handle));
  probe->writtens++;
  probe->written_status = status;
}

static void on_closed(struct ls_stream *stream) {
  probe_of(stream)->closed++;
}

static const struct ls_stream_events events = {on_read, on_end, on_written, on_closed};

static void probe_open(struct net *net, struct probe *probe, int family) {
  *probe = (struct probe){0};
  if (family == AF_UNIX)
    net_unix_pair(&probe->fd, &probe->peer);
  else
    net_tcp_pair(&probe->fd, &probe->peer);
  CHECK_INT(ls_stream_open(&net->loop, &probe->stream, probe->fd, family, &events), 0);
}

static void probe_close(struct net *net, struct probe *probe) {
  ls_stream_close(&probe->stream);
  UNTIL(net, probe->closed);
  CHECK_INT(probe->closed, 1);
  ls_buf_dispose(&probe->got);
  if (probe->peer >= 0)
    close(probe->peer);
}

static void peer_reset(struct probe *probe) {
  net_reset(probe->peer);
  probe->peer = -1;
}

static void echo_over(int family) {
  struct net net;
  struct probe probe;
  char reply[16];
  net_open(&net);
  probe_open(&net, &probe, family);
  probe.echo = true;
  CHECK_INT(ls_stream_read_start(&probe.stream), 0);
  CHECK_INT(ls_stream_read_start(&probe.stream), 0);
  CHECK_INT(write(probe.peer, "hello", 5), 5);
  UNTIL(&net, probe.got.len == 5);
  CHECK_BYTES(ls_buf_bytes(&probe.got), probe.got.len, "hello");
  CHECK_INT(net.drains, 1);
  CHECK_INT(read(probe.peer, reply, sizeof reply), 5);
  CHECK_BYTES(reply, 5, "hello");
  probe_close(&net, &probe);
  net_close(&net);
}

static void echoes(void) {
  echo_over(AF_INET);
  echo_over(AF_UNIX);
}

static void writes_parts_in_order(void) {
  struct net net;
  struct probe probe;
  struct ls_slice parts[LS_STREAM_PARTS + 1];
  char reply[64];
  net_open(&net);
  probe_open(&net, &probe, AF_INET);
  for (int i = 0; i <= LS_STREAM_PARTS; i++)
    parts[i] = ls_slice(&"abcdefghijk"[i], 1);
  CHECK_INT(ls_stream_try_write(&probe.stream, parts, 3), 3);
  CHECK_INT(read(probe.peer, reply, sizeof reply), 3);
  CHECK_BYTES(reply, 3, "abc");
  CHECK_INT(ls_stream_try_write(&probe.stream, parts, LS_STREAM_PARTS + 1), LS_STREAM_PARTS);
  CHECK_INT(read(probe.peer, reply, sizeof reply), LS_STREAM_PARTS);
  CHECK_INT(ls_stream_try_write(&probe.stream, parts, 0), 0);
  probe_close(&net, &probe);
  net_close(&net);
}

static char pattern(size_t at) {
  return (char)('a' + at % 23);
}

/* Tries until the kernel is full; returns how much it took. */
static size_t fill(struct probe *probe) {
  enum { STEP = 23 * 1024 };
  char block[STEP];
  size_t total = 0;
  ssize_t taken;
  do {
    for (size_t i = 0; i < STEP; i++)
      block[i] = pattern(total + i);
    struct ls_slice part = ls_slice(block, STEP);
    taken = ls_stream_try_write(&probe->stream, &part, 1);
    CHECK(taken >= 0);
    total += (size_t)taken;
  } while (taken > 0);
  return total;
}

/* Reads what there is and checks it; 0 at the end. */
static ssize_t drink(struct probe *probe, size_t *at) {
  char block[8192];
  ssize_t len = recv(probe->peer, block, sizeof block, MSG_DONTWAIT);
  for (ssize_t i = 0; i < len; i++)
    CHECK_INT(block[i], pattern(*at + (size_t)i));
  *at += len > 0 ? (size_t)len : 0;
  return len;
}

static void large_write_over(int family) {
  struct net net;
  struct probe probe;
  struct ls_buf rest = {0};
  const size_t rest_len = 3 * 1000 * 1000;
  size_t at = 0;
  net_open(&net);
  probe_open(&net, &probe, family);
  size_t first = fill(&probe);
  CHECK_INT(ls_buf_reserve(&rest, rest_len), 0);
  for (size_t i = 0; i < rest_len; i++)
    rest.data[i] = pattern(first + i);
  rest.len = rest_len;
  CHECK_INT(ls_stream_write(&probe.stream, &rest, NULL), 0);
  CHECK(rest.data == NULL && rest.len == 0);
  CHECK_INT(probe.stream.writing, rest_len);
  CHECK(ls_stream_unsent(&probe.stream) > 0); /* the kernel may find room for some of it at once */
  CHECK_INT(ls_stream_try_write(&probe.stream, &(struct ls_slice){"x", 1}, 1), 0);
  CHECK_INT(ls_stream_shutdown(&probe.stream), 0);
  CHECK_INT(ls_stream_shutdown(&probe.stream), 0);
  bool saw_progress = false;
  ssize_t len = drink(&probe, &at);
  while (len != 0) { /* until the FIN */
    net_turn(&net);
    size_t unsent = ls_stream_unsent(&probe.stream);
    saw_progress = saw_progress || (unsent > 0 && unsent < rest_len);
    len = drink(&probe, &at);
  }
  CHECK_INT(at, first + rest_len);
  CHECK(saw_progress);
  CHECK_INT(probe.writtens, 1);
  CHECK_INT(probe.written_status, 0);
  CHECK_INT(net.drains, 1);
  CHECK_INT(probe.stream.writing, 0);
  CHECK(!ls_stream_is_gone(&probe.stream) || family == AF_UNIX);
  probe_close(&net, &probe);
  net_close(&net);
}

static void writes_much_to_a_slow_reader(void) {
  large_write_over(AF_INET);
  large_write_over(AF_UNIX);
}

static void fin_is_an_end_and_not_gone(void) {
  struct net net;
  struct probe probe;
  char reply[8];
  net_open(&net);
  probe_open(&net, &probe, AF_INET);
  shutdown(probe.peer, SHUT_WR);
  CHECK((net_poll(probe.fd, POLLRDHUP) & POLLRDHUP) != 0);
  CHECK(!ls_stream_is_gone(&probe.stream)); /* not reading yet */
  CHECK_INT(ls_stream_read_start(&probe.stream), 0);
  UNTIL(&net, probe.ends);
  CHECK_INT(probe.end_status, 0);
  CHECK_INT(net.drains, 1);
  CHECK(!probe.stream.reading);
  CHECK(!ls_stream_is_gone(&probe.stream));
  CHECK_INT(ls_stream_try_write(&probe.stream, &(struct ls_slice){"late", 4}, 1), 4);
  CHECK_INT(read(probe.peer, reply, sizeof reply), 4);
  net_turn(&net);
  CHECK_INT(probe.ends, 1);
  CHECK_INT(ls_stream_shutdown(&probe.stream), 0);
  UNTIL(&net, (net_poll(probe.fd, POLLRDHUP) & POLLHUP) != 0); /* both directions have ended now, regularly */
  CHECK(!ls_stream_is_gone(&probe.stream));
  probe_close(&net, &probe);
  net_close(&net);
}

static void rst_is_gone_while_not_reading(void) {
  struct net net;
  struct probe probe;
  net_open(&net);
  probe_open(&net, &probe, AF_INET);
  CHECK(!ls_stream_is_gone(&probe.stream));
  CHECK_INT(ls_stream_read_start(&probe.stream), 0);
  ls_stream_read_stop(&probe.stream);
  CHECK_INT(write(probe.peer, "unread", 6), 6);
  CHECK(!ls_stream_is_gone(&probe.stream));
  peer_reset(&probe);
  CHECK((net_poll(probe.fd, 0) & POLLERR) != 0);
  CHECK(ls_stream_is_gone(&probe.stream));
  net_turn(&net);
  CHECK_INT(probe.ends, 0);
  CHECK_INT(probe.got.len, 0);
  probe_close(&net, &probe);
  net_close(&net);
}

static void rst_ends_reading_with_a_code(void) {
  struct net net;
  struct probe probe;
  net_open(&net);
  probe_open(&net, &probe, AF_INET);
  CHECK_INT(ls_stream_read_start(&probe.stream), 0);
  peer_reset(&probe);
  UNTIL(&net, probe.ends);
  CHECK_INT(probe.end_status, -ECONNRESET);
  CHECK(!probe.stream.reading);
  CHECK(ls_stream_is_gone(&probe.stream));
  CHECK(ls_stream_try_write(&probe.stream, &(struct ls_slice){"x", 1}, 1) < 0);
  probe_close(&net, &probe);
  net_close(&net);
}

static void rst_after_fin_is_gone(void) {
  struct net net;
  struct probe probe;
  net_open(&net);
  probe_open(&net, &probe, AF_INET);
  CHECK_INT(ls_stream_read_start(&probe.stream), 0);
  shutdown(probe.peer, SHUT_WR);
  UNTIL(&net, probe.ends);
  CHECK_INT(probe.end_status, 0);
  peer_reset(&probe);
  net_poll(probe.fd, 0);
  CHECK(ls_stream_is_gone(&probe.stream));
  probe_close(&net, &probe);
  net_close(&net);
}

static void unix_close_is_gone_and_shutdown_is_not(void) {
  struct net net;
  struct probe probe;
  net_open(&net);
  probe_open(&net, &probe, AF_UNIX);
  shutdown(probe.peer, SHUT_WR);
  CHECK(!ls_stream_is_gone(&probe.stream));
  close(probe.peer);
  probe.peer = -1;
  CHECK(ls_stream_is_gone(&probe.stream));
  probe_close(&net, &probe);
  net_close(&net);
}

static void reset_and_close_look_different(void) {
  struct net net;
  struct probe probe;
  char byte;
  net_open(&net);
  probe_open(&net, &probe, AF_INET);
  ls_stream_reset(&probe.stream);
  CHECK_INT(read(probe.peer, &byte, 1), -1);
  CHECK_INT(errno, ECONNRESET);
  probe_close(&net, &probe);
  probe_open(&net, &probe, AF_INET);
  ls_stream_close(&probe.stream);
  CHECK_INT(read(probe.peer, &byte, 1), 0);
  probe_close(&net, &probe);
  probe_open(&net, &probe, AF_UNIX);
  ls_stream_reset(&probe.stream);
  CHECK_INT(read(probe.peer, &byte, 1), 0);
  probe_close(&net, &probe);
  net_close(&net);
}

static void reset_works_after_shutdown(void) {
  struct net net;
  struct probe probe;
  net_open(&net);
  probe_open(&net, &probe, AF_INET);
  CHECK_INT(ls_stream_shutdown(&probe.stream), 0); /* still to be sent */
  ls_stream_reset(&probe.stream);
  CHECK((net_poll(probe.peer, 0) & POLLERR) != 0);
  probe_close(&net, &probe);
  probe_open(&net, &probe, AF_INET);
  CHECK_INT(ls_stream_shutdown(&probe.stream), 0);
  UNTIL(&net, (net_poll(probe.peer, POLLRDHUP | POLLOUT) & POLLRDHUP) != 0); /* sent */
  ls_stream_reset(&probe.stream);
  CHECK((net_poll(probe.peer, 0) & POLLERR) != 0);
  probe_close(&net, &probe);
  net_close(&net);
}

/* Queues small writes behind a full socket. */
static void queue_small(struct probe *probe, struct ls_buf_pool *pool, int count) {
  for (int i = 0; i < count; i++) {
    struct ls_buf bytes = {0};
    CHECK_INT(ls_buf_append(&bytes, "0123456789", 10), 0);
    CHECK_INT(ls_stream_write(&probe->stream, &bytes, pool), 0);
  }
}

static void close_while_writing_frees_and_is_silent(void) {
  struct net net;
  struct probe probe;
  struct ls_buf_pool pool;
  net_open(&net);
  ls_buf_pool_init(&pool);
  probe_open(&net, &probe, AF_INET);
  fill(&probe);
  queue_small(&probe, &pool, 3);
  queue_small(&probe, NULL, 1);
  CHECK_INT(probe.stream.writing, 40);
  ls_stream_close(&probe.stream);
  ls_stream_close(&probe.stream);
  probe_close(&net, &probe);
  CHECK_INT(probe.writtens, 0);
  CHECK_INT(pool.count, 3);
  CHECK_INT(probe.stream.writing, 0);
  ls_buf_pool_dispose(&pool);
  net_close(&net);
}

static void write_to_a_gone_peer_says_so(void) {
  struct net net;
  struct probe probe;
  struct ls_buf_pool pool;
  net_open(&net);
  ls_buf_pool_init(&pool);
  probe_open(&net, &probe, AF_INET);
  fill(&probe);
  while (ls_stream_unsent(&probe.stream) == 0)
    queue_small(&probe, &pool, 1);
  peer_reset(&probe);
  UNTIL(&net, probe.written_status < 0);
  CHECK_INT(probe.stream.writing, 0);
  CHECK(pool.count > 0);
  probe_close(&net, &probe);
  ls_buf_pool_dispose(&pool);
  net_close(&net);
}

static void a_closing_stream_refuses(void) {
  struct net net;
  struct probe probe;
  struct ls_buf bytes = {0};
  net_open(&net);
  probe_open(&net, &probe, AF_INET);
  probe.close_on_read = true;
  CHECK_INT(ls_stream_read_start(&probe.stream), 0);
  CHECK_INT(write(probe.peer, "x", 1), 1);
  UNTIL(&net, probe.stream.closing);
  CHECK_INT(ls_buf_append(&bytes, "x", 1), 0);
  CHECK_INT(ls_stream_write(&probe.stream, &bytes, NULL), LS_ECLOSED);
  CHECK(bytes.data == NULL);
  CHECK_INT(ls_stream_try_write(&probe.stream, &(struct ls_slice){"x", 1}, 1), LS_ECLOSED);
  CHECK_INT(ls_stream_read_start(&probe.stream), LS_ECLOSED);
  CHECK_INT(ls_stream_shutdown(&probe.stream), LS_ECLOSED);
  CHECK_INT(ls_stream_set_nodelay(&probe.stream, true), LS_ECLOSED);
  CHECK(ls_stream_is_gone(&probe.stream));
  ls_stream_read_stop(&probe.stream);
  ls_stream_reset(&probe.stream);
  probe_close(&net, &probe);
  CHECK_INT(probe.ends, 0);
  net_close(&net);
}

static void failed_open_closes_the_descriptor(void) {
  struct net net;
  struct probe probe = {.peer = -1};
  int theirs;
  net_open(&net);
  net_tcp_pair(&probe.fd, &theirs);
  CHECK_INT(ls_stream_open(&net.loop, &probe.stream, probe.fd, AF_APPLETALK, &events), -EAFNOSUPPORT);
  CHECK_INT(fcntl(probe.fd, F_GETFD), -1);
  probe_close(&net, &probe);
  close(theirs);
  net_close(&net);
}

static void tells_addresses(void) {
  struct net net;
  struct probe probe;
  char text[INET6_ADDRSTRLEN];
  int port;
  struct sockaddr_in address;
  socklen_t len = sizeof address;
  net_open(&net);
  probe_open(&net, &probe, AF_INET);
  CHECK_INT(getsockname(probe.peer, (struct sockaddr *)&address, &len), 0);
  CHECK_INT(ls_stream_peer(&probe.stream, text, sizeof text, &port), 0);
  CHECK_BYTES(text, strlen(text), "127.0.0.1");
  CHECK_INT(port, ntohs(address.sin_port));
  CHECK_INT(getpeername(probe.peer, (struct sockaddr *)&address, &len), 0);
  CHECK_INT(ls_stream_self(&probe.stream, text, sizeof text, &port), 0);
  CHECK_INT(port, ntohs(address.sin_port));
  CHECK_INT(ls_stream_self(&probe.stream, text, 4, &port), -ENOSPC);
  for (int on = 1; on >= 0; on--) {
    CHECK_INT(ls_stream_set_nodelay(&probe.stream, on != 0), 0);
    CHECK_INT(net_sends_at_once(probe.fd), on);
  }
  probe_close(&net, &probe);
  probe_open(&net, &probe, AF_UNIX);
  CHECK_INT(ls_stream_peer(&probe.stream, text, sizeof text, &port), 0);
  CHECK_BYTES(text, strlen(text), "");
  CHECK_INT(port, 0);
  CHECK_INT(ls_stream_set_nodelay(&probe.stream, true), 0);
  probe_close(&net, &probe);
  net_close(&net);
}

static void tells_mapped_addresses_as_ipv4(void) {
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  char text[INET6_ADDRSTRLEN];
  int port;
  CHECK_INT(ls_address_text((struct sockaddr *)&six, text, sizeof text, &port), 0);
  CHECK_BYTES(text, strlen(text), "::1");
  CHECK_INT(port, 80);
  CHECK_INT(inet_pton(AF_INET6, "::ffff:192.0.2.7", &six.sin6_addr), 1);
  CHECK_INT(ls_address_text((struct sockaddr *)&six, text, sizeof text, NULL), 0);
  CHECK_BYTES(text, strlen(text), "192.0.2.7");
}

int main(void) {
  net_main();
  int before = net_descriptors();
  RUN(echoes);
  RUN(writes_parts_in_order);
  RUN(writes_much_to_a_slow_reader);
  RUN(fin_is_an_end_and_not_gone);
  RUN(rst_is_gone_while_not_reading);
  RUN(rst_ends_reading_with_a_code);
  RUN(rst_after_fin_is_gone);
  RUN(unix_close_is_gone_and_shutdown_is_not);
  RUN(reset_and_close_look_different);
  RUN(reset_works_after_shutdown);
  RUN(close_while_writing_frees_and_is_silent);
  RUN(write_to_a_gone_peer_says_so);
  RUN(a_closing_stream_refuses);
  RUN(failed_open_closes_the_descriptor);
  RUN(tells_addresses);
  RUN(tells_mapped_addresses_as_ipv4);
  CHECK_INT(net_descriptors(), before);
  return 0;
}
