/* SPDX-License-Identifier: MIT */
/* require "luaserve.fs": files and folders. Every function is async: it suspends the calling task and returns its
 * results, or takes a callback after its parameters and options. Failure gives nil, message, code:
 *   nil, "ENOENT: no such file or directory: open 'x.txt'", "ENOENT"
 *
 * This file has the state of the module and the life of a job. Bytes to write are not copied: the Lua string is kept by
 * a registry reference and the pool reads it in place. A job that runs cannot be stopped, so when the Lua state closes
 * the module's finalizer waits until no job reads a string any more; strings are freed after all finalizers. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/fs/impl.h"
#include "bind/fs/watches.h"
#include "bind/modules.h"
#include "loop/loop.h"
#include "script/options.h"
#include "script/runtime.h"

#define MODE_MAX 07777

/* ---- the state ---- */

/* Its address is the state's key in the registry. */
static const char state_key = 's';

struct ls_fs *ls_fs_ref(struct ls_fs *fs) {
  fs->refs++;
  return fs;
}

void ls_fs_unref(struct ls_fs *fs) {
  if (--fs->refs > 0)
    return;
  pthread_cond_destroy(&fs->unpinned);
  pthread_mutex_destroy(&fs->mutex);
  ls_buf_dispose(&fs->scratch);
  free(fs);
}

static struct ls_fs *new_state(struct ls_runtime *rt) {
  struct ls_fs *fs = calloc(1, sizeof *fs);
  if (fs == NULL)
    return NULL;
  if (pthread_mutex_init(&fs->mutex, NULL) != 0)
    goto no_mutex;
  if (pthread_cond_init(&fs->unpinned, NULL) != 0)
    goto no_cond;
  fs->rt = rt;
  fs->refs = 1;
  return fs;
no_cond:
  pthread_mutex_destroy(&fs->mutex);
no_mutex:
  free(fs);
  return NULL;
}

static void unpin(struct ls_fs_job *job) {
  struct ls_fs *fs = job->fs;
  job->pinned = false;
  pthread_mutex_lock(&fs->mutex);
  if (--fs->pins == 0)
    pthread_cond_signal(&fs->unpinned);
  pthread_mutex_unlock(&fs->mutex);
}

/* The registry holds the state, so this is the end of the Lua state: all jobs that had not begun have been freed. */
static int l_state_gc(lua_State *L) {
  struct ls_fs **state = lua_touserdata(L, 1);
  struct ls_fs *fs = *state;
  *state = NULL;
  if (fs == NULL)
    return 0;
  fs->rt = NULL;
  pthread_mutex_lock(&fs->mutex);
  while (fs->pins > 0)
    pthread_cond_wait(&fs->unpinned, &fs->mutex);
  pthread_mutex_unlock(&fs->mutex);
  ls_fs_unref(fs);
  return 0;
}

static struct ls_fs *open_state(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key) == LUA_TUSERDATA) {
    struct ls_fs *fs = *(struct ls_fs **)lua_touserdata(L, -1);
    lua_pop(L, 1);
    return fs;
  }
  struct ls_fs **state = lua_newuserdatauv(L, sizeof *state, 0);
  *state = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_state_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
  *state = new_state(ls_runtime_of(L));
  if (*state == NULL)
    luaL_error(L, "not enough memory");
  lua_pop(L, 1);
  return *state;
}

/* ---- arguments ---- */

const char *ls_fs_check_path(lua_State *L, int index) {
  size_t length;
  const char *path = luaL_checklstring(L, index, &length);
  luaL_argcheck(L, strlen(path) == length, index, "a path cannot have a zero byte in it");
  return path;
}

void ls_fs_fill_optional(lua_State *L, int index) {
  if (!lua_isfunction(L, index))
    return;
  lua_pushnil(L);
  lua_insert(L, index);
}

static struct timespec check_time(lua_State *L, int index) {
  if (lua_isnoneornil(L, index))
    return (struct timespec){.tv_nsec = UTIME_NOW};
  lua_Number seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, fabs(seconds) < 1e15, index, "a time is seconds since 1970");
  lua_Number whole = floor(seconds);
  long nanoseconds = (long)((seconds - whole) * 1e9);
  return (struct timespec){(time_t)whole, nanoseconds < 1000000000 ? nanoseconds : 999999999};
}

static int64_t check_access(lua_State *L, int index) {
  int64_t mode = F_OK;
  for (const char *text = luaL_checkstring(L, index); *text != '\0'; text++) {
    luaL_argcheck(L, strchr("rwx", *text) != NULL, index, "an access is made of r, w and x");
    mode |= *text == 'r' ? R_OK : *text == 'w' ? W_OK : X_OK;
  }
  return mode;
}

