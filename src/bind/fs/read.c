/* SPDX-License-Identifier: MIT */
/* fs.read_file: a whole file, on the loop's thread where the page cache has all of it, else in one job. */
#include <stdlib.h>

#include "bind/fs/impl.h"
#include "loop/loop.h"
#include "script/options.h"
#include "script/runtime.h"

#define SCRATCH_MAX ((size_t)64 * 1024) /* more than this is not kept between reads */

static int take_result(struct ls_fs_job *job, int code) {
  job->code = code;
  job->failed = job->read.failed;
  job->bytes = job->read.bytes;
  ls_buf_init(&job->read.bytes);
  return code;
}

static int run_read_file(struct ls_fs_job *job) {
  return take_result(job, ls_file_read_blocking(&job->read));
}

static const struct ls_fs_call read_file_call = {
    .type = LS_FS_TYPE("fs.read_file"), .verb = "open", .run = run_read_file, .push = ls_fs_push_bytes};

/* The memory goes back to fs before the string is made, which may raise. */
static int push_inline(lua_State *L, struct ls_fs *fs, struct ls_file_read *read, int code) {
  struct ls_buf bytes = read->bytes;
  fs->scratch = bytes;
  ls_buf_clear(&fs->scratch);
  if (code != 0)
    return ls_fs_push_failure(L, code, read->failed, read->path, NULL);
  lua_pushlstring(L, bytes.len > 0 ? ls_buf_bytes(&bytes) : "", bytes.len);
  if (fs->scratch.cap > SCRATCH_MAX)
    ls_buf_dispose(&fs->scratch);
  return 1;
}

/* Goes on in a job, or has ended but must wait for its turn. Takes over what read holds. */
static int read_in_job(lua_State *L, struct ls_fs *fs, struct ls_file_read *read, int code, int callback) {
  struct ls_fs_args args = {.path = read->path};
  struct ls_fs_job *job = ls_fs_job_try(L, fs, &read_file_call, &args, NULL);
  if (job == NULL) {
    ls_file_read_dispose(read);
    return luaL_error(L, "not enough memory");
  }
  job->read = *read;
  job->read.path = (char *)(uintptr_t)job->args.path;
  if (code == -EAGAIN)
    return ls_fs_job_start(L, job, callback);
  take_result(job, code);
  ls_op_done(&job->op);
  return ls_op_await(L, &job->op, callback);
}

/* fs.read_file(path [, options] [, callback]) -> string
 * Async. All bytes of a file; a pipe or device is read to its end.
 * max_bytes: a larger file is the failure ETOOBIG. None by default.
 *   local data, message, code = fs.read_file("data.json", {max_bytes = 1 << 20}) */
int l_fs_read_file(lua_State *L) {
  static const char *const known[] = {"max_bytes", NULL};
  const char *path = ls_fs_check_path(L, 1);
  uint64_t max_bytes = 0;
  ls_fs_fill_optional(L, 2);
  if (!lua_isnoneornil(L, 2)) {
    ls_options_check(L, 2, read_file_call.type.name, known);
    max_bytes = (uint64_t)ls_option_integer(L, 2, "max_bytes", 1, LUA_MAXINTEGER, 0);
  }
  ls_op_check(L, 3, read_file_call.type.name);
  struct ls_fs *fs = ls_fs_of(L);
  struct ls_file_read read;
  ls_file_read_init(&read, (char *)(uintptr_t)path, max_bytes);
  read.bytes = fs->scratch;
  ls_buf_init(&fs->scratch);
  int code = ls_file_read_cached(&fs->cache, &read);
  if (code != -EAGAIN && !lua_isfunction(L, 3) && ls_loop_may_inline(ls_runtime_of(L)->loop))
    return push_inline(L, fs, &read, code);
  return read_in_job(L, fs, &read, code, 3);
}
