/* SPDX-License-Identifier: MIT */
/* fs.copy_file and fs.copy, which copies whole trees. Bytes are shared where the file system can do that (FICLONE),
 * else copied inside the kernel, else through memory. */
#include <dirent.h>
#include <libgen.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bind/fs/impl.h"

#define COPY_CHUNK ((size_t)64 * 1024)
#define COPY_MAX ((size_t)16 * 1024 * 1024) /* in one call: how long it takes until a cancellation is seen */

/* ---- bytes ---- */

/* As far as the kernel can: it may refuse (other file systems, other kinds of files) or find nothing in files that have
 * no size, as those of /proc. The rest is copied through memory; both go on at the descriptors' positions. */
static int copy_in_kernel(struct ls_fs_job *job, int from, int to) {
  ssize_t n;
  int code = 0;
  do {
    n = copy_file_range(from, NULL, to, NULL, COPY_MAX, 0);
    code = ls_fs_check_stop(job);
  } while (code == 0 && (n > 0 || (n < 0 && errno == EINTR)));
  return code;
}

static int copy_in_memory(struct ls_fs_job *job, int from, int to) {
  if (ls_buf_reserve(&job->bytes, COPY_CHUNK) != 0)
    return -ENOMEM;
  char *chunk = ls_buf_bytes(&job->bytes);
  for (;;) {
    ssize_t n = ls_fs_read(from, chunk, COPY_CHUNK);
    if (n < 0)
      return ls_fs_fail(job, "read");
    if (n == 0)
      return 0;
    if (ls_fs_write(to, chunk, (size_t)n) != 0)
      return ls_fs_fail(job, "write");
    int code = ls_fs_check_stop(job);
    if (code != 0)
      return code;
  }
}

/* to is empty, both stand at their beginning. */
static int copy_bytes(struct ls_fs_job *job, int from, int to) {
  if (ioctl(to, FICLONE, from) == 0)
    return 0;
  int code = copy_in_kernel(job, from, to);
  return code != 0 ? code : copy_in_memory(job, from, to);
}

/* A failing close may be the only news of a failure. */
static int close_written(struct ls_fs_job *job, int fd, int code) {
  if (close(fd) != 0 && code == 0 && errno != EINTR)
    return ls_fs_fail(job, "close");
  return code;
}

/* ---- copy_file ---- */

/* Not truncated before it is known to be another file. */
static int copy_to(struct ls_fs_job *job, int from, const struct stat *source) {
  bool exclusive = job->args.number[0] != 0;
  int to = ls_fs_open(AT_FDCWD, job->args.path2, O_WRONLY | O_CREAT | (exclusive ? O_EXCL : 0), source->st_mode & 0777);
  if (to < 0)
    return -errno;
  struct stat target;
  int code = 0;
  if (fstat(to, &target) != 0)
    code = -errno;
  else if (ls_fs_id_is(ls_fs_id_of(source), &target))
    code = -EINVAL;
  else if (S_ISREG(target.st_mode) && ftruncate(to, 0) != 0)
    code = -errno;
  if (code == 0)
    code = copy_bytes(job, from, to);
  return close_written(job, to, code);
}

static int run_copy_file(struct ls_fs_job *job) {
  struct stat source;
  int from = ls_fs_open(AT_FDCWD, job->args.path, O_RDONLY, 0);
  if (from < 0)
    return -errno;
  int code;
  if (fstat(from, &source) != 0)
    code = -errno;
  else if (S_ISDIR(source.st_mode))
    code = -EISDIR;
  else
    code = copy_to(job, from, &source);
  close(from);
  return code;
}

/* ---- copy ---- */

/* Where an entry is copied from and to: a name in each folder. */
struct place {
  int from, to;
  const char *name, *target;
};

static bool overwrites(const struct ls_fs_job *job) {
  return job->args.number[0] != 0;
}

/* What is in the way goes, where that is wanted: 0 when it is worth to try again. Never follows a link. */
static int make_way(struct ls_fs_job *job, const struct place *at, int error) {
  if (error != EEXIST || !overwrites(job))
    return -error;
  return unlinkat(at->to, at->target, 0) == 0 || errno == ENOENT ? 0 : -errno;
}

