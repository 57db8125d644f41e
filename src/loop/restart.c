/* SPDX-License-Identifier: MIT */
#include "loop/restart.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/loop.h"

#define VARIABLE "LUASERVE_RESTART"
#define SETTLE_MS 50  /* without a further change, after a file was closed or put in its place */
#define WRITER_MS 500 /* the same where somebody still writes */
#define FORCE_MS 1000 /* after which the loop is not waited for */
#define NS_PER_MS UINT64_C(1000000)
#define POLL_MS 10
#define FIRST_FD 3
#define INHERITED_MAX 1024

/* ---- the environment ---- */

static bool is_ours(const char *entry) {
  return strncmp(entry, VARIABLE "=", sizeof VARIABLE) == 0;
}

static void free_strings(char **strings) {
  for (size_t i = 0; strings != NULL && strings[i] != NULL; i++)
    free(strings[i]);
  free(strings);
}

/* All but our variable, and room for that. NULL: out of memory. */
static char **copy_strings(char **strings) {
  size_t count = 0, used = 0;
  while (strings != NULL && strings[count] != NULL)
    count++;
  char **copy = calloc(count + 2, sizeof *copy);
  for (size_t i = 0; i < count && copy != NULL; i++) {
    if (is_ours(strings[i]))
      continue;
    copy[used] = strdup(strings[i]);
    if (copy[used++] == NULL) {
      free_strings(copy);
      return NULL;
    }
  }
  return copy;
}

void ls_restart_forget(void) {
  unsetenv(VARIABLE);
}

/* The successor's variable: "pid changed_at sockets\npath". */
static int write_variable(struct ls_restart *restart, struct ls_buf *text) {
  char head[80];
  const char *path = restart->path != NULL ? restart->path : "";
  int len = snprintf(head, sizeof head, VARIABLE "=%ld %" PRIu64 " ", (long)getpid(), restart->change_at);
  if (ls_buf_append(text, head, (size_t)len) != 0 || ls_handover_write(&restart->handover, text) != 0)
    return -ENOMEM;
  return ls_buf_append(text, path, strlen(path) + 1);
}

/* The part about the sockets; NULL: the variable is not there, or another process's. */
static const char *read_variable(struct ls_restart *restart) {
  const char *text = getenv(VARIABLE);
  long pid;
  int len = 0;
  if (text == NULL || sscanf(text, "%ld %" SCNu64 " %n", &pid, &restart->changed_at, &len) != 2 || len == 0 ||
      pid != getpid())
    return NULL;
  const char *line = strchr(text, '\n');
  restart->changed = line != NULL ? strdup(line + 1) : NULL;
  return text + len;
}

/* ---- the successor ---- */

static bool listens(int fd) {
  int value = 0;
  socklen_t len = sizeof value;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value != 0;
}

/* All descriptors are closed but the standard ones and those that are passed on, whatever modules of others have open. */
static int prepare_descriptors(struct ls_restart *restart, struct ls_buf *variable) {
  close_range(FIRST_FD, ~0U, CLOSE_RANGE_CLOEXEC); /* before Linux 5.11: what is ours is closed on exec anyway */
  for (unsigned i = 0; i < restart->inherited; i++)
    if (listens(FIRST_FD + (int)i))
      ls_handover_keep_open(FIRST_FD + (int)i);
  return write_variable(restart, variable);
}

/* Under the mutex, so that only one thread does. */
static int execute(struct ls_restart *restart) {
  struct ls_buf variable = {0};
  if (prepare_descriptors(restart, &variable) != 0)
    return -ENOMEM;
  size_t last = 0;
  while (restart->environment[last] != NULL)
    last++;
  restart->environment[last] = ls_buf_bytes(&variable);
  ls_restart_go_home(restart);
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, &restart->signals, &before);
  if (restart->program != NULL)
    execve(restart->program, restart->arguments, restart->environment);
  execve("/proc/self/exe", restart->arguments, restart->environment);
  int code = -errno;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  restart->environment[last] = NULL;
  ls_buf_dispose(&variable);
  return code;
}

