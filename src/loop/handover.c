/* SPDX-License-Identifier: MIT */
#include "loop/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "loop/inherited.h"

#define RECORD_SIZE 80
#define NONE ((struct ls_handover_socket){.fd = -1})

/* ---- the list, under its mutex ---- */

static struct ls_handover_socket *find(struct ls_handover *handover, int fd) {
  for (size_t i = 0; i < handover->count; i++)
    if (handover->sockets[i].fd == fd)
      return &handover->sockets[i];
  return NULL;
}

static void append(struct ls_handover *handover, const struct ls_handover_socket *socket) {
  if (handover->count == handover->room) {
    size_t room = 2 * handover->room + 4;
    struct ls_handover_socket *more = realloc(handover->sockets, room * sizeof *more);
    if (more == NULL)
      return;
    handover->sockets = more;
    handover->room = room;
  }
  handover->sockets[handover->count++] = *socket;
}

static void forget(struct ls_handover *handover, struct ls_handover_socket *socket) {
  *socket = handover->sockets[--handover->count];
}

/* ---- the text ---- */

/* "fd:any:dev:ino" with a space or the end behind it. NULL: it is no such record. */
static const char *read_record(const char *text, struct ls_handover_socket *socket) {
  int fd, any, len = 0;
  uintmax_t dev, ino;
  if (sscanf(text, "%d:%d:%ju:%ju%n", &fd, &any, &dev, &ino, &len) != 4 || len == 0)
    return NULL;
  *socket =
      (struct ls_handover_socket){.fd = fd, .waits = true, .any_port = any != 0, .dev = (dev_t)dev, .ino = (ino_t)ino};
  return text + len;
}

static void read_text(struct ls_handover *handover, const char *text) {
  struct ls_handover_socket socket;
  while ((text = read_record(text, &socket)) != NULL) {
    int family;
    if (socket.fd > STDERR_FILENO && find(handover, socket.fd) == NULL && ls_inherited_adopt(socket.fd, &family) == 0)
      append(handover, &socket);
    if (*text++ != ' ')
      return;
  }
}

void ls_handover_keep_open(int fd) {
  int flags = fcntl(fd, F_GETFD);
  if (flags >= 0)
    fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
}

int ls_handover_write(struct ls_handover *handover, struct ls_buf *text) {
  pthread_mutex_lock(&handover->mutex);
  int status = ls_buf_reserve(text, handover->count * RECORD_SIZE + 1);
  for (size_t i = 0; i < handover->count && status == 0; i++) {
    const struct ls_handover_socket *socket = &handover->sockets[i];
    char record[RECORD_SIZE];
    int len = snprintf(record, sizeof record, "%s%d:%d:%ju:%ju", i > 0 ? " " : "", socket->fd, socket->any_port,
                       (uintmax_t)socket->dev, (uintmax_t)socket->ino);
    ls_buf_append(text, record, (size_t)len);
    ls_handover_keep_open(socket->fd);
  }
  if (status == 0)
    ls_buf_append(text, "\n", 1);
  pthread_mutex_unlock(&handover->mutex);
  return status;
}

/* ---- where a socket listens ---- */

static bool has_option(int fd, int level, int option, bool wanted) {
  int value = 0;
  socklen_t len = sizeof value;
  return getsockopt(fd, level, option, &value, &len) == 0 && (value != 0) == wanted;
}

static bool is_port(const struct ls_handover_socket *socket, in_port_t have, in_port_t wanted) {
  return wanted == 0 ? socket->any_port : have == wanted;
}

static bool is_at_four(const struct ls_handover_socket *socket, const void *have, const void *wanted) {
  const struct sockaddr_in *a = have, *b = wanted;
  return a->sin_addr.s_addr == b->sin_addr.s_addr && is_port(socket, a->sin_port, b->sin_port);
}

static bool is_at_six(const struct ls_handover_socket *socket, const void *have, const void *wanted, bool only) {
  const struct sockaddr_in6 *a = have, *b = wanted;
  return memcmp(&a->sin6_addr, &b->sin6_addr, sizeof a->sin6_addr) == 0 && a->sin6_scope_id == b->sin6_scope_id &&
         is_port(socket, a->sin6_port, b->sin6_port) && has_option(socket->fd, IPPROTO_IPV6, IPV6_V6ONLY, only);
}

/* The path must still lead to the file that was made: another one may be there now. */
static bool is_own_file(const struct ls_handover_socket *socket, const char *path) {
  struct stat info;
  return lstat(path, &info) == 0 && info.st_dev == socket->dev && info.st_ino == socket->ino;
}

