/* SPDX-License-Identifier: MIT */
/* The open file behind a handle: its jobs, one after the other, and what they do on the pool. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "bind/fs/impl.h"
#include "loop/loop.h"
#include "script/runtime.h"

#define AHEAD ((size_t)64 * 1024)      /* what reading lines asks for at once */
#define ROOM_MAX ((size_t)1024 * 1024) /* no more is allocated before the bytes have come */

/* ---- the queue ---- */

struct ls_fs_file *ls_fs_file_new(struct ls_fs *fs, int fd, const char *name) {
  size_t size = strlen(name) + 1;
  struct ls_fs_file *file = calloc(1, sizeof *file + size);
  if (file == NULL)
    return NULL;
  file->fs = ls_fs_ref(fs);
  file->refs = 1;
  file->fd = fd;
  ls_list_init(&file->waiting);
  memcpy(file->name, name, size);
  return file;
}

void ls_fs_file_unref(struct ls_fs_file *file) {
  if (--file->refs > 0)
    return;
  if (file->fd >= 0)
    ls_fs_close_later(file->fs, file->fd);
  ls_buf_dispose(&file->ahead);
  ls_fs_unref(file->fs);
  free(file);
}

static int start(struct ls_fs_job *job) {
  int status = ls_work_submit(job->op.rt->loop, &job->work, LS_LANE_FILE);
  job->file->busy = status == 0;
  return status;
}

int ls_fs_file_submit(struct ls_fs_job *job) {
  if (!job->file->busy)
    return start(job);
  ls_list_push(&job->file->waiting, &job->link);
  return 0;
}

void ls_fs_file_next(struct ls_fs_file *file) {
  struct ls_list *link;
  file->busy = false;
  while ((link = ls_list_shift(&file->waiting)) != NULL) {
    struct ls_fs_job *job = ls_container_of(link, struct ls_fs_job, link);
    int status = start(job);
    if (status == 0)
      break; /* the pool has it: nothing of it is to be touched */
    job->code = status;
    ls_op_done(&job->op);
  }
}

/* ---- reading ---- */

/* How many of the bytes read ahead make a line with its newline, from offset on; 0: none. */
static size_t line_length(const struct ls_buf *ahead, size_t offset) {
  if (ahead->len == offset)
    return 0;
  const char *bytes = ls_buf_bytes(ahead);
  const char *newline = memchr(bytes + offset, '\n', ahead->len - offset);
  return newline != NULL ? (size_t)(newline - bytes) + 1 : 0;
}

static int take_ahead(struct ls_fs_job *job, size_t n) {
  struct ls_buf *ahead = &job->file->ahead;
  if (n == 0)
    return 0;
  if (ls_buf_append(&job->bytes, ls_buf_bytes(ahead), n) != 0)
    return -ENOMEM;
  ls_buf_consume(ahead, n);
  return 0;
}

/* Up to size more bytes at the end of buf: how many, or a negative code. */
static ssize_t read_into(int fd, struct ls_buf *buf, size_t size) {
  if (ls_buf_reserve(buf, size) != 0)
    return -ENOMEM;
  ssize_t n = ls_fs_read(fd, ls_buf_bytes(buf) + buf->len, size);
  if (n < 0)
    return -errno;
  buf->len += (size_t)n;
  return n;
}

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

/* Until most bytes have come, the end has, or (unless to_end) fewer than asked for: all that a pipe has now. */
static int read_up_to(struct ls_fs_job *job, size_t most, bool to_end) {
  while (job->bytes.len < most) {
    size_t want = smaller(most - job->bytes.len, to_end ? AHEAD + job->bytes.len : ROOM_MAX);
    ssize_t n = read_into(job->file->fd, &job->bytes, smaller(want, ROOM_MAX));
    if (n < 0)
      return (int)n;
    if (n == 0 || (!to_end && (size_t)n < want))
      return 0;
  }
  return 0;
}