int ls_restart_execute(struct ls_restart *restart) {
  pthread_mutex_lock(&restart->mutex);
  int code = execute(restart);
  pthread_mutex_unlock(&restart->mutex);
  return code;
}

void ls_restart_go_home(struct ls_restart *restart) {
  if (restart->folder >= 0 && fchdir(restart->folder) != 0)
    return; /* it was removed: wherever we are now is as good */
}

/* ---- the thread ---- */

static void ask(struct ls_restart *restart) {
  restart->due = true;
  if (restart->loop != NULL)
    uv_async_send(&restart->async);
}

/* The loop hangs. */
static void force(struct ls_restart *restart) {
  static const char text[] = "luaserve: the program does not give way: it is replaced without its exit hooks\n";
  if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
    errno = 0; /* there is nobody to tell */
  execute(restart);
}

/* What the thread waits for next, ns; 0: for changes only. */
struct moments {
  uint64_t ask, force;
};

static void look(struct ls_restart *restart, struct moments *moments) {
  uint64_t now = ls_clock_ns();
  enum ls_source_change change = ls_sources_read(&restart->sources, &restart->path);
  if (change != LS_SOURCE_SAME) {
    restart->change_at = now;
    moments->ask = now + (change == LS_SOURCE_WRITTEN ? SETTLE_MS : WRITER_MS) * NS_PER_MS;
  }
  if (moments->ask != 0 && now >= moments->ask) {
    moments->ask = 0;
    if (!restart->due)
      moments->force = now + FORCE_MS * NS_PER_MS;
    ask(restart);
  }
  if (moments->force != 0 && now >= moments->force) {
    moments->force = 0;
    if (!restart->given_up)
      force(restart);
  }
}

