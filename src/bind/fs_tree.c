/* SPDX-License-Identifier: MIT */
/* fs.rm, which removes whole trees, and fs.copy_file. */
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "bind/fs_impl.h"

#define COPY_CHUNK ((size_t)64 * 1024)
#define COPY_MAX ((size_t)1024 * 1024 * 1024)

/* ---- rm ---- */

static int remove_tree(int folder, const char *name);

static bool is_dots(const char *name) {
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int remove_entries(DIR *folder) {
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(folder);
    if (entry == NULL)
      return -errno;
    int code = is_dots(entry->d_name) ? 0 : remove_tree(dirfd(folder), entry->d_name);
    if (code != 0 && code != -ENOENT) /* somebody else was faster */
      return code;
  }
}

/* What is in the folder called name. Links are not followed: nothing outside the tree is touched, also when somebody
 * puts a link in a folder's place meanwhile. */
static int empty_folder(int parent, const char *name) {
  int fd = ls_fs_open(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (fd < 0)
    return -errno;
  DIR *folder = fdopendir(fd);
  if (folder == NULL) {
    int code = -errno;
    close(fd);
    return code;
  }
  int code = remove_entries(folder);
  closedir(folder);
  return code;
}

/* Holds one descriptor for each level. */
static int remove_tree(int folder, const char *name) {
  if (unlinkat(folder, name, 0) == 0)
    return 0;
  if (errno != EISDIR && errno != EPERM) /* EPERM: what POSIX says for a folder */
    return -errno;
  int error = errno;
  int code = empty_folder(folder, name);
  if (code == -ENOTDIR)
    return -error;
  if (code != 0)
    return code;
  return unlinkat(folder, name, AT_REMOVEDIR) == 0 ? 0 : -errno;
}

static int run_rm(struct ls_fs_job *job) {
  bool recursive = job->args.number[0] != 0, force = job->args.number[1] != 0;
  int code;
  if (recursive)
    code = remove_tree(AT_FDCWD, job->args.path);
  else
    code = unlink(job->args.path) == 0 ? 0 : -errno;
  return force && code == -ENOENT ? 0 : code;
}

/* ---- copy_file ---- */

/* In the kernel, as far as it can: it may refuse (other file systems, other kinds of files) or find nothing in files
 * that have no size, as those of /proc. The rest is copied through memory; both go on at the descriptors' positions. */
static void copy_in_kernel(int from, int to) {
  ssize_t n;
  do {
    n = copy_file_range(from, NULL, to, NULL, COPY_MAX, 0);
  } while (n > 0 || (n < 0 && errno == EINTR));
}

static int copy_bytes(struct ls_fs_job *job, int from, int to) {
  copy_in_kernel(from, to);
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
  }
}

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
  else if (target.st_dev == source->st_dev && target.st_ino == source->st_ino)
    code = -EINVAL;
  else if (S_ISREG(target.st_mode) && ftruncate(to, 0) != 0)
    code = -errno;
  if (code == 0)
    code = copy_bytes(job, from, to);
  if (close(to) != 0 && code == 0 && errno != EINTR)
    code = ls_fs_fail(job, "close");
  return code;
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

static const char *const rm_options[] = {"recursive", "force", NULL};
static const char *const copy_file_options[] = {"exclusive", NULL};

/* All async; true, or nil, message, code. */
const struct ls_fs_call ls_fs_tree_calls[] = {
    /* fs.rm(path [, options] [, callback])
     * Removes a file or link. recursive = true: also a folder with all that is in it; links in it are removed, not
     * followed. force = true: it is no failure when nothing is there.
     *   fs.rm("cache", {recursive = true, force = true}) */
    {LS_FS_TYPE("fs.rm"), "rm", run_rm, NULL, "p", rm_options},
    /* fs.copy_file(from, to [, options] [, callback])
     * Copies the bytes, and the permission bits when to is new. exclusive = true: to must not exist (EEXIST).
     *   fs.copy_file("app.db", "app.db.bak") */
    {LS_FS_TYPE("fs.copy_file"), "copy_file", run_copy_file, NULL, "pp", copy_file_options},
    {.verb = NULL},
};
