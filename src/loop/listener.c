/* SPDX-License-Identifier: MIT */
/* listener: opening is plain system calls in order, done once; accepting is one loop that sorts what accept4 says into
 * take it, skip it, nothing left, and cannot succeed now. The last one never spins: the listener looks away and a timer
 * makes it look again.
 * Looking away means to watch for a hang-up only, which a listening socket has none of: so the handle stays active and
 * keeps the process alive as before, and the connections wait in the kernel's backlog. */
#include "loop/listener.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "loop/inherited.h"
#include "loop/loop.h"
#include "loop/restart.h"
#include "loop/stream.h"

#define DISCARD_MAX 16 /* reads of what a refused client had sent already */

static void on_poll(uv_poll_t *poll, int status, int events);

/* Accepting. */

static void watch(struct ls_listener *listener) {
  bool away = listener->paused || uv_is_active((uv_handle_t *)&listener->retry);
  int rc = uv_poll_start(&listener->poll, away ? UV_DISCONNECT : UV_READABLE, on_poll);
  assert(rc == 0); /* it fails for a closing handle or a descriptor that another handle watches */
  (void)rc;
}

static void on_retry(uv_timer_t *retry) {
  watch(ls_container_of(retry, struct ls_listener, retry)); /* the timer is not active any more: readable again */
}

static void look_away(struct ls_listener *listener) {
  uv_timer_start(&listener->retry, on_retry, LS_LISTENER_RETRY_MS, 0); /* cannot fail: not closing, has a callback */
  watch(listener);
}

static void open_reserve(struct ls_listener *listener) {
  if (listener->reserve < 0)
    listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int take(struct ls_listener *listener) {
  return accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Closing a socket with unread bytes sends RST, which can overtake the answer: so FIN first, and read them off. */
static void close_refused(int fd) {
  char waste[4096];
  shutdown(fd, SHUT_WR);
  for (int i = 0; i < DISCARD_MAX && recv(fd, waste, sizeof waste, MSG_DONTWAIT) > 0; i++) {
  }
  close(fd);
}

/* No descriptor is left: answers one connection with the reserve. False: stop accepting in this event.
 * accept4 looks for a descriptor before it looks at the queue, so this is also how an empty queue is found. */
static bool refuse(struct ls_listener *listener) {
  open_reserve(listener);
  if (listener->reserve < 0) {
    look_away(listener);
    return false;
  }
  close(listener->reserve);
  listener->reserve = -1;
  int fd = take(listener);
  if (fd >= 0) {
    listener->refused++;
    listener->on_refused(listener, fd);
    close_refused(fd);
  }
  int error = errno;
  if (listener->closing)
    return false;
  open_reserve(listener); /* another thread may have been faster: the next event tries again */
  return fd >= 0 || (error != EAGAIN && error != EMFILE && error != ENFILE);
}

/* After accept4 has failed. False: stop accepting in this event. */
static bool goes_on(struct ls_listener *listener, int error) {
  switch (error) {
  case EAGAIN:
    return false;
  case EMFILE:
  case ENFILE:
    return refuse(listener);
  case EINTR:
  case ECONNABORTED: /* from here on the one connection has failed, not the listener: accept(2) */
  case EPERM:
  case EPROTO:
  case ENETDOWN:
  case ENOPROTOOPT:
  case EHOSTDOWN:
  case ENONET:
  case EHOSTUNREACH:
  case EOPNOTSUPP:
  case ENETUNREACH:
    return true;
  default:
    break;
  }
  /* ENOBUFS, ENOMEM, and what nobody has seen yet. */
  look_away(listener);
  return false;
}

static void accept_burst(struct ls_listener *listener) {
  open_reserve(listener);
  for (int i = 0; i < LS_LISTENER_BURST && !listener->closing && !listener->paused; i++) {
    int fd = take(listener);
    if (fd >= 0) {
      listener->accepted++;
      listener->on_accept(listener, fd);
    } else if (!goes_on(listener, errno)) {
      return;
    }
  }
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  struct ls_listener *listener = ls_container_of(poll, struct ls_listener, poll);
  struct ls_loop *loop = ls_loop_of((uv_handle_t *)poll);
  if (status < 0 || (events & UV_READABLE) == 0) {
    int error;
    socklen_t len = sizeof error;
    getsockopt(listener->fd, SOL_SOCKET, SO_ERROR, &error, &len); /* takes it off, or poll would tell it for ever */
    if (listener->paused || (events & UV_DISCONNECT) != 0)
      uv_poll_stop(poll); /* somebody has shut the socket down: resume looks again */
    else
      look_away(listener);
  } else {
    accept_burst(listener);
  }
  ls_loop_drain(loop);
}

/* Opening. */

static int set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

/* What a predecessor has left open there (handover.h), with what can be changed as it is wanted now; -ENOENT: nothing. */
static int open_left(struct ls_loop *loop, const struct sockaddr *address, socklen_t len,
                     const struct ls_listen_options *options) {
  const struct ls_handover_place place = {address, len, options->reuse_port, options->ipv6_only};
  int fd = loop->restart != NULL ? ls_handover_take(&loop->restart->handover, &place).fd : -1;
  if (fd < 0)
    return -ENOENT;
  set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0); /* the successor may speak another protocol */
  bool fits = address->sa_family != AF_UNIX || options->mode == 0 || chmod(options->path, options->mode) == 0;
  return fits && listen(fd, options->backlog > 0 ? options->backlog : SOMAXCONN) == 0 ? fd : -errno;
}

/* A bound and listening descriptor, or a negative code. */
static int open_new(const struct sockaddr *address, socklen_t len, const struct ls_listen_options *options) {
  int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  int rc = 0;
  if (address->sa_family != AF_UNIX)
    rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (rc == 0 && address->sa_family != AF_UNIX && options->reuse_port)
    rc = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (rc == 0 && address->sa_family == AF_INET6)
    rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->ipv6_only);
  if (rc == 0 && bind(fd, address, len) != 0)
    rc = -errno;
  /* Before it listens: until then nobody gets in whom the umask would have let in. */
  if (rc == 0 && address->sa_family == AF_UNIX && options->mode != 0 && chmod(options->path, options->mode) != 0)
    rc = -errno;
  if (rc == 0 && listen(fd, options->backlog > 0 ? options->backlog : SOMAXCONN) != 0)
    rc = -errno;
  if (rc != 0)
    close(fd);
  return rc != 0 ? rc : fd;
}