static int wait_time(const struct moments *moments) {
  uint64_t next =
      moments->ask != 0 && (moments->force == 0 || moments->ask < moments->force) ? moments->ask : moments->force;
  uint64_t now = ls_clock_ns();
  if (next == 0)
    return -1;
  return next > now ? (int)((next - now + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

static void *run(void *data) {
  struct ls_restart *restart = data;
  struct pollfd polled[] = {{.fd = restart->sources.fd, .events = POLLIN}, {.fd = restart->wake, .events = POLLIN}};
  struct moments moments = {0};
  for (;;) {
    poll(polled, 2, wait_time(&moments));
    if (polled[1].revents != 0)
      return NULL;
    pthread_mutex_lock(&restart->mutex);
    look(restart, &moments);
    pthread_mutex_unlock(&restart->mutex);
  }
}

/* Signals are for other threads. */
static int start_thread(struct ls_restart *restart) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &restart->signals);
  int status = pthread_create(&restart->thread, NULL, run, restart);
  pthread_sigmask(SIG_SETMASK, &restart->signals, NULL);
  restart->has_thread = status == 0;
  return -status;
}

/* ---- for the loop ---- */

static void on_async(uv_async_t *async) {
  struct ls_restart *restart = async->data;
  struct ls_loop *loop = ls_loop_of((uv_handle_t *)async);
  pthread_mutex_lock(&restart->mutex);
  void (*on_change)(void *) = restart->given_up ? NULL : restart->on_change;
  restart->on_change = NULL; /* once */
  pthread_mutex_unlock(&restart->mutex);
  if (on_change != NULL)
    on_change(restart->data);
  ls_loop_drain(loop);
}

int ls_restart_attach(struct ls_restart *restart, struct ls_loop *loop, void (*on_change)(void *data), void *data) {
  int status = uv_async_init(&loop->uv, &restart->async, on_async);
  if (status != 0)
    return status;
  uv_unref((uv_handle_t *)&restart->async);
  restart->async.data = restart;
  pthread_mutex_lock(&restart->mutex);
  restart->loop = loop;
  restart->on_change = on_change;
  restart->data = data;
  if (restart->due)
    uv_async_send(&restart->async);
  pthread_mutex_unlock(&restart->mutex);
  return 0;
}

void ls_restart_detach(struct ls_restart *restart) {
  pthread_mutex_lock(&restart->mutex);
  bool attached = restart->loop != NULL;
  restart->loop = NULL;
  restart->on_change = NULL;
  pthread_mutex_unlock(&restart->mutex);
  if (attached)
    uv_close((uv_handle_t *)&restart->async, NULL);
}

void ls_restart_watch(struct ls_restart *restart, const char *path) {
  pthread_mutex_lock(&restart->mutex);
  ls_sources_add(&restart->sources, path);
  pthread_mutex_unlock(&restart->mutex);
}

bool ls_restart_is_due(struct ls_restart *restart) {
  pthread_mutex_lock(&restart->mutex);
  bool due = restart->due && !restart->given_up;
  pthread_mutex_unlock(&restart->mutex);
  return due;
}

void ls_restart_give_up(struct ls_restart *restart) {
  pthread_mutex_lock(&restart->mutex);
  restart->given_up = true;
  ls_handover_pass(&restart->handover, false);
  pthread_mutex_unlock(&restart->mutex);
}

void ls_restart_wait(struct ls_restart *restart) {
  while (!restart->given_up && !ls_restart_is_due(restart))
    poll(NULL, 0, POLL_MS);
}

/* ---- life ---- */

static void end_thread(struct ls_restart *restart) {
  uint64_t one = 1;
  if (!restart->has_thread)
    return;
  while (write(restart->wake, &one, sizeof one) < 0 && errno == EINTR)
    continue;
  pthread_join(restart->thread, NULL);
}

/* Before it was replaced this process may have had children, which nobody waits for any more. */
static void reap_children(void) {
  while (waitpid(-1, NULL, WNOHANG) > 0)
    continue;
}

static char *read_program(void) {
  char path[PATH_MAX];
  ssize_t len = readlink("/proc/self/exe", path, sizeof path);
  return len > 0 && (size_t)len < sizeof path ? strndup(path, (size_t)len) : NULL;
}

/* As inherited.h does it, which removes the variables: the successor is told anew, by those of the start. */
static unsigned count_inherited(void) {
  const char *text = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
  if (text == NULL || pid == NULL || strtol(pid, NULL, 10) != getpid())
    return 0;
  long count = strtol(text, NULL, 10);
  return count > 0 && count <= INHERITED_MAX ? (unsigned)count : 0;
}

static int begin(struct ls_restart *restart, char **arguments) {
  restart->arguments = copy_strings(arguments);
  restart->environment = copy_strings(environ);
  restart->program = read_program();
  restart->inherited = count_inherited();
  restart->folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  restart->wake = eventfd(0, EFD_CLOEXEC);
  if (restart->arguments == NULL || restart->environment == NULL || restart->wake < 0)
    return -ENOMEM;
  int status = ls_sources_init(&restart->sources);
  return status != 0 ? status : start_thread(restart);
}

struct ls_restart *ls_restart_new(char **arguments) {
  struct ls_restart *restart = calloc(1, sizeof *restart);
  if (restart == NULL)
    return NULL;
  restart->sources.fd = restart->wake = restart->folder = -1;
  pthread_mutex_init(&restart->mutex, NULL);
  const char *sockets = read_variable(restart);
  ls_handover_init(&restart->handover, sockets);
  if (sockets != NULL)
    reap_children();
  if (begin(restart, arguments) == 0) {
    ls_restart_forget();
    return restart;
  }
  ls_restart_free(restart);
  return NULL;
}

void ls_restart_free(struct ls_restart *restart) {
  if (restart == NULL)
    return;
  end_thread(restart);
  ls_sources_dispose(&restart->sources);
  ls_handover_dispose(&restart->handover);
  free_strings(restart->arguments);
  free_strings(restart->environment);
  if (restart->folder >= 0)
    close(restart->folder);
  if (restart->wake >= 0)
    close(restart->wake);
  pthread_mutex_destroy(&restart->mutex);
  free(restart->program);
  free(restart->changed);
  free(restart->failure);
  free(restart);
}
