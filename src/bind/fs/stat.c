/* SPDX-License-Identifier: MIT */
/* The tables that fs.stat, fs.lstat, file:stat and fs.statfs give. */
#include <sys/vfs.h>

#include "bind/fs/impl.h"

const char *ls_fs_type_name(mode_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG:
    return "file";
  case S_IFDIR:
    return "directory";
  case S_IFLNK:
    return "link";
  case S_IFIFO:
    return "fifo";
  case S_IFSOCK:
    return "socket";
  case S_IFCHR:
    return "char";
  case S_IFBLK:
    return "block";
  default:
    return "unknown";
  }
}

static void set_integer(lua_State *L, const char *name, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, struct timespec time) {
  lua_pushnumber(L, (lua_Number)time.tv_sec + (lua_Number)time.tv_nsec / 1e9);
  lua_setfield(L, -2, name);
}

/* {type=, size= (bytes), mode= (permission bits), uid=, gid=, inode=, device=, links=, blocks= (of 512 bytes),
 * modified=, accessed=, changed= (seconds since 1970, with fractions)} */
int ls_fs_push_stat(lua_State *L, struct ls_fs_job *job) {
  const struct stat *st = &job->stat;
  lua_createtable(L, 0, 12);
  lua_pushstring(L, ls_fs_type_name(st->st_mode));
  lua_setfield(L, -2, "type");
  set_integer(L, "size", st->st_size);
  set_integer(L, "mode", st->st_mode & 07777);
  set_integer(L, "uid", st->st_uid);
  set_integer(L, "gid", st->st_gid);
  set_integer(L, "inode", (lua_Integer)st->st_ino);
  set_integer(L, "device", (lua_Integer)st->st_dev);
  set_integer(L, "links", (lua_Integer)st->st_nlink);
  set_integer(L, "blocks", st->st_blocks);
  set_time(L, "modified", st->st_mtim);
  set_time(L, "accessed", st->st_atim);
  set_time(L, "changed", st->st_ctim);
  return 1;
}

/* The struct is in job->bytes: no other job needs room for it. */
int ls_fs_run_statfs(struct ls_fs_job *job) {
  struct statfs st;
  int status;
  do {
    status = statfs(job->args.path, &st);
  } while (status != 0 && errno == EINTR);
  return status != 0 ? -errno : ls_buf_append(&job->bytes, &st, sizeof st);
}

/* {type= (a number that the kernel gives the kind of file system), block_size= (bytes), blocks=, free=, available=
 * (blocks: in all, free, and free for other users than root), files=, files_free= (inodes)} */
int ls_fs_push_statfs(lua_State *L, struct ls_fs_job *job) {
  struct statfs st;
  memcpy(&st, ls_buf_bytes(&job->bytes), sizeof st);
  lua_createtable(L, 0, 7);
  set_integer(L, "type", (lua_Integer)st.f_type);
  set_integer(L, "block_size", (lua_Integer)st.f_bsize);
  set_integer(L, "blocks", (lua_Integer)st.f_blocks);
  set_integer(L, "free", (lua_Integer)st.f_bfree);
  set_integer(L, "available", (lua_Integer)st.f_bavail);
  set_integer(L, "files", (lua_Integer)st.f_files);
  set_integer(L, "files_free", (lua_Integer)st.f_ffree);
  return 1;
}