static int open_address(struct ls_loop *loop, const struct sockaddr *address, socklen_t len,
                        const struct ls_listen_options *options) {
  int fd = open_left(loop, address, len, options);
  return fd != -ENOENT ? fd : open_new(address, len, options);
}

/* Whether the system does not have this kind of address, so that another one is worth trying. A port in use is no
 * reason: listening on the other family alone would surprise. */
static bool is_unavailable(int code) {
  return code == -EAFNOSUPPORT || code == -EADDRNOTAVAIL;
}

static int open_any(struct ls_loop *loop, struct ls_listener *listener, const struct ls_listen_options *options) {
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)options->port)};
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options->port)};
  listener->family = AF_INET6;
  int fd = open_address(loop, (struct sockaddr *)&six, sizeof six, options);
  if (!is_unavailable(fd) || options->ipv6_only)
    return fd;
  listener->family = AF_INET;
  return open_address(loop, (struct sockaddr *)&four, sizeof four, options);
}

/* The first of the host's addresses that the system has. libuv's lookup without a callback blocks; it is used because
 * it turns the resolver's codes into negative ones that have names. */
static int open_host(struct ls_loop *loop, struct ls_listener *listener, const struct ls_listen_options *options) {
  struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
  char service[8];
  uv_getaddrinfo_t lookup;
  snprintf(service, sizeof service, "%d", options->port);
  int rc = uv_getaddrinfo(&loop->uv, &lookup, NULL, options->host, service, &hints);
  if (rc != 0)
    return rc;
  int fd = -EADDRNOTAVAIL;
  for (struct addrinfo *found = lookup.addrinfo; found != NULL && is_unavailable(fd); found = found->ai_next) {
    listener->family = found->ai_family;
    fd = open_address(loop, found->ai_addr, found->ai_addrlen, options);
  }
  uv_freeaddrinfo(lookup.addrinfo);
  return fd;
}

/* Removes the file of a socket that nobody listens on: 0, or -EADDRINUSE. It is asked what it is first, because
 * connect(2) refuses other files as well. (A server between its bind and its listen looks like nobody, too.) */
