/* SPDX-License-Identifier: MIT */
/* fs.walk: an iterator over all that is in a folder. A folder is given before what is in it, and read when the loop
 * asks for what comes after it: one job a folder, and no descriptor is held between two steps. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/fs/impl.h"
#include "script/handle.h"
#include "script/options.h"

#define WALK_TYPE "luaserve.walk"
#define FILTER 1 /* the user values */
#define ON_ERROR 2

struct walk {
  struct ls_fs *fs;
  struct ls_fs_levels levels;
  struct ls_buf path; /* of the folder on top, or what was given last; with a NUL that does not count */
  lua_Integer max_depth;
  bool follow, has_filter, has_on_error;
  bool enters; /* path is a folder that is still to be read */
  bool busy;   /* it is being read, for a task that waits; or that task was cancelled */
};

/* ---- on the pool ---- */

enum { FOLLOW, ROOT, COUNT }; /* in args.number */

/* The records are in job->bytes. Links are only followed where that is wanted, also when one has come in the place of
 * the folder meanwhile. */
static int run_walk(struct ls_fs_job *job) {
  bool follow = job->args.number[FOLLOW] != 0;
  int flags = O_RDONLY | O_DIRECTORY | (follow || job->args.number[ROOT] ? 0 : O_NOFOLLOW);
  int fd = ls_fs_open(AT_FDCWD, job->args.path, flags, 0);
  if (fd < 0)
    return -errno;
  long count = fstat(fd, &job->stat) != 0 ? -errno : 0;
  if (count == 0)
    count = ls_fs_list(fd, &job->bytes, follow ? LS_FS_TYPES_FOLLOW : LS_FS_TYPES);
  close(fd);
  if (count < 0)
    return (int)count;
  job->args.number[COUNT] = count;
  return ls_fs_sort(&job->bytes, (size_t)count);
}

/* ---- on the loop ---- */

/* Cuts the path to length and appends name behind a slash. */
static void set_path(lua_State *L, struct walk *walk, size_t length, const char *name) {
  struct ls_buf *path = &walk->path;
  size_t size = strlen(name) + 1;
  if (ls_buf_reserve(path, length > path->len ? length - path->len + size + 1 : size + 1) != 0)
    luaL_error(L, "not enough memory");
  path->len = length;
  if (length > 0 && ls_buf_bytes(path)[length - 1] != '/')
    ls_buf_append(path, "/", 1);
  ls_buf_append(path, name, size);
  path->len--;
}

/* Whether the entry is wanted whose path and type are at the top of the stack. */
static bool passes_filter(lua_State *L, const struct walk *walk) {
  if (!walk->has_filter)
    return true;
  lua_getiuservalue(L, lua_upvalueindex(1), FILTER);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  lua_call(L, 2, 1);
  bool passes = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return passes;
}

/* Pushes the path and the type of the next entry, or nil at the end. */
static int push_next(lua_State *L, struct walk *walk) {
  while (walk->levels.count > 0) {
    struct ls_fs_level *level = ls_fs_levels_top(&walk->levels);
    const char *record = ls_fs_level_next(level);
    if (record == NULL) {
      ls_fs_levels_pop(&walk->levels);
      continue;
    }
    set_path(L, walk, level->path_length, record + 1);
    bool folder = *record == DT_DIR && (lua_Integer)walk->levels.count < walk->max_depth;
    lua_pushstring(L, ls_buf_bytes(&walk->path));
    lua_pushstring(L, ls_fs_type_name(DTTOIF((unsigned char)*record)));
    if (passes_filter(L, walk)) {
      walk->enters = folder;
      return 2;
    }
    lua_pop(L, 2);
  }
  lua_pushnil(L);
  return 1;
}

/* The folder could not be read: its on_error is called and the walk goes on, or it raises. */
static void report(lua_State *L, struct walk *walk, struct ls_fs_job *job) {
  ls_fs_push_failure(L, job->code, job->call->verb, job->args.path, NULL);
  lua_remove(L, -3);
  if (!walk->has_on_error) {
    lua_pop(L, 1);
    luaL_error(L, "%s", lua_tostring(L, -1));
  }
  lua_getiuservalue(L, lua_upvalueindex(1), ON_ERROR);
  lua_insert(L, -3);
  lua_pushstring(L, job->args.path);
  lua_call(L, 3, 0);
}

