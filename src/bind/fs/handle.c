/* SPDX-License-Identifier: MIT */
/* fs.open and the handles it gives.
 *
 * Operations on one handle run one after the other, in the order they were called, also from several tasks. read and
 * write share one position; lines reads ahead, which read and write know of and pread and pwrite do not. Using a handle
 * after its close raises. One that is dropped, or goes out of a <close> variable's scope, is closed on the pool without
 * anybody waiting; the error that close may report is lost then. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "bind/fs/impl.h"
#include "script/handle.h"
#include "script/options.h"
#include "script/runtime.h"

#define FILE_TYPE "luaserve.file"
#define DEFAULT_READ (64 * 1024)
#define DEFAULT_MODE 0666
#define DEFAULT_LINE ((lua_Integer)1024 * 1024) /* how long a line may be */

/* User value 1 is the path, which tostring still knows when the file is closed. */
struct handle {
  struct ls_fs_file *file; /* NULL: closed */
};

static struct handle *check_handle(lua_State *L, int index) {
  return luaL_checkudata(L, index, FILE_TYPE);
}

static struct ls_fs_file *check_file(lua_State *L, int index) {
  struct handle *handle = check_handle(L, index);
  if (handle->file == NULL) {
    lua_getiuservalue(L, index, 1);
    luaL_error(L, "the file '%s' is closed", lua_tostring(L, -1));
  }
  return handle->file;
}

/* ---- open ---- */

/* The flags of an io.open mode with x, or -1. */
static int flags_of(const char *mode) {
  static const struct {
    char letter;
    int flags;
  } kinds[] = {{'r', 0}, {'w', O_CREAT | O_TRUNC}, {'a', O_CREAT | O_APPEND}};
  int flags = -1;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (kinds[i].letter == mode[0])
      flags = kinds[i].flags;
  }
  if (flags < 0 || strspn(mode + 1, "+xb") != strlen(mode + 1) || strlen(mode) > 4)
    return -1;
  if (strchr(mode, 'x') != NULL && mode[0] != 'w')
    return -1;
  flags |= strchr(mode, 'x') != NULL ? O_EXCL : 0;
  return flags | (strchr(mode, '+') != NULL ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY);
}

static int run_open(struct ls_fs_job *job) {
  job->fd = ls_fs_open(AT_FDCWD, job->args.path, (int)job->args.number[0], DEFAULT_MODE);
  return job->fd < 0 ? -errno : 0;
}

static int push_file(lua_State *L, struct ls_fs_job *job, const char *path) {
  struct handle *handle = lua_newuserdatauv(L, sizeof *handle, 1);
  handle->file = NULL;
  luaL_setmetatable(L, FILE_TYPE);
  lua_pushstring(L, path);
  lua_setiuservalue(L, -2, 1);
  handle->file = ls_fs_file_new(job->fs, job->fd, path);
  if (handle->file == NULL)
    return luaL_error(L, "not enough memory");
  job->fd = -1;
  return 1;
}

static int push_open(lua_State *L, struct ls_fs_job *job) {
  return push_file(L, job, job->args.path);
}

/* fs.open(path [, mode] [, callback]) -> file
 * Async. mode as io.open's: "r" (default), "w", "a", "r+", "w+", "a+"; "wx" and "w+x": it must not exist (EEXIST). A
 * "b" makes no difference. A pipe's open waits for its other end.
 *   local file <close> = assert(fs.open("data.txt"))
 *   for line in file:lines() do print(line) end */
int l_fs_open(lua_State *L) {
  static const struct ls_fs_call call = {.type = LS_FS_TYPE("fs.open"), "open", run_open, push_open, NULL, NULL};
  struct ls_fs_args args = {.path = ls_fs_check_path(L, 1)};
  ls_fs_fill_optional(L, 2);
  args.number[0] = flags_of(luaL_optstring(L, 2, "r"));
  luaL_argcheck(L, args.number[0] >= 0, 2, "a mode is r, w or a, then maybe + (and x after w)");
  ls_op_check(L, 3, call.type.name);
  return ls_fs_job_start(L, ls_fs_job_new(L, ls_fs_of(L), &call, &args, NULL), 3);
}