static int remove_stale(const struct sockaddr_un *address) {
  struct stat info;
  if (lstat(address->sun_path, &info) != 0)
    return errno == ENOENT ? 0 : -EADDRINUSE;
  if (!S_ISSOCK(info.st_mode))
    return -EADDRINUSE;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  bool refused = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
  close(fd);
  if (!refused)
    return -EADDRINUSE;
  return unlink(address->sun_path) == 0 || errno == ENOENT ? 0 : -errno;
}

/* The path to remove one day, from whatever working folder then. NULL: out of memory. */
static char *absolute(const char *path) {
  char *all = NULL;
  char *folder = *path != '/' ? getcwd(NULL, 0) : NULL;
  if (folder == NULL)
    return strdup(path); /* also where the working folder has no name any more */
  if (asprintf(&all, "%s/%s", folder, path) < 0)
    all = NULL;
  free(folder);
  return all;
}

static int open_path(struct ls_loop *loop, struct ls_listener *listener, const struct ls_listen_options *options) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t len = strlen(options->path);
  if (len == 0)
    return -EINVAL;
  if (len >= sizeof address.sun_path)
    return -ENAMETOOLONG;
  memcpy(address.sun_path, options->path, len);
  listener->unlink_path = absolute(options->path);
  if (listener->unlink_path == NULL)
    return -ENOMEM;
  listener->family = AF_UNIX;
  int fd = open_address(loop, (struct sockaddr *)&address, sizeof address, options);
  if (fd == -EADDRINUSE) {
    fd = remove_stale(&address);
    if (fd == 0)
      fd = open_address(loop, (struct sockaddr *)&address, sizeof address, options);
  }
  struct stat info;
  if (fd >= 0 && lstat(options->path, &info) == 0) {
    listener->unlink_dev = info.st_dev;
    listener->unlink_ino = info.st_ino;
  }
  return fd;
}

static void unlink_own(struct ls_listener *listener) {
  struct stat info;
  const char *path = listener->unlink_path;
  if (path != NULL && listener->fd >= 0 && lstat(path, &info) == 0 && info.st_dev == listener->unlink_dev &&
      info.st_ino == listener->unlink_ino)
    unlink(path); /* a successor may have put its own socket there, and then that stays */
}

/* Unlinks before it closes: while the socket is open, the number of its file belongs to no other. */
static void release(struct ls_loop *loop, struct ls_listener *listener) {
  bool stays = loop->restart != NULL && listener->fd >= 0 && ls_handover_leave(&loop->restart->handover, listener->fd);
  if (!stays)
    unlink_own(listener);
  free(listener->unlink_path);
  listener->unlink_path = NULL;
  if (!stays && listener->fd >= 0)
    close(listener->fd);
  if (listener->reserve >= 0)
    close(listener->reserve);
  listener->fd = -1;
  listener->reserve = -1;
}

static int open_inherited(struct ls_listener *listener, int fd) {
  int rc = ls_inherited_adopt(fd, &listener->family);
  return rc == 0 ? fd : rc;
}

static int open_systemd(struct ls_loop *loop, struct ls_listener *listener, const char *name) {
  int fd = loop->inherited == NULL ? -ENOENT : ls_inherited_take(loop->inherited, name);
  return fd < 0 ? fd : open_inherited(listener, fd);
}

static int open_listener(struct ls_loop *loop, struct ls_listener *listener, const struct ls_listen_options *options) {
  if (options->systemd)
    return open_systemd(loop, listener, options->systemd_name);
  if (options->has_fd)
    return open_inherited(listener, options->fd);
  if (options->path != NULL)
    return open_path(loop, listener, options);
  if (options->port < 0 || options->port > UINT16_MAX)
    return -EINVAL;
  return options->host == NULL ? open_any(loop, listener, options) : open_host(loop, listener, options);
}

/* A unix socket that this process has made in a former life is removed with the listener. */
static void own_file(struct ls_listener *listener, const struct ls_handover_socket *known) {
  struct sockaddr_un address = {0};
  socklen_t len = sizeof address - 1; /* a NUL stays behind the path */
  if (known->ino == 0 || listener->unlink_path != NULL ||
      getsockname(listener->fd, (struct sockaddr *)&address, &len) != 0)
    return;
  listener->unlink_path = absolute(address.sun_path); /* without memory the file stays */
  listener->unlink_dev = known->dev;
  listener->unlink_ino = known->ino;
}

