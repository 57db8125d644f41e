/* SPDX-License-Identifier: MIT */
/* file: reading files without a thread switch when the page cache has them.
 *
 * ls_file_read_cached runs on the loop's thread and asks the kernel only for what it promises not to block on:
 * openat2(RESOLVE_CACHED) and preadv2(RWF_NOWAIT). The open flag covers the path walk only, so the file is opened
 * O_NONBLOCK | O_NOCTTY | O_CLOEXEC, must be a regular file, and must be on a local file system; which mounts are local
 * is learned by the pool (ls_file_read_blocking), because statfs on a dead network mount blocks. EPERM or ENOSYS from
 * either call switches the path off for good (EINVAL from openat2 as well: a kernel that has it without the flag). A
 * local file system without RWF_NOWAIT, such as tmpfs, is noted as not local. See openat2(2), preadv2(2).
 * Limits: a mount that takes over the device number of a local one that is gone passes for local. */
#ifndef LS_LOOP_FILE_H
#define LS_LOOP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

#define LS_FILE_INLINE_MAX ((size_t)256 * 1024) /* larger files go to the pool */

/* What one loop has learned: devices known to be local or not, and whether the inline path works at all.
 * Only its loop's thread touches it. */
struct ls_file_cache {
  bool off;
  unsigned count;
  struct {
    dev_t device;
    bool local;
  } devices[32];
};

/* What one read does, from the path to the bytes; the pool form runs it on another thread, so it owns its strings. */
struct ls_file_read {
  char *path;         /* the caller's memory */
  uint64_t max_bytes; /* a larger file is LS_ETOOBIG; 0: no limit */
  struct ls_buf bytes;
  int fd;       /* after -EAGAIN: still open if it was opened, the pool goes on from bytes.len; else -1 */
  dev_t device; /* set by the blocking form for ls_file_learn; 0: it learned nothing */
  bool device_local;
  const char *failed; /* the system call that failed: "open", "fstat", "read" */
};

/* Prepares; path is borrowed and must outlive the read. */
void ls_file_read_init(struct ls_file_read *read, char *path, uint64_t max_bytes);

/* Tries without blocking. 0: all bytes are in read->bytes. -EAGAIN: run ls_file_read_blocking on the pool (it goes on
 * where this stopped). Other codes are final: -ENOENT and so on. */
int ls_file_read_cached(struct ls_file_cache *cache, struct ls_file_read *read);

/* Opens, stats, reads, closes; blocks. Any thread. 0 or a negative code. Pipes and devices are read to their end. */
int ls_file_read_blocking(struct ls_file_read *read);

/* Back on the loop's thread: remembers what the pool learned about the device. */
void ls_file_learn(struct ls_file_cache *cache, const struct ls_file_read *read);

/* Closes the descriptor and frees the bytes, if any are left. */
void ls_file_read_dispose(struct ls_file_read *read);

#endif
