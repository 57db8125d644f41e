/* SPDX-License-Identifier: MIT */
/* log: lines to one descriptor through a bounded ring and a writer thread.
 *
 * Callers copy an entry into the ring under the mutex; the writer writes from the ring without it, because callers only
 * touch the free part. Once an entry did not fit, all entries are dropped until the ring has been written out; then the
 * writer says how many, so the note stands where they are missing. Before it writes to anything but a regular file the
 * writer polls, and then writes no more than PIPE_BUF bytes: a stalled reader finds it in poll, where it still notices
 * the end. Where it blocks nevertheless (a stopped terminal), ls_log_free leaves everything to the thread: the ring,
 * the mutex and a descriptor of its own, which it frees when the write returns. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
  ENTRY_MAX = 16 * 1024,
  CAPACITY_MIN = 4 * 1024,
  HEAD_MAX = 40,   /* time and level */
  MARK_MAX = 40,   /* what stands in for the end of a cut text, and the newline */
  POLL_MS = 100,   /* how long a stalled writer may take to see that it shall stop */
  RETRY_MS = 1000, /* between attempts after an error such as a full disk */
  FREE_MS = 1000,
};

struct ls_log {
  pthread_mutex_t mutex; /* everything below except fd, regular, ring and capacity, which do not change */
  pthread_cond_t filled; /* for the writer: there is something to write, or stopping */
  pthread_cond_t moved;  /* for the others: flushed has grown, or finished */
  pthread_t thread;
  int fd;       /* a duplicate: the caller may close its own right after ls_log_free */
  bool regular; /* a regular file: polling says nothing about it */
  bool started;
  bool stopping;
  bool finished;  /* the writer has ended and may be joined */
  bool abandoned; /* the writer frees the log when it ends */
  char *ring;
  size_t capacity;
  size_t head; /* where the queued bytes begin */
  size_t used;
  uint64_t queued;  /* bytes that were ever put into the ring */
  uint64_t flushed; /* of them: written, or discarded after an error */
  unsigned long dropped;
  unsigned long unreported; /* of them: those the log itself has not mentioned yet */
  unsigned long reporting;  /* how many the notice speaks of */
  size_t notice_at;         /* the notice is written from here on; equal to notice_len: none is under way */
  size_t notice_len;
  char notice[128];
};

static int init_locks(struct ls_log *log) {
  pthread_condattr_t attr;
  if (pthread_condattr_init(&attr) != 0)
    return -ENOMEM;
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  int rc = -ENOMEM;
  if (pthread_mutex_init(&log->mutex, NULL) != 0)
    goto end;
  if (pthread_cond_init(&log->filled, &attr) != 0)
    goto no_filled;
  if (pthread_cond_init(&log->moved, &attr) != 0)
    goto no_moved;
  rc = 0;
  goto end;
no_moved:
  pthread_cond_destroy(&log->filled);
no_filled:
  pthread_mutex_destroy(&log->mutex);
end:
  pthread_condattr_destroy(&attr);
  return rc;
}

struct ls_log *ls_log_new(int fd, size_t capacity) {
  struct ls_log *log = calloc(1, sizeof *log);
  if (log == NULL)
    return NULL;
  log->capacity = capacity < CAPACITY_MIN ? CAPACITY_MIN : capacity;
  log->ring = malloc(log->capacity);
  log->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (log->ring == NULL || log->fd < 0 || init_locks(log) != 0) {
    if (log->fd >= 0)
      close(log->fd);
    free(log->ring);
    free(log);
    return NULL;
  }
  struct stat st;
  log->regular = fstat(log->fd, &st) == 0 && S_ISREG(st.st_mode);
  return log;
}

static void destroy(struct ls_log *log) {
  pthread_cond_destroy(&log->moved);
  pthread_cond_destroy(&log->filled);
  pthread_mutex_destroy(&log->mutex);
  close(log->fd);
  free(log->ring);
  free(log);
}

/* "2026-11-23T07:10:00.123Z error: " into head. Returns its length. */
static size_t write_head(char head[HEAD_MAX], enum ls_log_level level) {
  static const char *const names[] = {"error", "warn", "info", "debug"};
  struct timespec now;
  struct tm tm;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &tm);
  size_t n = strftime(head, HEAD_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
  return n + (size_t)snprintf(head + n, HEAD_MAX - n, ".%03ldZ %s: ", now.tv_nsec / 1000000, names[level]);
}

