/* SPDX-License-Identifier: MIT */
/* fs.readdir and fs.mkdir. */
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "bind/fs/impl.h"

/* ---- readdir ---- */

/* The records are in job->bytes; args.number[1] counts them. */
static int run_readdir(struct ls_fs_job *job) {
  int fd = ls_fs_open(AT_FDCWD, job->args.path, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0)
    return -errno;
  long count = ls_fs_list(fd, &job->bytes, job->args.number[0] != 0 ? LS_FS_TYPES : LS_FS_TYPES_CHEAP);
  close(fd);
  if (count < 0)
    return (int)count;
  job->args.number[1] = count;
  return ls_fs_sort(&job->bytes, (size_t)count);
}

static int push_readdir(lua_State *L, struct ls_fs_job *job) {
  bool types = job->args.number[0] != 0;
  lua_Integer count = job->args.number[1];
  const char *record = ls_buf_bytes(&job->bytes);
  lua_createtable(L, (int)count, 0);
  for (lua_Integer i = 1; i <= count; i++, record += ls_fs_record_length(record)) {
    if (types) {
      lua_createtable(L, 0, 2);
      lua_pushstring(L, ls_fs_type_name(DTTOIF((unsigned char)*record)));
      lua_setfield(L, -2, "type");
    }
    lua_pushstring(L, record + 1);
    if (types)
      lua_setfield(L, -2, "name");
    lua_rawseti(L, -2, i);
  }
  return 1;
}

/* ---- mkdir ---- */

static mode_t mode_or(int64_t mode, mode_t fallback) {
  return mode >= 0 ? (mode_t)mode : fallback;
}

/* A folder that is there already is as good, also one that somebody else has just made. */
static int make_missing(const char *path, mode_t mode) {
  struct stat st;
  if (mkdir(path, mode) == 0)
    return 0;
  int error = errno;
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
    return 0;
  return -error;
}

/* The slashes in the job's own copy of the path become its end, one after the other. */
static int make_all(char *path, mode_t mode) {
  int code = 0;
  for (char *slash = strchr(path + (*path == '/'), '/'); slash != NULL && code == 0; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    code = make_missing(path, mode | S_IWUSR | S_IXUSR); /* so that the next one can be made in it */
    *slash = '/';
  }
  if (code == -EEXIST)
    return -ENOTDIR; /* something else stands where a folder should */
  return code != 0 ? code : make_missing(path, mode);
}

static int run_mkdir(struct ls_fs_job *job) {
  bool recursive = job->args.number[0] != 0;
  mode_t mode = mode_or(job->args.number[1], 0777);
  if (!recursive)
    return mkdir(job->args.path, mode) == 0 ? 0 : -errno;
  if (*job->args.path == '\0')
    return -ENOENT;
  return make_all((char *)(uintptr_t)job->args.path, mode);
}

static const char *const readdir_options[] = {"types", NULL};
static const char *const mkdir_options[] = {"recursive", "mode", NULL};

/* All async. */
const struct ls_fs_call ls_fs_dir_calls[] = {
    /* fs.readdir(path [, options] [, callback]) -> array of names, sorted by bytes, without "." and ".."
     * types = true: an array of {name=, type=} instead, type as in fs.lstat ("unknown" when it went away meanwhile).
     *   for _, entry in ipairs(fs.readdir(".", {types = true})) do */
    {LS_FS_TYPE("fs.readdir"), "readdir", run_readdir, push_readdir, "p", readdir_options},
    /* fs.mkdir(path [, options] [, callback]) -> true
     * mode: permission bits, less the umask; 0777. recursive = true: also the folders above it that are missing, and no
     * failure when it is there already.
     *   fs.mkdir("cache/images/small", {recursive = true}) */
    {LS_FS_TYPE("fs.mkdir"), "mkdir", run_mkdir, NULL, "p", mkdir_options},
    {.verb = NULL},
};
