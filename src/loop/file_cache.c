/* SPDX-License-Identifier: MIT */
#include "loop/file_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LS_CACHESTAT 451 /* SYS_cachestat, the same number everywhere but on alpha */

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20
#endif

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

int ls_file_is_local(int fd, bool *local) {
  struct statfs fs;
  if (fstatfs(fd, &fs) != 0)
    return -errno;
  *local = is_local_type((unsigned long)fs.f_type);
  return 0;
}

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

bool ls_file_cache_knows(const struct ls_file_cache *cache, dev_t device) {
  unsigned i = find_device(cache, device);
  return i < count_devices(cache) && cache->devices[i].local;
}

void ls_file_cache_note(struct ls_file_cache *cache, dev_t device, bool local) {
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

/* ---- the calls ---- */

bool ls_file_is_missing(int code) {
  return code == -ENOSYS || code == -EPERM || code == -EINVAL;
}

int ls_file_openat2(int folder, const char *path, int flags, uint64_t resolve) {
  unsigned all = (unsigned)flags | O_CLOEXEC | ((flags & O_PATH) != 0 ? 0 : O_NONBLOCK | O_NOCTTY);
  struct open_how how = {.flags = all, .resolve = resolve};
  long fd = syscall(SYS_openat2, folder, path, &how, sizeof how);
  return fd >= 0 ? (int)fd : -errno;
}

int ls_file_open_cached(struct ls_file_cache *cache, int folder, const char *path, int flags, uint64_t resolve) {
  int fd = ls_file_openat2(folder, path, flags, resolve | RESOLVE_CACHED);
  if (fd >= 0)
    return fd;
  if (ls_file_is_missing(fd))
    cache->off = true;
  return cache->off || fd == -EINTR ? -EAGAIN : fd;
}

int ls_file_stat_cached(int fd, unsigned mask, struct statx *st) {
  return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, mask, st) == 0 ? 0 : -EAGAIN;
}

ssize_t ls_file_pread_cached(struct ls_file_cache *cache, int fd, dev_t device, void *bytes, size_t len,
                             uint64_t offset) {
  struct iovec room = {.iov_base = bytes, .iov_len = len};
  ssize_t n = preadv2(fd, &room, 1, (off_t)offset, RWF_NOWAIT);
  if (n >= 0)
    return n;
  if (errno == ENOSYS || errno == EPERM)
    cache->off = true;
  else if (errno == EOPNOTSUPP)
    ls_file_cache_note(cache, device, false); /* local, but never without a wait: no need to ask again */
  else if (errno != EAGAIN && errno != EINTR)
    return -errno;
  return -EAGAIN;
}

/* linux/mman.h has these since 6.5. */
struct cachestat_range {
  uint64_t offset, len;
};
struct cachestat_result {
  uint64_t cached, dirty, written_back, evicted, evicted_lately; /* in pages */
};

bool ls_file_is_cached(struct ls_file_cache *cache, int fd, uint64_t offset, size_t len) {
  if (cache->cachestat_off)
    return false;
  uint64_t page = (uint64_t)getpagesize(), first = offset / page, pages = (offset + len + page - 1) / page - first;
  struct cachestat_range range = {.offset = offset, .len = len};
  struct cachestat_result result = {0};
  if (syscall(LS_CACHESTAT, fd, &range, &result, 0) != 0) {
    cache->cachestat_off = errno == ENOSYS;
    return false;
  }
  return result.cached >= pages;
}