static int64_t check_integer(lua_State *L, int index, lua_Integer min, lua_Integer max, const char *what) {
  lua_Integer value = luaL_checkinteger(L, index);
  luaL_argcheck(L, value >= min && value <= max, index, what);
  return value;
}

/* NULL, or what is wrong with the permission bits at index: a number, or octal digits as text. */
static const char *read_mode(lua_State *L, int index, int64_t *mode) {
  if (lua_type(L, index) == LUA_TSTRING) {
    const char *text = lua_tostring(L, index);
    size_t len = strspn(text, "01234567");
    if (len == 0 || len > 4 || len != lua_rawlen(L, index))
      return "permission bits as text are octal digits, such as \"640\"";
    *mode = strtol(text, NULL, 8);
    return NULL;
  }
  *mode = lua_tointeger(L, index);
  if (*mode < 01000 || *mode > 777) /* "rw-------" as 600 would be the sticky bit, and who else may run it */
    return NULL;
  return lua_pushfstring(L, "%I is no octal number, since Lua has none: write it as text, \"%I\"", (LUAI_UACINT)*mode,
                         (LUAI_UACINT)*mode);
}

static int64_t check_mode(lua_State *L, int index) {
  int64_t mode;
  if (lua_type(L, index) != LUA_TSTRING)
    check_integer(L, index, 0, MODE_MAX, "permission bits are from 0 to 0xFFF (octal 7777)");
  const char *problem = read_mode(L, index, &mode);
  if (problem != NULL)
    luaL_argerror(L, index, problem);
  return mode;
}

/* -1: it is not given. */
static int64_t option_mode(lua_State *L, int index) {
  int64_t mode = -1;
  int type = lua_istable(L, index) ? lua_getfield(L, index, "mode") : (lua_pushnil(L), LUA_TNIL);
  if (type != LUA_TNIL && type != LUA_TSTRING)
    ls_option_integer(L, index, "mode", 0, MODE_MAX, -1);
  const char *problem = type != LUA_TNIL ? read_mode(L, -1, &mode) : NULL;
  if (problem != NULL)
    luaL_error(L, "option 'mode': %s", problem);
  lua_pop(L, 1);
  return mode;
}

static int64_t check_number(lua_State *L, int index, char letter) {
  switch (letter) {
  case 'm':
    return check_mode(L, index);
  case 'u':
    return check_integer(L, index, -1, UINT32_MAX, "an id is -1 (to leave it) or a 32-bit number");
  case 'a':
    return check_access(L, index);
  default:
    return check_integer(L, index, 0, INT64_MAX, "must not be negative");
  }
}

static void check_options(lua_State *L, const struct ls_fs_call *call, int index, int64_t *number) {
  ls_fs_fill_optional(L, index);
  ls_options_check(L, index, call->type.name, call->options);
  for (const char *const *name = call->options; *name != NULL; name++) {
    if (strcmp(*name, "mode") == 0)
      *number++ = option_mode(L, index);
    else
      *number++ = ls_option_boolean(L, index, *name, false);
  }
}

int ls_fs_check_args(lua_State *L, const struct ls_fs_call *call, int first, struct ls_fs_args *args) {
  int index = first;
  int64_t *number = args->number;
  struct timespec *time = args->time;
  for (const char *letter = call->parameters; *letter != '\0'; letter++, index++) {
    if (*letter == 'p' && args->path == NULL) {
      args->path = ls_fs_check_path(L, index);
    } else if (*letter == 'p') {
      args->path2 = ls_fs_check_path(L, index);
    } else if (*letter == 'd') {
      args->data = luaL_checklstring(L, index, &args->size);
      args->data_index = index;
    } else if (*letter == 't') {
      *time++ = check_time(L, index);
    } else {
      *number++ = check_number(L, index, *letter);
    }
  }
  if (call->options != NULL)
    check_options(L, call, index++, number);
  ls_op_check(L, index, call->type.name);
  return index;
}

/* ---- jobs ---- */

static char *copy_path(char **to, const char *path) {
  if (path == NULL)
    return NULL;
  size_t size = strlen(path) + 1;
  char *copy = memcpy(*to, path, size);
  *to += size;
  return copy;
}