/* For a successor. */
static void tell_handover(struct ls_handover *handover, struct ls_listener *listener,
                          const struct ls_listen_options *options) {
  struct ls_handover_socket known = ls_handover_take_fd(handover, listener->fd);
  if (known.fd >= 0) {
    own_file(listener, &known);
    return;
  }
  known = (struct ls_handover_socket){
      .fd = listener->fd,
      .any_port = listener->family != AF_UNIX && !options->has_fd && !options->systemd && options->port == 0,
      .dev = listener->unlink_dev,
      .ino = listener->unlink_ino,
  };
  ls_handover_add(handover, &known);
}

/* What Linux accepts inherits TCP_NODELAY, which saves a system call for each connection. A connection that begins with
 * what its client says is worth waking up for when that is there: tcp(7), TCP_DEFER_ACCEPT; who says nothing is accepted
 * a second later. Without either they are slower, and right all the same. */
static void tune(const struct ls_listener *listener, const struct ls_listen_options *options) {
  if (listener->fd < 0 || listener->family == AF_UNIX)
    return;
  set_option(listener->fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (options->client_first)
    set_option(listener->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
}

int ls_listener_start(struct ls_loop *loop, struct ls_listener *listener, const struct ls_listen_options *options) {
  listener->reserve = -1;
  listener->paused = false;
  listener->closing = false;
  listener->accepted = 0;
  listener->refused = 0;
  listener->unlink_path = NULL;
  listener->unlink_dev = 0;
  listener->unlink_ino = 0;
  listener->fd = open_listener(loop, listener, options);
  tune(listener, options);
  int rc = listener->fd < 0 ? listener->fd : uv_poll_init(&loop->uv, &listener->poll, listener->fd);
  if (rc != 0) {
    if (options->has_fd)
      listener->fd = -1; /* the caller's */
    release(loop, listener);
    return rc;
  }
  if (loop->restart != NULL)
    tell_handover(&loop->restart->handover, listener, options);
  uv_timer_init(&loop->uv, &listener->retry); /* returns 0 always, and so after it nothing fails */
  uv_unref((uv_handle_t *)&listener->retry);
  listener->open_handles = 2;
  open_reserve(listener);
  watch(listener);
  return 0;
}

void ls_listener_pause(struct ls_listener *listener) {
  if (listener->closing || listener->paused)
    return;
  listener->paused = true;
  watch(listener);
}

void ls_listener_resume(struct ls_listener *listener) {
  if (listener->closing || !listener->paused)
    return;
  listener->paused = false;
  watch(listener);
}

static void handle_closed(struct ls_listener *listener) {
  if (--listener->open_handles == 0)
    listener->on_closed(listener);
}

static void on_poll_closed(uv_handle_t *handle) {
  handle_closed(ls_container_of(handle, struct ls_listener, poll));
}

static void on_retry_closed(uv_handle_t *handle) {
  handle_closed(ls_container_of(handle, struct ls_listener, retry));
}

void ls_listener_close(struct ls_listener *listener) {
  if (listener->closing)
    return;
  listener->closing = true;
  uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
  uv_close((uv_handle_t *)&listener->retry, on_retry_closed);
  release(ls_loop_of((uv_handle_t *)&listener->poll), listener);
}

void ls_listener_set_ref(struct ls_listener *listener, bool ref) {
  if (ref)
    uv_ref((uv_handle_t *)&listener->poll);
  else
    uv_unref((uv_handle_t *)&listener->poll);
}

/* An abstract name begins with NUL, which is written "@" as a rule. */
static int path_text(const struct sockaddr_un *address, char *text, size_t size, int *port) {
  const char *path = address->sun_path;
  int max = sizeof address->sun_path;
  *port = 0;
  int len = *path != '\0' || path[1] == '\0' ? snprintf(text, size, "%.*s", max, path)
                                             : snprintf(text, size, "@%.*s", max - 1, path + 1);
  return (size_t)len < size ? 0 : -ENOSPC;
}

int ls_listener_address(const struct ls_listener *listener, char *text, size_t size, int *port) {
  if (listener->unlink_path != NULL) {
    *port = 0;
    return (size_t)snprintf(text, size, "%s", listener->unlink_path) < size ? 0 : -ENOSPC;
  }
  struct sockaddr_storage address = {0};
  socklen_t len = sizeof address;
  if (getsockname(listener->fd, (struct sockaddr *)&address, &len) != 0)
    return -errno;
  if (listener->family == AF_UNIX)
    return path_text((const struct sockaddr_un *)&address, text, size, port);
  return ls_address_text((struct sockaddr *)&address, text, size, port);
}