static int run_mkstemp(struct ls_fs_job *job) {
  const char *prefix = job->args.path;
  if (ls_buf_append(&job->bytes, prefix, strlen(prefix)) != 0 || ls_buf_append(&job->bytes, "XXXXXX", 7) != 0)
    return -ENOMEM;
  job->fd = mkostemp(ls_buf_bytes(&job->bytes), O_CLOEXEC);
  return job->fd < 0 ? -errno : 0;
}

static int push_mkstemp(lua_State *L, struct ls_fs_job *job) {
  push_file(L, job, ls_buf_bytes(&job->bytes));
  lua_pushstring(L, ls_buf_bytes(&job->bytes));
  return 2;
}

/* fs.mkstemp(prefix [, callback]) -> file, path
 * Async. Makes a new file that only this user can read and write; its name is the prefix and six more characters. The
 * handle is open for both ("w+x"). Removing it is the caller's.
 *   local file, path = assert(fs.mkstemp("/tmp/upload-")) */
int l_fs_mkstemp(lua_State *L) {
  static const struct ls_fs_call call = {
      .type = LS_FS_TYPE("fs.mkstemp"), "mkstemp", run_mkstemp, push_mkstemp, NULL, NULL};
  struct ls_fs_args args = {.path = ls_fs_check_path(L, 1)};
  ls_op_check(L, 2, call.type.name);
  return ls_fs_job_start(L, ls_fs_job_new(L, ls_fs_of(L), &call, &args, NULL), 2);
}

/* ---- reading ---- */

static int start_read(lua_State *L, struct ls_fs_file *file, const struct ls_fs_call *call, enum ls_fs_want want,
                      size_t most, int callback) {
  bool calls_back = callback != 0 && lua_isfunction(L, callback);
  if (!calls_back && ls_fs_push_ahead(L, file, want, most))
    return 1;
  struct ls_fs_args args = {.number = {want, (int64_t)most}};
  return ls_fs_job_start(L, ls_fs_job_new(L, file->fs, call, &args, file), callback);
}

static size_t check_count(lua_State *L, int index) {
  lua_Integer n = luaL_optinteger(L, index, DEFAULT_READ);
  luaL_argcheck(L, n > 0, index, "a count of bytes is 1 or more");
  return (size_t)n;
}

/* file:read([n] [, callback]) -> string, or nil at the end
 * Async. Up to n bytes (64 KiB): fewer at the end, and from a pipe what it has. n = "a": all that is left ("" at the
 * end).
 *   local head = file:read(100) */
static int l_read(lua_State *L) {
  static const struct ls_fs_call call = {
      .type = LS_FS_TYPE("file:read"), "read", ls_fs_run_read, ls_fs_push_bytes, NULL, NULL};
  struct ls_fs_file *file = check_file(L, 1);
  ls_fs_fill_optional(L, 2);
  bool all = lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "a") == 0;
  size_t most = all ? 0 : check_count(L, 2);
  ls_op_check(L, 3, call.type.name);
  return start_read(L, file, &call, all ? LS_FS_ALL : LS_FS_SOME, most, 3);
}

/* ---- iterators ---- */

/* A for loop would take nil for the end, so an iterator raises what a function would return. */
static int push_or_raise(lua_State *L, struct ls_op *op) {
  int results = ls_fs_job_push(L, op);
  if (results == 1)
    return 1;
  lua_pop(L, 1);
  return luaL_error(L, "%s", lua_tostring(L, -1));
}

static int push_line_or_raise(lua_State *L, struct ls_op *op) {
  const struct ls_fs_job *job = ls_container_of(op, struct ls_fs_job, op);
  if (job->code != LS_ETOOBIG)
    return push_or_raise(L, op);
  return luaL_error(L, "ETOOBIG: a line is longer than max_bytes (%I): read '%s'", (LUAI_UACINT)job->args.number[1],
                    job->file->name);
}

/* Upvalues: the handle, and how many bytes at most. */
static int next_piece(lua_State *L, const struct ls_fs_call *call, enum ls_fs_want want) {
  struct ls_fs_file *file = check_file(L, lua_upvalueindex(1));
  ls_op_check(L, 0, call->type.name);
  return start_read(L, file, call, want, (size_t)lua_tointeger(L, lua_upvalueindex(2)), 0);
}

static int l_next_line(lua_State *L) {
  static const struct ls_fs_call call = {.type = {"file:lines", push_line_or_raise, ls_fs_job_cancel, ls_fs_job_free},
                                         .verb = "read",
                                         .run = ls_fs_run_read,
                                         .push = ls_fs_push_bytes};
  return next_piece(L, &call, LS_FS_LINE);
}

