/* SPDX-License-Identifier: MIT */
/* The table that fs.stat, fs.lstat and file:stat give. */
#include "bind/fs_impl.h"

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
