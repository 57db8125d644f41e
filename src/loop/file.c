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
#include <linux/magic.h>
#include <linux/openat2.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

#define CHUNK ((size_t)16 * 1024)             /* the least room for one blocking read of unknown length */
#define READ_MAX ((size_t)1024 * 1024 * 1024) /* the most that one read asks for: Linux stops below 2 GiB */

/* File systems whose pages come from this machine's own disks or memory. All others, network, FUSE and unknown ones,
 * may wait for a server in any call. */
static bool is_local_type(unsigned long type) {
  static const unsigned long local[] = {
      EXT4_SUPER_MAGIC,
      XFS_SUPER_MAGIC,
      BTRFS_SUPER_MAGIC,
      TMPFS_MAGIC,
      RAMFS_MAGIC,
      F2FS_SUPER_MAGIC,
      OVERLAYFS_SUPER_MAGIC,
      SQUASHFS_MAGIC,
      0xE0F5E1E2 /* erofs */,
      0x2FC12FC1 /* zfs */,
      0xCA451A4E /* bcachefs */,
  };
  for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
    if (local[i] == (type & 0xFFFFFFFF))
      return true;
  }
  return false;
}

/* ---- what a loop has learned ---- */

static unsigned count_devices(const struct ls_file_cache *cache) {
  const unsigned room = sizeof cache->devices / sizeof cache->devices[0];
  return cache->count < room ? cache->count : room;
}

/* The place of the device, or count_devices. */
static unsigned find_device(const struct ls_file_cache *cache, dev_t device) {
  unsigned i = 0;
  while (i < count_devices(cache) && cache->devices[i].device != device)
    i++;
  return i;
}

static bool knows_as_local(const struct ls_file_cache *cache, dev_t device) {
  unsigned i = find_device(cache, device);
  return i < count_devices(cache) && cache->devices[i].local;
}

/* Once not local, a device stays so: the inline form may have found out itself that it is of no use there. A full table
 * forgets the oldest, whose files go through the pool once more. */
static void note_local(struct ls_file_cache *cache, dev_t device, bool local) {
  const unsigned room = sizeof cache->devices / sizeof cache->devices[0];
  unsigned i = find_device(cache, device);
  if (i < count_devices(cache)) {
    cache->devices[i].local = cache->devices[i].local && local;
    return;
  }
  i = cache->count++ % room;
  cache->devices[i].device = device;
  cache->devices[i].local = local;
}

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

/* Whether the kernel, or a seccomp filter, does not have the call (or RESOLVE_CACHED: EINVAL). */
static bool is_missing(int error) {
  return error == ENOSYS || error == EPERM || error == EINVAL;
}

static int open_cached(struct ls_file_cache *cache, struct ls_file_read *read) {
  struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, .resolve = RESOLVE_CACHED};
  long fd = syscall(SYS_openat2, AT_FDCWD, read->path, &how, sizeof how);
  if (fd >= 0) {
    read->fd = (int)fd;
    return 0;
  }
  if (is_missing(errno))
    cache->off = true;
  if (cache->off || errno == EAGAIN || errno == EINTR)
    return -EAGAIN;
  return fail(read, "open", -errno);
}

/* 0 and the size, where reading inline makes sense. */
static int stat_cached(const struct ls_file_cache *cache, struct ls_file_read *read, dev_t *device, size_t *size) {
  struct statx st;
  if (statx(read->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &st) != 0)
    return -EAGAIN; /* the pool's fstat has the last word */
  if (S_ISDIR(st.stx_mode))
    return fail(read, "read", -EISDIR);
  *device = makedev(st.stx_dev_major, st.stx_dev_minor);
  if (!S_ISREG(st.stx_mode) || !knows_as_local(cache, *device))
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
  struct iovec room = {.iov_base = ls_buf_bytes(&read->bytes), .iov_len = size + 1};
  ssize_t n = preadv2(read->fd, &room, 1, 0, RWF_NOWAIT);
  if (n >= 0) {
    read->bytes.len = (size_t)n;
    if ((size_t)n != size)
      return -EAGAIN;
    close_file(read);
    return 0;
  }
  if (errno == ENOSYS || errno == EPERM)
    cache->off = true;
  else if (errno == EOPNOTSUPP)
    note_local(cache, device, false); /* local, but never without a wait: no need to ask again */
  else if (errno != EAGAIN && errno != EINTR)
    return fail(read, "read", -errno);
  return -EAGAIN;
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

/* Asking for the type of the file system blocks where its server is gone, so it is asked here, once a device. */
static void ask_local(struct ls_file_read *read, dev_t device) {
  struct statfs fs;
  if (fstatfs(read->fd, &fs) != 0)
    return;
  read->device = device;
  read->device_local = is_local_type((unsigned long)fs.f_type);
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
    note_local(cache, read->device, read->device_local);
}
