/* SPDX-License-Identifier: MIT */
/* file: reading files without a thread switch when the page cache has them.
 *
 * The inline form opens, asks for the attributes that are in memory (statx with AT_STATX_DONT_SYNC: no question goes to
 * a server), and reads in one call. Where it has to stop it leaves the descriptor open and what it has read in place,
 * and the blocking form goes on from there: also for pipes, where closing would leave a writer that has just connected
 * with a broken pipe. */
#include "loop/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"

#define CHUNK ((size_t)16 * 1024)             /* the least room for one blocking read of unknown length */
#define READ_MAX ((size_t)1024 * 1024 * 1024) /* the most that one read asks for: Linux stops below 2 GiB */

/* ---- one read ---- */

void ls_file_read_init(struct ls_file_read *read, char *path, uint64_t max_bytes) {
  *read = (struct ls_file_read){.path = path, .max_bytes = max_bytes, .fd = -1};
}

static void close_file(struct ls_file_read *read) {
  if (read->fd < 0)
    return;
  close(read->fd);
  read->fd = -1;
}

void ls_file_read_dispose(struct ls_file_read *read) {
  close_file(read);
  ls_buf_dispose(&read->bytes);
}

/* A final answer; -EAGAIN never is one. */
static int fail(struct ls_file_read *read, const char *call, int code) {
  read->failed = call;
  close_file(read);
  return code;
}

static bool over_limit(const struct ls_file_read *read, uint64_t size) {
  return read->max_bytes != 0 && size > read->max_bytes;
}

/* ---- without blocking ---- */

static int open_cached(struct ls_file_cache *cache, struct ls_file_read *read) {
  int fd = ls_file_open_cached(cache, AT_FDCWD, read->path, O_RDONLY, 0);
  if (fd < 0)
    return fd == -EAGAIN ? fd : fail(read, "open", fd);
  read->fd = fd;
  return 0;
}

/* 0 and the size, where reading inline makes sense. */
static int stat_cached(const struct ls_file_cache *cache, struct ls_file_read *read, dev_t *device, size_t *size) {
  struct statx st;
  int rc = ls_file_stat_cached(read->fd, STATX_TYPE | STATX_SIZE, &st);
  if (rc != 0)
    return rc; /* the pool's fstat has the last word */
  if (S_ISDIR(st.stx_mode))
    return fail(read, "read", -EISDIR);
  *device = makedev(st.stx_dev_major, st.stx_dev_minor);
  if (!S_ISREG(st.stx_mode) || !ls_file_cache_knows(cache, *device))
    return -EAGAIN;
  if (over_limit(read, st.stx_size))
    return fail(read, "read", LS_ETOOBIG);
  if (st.stx_size > LS_FILE_INLINE_MAX)
    return -EAGAIN;
  *size = (size_t)st.stx_size;
  return 0;
}

/* One byte more than the size: a file that has grown meanwhile shows itself, and goes on in the pool. */
static int read_cached(struct ls_file_cache *cache, struct ls_file_read *read, dev_t device, size_t size) {
  if (ls_buf_reserve(&read->bytes, size + 1) != 0)
    return fail(read, "read", -ENOMEM);
  ssize_t n = ls_file_pread_cached(cache, read->fd, device, ls_buf_bytes(&read->bytes), size + 1, 0);
  if (n < 0)
    return n == -EAGAIN ? -EAGAIN : fail(read, "read", (int)n);
  read->bytes.len = (size_t)n;
  if ((size_t)n != size)
    return -EAGAIN;
  close_file(read);
  return 0;
}

int ls_file_read_cached(struct ls_file_cache *cache, struct ls_file_read *read) {
  assert(read->fd < 0 && read->bytes.len == 0);
  if (cache->off)
    return -EAGAIN;
  dev_t device;
  size_t size;
  int rc = open_cached(cache, read);
  if (rc == 0)
    rc = stat_cached(cache, read, &device, &size);
  if (rc == 0)
    rc = read_cached(cache, read, device, size);
  return rc;
}

/* ---- on the pool ---- */