static int read_some(struct ls_fs_job *job) {
  size_t most = (size_t)job->args.number[1];
  size_t ahead = job->file->ahead.len;
  int code = ahead > 0 ? take_ahead(job, smaller(most, ahead)) : read_up_to(job, most, false);
  job->at_end = job->bytes.len == 0;
  return code;
}

static int read_all(struct ls_fs_job *job) {
  int code = take_ahead(job, job->file->ahead.len);
  return code != 0 ? code : read_up_to(job, SIZE_MAX, true);
}

/* The last line may have no newline. */
static int read_line(struct ls_fs_job *job) {
  struct ls_buf *ahead = &job->file->ahead;
  size_t most = (size_t)job->args.number[1];
  size_t looked = 0, length;
  while ((length = line_length(ahead, looked)) == 0) {
    looked = ahead->len;
    if (looked > most)
      return LS_ETOOBIG;
    ssize_t n = read_into(job->file->fd, ahead, AHEAD);
    if (n < 0)
      return (int)n;
    if (n > 0)
      continue;
    job->at_end = looked == 0;
    return take_ahead(job, looked);
  }
  if (length - 1 > most)
    return LS_ETOOBIG;
  int code = take_ahead(job, length);
  if (code == 0)
    job->bytes.len--;
  return code;
}

int ls_fs_run_read(struct ls_fs_job *job) {
  switch ((enum ls_fs_want)job->args.number[0]) {
  case LS_FS_ALL:
    return read_all(job);
  case LS_FS_LINE:
    return read_line(job);
  default:
    return read_some(job);
  }
}

bool ls_fs_push_ahead(lua_State *L, struct ls_fs_file *file, enum ls_fs_want want, size_t most) {
  struct ls_buf *ahead = &file->ahead;
  if (file->busy || ahead->len == 0 || want == LS_FS_ALL)
    return false;
  size_t n = want == LS_FS_LINE ? line_length(ahead, 0) : smaller(most, ahead->len);
  if (n == 0 || (want == LS_FS_LINE && n - 1 > most))
    return false;
  lua_pushlstring(L, ls_buf_bytes(ahead), want == LS_FS_LINE ? n - 1 : n);
  ls_buf_consume(ahead, n);
  return true;
}

/* ---- the other methods ---- */

/* The descriptor stands where the last read ended, which is further than what was given out of it. Pipes have no
 * position and what they have sent stays valid. */
static void go_back(struct ls_fs_file *file) {
  if (file->ahead.len > 0 && lseek(file->fd, -(off_t)file->ahead.len, SEEK_CUR) >= 0)
    ls_buf_clear(&file->ahead);
}

static int run_write(struct ls_fs_job *job) {
  go_back(job->file);
  return ls_fs_write(job->file->fd, job->args.data, job->args.size) == 0 ? 0 : -errno;
}

