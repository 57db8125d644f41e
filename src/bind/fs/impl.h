/* SPDX-License-Identifier: MIT */
/* fs: the parts of require "luaserve.fs" and what they share: one kind of job that runs a function on the file lane of
 * the pool and pushes its result.
 *
 * A call is a constant: what a function of the module is named, takes, does on the pool and returns. A job is one run
 * of it. The system calls of one Lua call all happen in one job, so that it costs one thread switch each way. */
#ifndef LS_BIND_FS_IMPL_H
#define LS_BIND_FS_IMPL_H

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/list.h"
#include "bind/fs/level.h"
#include "loop/file.h"
#include "loop/work.h"
#include "script/op.h"

struct ls_fs_file;
struct ls_fs_job;
struct ls_fs_watches;

/* The module's state in one runtime. Jobs that outlive the Lua state hold it too; all but pins is the loop thread's. */
struct ls_fs {
  struct ls_runtime *rt; /* NULL: the Lua state has closed (or is about to) */
  unsigned refs;
  struct ls_file_cache cache;
  struct ls_buf scratch; /* warm memory for inline reads */
  pthread_mutex_t mutex;
  pthread_cond_t unpinned;
  unsigned pins; /* mutex: jobs that may still read the bytes of a Lua string */
};

/* What a call was given. Paths are the caller's strings until a job has copied them. */
struct ls_fs_args {
  const char *path;
  const char *path2;
  int64_t number[4]; /* integer parameters in their order, then options in theirs */
  struct timespec time[2];
  int data_index; /* where on the stack the bytes to write are; 0: none */
  const char *data;
  size_t size;
};

struct ls_fs_call {
  struct ls_op_type type;
  const char *verb;                                 /* in failures: "open" in open 'x.txt' */
  int (*run)(struct ls_fs_job *job);                /* on a pool thread; 0 or a negative code */
  int (*push)(lua_State *L, struct ls_fs_job *job); /* the results of success; NULL: true */
  /* Its required parameters, a letter each. p: path (the first into path, the second into path2). d: the bytes to
   * write. m: permission bits. u: a user's or group's id or -1. n: a count of bytes or an offset. t: a time in seconds
   * or nil for now. a: a string of r, w, x. */
  const char *parameters;
  const char *const *options; /* "mode": permission bits or -1; all others: true or false. NULL: takes none */
};

/* The three functions of a job's op type. */
int ls_fs_job_push(lua_State *L, struct ls_op *op);
bool ls_fs_job_cancel(struct ls_op *op);
void ls_fs_job_free(struct ls_op *op);
#define LS_FS_TYPE(name) \
  { name, ls_fs_job_push, ls_fs_job_cancel, ls_fs_job_free }

struct ls_fs_job {
  struct ls_op op;
  struct ls_work work;
  struct ls_list link; /* in its file's waiting list */
  const struct ls_fs_call *call;
  struct ls_fs *fs;        /* a reference */
  struct ls_fs_file *file; /* a reference; NULL: not an operation on a handle */
  struct ls_fs_args args;  /* its paths are copies, in the same allocation */
  int pin;                 /* registry reference of the string that args.data is in */
  bool pinned;             /* counted in fs->pins */
  int code;                /* 0 or a negative code */
  const char *failed;      /* the step that failed; NULL: call->verb */
  char *where;             /* malloc'ed: the path of what failed in a tree; NULL: args.path */
  atomic_bool stop;        /* nobody wants it any more: work on trees and copies looks at it and ends */
  /* Results. */
  struct ls_file_read read;
  struct ls_buf bytes;
  struct stat stat;
  int fd;                        /* opened, and nobody's yet; -1 */
  bool at_end;                   /* nothing was left to read */
  struct ls_fs_watches *watches; /* made, and nobody's yet; NULL */
  char paths[];
};

/* ---- fs.c ---- */

/* The state of the module, in a function that was made with it as its first upvalue. */
static inline struct ls_fs *ls_fs_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

struct ls_fs *ls_fs_ref(struct ls_fs *fs);
void ls_fs_unref(struct ls_fs *fs);

/* The path at index: raises unless it is a string without zero bytes. */
const char *ls_fs_check_path(lua_State *L, int index);

/* Where a function stands at index, the optional argument there was left out: puts nil before it. */
void ls_fs_fill_optional(lua_State *L, int index);

/* Reads the parameters of call from index first on, and its options. Returns the index of the callback; raises also
 * when no await is possible there. */
int ls_fs_check_args(lua_State *L, const struct ls_fs_call *call, int first, struct ls_fs_args *args);

/* A job that is not started; file may be NULL. Raises "not enough memory". */
struct ls_fs_job *ls_fs_job_new(lua_State *L, struct ls_fs *fs, const struct ls_fs_call *call,
                                const struct ls_fs_args *args, struct ls_fs_file *file);

/* The same for a call without data, and NULL instead of raising. */
struct ls_fs_job *ls_fs_job_try(lua_State *L, struct ls_fs *fs, const struct ls_fs_call *call,
                                const struct ls_fs_args *args, struct ls_fs_file *file);

