/* SPDX-License-Identifier: MIT */
/* level: going through a tree of folders without recursion: the entries of a folder in memory, a stack of such folders,
 * and a cursor that holds one descriptor whatever the depth.
 *
 * Records are what a folder's entries are kept as, one after the other: a byte for the type (DT_REG and so on), the
 * name, NUL. None of this is bound to a thread. */
#ifndef LS_BIND_FS_LEVEL_H
#define LS_BIND_FS_LEVEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/buf.h"

/* Which folder it is, however it is called. */
struct ls_fs_id {
  dev_t device;
  ino_t inode;
};

static inline struct ls_fs_id ls_fs_id_of(const struct stat *st) {
  return (struct ls_fs_id){st->st_dev, st->st_ino};
}

static inline bool ls_fs_id_is(struct ls_fs_id id, const struct stat *st) {
  return id.device == st->st_dev && id.inode == st->st_ino;
}

/* ---- the entries of a folder ---- */

/* What ls_fs_list does for the type of an entry. */
enum ls_fs_types {
  LS_FS_TYPES_CHEAP,  /* DT_UNKNOWN where the file system does not tell */
  LS_FS_TYPES,        /* asks then */
  LS_FS_TYPES_FOLLOW, /* a link has the type of what it points to; DT_LNK where that is nothing */
};

/* Appends a record for each entry but "." and ".." to records; the number of them, or a negative code. Blocks. The
 * descriptor of the folder stays open. */
long ls_fs_list(int folder, struct ls_buf *records, enum ls_fs_types types);

/* Puts count records in the order of their names' bytes. 0 or -ENOMEM. */
int ls_fs_sort(struct ls_buf *records, size_t count);

/* The length of a record. */
static inline size_t ls_fs_record_length(const char *record) {
  return strlen(record + 1) + 2;
}

/* ---- a stack of folders ---- */

struct ls_fs_level {
  struct ls_buf records; /* those that have not been taken yet */
  const char *at;        /* the next one; NULL: none is left */
  struct ls_fs_id id, target_id;
  mode_t mode;
  size_t path_length; /* of the path to it */
};

struct ls_fs_levels {
  struct ls_fs_level *all;
  size_t count, room;
};

/* Puts a folder on top; takes records over in any case. 0 or -ENOMEM. */
int ls_fs_levels_push(struct ls_fs_levels *levels, struct ls_buf *records, const struct stat *st, size_t path_length);
void ls_fs_levels_pop(struct ls_fs_levels *levels);
void ls_fs_levels_dispose(struct ls_fs_levels *levels);
/* Whether it is one of those on the stack. */
bool ls_fs_levels_has(const struct ls_fs_levels *levels, const struct stat *st);

static inline struct ls_fs_level *ls_fs_levels_top(const struct ls_fs_levels *levels) {
  return &levels->all[levels->count - 1];
}

/* Takes the next record, which is valid until the level goes; NULL: there is none left. */
const char *ls_fs_level_next(struct ls_fs_level *level);

/* ---- a cursor ---- */

/* Stands in one folder of a tree. It goes down by a name, never through a link, and up by "..", where it must find the
 * folder that it came from: nothing outside the tree is touched, also when somebody moves folders meanwhile. */
struct ls_fs_cursor {
  int fd; /* of the folder on top; -1 */
  struct ls_fs_levels levels;
  struct ls_buf path; /* of that folder, with a NUL behind it that does not count */
};

/* Prepares; path is the root's. 0 or -ENOMEM. */
int ls_fs_cursor_init(struct ls_fs_cursor *cursor, const char *path);
void ls_fs_cursor_dispose(struct ls_fs_cursor *cursor);

/* Goes into a folder in the one it is in (or from AT_FDCWD, the root) and lists it. */
int ls_fs_cursor_enter(struct ls_fs_cursor *cursor, const char *name);

/* Goes up; not from the root. The name of the folder it was in is still behind the path's end: ls_fs_cursor_left. */
int ls_fs_cursor_leave(struct ls_fs_cursor *cursor);

/* The name of the folder that leave has just left. */
static inline const char *ls_fs_cursor_left(const struct ls_fs_cursor *cursor) {
  return ls_buf_bytes(&cursor->path) + cursor->path.len + 1;
}

/* The path of an entry in the folder it is in; of that folder when name is NULL. malloc'ed; NULL: out of memory. */
char *ls_fs_cursor_path(const struct ls_fs_cursor *cursor, const char *name);

/* Opens fd's parent, which must be the folder id. A descriptor (O_PATH) or a negative code; fd is closed. */
int ls_fs_go_up(int fd, struct ls_fs_id id);

#endif
