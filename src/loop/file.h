/* SPDX-License-Identifier: MIT */
/* file: reading whole files without a thread switch when the page cache has them.
 *
 * ls_file_read_cached runs on the loop's thread and makes only calls that promise not to block (file_cache.h). What they
 * cannot do goes on on the pool. */
#ifndef LS_LOOP_FILE_H
#define LS_LOOP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "loop/file_cache.h"

#define LS_FILE_INLINE_MAX ((size_t)256 * 1024) /* larger files go to the pool */

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
