/* SPDX-License-Identifier: MIT */
/* The functions of fs that are one system call on one or two paths. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/fs/impl.h"

static int result(int status) {
  return status == 0 ? 0 : -errno;
}

static int run_stat(struct ls_fs_job *job) {
  return result(stat(job->args.path, &job->stat));
}

static int run_lstat(struct ls_fs_job *job) {
  return result(lstat(job->args.path, &job->stat));
}

static int run_rename(struct ls_fs_job *job) {
  return result(rename(job->args.path, job->args.path2));
}

static int run_unlink(struct ls_fs_job *job) {
  return result(unlink(job->args.path));
}

static int run_rmdir(struct ls_fs_job *job) {
  return result(rmdir(job->args.path));
}

static int run_symlink(struct ls_fs_job *job) {
  return result(symlink(job->args.path, job->args.path2));
}

static int run_link(struct ls_fs_job *job) {
  return result(link(job->args.path, job->args.path2));
}

static int run_chmod(struct ls_fs_job *job) {
  return result(chmod(job->args.path, (mode_t)job->args.number[0]));
}

static int run_chown(struct ls_fs_job *job) {
  return result(chown(job->args.path, (uid_t)job->args.number[0], (gid_t)job->args.number[1]));
}

static int run_lchown(struct ls_fs_job *job) {
  return result(lchown(job->args.path, (uid_t)job->args.number[0], (gid_t)job->args.number[1]));
}

static int run_lutime(struct ls_fs_job *job) {
  return result(utimensat(AT_FDCWD, job->args.path, job->args.time, AT_SYMLINK_NOFOLLOW));
}

static int run_utime(struct ls_fs_job *job) {
  return result(utimensat(AT_FDCWD, job->args.path, job->args.time, 0));
}

static int run_access(struct ls_fs_job *job) {
  return result(faccessat(AT_FDCWD, job->args.path, (int)job->args.number[0], AT_EACCESS));
}

/* ---- those that give a path ---- */

/* A target is at most PATH_MAX long, but for links of /proc. */
static int run_readlink(struct ls_fs_job *job) {
  struct ls_buf *bytes = &job->bytes;
  size_t room = 256;
  for (;;) {
    if (ls_buf_reserve(bytes, room) != 0)
      return -ENOMEM;
    ssize_t n = readlink(job->args.path, ls_buf_bytes(bytes), room);
    if (n < 0)
      return -errno;
    if ((size_t)n < room) {
      bytes->len = (size_t)n;
      return 0;
    }
    room *= 2;
  }
}

static int run_realpath(struct ls_fs_job *job) {
  char *path = realpath(job->args.path, NULL);
  if (path == NULL)
    return -errno;
  int code = ls_buf_append(&job->bytes, path, strlen(path));
  free(path);
  return code;
}

static int run_mkdtemp(struct ls_fs_job *job) {
  struct ls_buf *bytes = &job->bytes;
  if (ls_buf_append(bytes, job->args.path, strlen(job->args.path)) != 0 || ls_buf_append(bytes, "XXXXXX", 7) != 0)
    return -ENOMEM;
  bytes->len--; /* the NUL */
  return mkdtemp(ls_buf_bytes(bytes)) != NULL ? 0 : -errno;
}

/* All async; true, or nil, message, code, where nothing else is said. */
const struct ls_fs_call ls_fs_path_calls[] = {
    /* fs.stat(path [, callback]) -> table: what ls_fs_push_stat says. Follows links.
     *   if fs.stat("x").type == "directory" then */
    {LS_FS_TYPE("fs.stat"), "stat", run_stat, ls_fs_push_stat, "p", NULL},
    /* fs.lstat(path [, callback]) -> table. Of a link itself. */
    {LS_FS_TYPE("fs.lstat"), "lstat", run_lstat, ls_fs_push_stat, "p", NULL},
    /* fs.rename(from, to [, callback]). Replaces what is at to. Not across file systems: EXDEV. */
    {LS_FS_TYPE("fs.rename"), "rename", run_rename, NULL, "pp", NULL},
    /* fs.unlink(path [, callback]). Removes a name that is not a folder's. */
    {LS_FS_TYPE("fs.unlink"), "unlink", run_unlink, NULL, "p", NULL},
    /* fs.rmdir(path [, callback]). Removes an empty folder. */
    {LS_FS_TYPE("fs.rmdir"), "rmdir", run_rmdir, NULL, "p", NULL},
    /* fs.symlink(target, path [, callback]). Makes path a symbolic link.
     *   fs.symlink("v2", "current") */
    {LS_FS_TYPE("fs.symlink"), "symlink", run_symlink, NULL, "pp", NULL},
    /* fs.link(existing, path [, callback]). Makes path another name of an existing file. */
    {LS_FS_TYPE("fs.link"), "link", run_link, NULL, "pp", NULL},
    /* fs.readlink(path [, callback]) -> string: what a symbolic link points to. */
    {LS_FS_TYPE("fs.readlink"), "readlink", run_readlink, ls_fs_push_bytes, "p", NULL},
    /* fs.realpath(path [, callback]) -> string: absolute, without links, "." and "..". It must exist. */
    {LS_FS_TYPE("fs.realpath"), "realpath", run_realpath, ls_fs_push_bytes, "p", NULL},
    /* fs.chmod(path, mode [, callback]). mode: permission bits.
     *   fs.chmod("run.sh", tonumber("755", 8)) */
    {LS_FS_TYPE("fs.chmod"), "chmod", run_chmod, NULL, "pm", NULL},
    /* fs.chown(path, uid, gid [, callback]). -1 leaves one as it is. */
    {LS_FS_TYPE("fs.chown"), "chown", run_chown, NULL, "puu", NULL},
    /* fs.lchown(path, uid, gid [, callback]). Of a link itself. */
    {LS_FS_TYPE("fs.lchown"), "lchown", run_lchown, NULL, "puu", NULL},
    /* fs.utime(path, accessed, modified [, callback]). Seconds since 1970, fractions allowed; nil: now. */
    {LS_FS_TYPE("fs.utime"), "utime", run_utime, NULL, "ptt", NULL},
    /* fs.lutime(path, accessed, modified [, callback]). Of a link itself. */
    {LS_FS_TYPE("fs.lutime"), "lutime", run_lutime, NULL, "ptt", NULL},
    /* fs.statfs(path [, callback]) -> table: what ls_fs_push_statfs says, of the file system that path is on.
     *   local disk = fs.statfs("/var"); print(disk.available * disk.block_size) */
    {LS_FS_TYPE("fs.statfs"), "statfs", ls_fs_run_statfs, ls_fs_push_statfs, "p", NULL},
    /* fs.access(path, mode [, callback]) -> true, or nil, "EACCES: ...", "EACCES". mode: any of r, w, x; "" asks
     * whether it exists. What it says may be out of date at once: rather open the file and see.
     *   fs.access("data", "rw") */
    {LS_FS_TYPE("fs.access"), "access", run_access, NULL, "pa", NULL},
    /* fs.mkdtemp(prefix [, callback]) -> string: the path of a new folder that only this user can enter.
     *   local folder = fs.mkdtemp("/tmp/build-") */
    {LS_FS_TYPE("fs.mkdtemp"), "mkdtemp", run_mkdtemp, ls_fs_push_bytes, "p", NULL},
    {.verb = NULL},
};