static int run_pread(struct ls_fs_job *job) {
  size_t most = (size_t)job->args.number[0];
  off_t offset = (off_t)job->args.number[1];
  while (job->bytes.len < most) {
    size_t want = smaller(most - job->bytes.len, ROOM_MAX);
    if (ls_buf_reserve(&job->bytes, want) != 0)
      return -ENOMEM;
    char *room = ls_buf_bytes(&job->bytes) + job->bytes.len;
    ssize_t n = pread(job->file->fd, room, want, offset + (off_t)job->bytes.len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -errno;
    if (n == 0)
      break;
    job->bytes.len += (size_t)n;
  }
  job->at_end = job->bytes.len == 0 && most > 0;
  return 0;
}

static int run_pwrite(struct ls_fs_job *job) {
  const char *bytes = job->args.data;
  size_t size = job->args.size;
  off_t offset = (off_t)job->args.number[0];
  while (size > 0) {
    ssize_t n = pwrite(job->file->fd, bytes, size, offset);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -errno;
    bytes += n;
    size -= (size_t)n;
    offset += n;
  }
  return 0;
}

static int run_stat(struct ls_fs_job *job) {
  return fstat(job->file->fd, &job->stat) == 0 ? 0 : -errno;
}

static int run_truncate(struct ls_fs_job *job) {
  int status;
  do {
    status = ftruncate(job->file->fd, (off_t)job->args.number[0]);
  } while (status != 0 && errno == EINTR);
  return status == 0 ? 0 : -errno;
}

static int run_sync(struct ls_fs_job *job) {
  return fsync(job->file->fd) == 0 ? 0 : -errno;
}

static int run_datasync(struct ls_fs_job *job) {
  return fdatasync(job->file->fd) == 0 ? 0 : -errno;
}

static int run_chmod(struct ls_fs_job *job) {
  return fchmod(job->file->fd, (mode_t)job->args.number[0]) == 0 ? 0 : -errno;
}

static int run_chown(struct ls_fs_job *job) {
  return fchown(job->file->fd, (uid_t)job->args.number[0], (gid_t)job->args.number[1]) == 0 ? 0 : -errno;
}

static int run_utime(struct ls_fs_job *job) {
  return futimens(job->file->fd, job->args.time) == 0 ? 0 : -errno;
}

/* The descriptor is gone whatever close says. */
static int run_close(struct ls_fs_job *job) {
  int fd = job->file->fd;
  job->file->fd = -1;
  return close(fd) == 0 || errno == EINTR ? 0 : -errno;
}

/* All async. */
const struct ls_fs_call ls_fs_file_calls[] = {
    /* file:write(data [, callback]) -> true
     * All of it, where the file stands (at its end if opened with "a"). */
    {LS_FS_TYPE("file:write"), "write", run_write, NULL, "d", NULL},
    /* file:pread(n, offset [, callback]) -> string, or nil at the end
     * n bytes from offset on (counted from 0), fewer only at the end. Does not move where the file stands.
     *   local header = file:pread(16, 0) */
    {LS_FS_TYPE("file:pread"), "read", run_pread, ls_fs_push_bytes, "nn", NULL},
    /* file:pwrite(data, offset [, callback]) -> true
     * Does not move where the file stands. Linux writes at the end, whatever offset says, if opened with "a". */
    {LS_FS_TYPE("file:pwrite"), "write", run_pwrite, NULL, "dn", NULL},
    /* file:stat([callback]) -> table, as fs.stat. */
    {LS_FS_TYPE("file:stat"), "stat", run_stat, ls_fs_push_stat, "", NULL},
    /* file:truncate(size [, callback]) -> true
     * Cuts it to size bytes, or fills it up with zeros. */
    {LS_FS_TYPE("file:truncate"), "truncate", run_truncate, NULL, "n", NULL},
    /* file:sync([callback]) -> true, when what was written is on the disk. */
    {LS_FS_TYPE("file:sync"), "fsync", run_sync, NULL, "", NULL},
    /* file:datasync([callback]) -> true
     * As sync, but attributes that reading does not need (times) may come to the disk later. */
    {LS_FS_TYPE("file:datasync"), "fdatasync", run_datasync, NULL, "", NULL},
    /* file:chmod(mode [, callback]) -> true. mode: permission bits. */
    {LS_FS_TYPE("file:chmod"), "fchmod", run_chmod, NULL, "m", NULL},
    /* file:chown(uid, gid [, callback]) -> true. -1 leaves one as it is. */
    {LS_FS_TYPE("file:chown"), "fchown", run_chown, NULL, "uu", NULL},
    /* file:utime(accessed, modified [, callback]) -> true. Seconds since 1970, fractions allowed; nil: now. */
    {LS_FS_TYPE("file:utime"), "futime", run_utime, NULL, "tt", NULL},
    {.verb = NULL},
};

const struct ls_fs_call ls_fs_close_call = {LS_FS_TYPE("file:close"), "close", run_close, NULL, "", NULL};
