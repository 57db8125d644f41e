/* SPDX-License-Identifier: MIT */
#include "loop/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_FD 3
#define MAX_FDS 1024 /* more than any process has passed */

/* A variable that is a plain decimal number, up to max; 0: it is not. */
static long read_number(const char *name, long max) {
  const char *text = getenv(name);
  char *end;
  if (text == NULL || *text < '1' || *text > '9')
    return 0;
  errno = 0;
  long number = strtol(text, &end, 10);
  return errno == 0 && *end == '\0' && number <= max ? number : 0;
}

static int mark_close_on_exec(int fd) {
  int flags = fcntl(fd, F_GETFD);
  return flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0 ? -errno : 0;
}

static void read_descriptors(struct ls_inherited *inherited) {
  long count = read_number("LISTEN_FDS", MAX_FDS);
  if (count == 0 || read_number("LISTEN_PID", LONG_MAX) != getpid())
    return;
  inherited->taken = calloc((size_t)count, sizeof *inherited->taken);
  if (inherited->taken == NULL)
    return;
  inherited->count = (unsigned)count;
  for (unsigned i = 0; i < inherited->count; i++)
    inherited->taken[i] = mark_close_on_exec(FIRST_FD + (int)i) != 0;
}

void ls_inherited_init(struct ls_inherited *inherited) {
  *inherited = (struct ls_inherited){0};
  const char *names = getenv("LISTEN_FDNAMES");
  read_descriptors(inherited);
  if (inherited->count != 0 && names != NULL)
    inherited->names = strdup(names);
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
}

void ls_inherited_dispose(struct ls_inherited *inherited) {
  free(inherited->names);
  free(inherited->taken);
}

/* Whether name is the n-th of the names, which have colons between them. */
static bool is_named(const char *names, unsigned n, const char *name) {
  for (; n > 0 && names != NULL; n--) {
    names = strchr(names, ':');
    names = names != NULL ? names + 1 : NULL;
  }
  return names != NULL && strcspn(names, ":") == strlen(name) && strncmp(names, name, strlen(name)) == 0;
}

int ls_inherited_take(struct ls_inherited *inherited, const char *name) {
  for (unsigned i = 0; i < inherited->count; i++) {
    if (inherited->taken[i] || (name != NULL && !is_named(inherited->names, i, name)))
      continue;
    inherited->taken[i] = true;
    return FIRST_FD + (int)i;
  }
  return -ENOENT;
}

static int get_option(int fd, int option, int *value) {
  socklen_t len = sizeof *value;
  return getsockopt(fd, SOL_SOCKET, option, value, &len) == 0 ? 0 : -errno;
}

static int make_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ? -errno : 0;
}

int ls_inherited_adopt(int fd, int *family) {
  int type, listens;
  int status = get_option(fd, SO_TYPE, &type);
  if (status == 0)
    status = get_option(fd, SO_DOMAIN, family);
  if (status == 0 && type != SOCK_STREAM)
    status = -EPROTOTYPE;
  if (status == 0 && *family != AF_INET && *family != AF_INET6 && *family != AF_UNIX)
    status = -EAFNOSUPPORT;
  if (status == 0)
    status = get_option(fd, SO_ACCEPTCONN, &listens);
  if (status == 0 && listens == 0)
    status = -EINVAL;
  if (status == 0)
    status = make_nonblocking(fd);
  return status == 0 ? mark_close_on_exec(fd) : status;
}
