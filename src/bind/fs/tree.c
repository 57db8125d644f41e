/* SPDX-License-Identifier: MIT */
/* fs.rm, which removes whole trees. A tree is gone through with two descriptors, however deep it is. Links are not
 * followed. */
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "bind/fs/impl.h"

/* Whether that error may say that it is a folder. EPERM is what POSIX has for it. */
static bool may_be_folder(int error) {
  return error == EISDIR || error == EPERM;
}

/* Removes an entry of the folder that the cursor is in, or goes into it. It may be gone: somebody was faster. */
static int remove_or_enter(struct ls_fs_cursor *cursor, const char *record) {
  const char *name = record + 1;
  if (*record != DT_DIR && (unlinkat(cursor->fd, name, 0) == 0 || errno == ENOENT))
    return 0;
  int error = *record == DT_DIR ? EISDIR : errno;
  if (!may_be_folder(error))
    return -error;
  int code = ls_fs_cursor_enter(cursor, name);
  if (code == -ENOTDIR) /* it cannot be removed and is no folder, or is none any more */
    return unlinkat(cursor->fd, name, 0) == 0 || errno == ENOENT ? 0 : -errno;
  return code == -ENOENT ? 0 : code;
}

/* Goes up and removes the empty folder that it was in. */
static int leave_and_remove(struct ls_fs_cursor *cursor) {
  int code = ls_fs_cursor_leave(cursor);
  if (code != 0)
    return code;
  return unlinkat(cursor->fd, ls_fs_cursor_left(cursor), AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

/* All that is in the folder that the cursor has entered first. */
static int empty_tree(struct ls_fs_job *job, struct ls_fs_cursor *cursor) {
  for (;;) {
    const char *record = ls_fs_level_next(ls_fs_levels_top(&cursor->levels));
    if (record == NULL && cursor->levels.count == 1)
      return 0;
    int code = ls_fs_check_stop(job);
    if (code == 0)
      code = record != NULL ? remove_or_enter(cursor, record) : leave_and_remove(cursor);
    if (code == 0)
      continue;
    job->where = ls_fs_cursor_path(cursor, record != NULL ? record + 1 : NULL);
    return code;
  }
}

static int remove_folder(struct ls_fs_job *job) {
  struct ls_fs_cursor cursor;
  if (ls_fs_cursor_init(&cursor, job->args.path) != 0)
    return -ENOMEM;
  int code = ls_fs_cursor_enter(&cursor, job->args.path);
  if (code == 0)
    code = empty_tree(job, &cursor);
  ls_fs_cursor_dispose(&cursor);
  if (code != 0)
    return code;
  return rmdir(job->args.path) == 0 ? 0 : -errno;
}

static int run_rm(struct ls_fs_job *job) {
  bool recursive = job->args.number[0] != 0, force = job->args.number[1] != 0;
  int code = unlink(job->args.path) == 0 ? 0 : -errno;
  if (code != 0 && recursive && may_be_folder(-code)) {
    int error = code;
    code = remove_folder(job);
    if (code == -ENOTDIR)
      code = error;
  }
  return force && code == -ENOENT ? 0 : code;
}

static const char *const rm_options[] = {"recursive", "force", NULL};

/* All async; true, or nil, message, code. */
const struct ls_fs_call ls_fs_tree_calls[] = {
    /* fs.rm(path [, options] [, callback])
     * Removes a file or link. recursive = true: also a folder with all that is in it; links in it are removed, not
     * followed; the first failure ends it, and its message has the path of what could not be removed. force = true: it
     * is no failure when nothing is there.
     *   fs.rm("cache", {recursive = true, force = true}) */
    {LS_FS_TYPE("fs.rm"), "rm", run_rm, NULL, "p", rm_options},
    {.verb = NULL},
};