/* ---- the writer ---- */

/* Writes some of the bytes. How many; 0: none now, try again; or a negative code. */
static ssize_t put_some(const struct ls_log *log, const char *bytes, size_t n) {
  if (!log->regular) {
    struct pollfd writable = {.fd = log->fd, .events = POLLOUT};
    int rc = poll(&writable, 1, POLL_MS);
    if (rc < 0)
      return errno == EINTR ? 0 : -errno;
    if (rc == 0)
      return 0;
    n = n < PIPE_BUF ? n : PIPE_BUF;
  }
  ssize_t written = write(log->fd, bytes, n);
  if (written >= 0)
    return written;
  return errno == EINTR || errno == EAGAIN ? 0 : -errno;
}

static void begin_notice(struct ls_log *log) {
  char head[HEAD_MAX];
  size_t n = write_head(head, LS_LOG_WARN);
  int len = snprintf(log->notice, sizeof log->notice, "%.*s%lu log line%s dropped\n", (int)n, head, log->unreported,
                     log->unreported == 1 ? " was" : "s were");
  log->notice_at = 0;
  log->notice_len = (size_t)len;
  log->reporting = log->unreported;
  log->unreported = 0;
}

/* What could not be written is lost; counted by lines. */
static void discard(struct ls_log *log) {
  unsigned long lines = 0;
  for (size_t i = 0; i < log->used; i++)
    lines += log->ring[(log->head + i) % log->capacity] == '\n';
  log->dropped += lines;
  log->unreported += lines;
  if (log->notice_at < log->notice_len)
    log->unreported += log->reporting;
  log->notice_at = log->notice_len;
  log->flushed += log->used;
  log->used = 0;
}

/* Writes some of what is queued; the mutex is released meanwhile. 0, or a negative code. */
static int write_some(struct ls_log *log) {
  if (log->used == 0 && log->notice_at == log->notice_len)
    begin_notice(log);
  bool notice = log->notice_at < log->notice_len;
  const char *bytes = notice ? log->notice + log->notice_at : log->ring + log->head;
  size_t contiguous = log->capacity - log->head;
  size_t queued = log->used < contiguous ? log->used : contiguous;
  size_t n = notice ? log->notice_len - log->notice_at : queued;

  pthread_mutex_unlock(&log->mutex);
  ssize_t written = put_some(log, bytes, n);
  pthread_mutex_lock(&log->mutex);

  if (written < 0)
    return (int)written;
  if (notice) {
    log->notice_at += (size_t)written;
    return 0;
  }
  log->head = (log->head + (size_t)written) % log->capacity;
  log->used -= (size_t)written;
  log->flushed += (uint64_t)written;
  return 0;
}

static bool has_work(const struct ls_log *log) {
  return log->used > 0 || log->unreported > 0 || log->notice_at < log->notice_len;
}

/* After an error: nothing is accepted until the note about the loss got through, so only the end wakes this up. */
static void wait_to_retry(struct ls_log *log) {
  struct timespec until = ls_clock_after(CLOCK_MONOTONIC, RETRY_MS);
  while (!log->stopping && pthread_cond_timedwait(&log->filled, &log->mutex, &until) != ETIMEDOUT) {
  }
}

static void *run_writer(void *arg) {
  struct ls_log *log = arg;
  pthread_mutex_lock(&log->mutex);
  for (;;) {
    while (!has_work(log) && !log->stopping)
      pthread_cond_wait(&log->filled, &log->mutex);
    if (!has_work(log) || log->abandoned)
      break;
    if (write_some(log) != 0) {
      discard(log);
      pthread_cond_broadcast(&log->moved);
      if (log->stopping)
        break;
      wait_to_retry(log);
      continue;
    }
    pthread_cond_broadcast(&log->moved);
  }
  log->finished = true;
  bool mine = log->abandoned;
  pthread_cond_broadcast(&log->moved);
  pthread_mutex_unlock(&log->mutex);
  if (mine)
    destroy(log);
  return NULL;
}

