/* SPDX-License-Identifier: MIT */
/* stream: a layer over uv_tcp_t and uv_pipe_t that keeps their states out of sight: whether libuv has the descriptor yet,
 * which calls a closing handle refuses, and that writes of a closed handle still end, unheard. */
#include "loop/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/list.h"
#include "loop/loop.h"

#define KEEPALIVE_PROBES 5
#define READS_MAX 32 /* full ones of one stream in a turn */

/* A queued write and the memory that it sends: what would block is the slow path, and may allocate. */
struct queued_write {
  uv_write_t request;
  struct ls_stream *stream;
  struct ls_buf bytes;
  struct ls_buf_pool *pool;
};

static void on_closed(uv_handle_t *handle) {
  struct ls_stream *stream = ls_container_of(handle, struct ls_stream, uv.handle);
  stream->events->on_closed(stream);
}

static bool is_tcp(const struct ls_stream *stream) {
  return stream->uv.handle.type == UV_TCP;
}

static int init_handle(struct ls_loop *loop, struct ls_stream *stream, int family) {
  if (family == AF_UNIX)
    return uv_pipe_init(&loop->uv, &stream->uv.pipe, 0);
  int rc = uv_tcp_init(&loop->uv, &stream->uv.tcp);
  return rc == 0 && family != AF_INET && family != AF_INET6 ? -EAFNOSUPPORT : rc;
}

int ls_stream_open(struct ls_loop *loop, struct ls_stream *stream, int fd, int family,
                   const struct ls_stream_events *events) {
  stream->events = events;
  stream->fd = fd;
  stream->expected = 0;
  stream->writing = 0;
  stream->watched = stream->is_pipe = stream->reading = stream->closing = stream->shut = false;
  int rc = init_handle(loop, stream, family);
  if (rc != 0)
    ls_stream_close(stream);
  return rc;
}

/* Hands the descriptor to libuv, once. */
static int watch(struct ls_stream *stream) {
  if (stream->watched)
    return 0;
  int rc = is_tcp(stream) ? uv_tcp_open(&stream->uv.tcp, stream->fd) : uv_pipe_open(&stream->uv.pipe, stream->fd);
  if (rc != 0)
    return rc;
  stream->watched = true;
  return 0;
}

/* Reading. */

/* One recv(2) of a socket, one read(2) of a pipe. -errno where it fails. */
static ssize_t receive(struct ls_stream *stream, char *bytes, size_t size) {
  for (;;) {
    ssize_t len = stream->is_pipe ? read(stream->fd, bytes, size) : recv(stream->fd, bytes, size, 0);
    if (len >= 0)
      return len;
    if (errno == ENOTSOCK)
      stream->is_pipe = true;
    else if (errno != EINTR)
      return -errno;
  }
}

/* Pages of the shared buffer that nobody ever uses are never there. */
static size_t read_size(const struct ls_stream *stream) {
  if (stream->expected <= LS_LOOP_READ_BUFFER)
    return LS_LOOP_READ_BUFFER;
  return stream->expected < LS_LOOP_READ_MUCH ? (size_t)stream->expected : LS_LOOP_READ_MUCH;
}

/* Tells what one read says, and drains. false: there is nothing more for now. */
static bool read_once(struct ls_stream *stream) {
  struct ls_loop *loop = ls_loop_of(&stream->uv.handle);
  size_t size = read_size(stream);
  ssize_t len = receive(stream, loop->read_buffer, size);
  if (len == -EAGAIN)
    return false;
  if (len > 0) {
    stream->events->on_read(stream, loop->read_buffer, (size_t)len);
  } else {
    ls_stream_read_stop(stream);
    stream->events->on_end(stream, (int)len);
  }
  ls_loop_drain(loop);
  return len == (ssize_t)size;
}

void ls_stream_read_now(struct ls_stream *stream) {
  if (!stream->closing)
    read_once(stream);
}

/* uv.h: a callback that lends nothing makes read_cb be called with UV_ENOBUFS, and nothing be read. */
static void lend_nothing(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)handle;
  (void)suggested;
  *buf = uv_buf_init(NULL, 0);
}