/* Queues it and awaits: the return statement of a function. */
int ls_fs_job_start(lua_State *L, struct ls_fs_job *job, int callback_index);

/* A call's push function: job->bytes, or nil when at_end. */
int ls_fs_push_bytes(lua_State *L, struct ls_fs_job *job);

/* Pushes nil, message, code for code at the given step. */
int ls_fs_push_failure(lua_State *L, int code, const char *step, const char *path, const char *path2);

/* Runs on the pool: notes which step failed, and gives -errno. */
static inline int ls_fs_fail(struct ls_fs_job *job, const char *step) {
  int code = -errno;
  job->failed = step;
  return code;
}

/* Runs on the pool, between two steps of a long job: 0, or -ECANCELED. */
static inline int ls_fs_check_stop(struct ls_fs_job *job) {
  return atomic_load_explicit(&job->stop, memory_order_relaxed) ? -ECANCELED : 0;
}

/* Sets the functions of calls (a NULL name ends them) in the table at the top. Upvalues: fs, the call. */
void ls_fs_set_calls(lua_State *L, struct ls_fs *fs, const struct ls_fs_call *calls, lua_CFunction function);

/* Closes fd on the pool: close may wait for a server. */
void ls_fs_close_later(struct ls_fs *fs, int fd);

/* ---- system calls that a signal may interrupt; any thread ---- */

/* A descriptor, or -1 and errno. */
int ls_fs_open(int folder, const char *path, int flags, mode_t mode);
/* All of the bytes: 0, or -1 and errno. */
int ls_fs_write(int fd, const char *bytes, size_t size);
/* How many, or -1 and errno. */
ssize_t ls_fs_read(int fd, char *bytes, size_t size);

/* ---- the parts ---- */

int l_fs_read_file(lua_State *L); /* read.c */

extern const struct ls_fs_call ls_fs_path_calls[];  /* path.c */
extern const struct ls_fs_call ls_fs_dir_calls[];   /* dir.c */
extern const struct ls_fs_call ls_fs_tree_calls[];  /* tree.c */
extern const struct ls_fs_call ls_fs_copy_calls[];  /* copy.c */
extern const struct ls_fs_call ls_fs_write_calls[]; /* write.c */

int l_fs_walk(lua_State *L); /* walk.c */
void ls_fs_walk_open(lua_State *L);

int l_fs_watch(lua_State *L); /* watch.c */
void ls_fs_watch_open(lua_State *L);

/* stat.c: the tables that stat and statfs give, and the name of a file's type. */
int ls_fs_push_stat(lua_State *L, struct ls_fs_job *job);
int ls_fs_run_statfs(struct ls_fs_job *job);
int ls_fs_push_statfs(lua_State *L, struct ls_fs_job *job);
const char *ls_fs_type_name(mode_t mode);

/* handle.c: fs.open, fs.mkstemp, and the metatable of what they give. */
int l_fs_open(lua_State *L);
int l_fs_mkstemp(lua_State *L);
void ls_fs_handle_open(lua_State *L, struct ls_fs *fs);

/* file.c: the open file behind a handle. Its jobs run one after the other, so what it holds is at any time one
 * thread's: the running job's, or else the loop's. */
struct ls_fs_file {
  struct ls_fs *fs;
  unsigned refs; /* the handle's and one for each job */
  int fd;
  bool busy;              /* a job is on the pool */
  struct ls_list waiting; /* jobs, in the order they were asked for */
  struct ls_buf ahead;    /* read from the descriptor, and not yet given to anybody */
  char name[];
};

/* Takes over fd. NULL: out of memory, and fd is still the caller's. */
struct ls_fs_file *ls_fs_file_new(struct ls_fs *fs, int fd, const char *name);
void ls_fs_file_unref(struct ls_fs_file *file); /* the last one closes the descriptor */
/* Starts the job now, or behind those of the same file. 0 or a negative code. */
int ls_fs_file_submit(struct ls_fs_job *job);
/* The file's running job has ended: starts the next one. The caller has a reference. */
void ls_fs_file_next(struct ls_fs_file *file);

/* What a read wants: args.number[0]; args.number[1] is how much at most for SOME, how long a LINE may be (else
 * LS_ETOOBIG, and nothing is taken). */
enum ls_fs_want { LS_FS_SOME, LS_FS_ALL, LS_FS_LINE };

/* Reads into job->bytes, through file->ahead where lines have been read. Pool. */
int ls_fs_run_read(struct ls_fs_job *job);
/* The part of that which needs no waiting: pushes what is in file->ahead, if that satisfies want. */
bool ls_fs_push_ahead(lua_State *L, struct ls_fs_file *file, enum ls_fs_want want, size_t most);

extern const struct ls_fs_call ls_fs_file_calls[]; /* the methods that need nothing but a job */
extern const struct ls_fs_call ls_fs_close_call;

#endif
