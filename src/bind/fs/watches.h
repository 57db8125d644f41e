/* SPDX-License-Identifier: MIT */
/* watches: the inotify instance of one fs.watch, and which watch descriptor stands for which folder.
 *
 * inotify (7) tells about the entries of a folder, not of those below it, so each folder of a tree has a watch of its
 * own. Adding them and looking into folders blocks: that is done on the pool. At any time one thread has a
 * struct ls_fs_watches: the pool's while a job adds to it, else the loop's. */
#ifndef LS_BIND_FS_WATCHES_H
#define LS_BIND_FS_WATCHES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct ls_fs;

struct ls_fs_watches {
  int fd; /* the inotify instance */
  bool recursive;
  char *root;              /* the folder's path */
  char *only;              /* the one name in it that matters: a file is watched through its folder; NULL: all */
  struct ls_buf found;     /* by ls_fs_watches_add: paths relative to the root, each with a NUL */
  struct ls_fs_watch *all; /* sorted by descriptor */
  size_t count, room;
};

struct ls_fs_watch {
  int descriptor;
  char *path; /* relative to the root, "" for itself */
};

/* Makes one for a path: a folder, or something else in one. Blocks. 0 or a negative code; *failed: what failed. */
int ls_fs_watches_new(const char *path, bool recursive, struct ls_fs_watches **watches, const char **failed);

/* Closes the instance, which can take milliseconds, on the pool. NULL is allowed. */
void ls_fs_watches_free(struct ls_fs_watches *watches, struct ls_fs *fs);

/* Watches a folder that has come into the tree, and those below it; notes in found what is in them. Blocks. 0 also when
 * the folder has gone again. */
int ls_fs_watches_add(struct ls_fs_watches *watches, const char *path);

/* The watch with that descriptor; NULL. Never blocks, as those below. */
struct ls_fs_watch *ls_fs_watches_find(const struct ls_fs_watches *watches, int descriptor);

/* Forgets a watch that the kernel has removed. */
void ls_fs_watches_forget(struct ls_fs_watches *watches, struct ls_fs_watch *watch);

/* The folder at path has left the tree: removes its watch and those below it. */
void ls_fs_watches_remove(struct ls_fs_watches *watches, const char *path);

/* The folder has moved inside the tree. 0 or -ENOMEM. */
int ls_fs_watches_rename(struct ls_fs_watches *watches, const char *from, const char *to);

#endif