static int open_blocking(struct ls_file_read *read) {
  do {
    read->fd = open(read->path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
  } while (read->fd < 0 && errno == EINTR);
  return read->fd < 0 ? fail(read, "open", -errno) : 0;
}

/* The inline form opened it with O_NONBLOCK. A pipe that has no writer yet would then be at its end at once, where a
 * blocking open waits for one; poll waits until one has written or has come and gone. */
static int make_blocking(struct ls_file_read *read, mode_t mode) {
  int flags = fcntl(read->fd, F_GETFL);
  if (flags < 0 || fcntl(read->fd, F_SETFL, flags & ~O_NONBLOCK) != 0)
    return fail(read, "open", -errno);
  if (!S_ISFIFO(mode))
    return 0;
  struct pollfd readable = {.fd = read->fd, .events = POLLIN};
  while (poll(&readable, 1, -1) < 0) {
    if (errno != EINTR)
      return fail(read, "open", -errno);
  }
  return 0;
}

/* Once a device, and here, because it may block. */
static void ask_local(struct ls_file_read *read, dev_t device) {
  if (ls_file_is_local(read->fd, &read->device_local) == 0)
    read->device = device;
}

/* The next bytes. How many, 0 at the end, or a negative code. */
static ssize_t read_some(struct ls_file_read *file, bool regular, size_t want) {
  struct ls_buf *bytes = &file->bytes;
  char *room = ls_buf_bytes(bytes) + bytes->len;
  for (;;) {
    ssize_t n = regular ? pread(file->fd, room, want, (off_t)bytes->len) : read(file->fd, room, want);
    if (n >= 0 || errno != EINTR)
      return n >= 0 ? n : -errno;
  }
}

/* To the end, whatever the size was said to be: files in /proc have none, others grow or shrink meanwhile. */
static int read_to_end(struct ls_file_read *read, bool regular) {
  struct ls_buf *bytes = &read->bytes;
  for (;;) {
    if (over_limit(read, bytes->len))
      return fail(read, "read", LS_ETOOBIG);
    size_t room = bytes->cap - bytes->start - bytes->len;
    if (room == 0) {
      if (ls_buf_reserve(bytes, CHUNK) != 0)
        return fail(read, "read", -ENOMEM);
      room = bytes->cap - bytes->start - bytes->len;
    }
    ssize_t n = read_some(read, regular, room < READ_MAX ? room : READ_MAX);
    if (n < 0)
      return fail(read, "read", (int)n);
    if (n == 0)
      return 0;
    bytes->len += (size_t)n;
  }
}

/* Room for all of a regular file and for the read that finds its end. */
static int reserve_size(struct ls_file_read *read, const struct stat *st) {
  uint64_t size = (uint64_t)st->st_size;
  if (over_limit(read, size))
    return fail(read, "read", LS_ETOOBIG);
  if (size < read->bytes.len)
    return 0;
  if (size >= SIZE_MAX || ls_buf_reserve(&read->bytes, (size_t)size - read->bytes.len + 1) != 0)
    return fail(read, "read", -ENOMEM);
  return 0;
}

int ls_file_read_blocking(struct ls_file_read *read) {
  bool continued = read->fd >= 0;
  int rc = continued ? 0 : open_blocking(read);
  if (rc != 0)
    return rc;
  struct stat st;
  if (fstat(read->fd, &st) != 0)
    return fail(read, "fstat", -errno);
  if (S_ISDIR(st.st_mode))
    return fail(read, "read", -EISDIR);
  bool regular = S_ISREG(st.st_mode);
  if (regular) {
    ask_local(read, st.st_dev);
    rc = reserve_size(read, &st);
  } else if (continued) {
    rc = make_blocking(read, st.st_mode);
  }
  if (rc == 0)
    rc = read_to_end(read, regular);
  close_file(read);
  return rc;
}

void ls_file_learn(struct ls_file_cache *cache, const struct ls_file_read *read) {
  if (read->device != 0)
    ls_file_cache_note(cache, read->device, read->device_local);
}