static struct ls_fs_job *alloc_job(const struct ls_fs_args *args) {
  size_t size = sizeof(struct ls_fs_job);
  size += args->path != NULL ? strlen(args->path) + 1 : 0;
  size += args->path2 != NULL ? strlen(args->path2) + 1 : 0;
  struct ls_fs_job *job = calloc(1, size);
  if (job == NULL)
    return NULL;
  char *paths = job->paths;
  job->args = *args;
  job->args.path = copy_path(&paths, args->path);
  job->args.path2 = copy_path(&paths, args->path2);
  ls_list_init(&job->link);
  ls_file_read_init(&job->read, NULL, 0);
  job->fd = -1;
  return job;
}

static void pin(struct ls_fs_job *job, int reference) {
  job->pin = reference;
  job->pinned = true;
  pthread_mutex_lock(&job->fs->mutex);
  job->fs->pins++;
  pthread_mutex_unlock(&job->fs->mutex);
}

static void run_job(struct ls_work *work) {
  struct ls_fs_job *job = ls_container_of(work, struct ls_fs_job, work);
  job->code = job->call->run(job);
  if (job->pinned)
    unpin(job);
}

static void on_job(struct ls_work *work) {
  struct ls_fs_job *job = ls_container_of(work, struct ls_fs_job, work);
  ls_file_learn(&job->fs->cache, &job->read);
  if (job->file != NULL)
    ls_fs_file_next(job->file);
  ls_op_done(&job->op);
}

struct ls_fs_job *ls_fs_job_try(lua_State *L, struct ls_fs *fs, const struct ls_fs_call *call,
                                const struct ls_fs_args *args, struct ls_fs_file *file) {
  struct ls_fs_job *job = alloc_job(args);
  if (job == NULL)
    return NULL;
  ls_op_init(L, &job->op, &call->type);
  job->work.run = run_job;
  job->work.done = on_job;
  job->call = call;
  job->fs = ls_fs_ref(fs);
  job->pin = LUA_NOREF;
  if (file != NULL)
    file->refs++;
  job->file = file;
  return job;
}

