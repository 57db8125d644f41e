/* SPDX-License-Identifier: MIT */
#include "loop/file_source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BELOW (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
#define MASK (STATX_TYPE | STATX_SIZE | STATX_INO | STATX_MTIME | STATX_CTIME)
#define READING (O_RDONLY | O_NONBLOCK | O_NOCTTY)
#define RACES_MAX 8 /* how often a path may change under us before it is walked step by step */

void ls_file_source_init(struct ls_file_source *source, const char *root, const char *path, bool follow) {
  *source = (struct ls_file_source){.root = root, .path = path, .follow = follow, .fd = -1};
}

void ls_file_source_close(struct ls_file_source *source) {
  if (source->fd >= 0)
    close(source->fd);
  source->fd = -1;
}

static int fail(struct ls_file_source *source, const char *call, int code) {
  ls_file_source_close(source);
  source->failed = call;
  return code;
}

/* The descriptor or a negative code. */
static int open_at(int folder, const char *path, int flags) {
  int fd;
  do {
    fd = openat(folder, path, flags | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  return fd < 0 ? -errno : fd;
}

/* ---- paths below a root ---- */

/* Of a source with a root: what is behind that. */
static const char *path_below(const struct ls_file_source *source) {
  return source->path + strlen(source->root) + 1;
}

/* Whether it goes down only, links aside. */
static bool descends(const char *path) {
  if (path[0] == '/')
    return false;
  for (const char *segment = path;; segment++) {
    size_t len = strcspn(segment, "/");
    if (len == 2 && segment[0] == '.' && segment[1] == '.')
      return false;
    segment += len;
    if (*segment == '\0')
      return true;
  }
}

/* A link that leads out is EXDEV to the kernel. */
static int below_code(int code) {
  return code == -EXDEV ? -EACCES : code;
}

/* Takes the next segment that is not empty and not "."; false: there is none. -ENAMETOOLONG through *code. */
static bool next_segment(const char **path, char name[NAME_MAX + 1], int *code) {
  for (;;) {
    *path += strspn(*path, "/");
    size_t len = strcspn(*path, "/");
    if (len == 0)
      return false;
    if (len > NAME_MAX) {
      *code = -ENAMETOOLONG;
      return false;
    }
    memcpy(name, *path, len);
    name[len] = '\0';
    *path += len;
    if (strcmp(name, ".") != 0)
      return true;
  }
}

/* Step by step from folder, which it closes, following no link. The descriptor or a negative code. */
static int walk(int folder, const char *path) {
  char name[NAME_MAX + 1] = ".", next[NAME_MAX + 1];
  size_t len = strlen(path);
  int flags = READING | O_NOFOLLOW;
  int code = len == 0 ? -ENOENT : 0;
  if (len != 0 && path[len - 1] == '/')
    flags |= O_DIRECTORY;
  next_segment(&path, name, &code);
  while (code == 0 && next_segment(&path, next, &code)) {
    int deeper = open_at(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    close(folder);
    folder = deeper;
    code = deeper < 0 ? deeper : 0;
    memcpy(name, next, sizeof name);
  }
  if (code == 0)
    code = open_at(folder, name, flags);
  if (folder >= 0)
    close(folder);
  return code == -ELOOP ? -EACCES : code;
}

/* ---- opening ---- */

/* Closes folder. The descriptor or a negative code. */
static int open_contained(int folder, const char *path) {
  int fd = -EAGAIN;
  for (unsigned i = 0; i < RACES_MAX && (fd == -EAGAIN || fd == -EINTR); i++)
    fd = ls_file_openat2(folder, path, O_RDONLY, BELOW);
  if (ls_file_is_missing(fd) || fd == -EAGAIN || fd == -EINTR)
    return walk(folder, path);
  close(folder);
  return below_code(fd);
}

/* The descriptor or a negative code. */
static int open_below(const struct ls_file_source *source) {
  int folder = open_at(AT_FDCWD, source->root, O_PATH | O_DIRECTORY);
  if (folder < 0)
    return folder;
  if (!source->follow)
    return open_contained(folder, path_below(source));
  int fd = open_at(folder, path_below(source), READING);
  close(folder);
  return fd;
}

/* The root as a descriptor, -EAGAIN, or a final code. Learns whether a link leads there. */
static int open_root_cached(struct ls_file_cache *cache, struct ls_file_source *source) {
  const int flags = O_PATH | O_DIRECTORY;
  int folder = -ELOOP;
  if (!source->root_linked)
    folder = ls_file_open_cached(cache, AT_FDCWD, source->root, flags, RESOLVE_NO_SYMLINKS);
  source->root_linked = folder == -ELOOP;
  return source->root_linked ? ls_file_open_cached(cache, AT_FDCWD, source->root, flags, 0) : folder;
}

/* The file in one call, where that can be: else -ELOOP. An empty root or path is no part of a whole one. */
static int open_whole_cached(struct ls_file_cache *cache, const struct ls_file_source *source) {
  if (source->root[0] == '\0' || path_below(source)[0] == '\0' || (source->root_linked && !source->follow))
    return -ELOOP;
  int fd = ls_file_open_cached(cache, AT_FDCWD, source->path, O_RDONLY, source->follow ? 0 : RESOLVE_NO_SYMLINKS);
  return fd == -ENAMETOOLONG ? -ELOOP : fd;
}

/* The descriptor, -EAGAIN, or a final code. */
static int open_below_cached(struct ls_file_cache *cache, struct ls_file_source *source) {
  int fd = open_whole_cached(cache, source);
  if (fd != -ELOOP)
    return fd;
  int folder = open_root_cached(cache, source);
  if (folder < 0)
    return folder;
  fd = ls_file_open_cached(cache, folder, path_below(source), O_RDONLY, source->follow ? 0 : BELOW);
  close(folder);
  return below_code(fd);
}

/* ---- attributes ---- */

static int take_attributes(struct ls_file_source *source, const struct statx *st) {
  if (S_ISDIR(st->stx_mode))
    return fail(source, "read", -EISDIR);
  if (!S_ISREG(st->stx_mode))
    return fail(source, "read", -EINVAL);
  source->device = makedev(st->stx_dev_major, st->stx_dev_minor);
  source->size = st->stx_size;
  source->inode = st->stx_ino;
  source->modified = st->stx_mtime.tv_sec;
  source->modified_ns = st->stx_mtime.tv_nsec;
  source->changed = st->stx_ctime.tv_sec;
  return 0;
}

static int check_path(struct ls_file_source *source) {
  return source->root == NULL || descends(path_below(source)) ? 0 : fail(source, "open", -EACCES);
}

int ls_file_source_open_cached(struct ls_file_cache *cache, struct ls_file_source *source) {
  struct statx st;
  int rc = check_path(source);
  if (rc != 0)
    return rc;
  if (cache->off)
    return -EAGAIN;
  int fd = source->root == NULL ? ls_file_open_cached(cache, AT_FDCWD, source->path, O_RDONLY, 0)
                                : open_below_cached(cache, source);
  if (fd < 0)
    return fd == -EAGAIN ? fd : fail(source, "open", fd);
  source->fd = fd;
  rc = ls_file_stat_cached(fd, MASK, &st);
  if (rc == 0)
    rc = take_attributes(source, &st);
  if (rc == 0 && !ls_file_cache_knows(cache, source->device))
    rc = -EAGAIN;
  return rc;
}

int ls_file_source_open(struct ls_file_source *source) {
  struct statx st;
  int rc = check_path(source);
  if (rc != 0)
    return rc;
  if (source->fd < 0) {
    int fd = source->root == NULL ? open_at(AT_FDCWD, source->path, READING) : open_below(source);
    if (fd < 0)
      return fail(source, "open", fd);
    source->fd = fd;
  }
  if (statx(source->fd, "", AT_EMPTY_PATH, MASK, &st) != 0)
    return fail(source, "stat", -errno);
  rc = take_attributes(source, &st);
  if (rc == 0)
    source->device_asked = ls_file_is_local(source->fd, &source->device_local) == 0;
  return rc;
}

void ls_file_source_learn(struct ls_file_cache *cache, const struct ls_file_source *source) {
  if (source->device_asked)
    ls_file_cache_note(cache, source->device, source->device_local);
}

/* ---- reading ---- */

ssize_t ls_file_source_read_cached(struct ls_file_cache *cache, struct ls_file_source *source, char *bytes, size_t len,
                                   uint64_t offset) {
  if (cache->off || !ls_file_cache_knows(cache, source->device))
    return -EAGAIN;
  ssize_t n = ls_file_pread_cached(cache, source->fd, source->device, bytes, len, offset);
  return n < 0 && n != -EAGAIN ? fail(source, "read", (int)n) : n;
}

ssize_t ls_file_source_read(struct ls_file_source *source, char *bytes, size_t len, uint64_t offset) {
  size_t done = 0;
  while (done < len) {
    ssize_t n = pread(source->fd, bytes + done, len - done, (off_t)(offset + done));
    if (n == 0)
      break;
    if (n > 0)
      done += (size_t)n;
    else if (errno != EINTR)
      return fail(source, "read", -errno);
  }
  return (ssize_t)done;
}

bool ls_file_source_is_cached(struct ls_file_cache *cache, const struct ls_file_source *source, uint64_t offset,
                              size_t len) {
  return !cache->off && ls_file_cache_knows(cache, source->device) && ls_file_is_cached(cache, source->fd, offset, len);
}

size_t ls_file_source_send(const struct ls_file_source *source, int socket, uint64_t offset, size_t len) {
  size_t done = 0;
  off_t at = (off_t)offset;
  while (done < len) {
    ssize_t n = sendfile(socket, source->fd, &at, len - done);
    if (n > 0)
      done += (size_t)n;
    else if (n == 0 || errno != EINTR)
      break;
  }
  return done;
}