static int l_next_chunk(lua_State *L) {
  static const struct ls_fs_call call = {.type = {"file:chunks", push_or_raise, ls_fs_job_cancel, ls_fs_job_free},
                                         .verb = "read",
                                         .run = ls_fs_run_read,
                                         .push = ls_fs_push_bytes};
  return next_piece(L, &call, LS_FS_SOME);
}

static int push_iterator(lua_State *L, lua_CFunction next, lua_Integer most) {
  lua_settop(L, 1);
  lua_pushinteger(L, most);
  lua_pushcclosure(L, next, 2);
  return 1;
}

/* file:lines([options]) -> iterator
 * Lines without their "\n"; a "\r" before it stays. The iterator waits where it has to, and raises when reading fails
 * or a line is longer than max_bytes (1 MiB).
 *   for line in file:lines() do print(line) end */
static int l_lines(lua_State *L) {
  static const char *const known[] = {"max_bytes", NULL};
  check_file(L, 1);
  ls_options_check(L, 2, "file:lines", known);
  lua_Integer most =
      lua_isnoneornil(L, 2) ? DEFAULT_LINE : ls_option_integer(L, 2, "max_bytes", 1, LUA_MAXINTEGER - 1, DEFAULT_LINE);
  return push_iterator(L, l_next_line, most);
}

/* file:chunks([n]) -> iterator
 * Strings of up to n bytes (64 KiB) each, to the end. Waits and raises as lines does.
 *   for chunk in file:chunks() do hash:update(chunk) end */
static int l_chunks(lua_State *L) {
  check_file(L, 1);
  return push_iterator(L, l_next_chunk, (lua_Integer)check_count(L, 2));
}

/* ---- all other methods ---- */

/* Every method that is no more than its call: the second upvalue (the first is the module's state). */
static int l_file_call(lua_State *L) {
  const struct ls_fs_call *call = lua_touserdata(L, lua_upvalueindex(2));
  struct ls_fs_file *file = check_file(L, 1);
  struct ls_fs_args args = {0};
  int callback = ls_fs_check_args(L, call, 2, &args);
  return ls_fs_job_start(L, ls_fs_job_new(L, file->fs, call, &args, file), callback);
}

/* file:close([callback]) -> true
 * Async. Waits for the operations that were called before; nothing can be called after. Without a callback true also
 * when it is closed already. A failure (of an earlier write that could not be finished, say) leaves it closed too. */
static int l_close(lua_State *L) {
  struct handle *handle = check_handle(L, 1);
  if (handle->file == NULL && !lua_isfunction(L, 2)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  struct ls_fs_file *file = check_file(L, 1);
  struct ls_fs_args args = {0};
  ls_op_check(L, 2, ls_fs_close_call.type.name);
  struct ls_fs_job *job = ls_fs_job_new(L, file->fs, &ls_fs_close_call, &args, file);
  handle->file = NULL;
  ls_fs_file_unref(file); /* the job has one more */
  return ls_fs_job_start(L, job, 2);
}

/* __close and __gc: cannot wait. Operations under way end first. */
static int l_drop(lua_State *L) {
  struct handle *handle = check_handle(L, 1);
  struct ls_fs_file *file = handle->file;
  handle->file = NULL;
  if (file != NULL)
    ls_fs_file_unref(file);
  return 0;
}

static int l_file_tostring(lua_State *L) {
  const struct handle *handle = check_handle(L, 1);
  lua_getiuservalue(L, 1, 1);
  lua_pushfstring(L, "file '%s' (%s)", lua_tostring(L, -1), handle->file != NULL ? "open" : "closed");
  return 1;
}

void ls_fs_handle_open(lua_State *L, struct ls_fs *fs) {
  static const luaL_Reg methods[] = {
      {"chunks", l_chunks}, {"close", l_close}, {"lines", l_lines}, {"read", l_read}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", l_drop}, {"__gc", l_drop}, {"__tostring", l_file_tostring}, {NULL, NULL}};
  ls_handle_type(L, FILE_TYPE, methods, metamethods);
  luaL_getmetatable(L, FILE_TYPE);
  lua_getfield(L, -1, "__index");
  ls_fs_set_calls(L, fs, ls_fs_file_calls, l_file_call);
  lua_pop(L, 2);
}
