/* SPDX-License-Identifier: MIT */
/* fs.readdir and fs.mkdir. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/fs_impl.h"

/* ---- readdir ---- */

/* In job->bytes there are, for each name, a byte for its type, the name, and NUL. */
static unsigned char type_of(const struct dirent *entry, int folder, bool wanted) {
  struct stat st;
  if (entry->d_type != DT_UNKNOWN || !wanted)
    return entry->d_type;
  if (fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
    return DT_UNKNOWN;
  return IFTODT(st.st_mode);
}

static bool is_dots(const char *name) {
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Counts the names in args.number[1]. */
static int read_names(struct ls_fs_job *job, DIR *folder) {
  bool types = job->args.number[0] != 0;
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(folder);
    if (entry == NULL)
      return -errno;
    if (is_dots(entry->d_name))
      continue;
    unsigned char type = type_of(entry, dirfd(folder), types);
    if (ls_buf_append(&job->bytes, &type, 1) != 0 ||
        ls_buf_append(&job->bytes, entry->d_name, strlen(entry->d_name) + 1) != 0)
      return -ENOMEM;
    job->args.number[1]++;
  }
}

static int compare(const void *a, const void *b) {
  return strcmp(*(const char *const *)a + 1, *(const char *const *)b + 1);
}

/* Puts the records of job->bytes in the order of their names. */
static int sort_names(struct ls_fs_job *job) {
  size_t count = (size_t)job->args.number[1];
  struct ls_buf sorted = {0};
  const char **names = malloc((count + 1) * sizeof *names);
  if (names == NULL || ls_buf_reserve(&sorted, job->bytes.len + 1) != 0) {
    free(names);
    return -ENOMEM;
  }
  const char *record = ls_buf_bytes(&job->bytes);
  for (size_t i = 0; i < count; i++) {
    names[i] = record;
    record += strlen(record + 1) + 2;
  }
  qsort(names, count, sizeof *names, compare);
  for (size_t i = 0; i < count; i++)
    ls_buf_append(&sorted, names[i], strlen(names[i] + 1) + 2); /* there is room */
  free(names);
  ls_buf_dispose(&job->bytes);
  job->bytes = sorted;
  return 0;
}

static int run_readdir(struct ls_fs_job *job) {
  int fd = ls_fs_open(AT_FDCWD, job->args.path, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0)
    return -errno;
  DIR *folder = fdopendir(fd);
  if (folder == NULL) {
    int code = -errno;
    close(fd);
    return code;
  }
  int code = read_names(job, folder);
  closedir(folder);
  return code != 0 ? code : sort_names(job);
}

static int push_readdir(lua_State *L, struct ls_fs_job *job) {
  bool types = job->args.number[0] != 0;
  lua_Integer count = job->args.number[1];
  const char *record = ls_buf_bytes(&job->bytes);
  lua_createtable(L, (int)count, 0);
  for (lua_Integer i = 1; i <= count; i++, record += strlen(record + 1) + 2) {
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