static int create(struct ls_fs_job *job, const struct place *at) {
  for (;;) {
    int fd = ls_fs_open(at->to, at->target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd >= 0)
      return fd;
    int code = make_way(job, at, errno);
    if (code != 0)
      return code;
  }
}

/* O_NONBLOCK: it may have become a pipe since it was looked at. */
static int copy_regular(struct ls_fs_job *job, const struct place *at) {
  struct stat st;
  int from = ls_fs_open(at->from, at->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
  if (from < 0)
    return ls_fs_fail(job, "open");
  int code = fstat(from, &st) != 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
  int to = code == 0 ? create(job, at) : code;
  if (to < 0) {
    close(from);
    return to;
  }
  code = copy_bytes(job, from, to);
  if (code == 0 && fchmod(to, st.st_mode & 0777) != 0)
    code = ls_fs_fail(job, "chmod");
  close(from);
  return close_written(job, to, code);
}

static int copy_link(struct ls_fs_job *job, const struct place *at, const struct stat *st) {
  size_t room = st->st_size > 0 ? (size_t)st->st_size + 1 : PATH_MAX;
  char *text = malloc(room + 1);
  if (text == NULL)
    return -ENOMEM;
  ssize_t n = readlinkat(at->from, at->name, text, room);
  int code = n < 0 ? ls_fs_fail(job, "readlink") : 0;
  text[n < 0 ? 0 : n] = '\0';
  while (code == 0 && symlinkat(text, at->to, at->target) != 0)
    code = make_way(job, at, errno);
  free(text);
  return code;
}

/* The copy's folder, which may be there already where that is wanted. A descriptor (O_PATH) or a negative code. */
static int make_folder(struct ls_fs_job *job, const struct place *at) {
  if (mkdirat(at->to, at->target, 0700) != 0 && (errno != EEXIST || !overwrites(job)))
    return -errno;
  int fd = ls_fs_open(at->to, at->target, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
  return fd < 0 ? -errno : fd;
}

/* Both sides go into the folder. */
static int enter_folder(struct ls_fs_job *job, struct ls_fs_cursor *cursor, int *to, const struct place *at) {
  struct stat st;
  int fd = make_folder(job, at);
  if (fd < 0)
    return fd;
  int code = fstat(fd, &st) != 0 ? -errno : ls_fs_cursor_enter(cursor, at->name);
  if (code != 0) {
    close(fd);
    return code;
  }
  ls_fs_levels_top(&cursor->levels)->target_id = ls_fs_id_of(&st);
  if (*to >= 0)
    close(*to);
  *to = fd;
  return 0;
}

/* Permission bits come last: they may forbid to write in it. */
static int leave_folder(struct ls_fs_job *job, struct ls_fs_cursor *cursor, int *to) {
  mode_t mode = ls_fs_levels_top(&cursor->levels)->mode & 0777;
  int code = ls_fs_cursor_leave(cursor);
  if (code != 0)
    return code;
  *to = ls_fs_go_up(*to, ls_fs_levels_top(&cursor->levels)->target_id);
  if (*to < 0)
    return *to;
  return fchmodat(*to, ls_fs_cursor_left(cursor), mode, 0) == 0 ? 0 : ls_fs_fail(job, "chmod");
}

/* Whatever is no folder. */
static int copy_entry(struct ls_fs_job *job, const struct place *at, const struct stat *st) {
  switch (st->st_mode & S_IFMT) {
  case S_IFREG:
    return copy_regular(job, at);
  case S_IFLNK:
    return copy_link(job, at, st);
  default:
    return -EINVAL; /* pipes, sockets, devices */
  }
}

static int copy_next(struct ls_fs_job *job, struct ls_fs_cursor *cursor, int *to, const char *name) {
  struct stat st;
  struct place at = {.from = cursor->fd, .to = *to, .name = name, .target = name};
  if (fstatat(at.from, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? 0 : ls_fs_fail(job, "lstat"); /* it went away meanwhile */
  return S_ISDIR(st.st_mode) ? enter_folder(job, cursor, to, &at) : copy_entry(job, &at, &st);
}

static int copy_tree(struct ls_fs_job *job, struct ls_fs_cursor *cursor, int *to) {
  for (;;) {
    const char *record = ls_fs_level_next(ls_fs_levels_top(&cursor->levels));
    if (record == NULL && cursor->levels.count == 1)
      return chmod(job->args.path2, ls_fs_levels_top(&cursor->levels)->mode & 0777) == 0 ? 0 : ls_fs_fail(job, "chmod");
    int code = ls_fs_check_stop(job);
    if (code == 0)
      code = record != NULL ? copy_next(job, cursor, to, record + 1) : leave_folder(job, cursor, to);
    if (code == 0)
      continue;
    job->where = ls_fs_cursor_path(cursor, record != NULL ? record + 1 : NULL);
    return code;
  }
}

static int copy_folder(struct ls_fs_job *job, const struct place *at) {
  struct ls_fs_cursor cursor;
  int to = -1;
  if (ls_fs_cursor_init(&cursor, job->args.path) != 0)
    return -ENOMEM;
  int code = enter_folder(job, &cursor, &to, at);
  if (code == 0)
    code = copy_tree(job, &cursor, &to);
  ls_fs_cursor_dispose(&cursor);
  if (to >= 0)
    close(to);
  return code;
}

/* Looks at the folder behind fd and all that it is in. 0, or -EINVAL when the source is among them: the copy would
 * become part of what is copied. Closes fd. */
static int check_above(int fd, struct ls_fs_id source) {
  struct ls_fs_id below = {0};
  struct stat st;
  int code = 0;
  while (fd >= 0 && code == 0 && fstat(fd, &st) == 0 && !ls_fs_id_is(below, &st)) {
    below = ls_fs_id_of(&st);
    if (ls_fs_id_is(source, &st))
      code = -EINVAL;
    int above = code == 0 ? ls_fs_open(fd, "..", O_PATH | O_DIRECTORY, 0) : -1;
    close(fd);
    fd = above;
  }
  if (fd >= 0)
    close(fd);
  return code;
}

static int check_outside(const char *target, struct ls_fs_id source) {
  char *path = strdup(target);
  if (path == NULL)
    return -ENOMEM;
  int fd = ls_fs_open(AT_FDCWD, dirname(path), O_PATH | O_DIRECTORY, 0);
  int code = fd < 0 ? -errno : check_above(fd, source);
  free(path);
  return code;
}

/* One job however large the tree is: cancelling ends it at the next entry or piece of a file. */
static int run_copy(struct ls_fs_job *job) {
  struct stat st, target;
  struct place at = {.from = AT_FDCWD, .to = AT_FDCWD, .name = job->args.path, .target = job->args.path2};
  if (lstat(at.name, &st) != 0)
    return -errno;
  if (lstat(at.target, &target) == 0 && ls_fs_id_is(ls_fs_id_of(&st), &target))
    return -EINVAL;
  if (!S_ISDIR(st.st_mode))
    return copy_entry(job, &at, &st);
  int code = check_outside(at.target, ls_fs_id_of(&st));
  return code != 0 ? code : copy_folder(job, &at);
}

static const char *const copy_file_options[] = {"exclusive", NULL};
static const char *const copy_options[] = {"overwrite", NULL};

/* All async; true, or nil, message, code. */
const struct ls_fs_call ls_fs_copy_calls[] = {
    /* fs.copy_file(from, to [, options] [, callback])
     * Copies the bytes, and the permission bits when to is new. exclusive = true: to must not exist (EEXIST).
     *   fs.copy_file("app.db", "app.db.bak") */
    {LS_FS_TYPE("fs.copy_file"), "copy_file", run_copy_file, NULL, "pp", copy_file_options},
    /* fs.copy(from, to [, options] [, callback])
     * Copies a folder with all that is in it, or a file or link; to is the copy's own path. Permission bits are kept
     * (the umask does not count), links stay links; pipes, sockets and devices fail (EINVAL), as does copying a folder
     * into itself. Nothing may be at to (EEXIST), unless overwrite = true: then folders are merged, and files and links
     * replaced. The first failure ends it and leaves what has been copied; its message has the path of what failed.
     *   fs.copy("template", "site") */
    {LS_FS_TYPE("fs.copy"), "copy", run_copy, NULL, "pp", copy_options},
    {.verb = NULL},
};