/* libuv looks at the socket again in the next turn, so whoever sends without end is left after some reads. */
static void on_readable(uv_stream_t *handle, ssize_t status, const uv_buf_t *buf) {
  struct ls_stream *stream = ls_container_of(handle, struct ls_stream, uv.stream);
  (void)status;
  (void)buf;
  for (int i = 0; i < READS_MAX && stream->reading; i++) {
    if (!read_once(stream))
      break;
  }
}

int ls_stream_read_start(struct ls_stream *stream) {
  if (stream->closing)
    return LS_ECLOSED;
  if (stream->reading)
    return 0;
  int rc = watch(stream);
  if (rc == 0)
    rc = uv_read_start(&stream->uv.stream, lend_nothing, on_readable);
  stream->reading = rc == 0;
  return rc;
}

void ls_stream_read_stop(struct ls_stream *stream) {
  if (!stream->reading)
    return;
  stream->reading = false;
  uv_read_stop(&stream->uv.stream);
}

/* Writing. */

static ssize_t send_parts(struct ls_stream *stream, struct iovec *parts, unsigned count) {
  if (stream->is_pipe)
    return writev(stream->fd, parts, (int)count);
  if (count == 1)
    return send(stream->fd, parts->iov_base, parts->iov_len, MSG_NOSIGNAL);
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
  return sendmsg(stream->fd, &message, MSG_NOSIGNAL);
}

/* 0 where it would block: the kernel has no room for it, or no memory. The end of a pipe that is for reading is a bad
 * descriptor to write(2); to who holds it it is one that nobody reads. */
static ssize_t send_now(struct ls_stream *stream, struct iovec *parts, unsigned count) {
  for (;;) {
    ssize_t sent = send_parts(stream, parts, count);
    if (sent >= 0)
      return sent;
    if (errno == ENOTSOCK)
      stream->is_pipe = true;
    else if (errno == EAGAIN || errno == ENOBUFS)
      return 0;
    else if (errno != EINTR)
      return errno == EBADF ? -EPIPE : -errno;
  }
}

ssize_t ls_stream_try_write(struct ls_stream *stream, const struct ls_slice *parts, unsigned count) {
  struct iovec vectors[LS_STREAM_PARTS];
  unsigned used = count < LS_STREAM_PARTS ? count : LS_STREAM_PARTS;
  if (stream->closing)
    return LS_ECLOSED;
  if (stream->shut)
    return -EPIPE;
  if (stream->writing > 0 || used == 0)
    return 0;
  for (unsigned i = 0; i < used; i++) {
    vectors[i].iov_base = (char *)parts[i].ptr; /* only read from: an iovec has no const twin */
    vectors[i].iov_len = parts[i].len;
  }
  return send_now(stream, vectors, used);
}

static void give_back(struct ls_buf *bytes, struct ls_buf_pool *pool) {
  if (pool != NULL)
    ls_buf_pool_give(pool, bytes);
  else
    ls_buf_dispose(bytes);
}

/* A peer that has gone needs no FIN. The write end of a pipe cannot be shut down, and has nothing to read: closing it says
 * the same. */
static void send_end(struct ls_stream *stream) {
  if (shutdown(stream->fd, SHUT_WR) != 0 && errno == ENOTSOCK)
    ls_stream_close(stream);
}

/* Also comes from within the close phase, with UV_ECANCELED, for what was queued when the stream closed. */
static void on_write(uv_write_t *request, int status) {
  struct queued_write *write = ls_container_of(request, struct queued_write, request);
  struct ls_stream *stream = write->stream;
  struct ls_loop *loop = ls_loop_of(&stream->uv.handle);
  stream->writing -= write->bytes.len;
  give_back(&write->bytes, write->pool);
  free(write);
  if (stream->closing)
    return;
  stream->events->on_written(stream, status);
  if (stream->shut && stream->writing == 0 && !stream->closing)
    send_end(stream);
  ls_loop_drain(loop);
}

