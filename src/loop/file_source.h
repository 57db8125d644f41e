/* SPDX-License-Identifier: MIT */
/* file_source: one regular file to be read from in pieces, at any place: without a thread switch where the kernel has
 * what is asked for in memory, else on the pool.
 *
 * With a root the path is taken below that folder and cannot leave it: a path that begins with '/' or has a segment ".."
 * is refused, and so is one that leaves the folder through a symbolic link (openat2(2), RESOLVE_BENEATH: absolute links
 * too). Where the kernel does not have openat2 no link below the root is followed at all.
 *
 * The folder is found anew each time, so one that is put in its place is there at once. Where no link is on the whole way
 * (RESOLVE_NO_SYMLINKS) the path itself shows that it stays below the root, and one call opens the file. */
#ifndef LS_LOOP_FILE_SOURCE_H
#define LS_LOOP_FILE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop/file_cache.h"

struct ls_file_source {
  const char *root; /* NULL: the path as it is. Both borrowed */
  const char *path; /* as the system takes it: of one below a root, with that in front */
  bool follow;      /* symbolic links may lead out of the root */
  bool root_linked; /* the way to the root is known to lead over a link. May be set before, and is learned */

  int fd; /* -1: not open */
  dev_t device;
  bool device_local, device_asked; /* for ls_file_source_learn */
  uint64_t size, inode;
  int64_t modified, changed; /* the content; the content or the attributes, which nobody can set back. Seconds */
  uint32_t modified_ns;      /* the fraction of modified */
  const char *failed;        /* the system call that failed: "open", "stat", "read" */
};

/* path: where there is a root, that, '/' and the path below it. */
void ls_file_source_init(struct ls_file_source *source, const char *root, const char *path, bool follow);
void ls_file_source_close(struct ls_file_source *source); /* harmless when not open */

/* Opens and looks at the attributes. 0: open. -EAGAIN: only ls_file_source_open can tell, on the pool; it goes on where
 * this stopped. Others are final, and it is not open: -ENOENT, -EACCES (also: it would leave the root), -EISDIR, -EINVAL
 * (neither a regular file nor a folder) and so on. */
int ls_file_source_open_cached(struct ls_file_cache *cache, struct ls_file_source *source);

/* The same; blocks. Any thread. */
int ls_file_source_open(struct ls_file_source *source);

/* How many bytes of those at offset: fewer than len where no more are in memory, 0 at the end. -EAGAIN: none of them is.
 * Others are failures. */
ssize_t ls_file_source_read_cached(struct ls_file_cache *cache, struct ls_file_source *source, char *bytes, size_t len,
                                   uint64_t offset);

/* The same; blocks. Any thread. Fewer than len only at the end. */
ssize_t ls_file_source_read(struct ls_file_source *source, char *bytes, size_t len, uint64_t offset);

/* Whether all these bytes are in memory, as far as the kernel tells (cachestat(2), since Linux 6.5, for who may write to
 * the file or owns it). */
bool ls_file_source_is_cached(struct ls_file_cache *cache, const struct ls_file_source *source, uint64_t offset,
                              size_t len);

/* Sends bytes of the file to a socket, which does not block, straight from the page cache; blocks on the disk alone. Any
 * thread. How many: fewer than len where the socket takes no more now, or this file or socket cannot do it, or it ends. */
size_t ls_file_source_send(const struct ls_file_source *source, int socket, uint64_t offset, size_t len);

/* Back on the loop's thread: remembers what the pool learned about the device. */
void ls_file_source_learn(struct ls_file_cache *cache, const struct ls_file_source *source);

#endif
