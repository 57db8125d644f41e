/* SPDX-License-Identifier: MIT */
/* fs.write_file and fs.append_file.
 *
 * An atomic write makes a file of another name in the same folder, writes and syncs it, renames it, and syncs the
 * folder: after a crash the path has the old bytes or the new ones, never a part. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "bind/fs/impl.h"

#define DEFAULT_MODE 0666
#define NAME_TRIES 100
#define NAME_FORMAT ".luaserve-%08x%08x.tmp" /* independent of the file's own name, which may be as long as can be */
#define NAME_SIZE 40

enum { EXCLUSIVE, MODE, SYNC, ATOMIC }; /* where the options are in args.number */

static mode_t mode_of(const struct ls_fs_job *job) {
  return job->args.number[MODE] >= 0 ? (mode_t)job->args.number[MODE] : DEFAULT_MODE;
}

/* Writes, syncs where that is wanted, and closes in any case. A failing close may be the only news of a failure. */
static int fill(struct ls_fs_job *job, int fd, bool sync) {
  int code = 0;
  if (ls_fs_write(fd, job->args.data, job->args.size) != 0)
    code = ls_fs_fail(job, "write");
  else if (sync && fsync(fd) != 0)
    code = ls_fs_fail(job, "fsync");
  if (close(fd) != 0 && code == 0 && errno != EINTR)
    code = ls_fs_fail(job, "close");
  return code;
}

static int write_plain(struct ls_fs_job *job, int flags) {
  if (job->args.number[EXCLUSIVE])
    flags |= O_EXCL;
  int fd = ls_fs_open(AT_FDCWD, job->args.path, O_WRONLY | O_CREAT | flags, mode_of(job));
  return fd < 0 ? -errno : fill(job, fd, job->args.number[SYNC] != 0);
}

/* ---- atomic ---- */

/* The length of the folder's part of the path, with its slash; 0: the current folder. */
static size_t folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

/* Opens a new file whose name, in the room at name, nobody has. */
static int open_temporary(char *path, char *name, mode_t mode) {
  for (int i = 0; i < NAME_TRIES; i++) {
    unsigned random[2];
    if (getrandom(random, sizeof random, 0) != sizeof random)
      return -1;
    snprintf(name, NAME_SIZE, NAME_FORMAT, random[0], random[1]);
    int fd = ls_fs_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (fd >= 0 || errno != EEXIST)
      return fd;
  }
  return -1;
}

/* A file that is replaced leaves its permissions to the new one, unless they were given. */
static int keep_mode(struct ls_fs_job *job, int fd) {
  struct stat old;
  if (job->args.number[MODE] >= 0 || stat(job->args.path, &old) != 0 || !S_ISREG(old.st_mode))
    return 0;
  return fchmod(fd, old.st_mode & 07777) == 0 ? 0 : ls_fs_fail(job, "chmod");
}

/* link, unlike rename, refuses a name that is there. */
static int put_in_place(struct ls_fs_job *job, const char *temporary) {
  if (!job->args.number[EXCLUSIVE])
    return rename(temporary, job->args.path) == 0 ? 0 : ls_fs_fail(job, "rename");
  if (link(temporary, job->args.path) != 0)
    return ls_fs_fail(job, "link");
  unlink(temporary);
  return 0;
}

/* Some file systems cannot sync a folder and say EINVAL. */
static int sync_folder(struct ls_fs_job *job, const char *folder) {
  int fd = ls_fs_open(AT_FDCWD, *folder != '\0' ? folder : ".", O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0)
    return errno == EACCES ? 0 : ls_fs_fail(job, "fsync"); /* one may be allowed to write in it and not to read it */
  int code = fsync(fd) == 0 || errno == EINVAL ? 0 : ls_fs_fail(job, "fsync");
  close(fd);
  return code;
}

static int write_temporary(struct ls_fs_job *job, char *temporary, char *name) {
  int fd = open_temporary(temporary, name, mode_of(job));
  if (fd < 0)
    return -errno;
  int code = keep_mode(job, fd);
  if (code == 0)
    code = fill(job, fd, true);
  else
    close(fd);
  if (code == 0)
    code = put_in_place(job, temporary);
  if (code != 0)
    unlink(temporary);
  return code;
}

static int write_atomic(struct ls_fs_job *job) {
  size_t folder = folder_length(job->args.path);
  char *temporary = malloc(folder + NAME_SIZE);
  if (temporary == NULL)
    return -ENOMEM;
  memcpy(temporary, job->args.path, folder);
  int code = write_temporary(job, temporary, temporary + folder);
  temporary[folder] = '\0';
  if (code == 0)
    code = sync_folder(job, temporary);
  free(temporary);
  return code;
}

static int run_write_file(struct ls_fs_job *job) {
  return job->args.number[ATOMIC] ? write_atomic(job) : write_plain(job, O_TRUNC);
}

static int run_append_file(struct ls_fs_job *job) {
  return write_plain(job, O_APPEND);
}

static const char *const write_file_options[] = {"exclusive", "mode", "sync", "atomic", NULL};
static const char *const append_file_options[] = {"exclusive", "mode", "sync", NULL};

/* All async; true, or nil, message, code. The data string is not copied. */
const struct ls_fs_call ls_fs_write_calls[] = {
    /* fs.write_file(path, data [, options] [, callback])
     * Makes or replaces a file. mode: permission bits of a new one, less the umask; 0666. exclusive = true: it must not
     * exist (EEXIST). sync = true: the bytes are on the disk when it returns. atomic = true: sync, and who opens the
     * path finds all old bytes or all new ones; the file's permissions stay, but it is a new file: other names of the
     * old one keep the old bytes, and a symbolic link is replaced. Without atomic a failure can leave a part.
     *   fs.write_file("state.json", text, {atomic = true}) */
    {LS_FS_TYPE("fs.write_file"), "open", run_write_file, NULL, "pd", write_file_options},
    /* fs.append_file(path, data [, options] [, callback])
     * Writes at the end of a file, which is made when it is missing. mode, exclusive, sync: as above.
     *   fs.append_file("access.log", line .. "\n") */
    {LS_FS_TYPE("fs.append_file"), "open", run_append_file, NULL, "pd", append_file_options},
    {.verb = NULL},
};