struct ls_fs_job *ls_fs_job_new(lua_State *L, struct ls_fs *fs, const struct ls_fs_call *call,
                                const struct ls_fs_args *args, struct ls_fs_file *file) {
  int reference = LUA_NOREF;
  if (args->data_index != 0) {
    lua_pushvalue(L, args->data_index);
    reference = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  struct ls_fs_job *job = ls_fs_job_try(L, fs, call, args, file);
  if (job == NULL) {
    luaL_unref(L, LUA_REGISTRYINDEX, reference);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  if (reference != LUA_NOREF)
    pin(job, reference);
  return job;
}

int ls_fs_job_start(lua_State *L, struct ls_fs_job *job, int callback_index) {
  int status = job->file != NULL ? ls_fs_file_submit(job) : ls_work_submit(job->op.rt->loop, &job->work, LS_LANE_FILE);
  if (status == 0)
    return ls_op_await(L, &job->op, callback_index);
  ls_fs_job_free(&job->op);
  return ls_push_failure(L, status, NULL);
}

/* A job that waits for its turn at a file, or in the lane, can be taken back; one that runs cannot, but may end
 * early. */
bool ls_fs_job_cancel(struct ls_op *op) {
  struct ls_fs_job *job = ls_container_of(op, struct ls_fs_job, op);
  if (!ls_list_is_empty(&job->link)) {
    ls_list_remove(&job->link);
    return true;
  }
  if (!ls_work_cancel(&job->work)) {
    atomic_store_explicit(&job->stop, true, memory_order_relaxed);
    return false;
  }
  if (job->file != NULL)
    ls_fs_file_next(job->file);
  return true;
}

/* May be called after the runtime has gone: op->rt is not to be looked at. */
void ls_fs_job_free(struct ls_op *op) {
  struct ls_fs_job *job = ls_container_of(op, struct ls_fs_job, op);
  struct ls_fs *fs = job->fs;
  if (job->fd >= 0)
    ls_fs_close_later(fs, job->fd);
  if (job->pinned)
    unpin(job);
  if (fs->rt != NULL)
    luaL_unref(fs->rt->L, LUA_REGISTRYINDEX, job->pin);
  if (job->file != NULL)
    ls_fs_file_unref(job->file);
  ls_file_read_dispose(&job->read);
  ls_buf_dispose(&job->bytes);
  ls_fs_watches_free(job->watches, fs);
  free(job->where);
  free(job);
  ls_fs_unref(fs);
}

int ls_fs_push_failure(lua_State *L, int code, const char *step, const char *path, const char *path2) {
  if (path2 != NULL)
    return ls_push_failure(L, code, "%s '%s' -> '%s'", step, path, path2);
  return ls_push_failure(L, code, "%s '%s'", step, path);
}

int ls_fs_job_push(lua_State *L, struct ls_op *op) {
  struct ls_fs_job *job = ls_container_of(op, struct ls_fs_job, op);
  if (job->code != 0) {
    const char *step = job->failed != NULL ? job->failed : job->call->verb;
    const char *path = job->file != NULL ? job->file->name : job->where != NULL ? job->where : job->args.path;
    return ls_fs_push_failure(L, job->code, step, path, job->args.path2);
  }
  if (job->call->push != NULL)
    return job->call->push(L, job);
  lua_pushboolean(L, 1);
  return 1;
}

int ls_fs_push_bytes(lua_State *L, struct ls_fs_job *job) {
  if (job->at_end)
    lua_pushnil(L);
  else
    lua_pushlstring(L, job->bytes.len > 0 ? ls_buf_bytes(&job->bytes) : "", job->bytes.len);
  return 1;
}

/* ---- system calls ---- */

int ls_fs_open(int folder, const char *path, int flags, mode_t mode) {
  int fd;
  do {
    fd = openat(folder, path, flags | O_CLOEXEC | O_NOCTTY, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

int ls_fs_write(int fd, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t n = write(fd, bytes, size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    bytes += n;
    size -= (size_t)n;
  }
  return 0;
}

ssize_t ls_fs_read(int fd, char *bytes, size_t size) {
  ssize_t n;
  do {
    n = read(fd, bytes, size);
  } while (n < 0 && errno == EINTR);
  return n;
}

struct closing {
  struct ls_work work;
  int fd;
};

static void run_closing(struct ls_work *work) {
  close(ls_container_of(work, struct closing, work)->fd);
}

static void on_closing(struct ls_work *work) {
  free(ls_container_of(work, struct closing, work));
}

/* At the end of the program, or out of memory, it is closed here. */
void ls_fs_close_later(struct ls_fs *fs, int fd) {
  struct closing *closing = fs->rt == NULL || fs->rt->exiting ? NULL : calloc(1, sizeof *closing);
  if (closing == NULL) {
    close(fd);
    return;
  }
  closing->work.run = run_closing;
  closing->work.done = on_closing;
  closing->fd = fd;
  if (ls_work_submit(fs->rt->loop, &closing->work, LS_LANE_FILE) == 0)
    return;
  close(fd);
  free(closing);
}

/* ---- the module ---- */

/* Every function that is no more than its call: the second upvalue. */
static int l_call(lua_State *L) {
  const struct ls_fs_call *call = lua_touserdata(L, lua_upvalueindex(2));
  struct ls_fs_args args = {0};
  int callback = ls_fs_check_args(L, call, 1, &args);
  return ls_fs_job_start(L, ls_fs_job_new(L, ls_fs_of(L), call, &args, NULL), callback);
}

void ls_fs_set_calls(lua_State *L, struct ls_fs *fs, const struct ls_fs_call *calls, lua_CFunction function) {
  for (; calls->type.name != NULL; calls++) {
    lua_pushlightuserdata(L, fs);
    lua_pushlightuserdata(L, (void *)(uintptr_t)calls);
    lua_pushcclosure(L, function, 2);
    lua_setfield(L, -2, strpbrk(calls->type.name, ".:") + 1);
  }
}

int luaopen_luaserve_fs(lua_State *L) {
  static const luaL_Reg functions[] = {{"mkstemp", l_fs_mkstemp}, {"open", l_fs_open},   {"read_file", l_fs_read_file},
                                       {"walk", l_fs_walk},       {"watch", l_fs_watch}, {NULL, NULL}};
  struct ls_fs *fs = open_state(L);
  ls_fs_handle_open(L, fs);
  ls_fs_walk_open(L);
  ls_fs_watch_open(L);
  luaL_newlibtable(L, functions);
  lua_pushlightuserdata(L, fs);
  luaL_setfuncs(L, functions, 1);
  ls_fs_set_calls(L, fs, ls_fs_path_calls, l_call);
  ls_fs_set_calls(L, fs, ls_fs_dir_calls, l_call);
  ls_fs_set_calls(L, fs, ls_fs_tree_calls, l_call);
  ls_fs_set_calls(L, fs, ls_fs_copy_calls, l_call);
  ls_fs_set_calls(L, fs, ls_fs_write_calls, l_call);
  return 1;
}
