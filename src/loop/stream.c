/* SPDX-License-Identifier: MIT */
/* stream: a thin layer over uv_tcp_t and uv_pipe_t that keeps their states out of sight: when libuv has stopped reading
 * by itself, which calls a closing handle refuses, and that writes of a closed handle still end, unheard. */
#include "loop/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/list.h"
#include "loop/loop.h"

#define KEEPALIVE_PROBES 5

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

static int descriptor_of(const struct ls_stream *stream) {
  uv_os_fd_t fd = -1;
  return uv_fileno(&stream->uv.handle, &fd) == 0 ? fd : -1;
}

static int open_handle(struct ls_loop *loop, struct ls_stream *stream, int fd, int family) {
  if (family == AF_UNIX) {
    int rc = uv_pipe_init(&loop->uv, &stream->uv.pipe, 0);
    return rc != 0 ? rc : uv_pipe_open(&stream->uv.pipe, fd);
  }
  int rc = uv_tcp_init(&loop->uv, &stream->uv.tcp);
  if (rc == 0 && family != AF_INET && family != AF_INET6)
    rc = -EAFNOSUPPORT;
  if (rc == 0)
    rc = uv_tcp_open(&stream->uv.tcp, fd);
  return rc;
}

int ls_stream_open(struct ls_loop *loop, struct ls_stream *stream, int fd, int family,
                   const struct ls_stream_events *events) {
  stream->events = events;
  stream->writing = 0;
  stream->reading = false;
  stream->expected = 0;
  stream->closing = false;
  stream->shut = false;
  int rc = open_handle(loop, stream, fd, family);
  if (rc != 0) {
    close(fd); /* libuv has not taken it: it does so as the last step of opening */
    ls_stream_close(stream);
  }
  return rc;
}

/* Reading. */

static void on_read(uv_stream_t *handle, ssize_t len, const uv_buf_t *buf) {
  struct ls_stream *stream = ls_container_of(handle, struct ls_stream, uv.stream);
  struct ls_loop *loop = ls_loop_of((uv_handle_t *)handle);
  if (len == 0)
    return; /* libuv's EAGAIN: nothing has happened */
  if (len > 0) {
    stream->events->on_read(stream, buf->base, (size_t)len);
  } else {
    ls_stream_read_stop(stream);
    stream->events->on_end(stream, len == UV_EOF ? 0 : (int)len);
  }
  ls_loop_drain(loop);
}

/* Pages of the shared buffer that nobody ever uses are never there. */
static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  struct ls_stream *stream = ls_container_of(handle, struct ls_stream, uv.handle);
  ls_loop_lend_buffer(handle, suggested, buf);
  if (stream->expected > buf->len)
    buf->len = stream->expected < LS_LOOP_READ_MUCH ? (size_t)stream->expected : LS_LOOP_READ_MUCH;
}

int ls_stream_read_start(struct ls_stream *stream) {
  if (stream->closing)
    return LS_ECLOSED;
  if (stream->reading)
    return 0;
  int rc = uv_read_start(&stream->uv.stream, lend_buffer, on_read);
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

ssize_t ls_stream_try_write(struct ls_stream *stream, const struct ls_slice *parts, unsigned count) {
  uv_buf_t bufs[LS_STREAM_PARTS];
  unsigned used = count < LS_STREAM_PARTS ? count : LS_STREAM_PARTS;
  if (stream->closing)
    return LS_ECLOSED;
  if (stream->writing > 0 || used == 0)
    return 0;
  for (unsigned i = 0; i < used; i++) {
    bufs[i].base = (char *)parts[i].ptr; /* only read from: uv_buf_t has no const twin */
    bufs[i].len = parts[i].len;
  }
  int rc = uv_try_write(&stream->uv.stream, bufs, used);
  return rc == UV_EAGAIN ? 0 : rc;
}

static void give_back(struct ls_buf *bytes, struct ls_buf_pool *pool) {
  if (pool != NULL)
    ls_buf_pool_give(pool, bytes);
  else
    ls_buf_dispose(bytes);
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
  ls_loop_drain(loop);
}

static int queue_write(struct ls_stream *stream, struct ls_buf *bytes, struct ls_buf_pool *pool) {
  if (stream->closing)
    return LS_ECLOSED;
  struct queued_write *write = malloc(sizeof *write);
  if (write == NULL)
    return -ENOMEM;
  uv_buf_t buf = {.base = ls_buf_bytes(bytes), .len = bytes->len};
  write->stream = stream;
  write->bytes = *bytes;
  write->pool = pool;
  int rc = uv_write(&write->request, &stream->uv.stream, &buf, 1, on_write);
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

/* The write end of a pipe cannot be shut down, and has nothing to read: closing it says the same. */
static void on_shutdown(uv_shutdown_t *request, int status) {
  if (status == UV_ENOTSOCK)
    ls_stream_close(ls_container_of(request, struct ls_stream, shutdown));
}

int ls_stream_shutdown(struct ls_stream *stream) {
  if (stream->closing)
    return LS_ECLOSED;
  if (stream->shut)
    return 0;
  int rc = uv_shutdown(&stream->shutdown, &stream->uv.stream, on_shutdown);
  stream->shut = rc == 0;
  return rc;
}

/* Closing. */

void ls_stream_close(struct ls_stream *stream) {
  if (stream->closing)
    return;
  stream->closing = true;
  stream->reading = false;
  uv_close(&stream->uv.handle, on_closed);
}

/* Not uv_tcp_close_reset, which does the same but refuses a stream that is being shut down. */
void ls_stream_reset(struct ls_stream *stream) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  if (!stream->closing && is_tcp(stream))
    setsockopt(descriptor_of(stream), SOL_SOCKET, SO_LINGER, &now, sizeof now); /* if it fails, a plain close is left */
  ls_stream_close(stream);
}

int ls_stream_duplicate(const struct ls_stream *stream) {
  int fd = stream->closing ? LS_ECLOSED : fcntl(descriptor_of(stream), F_DUPFD_CLOEXEC, 0);
  return fd == -1 ? -errno : fd;
}

bool ls_stream_is_gone(struct ls_stream *stream) {
  struct pollfd probe = {.fd = descriptor_of(stream)}; /* POLLERR and POLLHUP come unasked, a FIN alone does not */
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
  if (name(descriptor_of(stream), (struct sockaddr *)&address, &len) != 0)
    return -errno;
  return ls_address_text((struct sockaddr *)&address, text, size, port);
}

int ls_stream_peer(const struct ls_stream *stream, char *text, size_t size, int *port) {
  return name_text(stream, getpeername, text, size, port);
}

int ls_stream_self(const struct ls_stream *stream, char *text, size_t size, int *port) {
  return name_text(stream, getsockname, text, size, port);
}

int ls_stream_set_nodelay(struct ls_stream *stream, bool on) {
  if (stream->closing)
    return LS_ECLOSED;
  return is_tcp(stream) ? uv_tcp_nodelay(&stream->uv.tcp, on) : 0;
}

static int set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

/* Not uv_tcp_keepalive, which leaves the system's 9 probes in intervals of 75 seconds. */
int ls_stream_set_keepalive(struct ls_stream *stream, unsigned idle_s) {
  if (stream->closing)
    return LS_ECLOSED;
  if (!is_tcp(stream))
    return 0;
  int fd = descriptor_of(stream);
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
