/* SPDX-License-Identifier: MIT */
/* file_cache: the system calls on files that promise not to block, and what one loop has learned about where they help.
 *
 * They run on the loop's thread: openat2(RESOLVE_CACHED), statx(AT_STATX_DONT_SYNC) and preadv2(RWF_NOWAIT). The open
 * flag covers the path walk only, so files are opened O_NONBLOCK | O_NOCTTY | O_CLOEXEC, must be regular, and must be on a
 * local file system; which mounts are local is learned by the pool (ls_file_is_local), because statfs on a dead network
 * mount blocks. EPERM or ENOSYS from either call switches the path off for good (EINVAL from openat2 as well: a kernel
 * that has it without the flag). A local file system without RWF_NOWAIT, such as tmpfs, is noted as not local. See
 * openat2(2), preadv2(2).
 * Limits: a mount that takes over the device number of a local one that is gone passes for local. */
#ifndef LS_LOOP_FILE_CACHE_H
#define LS_LOOP_FILE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Devices known to be local or not, and whether the calls work at all. Only its loop's thread touches it. */
struct ls_file_cache {
  bool off, cachestat_off;
  unsigned count;
  struct {
    dev_t device;
    bool local;
  } devices[32];
};

/* Whether reads of this device can be tried without blocking. */
bool ls_file_cache_knows(const struct ls_file_cache *cache, dev_t device);

/* Once not local, a device stays so: the calls may have found out themselves that they are of no use there. A full table
 * forgets the oldest, whose files go through the pool once more. */
void ls_file_cache_note(struct ls_file_cache *cache, dev_t device, bool local);

/* Any thread; blocks where the file system's server is gone. Whether fd's pages come from this machine's own disks or
 * memory. 0 or a negative code. */
int ls_file_is_local(int fd, bool *local);

/* As openat2, but only what needs no wait. The descriptor, or -EAGAIN: only a blocking open can tell;
 * other codes are final. */
int ls_file_open_cached(struct ls_file_cache *cache, int folder, const char *path, int flags, uint64_t resolve);

struct statx;
/* The attributes that are in memory, with what STATX_ flags ask for. 0 or -EAGAIN. */
int ls_file_stat_cached(int fd, unsigned mask, struct statx *st);

/* Reads what is in memory. How many bytes (fewer than len: there may be more, on the disk), 0 at the end, or -EAGAIN:
 * only a blocking read can tell; other codes are final. */
ssize_t ls_file_pread_cached(struct ls_file_cache *cache, int fd, dev_t device, void *bytes, size_t len,
                             uint64_t offset);

/* Whether all these bytes of a file are in memory: cachestat(2), which came with Linux 6.5 and tells only who may write to
 * the file or owns it. false: not, or nobody can tell. */
bool ls_file_is_cached(struct ls_file_cache *cache, int fd, uint64_t offset, size_t len);

/* openat2(2), which libc does not have, with O_CLOEXEC, and with O_NONBLOCK and O_NOCTTY where it is no O_PATH: a FIFO or
 * a device is opened without waiting for anybody. The descriptor or -errno. */
int ls_file_openat2(int folder, const char *path, int flags, uint64_t resolve);

/* Whether a code of openat2 says that the kernel, or a seccomp filter, does not have the call or its flag. */
bool ls_file_is_missing(int code);

#endif