static int queue_write(struct ls_stream *stream, struct ls_buf *bytes, struct ls_buf_pool *pool) {
  if (stream->closing)
    return LS_ECLOSED;
  if (stream->shut)
    return -EPIPE;
  int rc = watch(stream);
  if (rc != 0)
    return rc;
  struct queued_write *write = malloc(sizeof *write);
  if (write == NULL)
    return -ENOMEM;
  uv_buf_t buf = {.base = ls_buf_bytes(bytes), .len = bytes->len};
  write->stream = stream;
  write->bytes = *bytes;
  write->pool = pool;
  rc = uv_write(&write->request, &stream->uv.stream, &buf, 1, on_write);
  if (rc != 0) {
    free(write);
    return rc;
  }
  stream->writing += bytes->len;
  ls_buf_init(bytes);
  return 0;
}

int ls_stream_write(struct ls_stream *stream, struct ls_buf *bytes, struct ls_buf_pool *pool) {
  int rc = queue_write(stream, bytes, pool);
  if (rc != 0)
    give_back(bytes, pool);
  return rc;
}

int ls_stream_shutdown(struct ls_stream *stream) {
  if (stream->closing)
    return LS_ECLOSED;
  if (stream->shut)
    return 0;
  stream->shut = true;
  if (stream->writing == 0)
    send_end(stream);
  return 0;
}

/* Closing. */

void ls_stream_close(struct ls_stream *stream) {
  if (stream->closing)
    return;
  stream->closing = true;
  stream->reading = false;
  if (!stream->watched)
    close(stream->fd);
  stream->fd = -1;
  uv_close(&stream->uv.handle, on_closed);
}

/* Not uv_tcp_close_reset, which does the same but refuses a stream that is being shut down. */
void ls_stream_reset(struct ls_stream *stream) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  if (!stream->closing && is_tcp(stream))
    setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* if it fails, a plain close is left */
  ls_stream_close(stream);
}

bool ls_stream_is_gone(struct ls_stream *stream) {
  struct pollfd probe = {.fd = stream->fd}; /* POLLERR and POLLHUP come unasked, a FIN alone does not */
  if (stream->closing || probe.fd < 0)
    return true;
  while (poll(&probe, 1, 0) < 0) {
    if (errno != EINTR)
      return false; /* out of kernel memory: not known */
  }
  /* POLLHUP means closed in both directions; where our FIN is one of them, it is a regular end. */
  bool hung_up = (probe.revents & POLLHUP) != 0 && !(stream->shut && is_tcp(stream));
  return hung_up || (probe.revents & (POLLERR | POLLNVAL)) != 0;
}

/* Addresses. */

typedef int name_call(int fd, struct sockaddr *address, socklen_t *len);

static int name_text(const struct ls_stream *stream, name_call *name, char *text, size_t size, int *port) {
  struct sockaddr_storage address;
  socklen_t len = sizeof address;
  if (name(stream->fd, (struct sockaddr *)&address, &len) != 0)
    return -errno;
  return ls_address_text((struct sockaddr *)&address, text, size, port);
}

int ls_stream_peer(const struct ls_stream *stream, char *text, size_t size, int *port) {
  return name_text(stream, getpeername, text, size, port);
}

int ls_stream_self(const struct ls_stream *stream, char *text, size_t size, int *port) {
  return name_text(stream, getsockname, text, size, port);
}

static int set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

int ls_stream_set_nodelay(struct ls_stream *stream, bool on) {
  if (stream->closing)
    return LS_ECLOSED;
  return is_tcp(stream) ? set_option(stream->fd, IPPROTO_TCP, TCP_NODELAY, on) : 0;
}

/* Not uv_tcp_keepalive, which leaves the system's 9 probes in intervals of 75 seconds. */
int ls_stream_set_keepalive(struct ls_stream *stream, unsigned idle_s) {
  if (stream->closing)
    return LS_ECLOSED;
  if (!is_tcp(stream))
    return 0;
  int fd = stream->fd;
  if (idle_s == 0)
    return set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
  unsigned interval = (idle_s + KEEPALIVE_PROBES - 1) / KEEPALIVE_PROBES;
  int rc = set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)idle_s);
  if (rc == 0)
    rc = set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)interval);
  if (rc == 0)
    rc = set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
  return rc == 0 ? set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) : rc;
}
