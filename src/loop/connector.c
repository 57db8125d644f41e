/* SPDX-License-Identifier: MIT */
/* connector: the poll handle watches for "writable", which Linux reports for a socket that has connected, for one that
 * has failed, and for one that never began to connect. So an answer that connect(2) gives at once needs no path of its
 * own: it is kept, and the next poll tells it.
 *
 * The handle is closed before the descriptor is handed over. uv_close takes it out of the loop's watcher table and out
 * of epoll at once, before the close callback, so that the callee can open a stream on it right there; libuv refuses a
 * descriptor that another handle of the loop still watches. */
#include "loop/connector.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "loop/loop.h"

static void on_poll_closed(uv_handle_t *handle) {
  struct ls_connector *connector = ls_container_of(handle, struct ls_connector, poll);
  connector->on_closed(connector);
}

/* What became of the attempt. libuv stops the watcher and says UV_EBADF for any socket in error; the socket knows. */
static int outcome(const struct ls_connector *connector, int poll_status) {
  int error = 0;
  socklen_t len = sizeof error;
  if (connector->failed != 0)
    return connector->failed;
  if (getsockopt(connector->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
    return -errno;
  return error != 0 ? -error : poll_status;
}

static void on_writable(uv_poll_t *poll, int status, int events) {
  struct ls_connector *connector = ls_container_of(poll, struct ls_connector, poll);
  struct ls_loop *loop = ls_loop_of((uv_handle_t *)poll);
  (void)events;
  int result = outcome(connector, status);
  int fd = connector->fd;
  connector->fd = -1;
  uv_close((uv_handle_t *)poll, on_poll_closed);
  if (result != 0) {
    close(fd);
    fd = -1;
  }
  connector->on_connected(connector, fd, result);
  ls_loop_drain(loop);
}

int ls_connector_start(struct ls_loop *loop, struct ls_connector *connector, const struct sockaddr *address,
                       socklen_t len) {
  int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  int on = 1;
  if (address->sa_family !=
      AF_UNIX) /* small writes leave at once; without it they are slower, and right all the same */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  connector->fd = fd;
  connector->failed = 0;
  /* An interrupted connect(2) goes on in the background, as one in progress does. */
  if (connect(fd, address, len) != 0 && errno != EINPROGRESS && errno != EINTR)
    connector->failed = -errno;
  int rc = uv_poll_init(&loop->uv, &connector->poll, fd);
  if (rc != 0) {
    close(fd);
    return rc;
  }
  rc = uv_poll_start(&connector->poll, UV_WRITABLE, on_writable);
  assert(rc == 0); /* it fails for a closing handle or a descriptor that is watched already, and poll_init looked */
  (void)rc;
  return 0;
}

void ls_connector_cancel(struct ls_connector *connector) {
  if (uv_is_closing((uv_handle_t *)&connector->poll))
    return;
  uv_close((uv_handle_t *)&connector->poll, on_poll_closed);
  close(connector->fd);
  connector->fd = -1;
}