static bool is_at_path(const struct ls_handover_socket *socket, const void *have, const void *wanted) {
  const struct sockaddr_un *a = have, *b = wanted;
  return strncmp(a->sun_path, b->sun_path, sizeof a->sun_path) == 0 && is_own_file(socket, b->sun_path);
}

static bool is_at(const struct ls_handover_socket *socket, const struct ls_handover_place *place) {
  struct sockaddr_storage have = {0};
  socklen_t len = sizeof have;
  if (getsockname(socket->fd, (struct sockaddr *)&have, &len) != 0 || have.ss_family != place->address->sa_family)
    return false;
  if (have.ss_family == AF_UNIX)
    return is_at_path(socket, &have, place->address);
  if (!has_option(socket->fd, SOL_SOCKET, SO_REUSEPORT, place->reuse_port))
    return false;
  return have.ss_family == AF_INET ? is_at_four(socket, &have, place->address)
                                   : is_at_six(socket, &have, place->address, place->ipv6_only);
}

/* ---- for listeners ---- */

void ls_handover_add(struct ls_handover *handover, const struct ls_handover_socket *socket) {
  pthread_mutex_lock(&handover->mutex);
  append(handover, socket);
  pthread_mutex_unlock(&handover->mutex);
}

static struct ls_handover_socket take(struct ls_handover_socket *found) {
  if (found == NULL)
    return NONE;
  found->waits = false;
  return *found;
}

struct ls_handover_socket ls_handover_take(struct ls_handover *handover, const struct ls_handover_place *place) {
  struct ls_handover_socket *found = NULL;
  pthread_mutex_lock(&handover->mutex);
  for (size_t i = 0; i < handover->count && found == NULL; i++)
    if (handover->sockets[i].waits && is_at(&handover->sockets[i], place))
      found = &handover->sockets[i];
  struct ls_handover_socket taken = take(found);
  pthread_mutex_unlock(&handover->mutex);
  return taken;
}

struct ls_handover_socket ls_handover_take_fd(struct ls_handover *handover, int fd) {
  pthread_mutex_lock(&handover->mutex);
  struct ls_handover_socket taken = take(find(handover, fd));
  pthread_mutex_unlock(&handover->mutex);
  return taken;
}

int ls_handover_waiting(struct ls_handover *handover) {
  int fd = -1;
  pthread_mutex_lock(&handover->mutex);
  for (size_t i = 0; i < handover->count && fd < 0; i++)
    if (handover->sockets[i].waits)
      fd = handover->sockets[i].fd;
  pthread_mutex_unlock(&handover->mutex);
  return fd;
}

bool ls_handover_leave(struct ls_handover *handover, int fd) {
  pthread_mutex_lock(&handover->mutex);
  struct ls_handover_socket *found = find(handover, fd);
  bool stays = handover->passing && found != NULL;
  if (stays)
    found->waits = true;
  else if (found != NULL)
    forget(handover, found);
  pthread_mutex_unlock(&handover->mutex);
  return stays;
}

/* ---- the whole ---- */

void ls_handover_pass(struct ls_handover *handover, bool on) {
  pthread_mutex_lock(&handover->mutex);
  handover->passing = on;
  pthread_mutex_unlock(&handover->mutex);
}

bool ls_handover_passes(struct ls_handover *handover) {
  pthread_mutex_lock(&handover->mutex);
  bool passes = handover->passing;
  pthread_mutex_unlock(&handover->mutex);
  return passes;
}

static void remove_file(const struct ls_handover_socket *socket) {
  struct sockaddr_un address = {0};
  socklen_t len = sizeof address - 1; /* a NUL stays behind the path */
  if (socket->ino != 0 && getsockname(socket->fd, (struct sockaddr *)&address, &len) == 0 &&
      address.sun_family == AF_UNIX && is_own_file(socket, address.sun_path))
    unlink(address.sun_path);
}

void ls_handover_close_waiting(struct ls_handover *handover) {
  pthread_mutex_lock(&handover->mutex);
  for (size_t i = handover->count; i-- > 0;) {
    struct ls_handover_socket *socket = &handover->sockets[i];
    if (!socket->waits)
      continue;
    remove_file(socket);
    close(socket->fd);
    forget(handover, socket);
  }
  pthread_mutex_unlock(&handover->mutex);
}

void ls_handover_init(struct ls_handover *handover, const char *text) {
  *handover = (struct ls_handover){0};
  pthread_mutex_init(&handover->mutex, NULL);
  if (text != NULL)
    read_text(handover, text);
}

void ls_handover_dispose(struct ls_handover *handover) {
  ls_handover_close_waiting(handover);
  free(handover->sockets);
  pthread_mutex_destroy(&handover->mutex);
}