/* A folder that has gone since it was given is no failure; nor is one, reached through a link, that it is in itself. */
static int push_walk(lua_State *L, struct ls_op *op) {
  struct ls_fs_job *job = ls_container_of(op, struct ls_fs_job, op);
  struct walk *walk = lua_touserdata(L, lua_upvalueindex(1));
  bool gone = !job->args.number[ROOT] && (job->code == -ENOENT || job->code == -ENOTDIR || job->code == -ELOOP);
  walk->busy = false;
  if (job->code != 0 && !gone)
    report(L, walk, job);
  if (job->code == 0 && !ls_fs_levels_has(&walk->levels, &job->stat) &&
      ls_fs_levels_push(&walk->levels, &job->bytes, &job->stat, walk->path.len) != 0)
    return luaL_error(L, "not enough memory");
  return push_next(L, walk);
}

/* Upvalue: the walk. */
static int l_next_entry(lua_State *L) {
  static const struct ls_fs_call call = {
      .type = {"fs.walk", push_walk, ls_fs_job_cancel, ls_fs_job_free}, .verb = "readdir", .run = run_walk};
  struct walk *walk = lua_touserdata(L, lua_upvalueindex(1));
  if (walk->busy)
    return luaL_error(L, "another task waits for this walk's next entry, or was cancelled while it did");
  lua_settop(L, 0);
  if (!walk->enters)
    return push_next(L, walk);
  ls_op_check(L, 0, call.type.name);
  struct ls_fs_args args = {.path = ls_buf_bytes(&walk->path)};
  args.number[FOLLOW] = walk->follow;
  args.number[ROOT] = walk->levels.count == 0;
  struct ls_fs_job *job = ls_fs_job_new(L, walk->fs, &call, &args, NULL);
  walk->enters = false;
  walk->busy = true;
  return ls_fs_job_start(L, job, 0);
}

static int l_walk_gc(lua_State *L) {
  struct walk *walk = luaL_checkudata(L, 1, WALK_TYPE);
  ls_fs_levels_dispose(&walk->levels);
  ls_buf_dispose(&walk->path);
  return 0;
}

/* A function of the options, which is then the walk's, at the top of the stack. */
static bool take_function(lua_State *L, const char *name, int value) {
  if (lua_isnoneornil(L, 2))
    return false;
  int type = lua_getfield(L, 2, name);
  if (type != LUA_TFUNCTION && type != LUA_TNIL)
    luaL_error(L, "fs.walk: option '%s' must be a function, not a %s", name, lua_typename(L, type));
  lua_setiuservalue(L, -2, value);
  return type == LUA_TFUNCTION;
}

/* fs.walk(path [, options]) -> iterator
 * Gives the path and the type (as in fs.lstat) of all that is in a folder: depth first, the entries of a folder sorted
 * by bytes, a folder before what is in it. Paths begin with the given one, which is not given itself.
 * max_depth: how many levels; 1: only the folder's own entries. follow = true: goes into folders that links point to
 * (but never into one that it is in already), and a link has the type of what it points to. filter(path, type): what it
 * returns false or nil for is left out, and not gone into; it cannot wait. on_error(message, code, path): called for a
 * folder that cannot be read, and the walk goes on; without it the iterator raises. It waits where it has to; one that
 * is given up early has nothing to close.
 *   for path, type in fs.walk("src") do print(type, path) end */
int l_fs_walk(lua_State *L) {
  static const char *const known[] = {"max_depth", "follow", "filter", "on_error", NULL};
  const char *path = ls_fs_check_path(L, 1);
  ls_options_check(L, 2, "fs.walk", known);
  struct walk *walk = lua_newuserdatauv(L, sizeof *walk, 2);
  *walk = (struct walk){.fs = ls_fs_of(L), .max_depth = LUA_MAXINTEGER};
  luaL_setmetatable(L, WALK_TYPE);
  if (!lua_isnoneornil(L, 2)) {
    walk->max_depth = ls_option_integer(L, 2, "max_depth", 1, LUA_MAXINTEGER, LUA_MAXINTEGER);
    walk->follow = ls_option_boolean(L, 2, "follow", false);
  }
  walk->has_filter = take_function(L, "filter", FILTER);
  walk->has_on_error = take_function(L, "on_error", ON_ERROR);
  set_path(L, walk, 0, path);
  walk->enters = true;
  lua_pushcclosure(L, l_next_entry, 1);
  return 1;
}

void ls_fs_walk_open(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", l_walk_gc}, {NULL, NULL}};
  ls_handle_type(L, WALK_TYPE, methods, metamethods);
}