/* No signal of the process may end up in the writer: handlers belong to the loop's thread, and a write to a closed pipe
 * must give EPIPE. */
static int start_writer(struct ls_log *log) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(&log->thread, NULL, run_writer, log);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  log->started = rc == 0;
  return -rc;
}

/* ---- the callers ---- */

static void put(struct ls_log *log, const char *bytes, size_t n) {
  size_t at = (log->head + log->used) % log->capacity;
  size_t first = log->capacity - at < n ? log->capacity - at : n;
  memcpy(log->ring + at, bytes, first);
  memcpy(log->ring, bytes + first, n - first);
  log->used += n;
  log->queued += n;
}

static void queue(struct ls_log *log, const char *entry, size_t n) {
  pthread_mutex_lock(&log->mutex);
  bool fits = log->unreported == 0 && n <= log->capacity - log->used;
  if (fits && (log->started || start_writer(log) == 0)) {
    put(log, entry, n);
    pthread_cond_signal(&log->filled);
  } else {
    log->dropped++;
    /* What is lost because there is no thread (and no ring to drain) must not keep the next entry from starting one. */
    if (log->started)
      log->unreported++;
  }
  pthread_mutex_unlock(&log->mutex);
}

/* Puts a mark behind the first max bytes of a text that has total; not in the middle of a character. */
static size_t cut(char *text, size_t max, size_t total) {
  size_t n = max;
  while (n > 0 && max - n < 4 && ((unsigned char)text[n] & 0xC0) == 0x80)
    n--;
  return n + (size_t)snprintf(text + n, MARK_MAX, " [%zu bytes cut]", total - n);
}

void ls_log_vwrite(struct ls_log *log, enum ls_log_level level, const char *format, va_list args) {
  int saved_errno = errno;
  char entry[ENTRY_MAX];
  size_t size = log->capacity / 2 < sizeof entry ? log->capacity / 2 : sizeof entry;
  size_t n = write_head(entry, level);
  size_t max = size - n - MARK_MAX;
  int wanted = vsnprintf(entry + n, size - n, format, args);
  if (wanted < 0)
    wanted = snprintf(entry + n, size - n, "a message that cannot be formatted");
  size_t total = (size_t)wanted;
  if (total > max)
    total = cut(entry + n, max, total);
  else if (total > 0 && entry[n + total - 1] == '\n')
    total--;
  entry[n + total] = '\n';
  queue(log, entry, n + total + 1);
  errno = saved_errno;
}

void ls_log_write(struct ls_log *log, enum ls_log_level level, const char *format, ...) {
  va_list args;
  va_start(args, format);
  ls_log_vwrite(log, level, format, args);
  va_end(args);
}

void ls_log_flush(struct ls_log *log, unsigned timeout_ms) {
  struct timespec until = ls_clock_after(CLOCK_MONOTONIC, timeout_ms);
  pthread_mutex_lock(&log->mutex);
  uint64_t target = log->queued;
  while (log->flushed < target && pthread_cond_timedwait(&log->moved, &log->mutex, &until) != ETIMEDOUT) {
  }
  pthread_mutex_unlock(&log->mutex);
}

unsigned long ls_log_dropped(struct ls_log *log) {
  pthread_mutex_lock(&log->mutex);
  unsigned long dropped = log->dropped;
  pthread_mutex_unlock(&log->mutex);
  return dropped;
}

void ls_log_free(struct ls_log *log) {
  if (log == NULL)
    return;
  struct timespec until = ls_clock_after(CLOCK_MONOTONIC, FREE_MS);
  pthread_mutex_lock(&log->mutex);
  bool started = log->started;
  log->stopping = true;
  pthread_cond_signal(&log->filled);
  while (started && !log->finished && pthread_cond_timedwait(&log->moved, &log->mutex, &until) != ETIMEDOUT) {
  }
  pthread_t thread = log->thread;
  log->abandoned = started && !log->finished;
  bool abandoned = log->abandoned;
  pthread_mutex_unlock(&log->mutex); /* an abandoned log may be gone from here on */
  if (abandoned) {
    pthread_detach(thread);
    return;
  }
  if (started)
    pthread_join(thread, NULL);
  destroy(log);
}
