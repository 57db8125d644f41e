/* SPDX-License-Identifier: MIT */
#include "bind/fs/watches.h"

#include <dirent.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "bind/fs/impl.h"

#define EVENTS                                                                                                     \
  (IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | \
   IN_MOVE_SELF)

/* ---- the table ---- */

/* Where the descriptor is or would be. */
static size_t place_of(const struct ls_fs_watches *watches, int descriptor) {
  size_t low = 0, high = watches->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (watches->all[middle].descriptor < descriptor)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

struct ls_fs_watch *ls_fs_watches_find(const struct ls_fs_watches *watches, int descriptor) {
  size_t i = place_of(watches, descriptor);
  return i < watches->count && watches->all[i].descriptor == descriptor ? &watches->all[i] : NULL;
}

void ls_fs_watches_forget(struct ls_fs_watches *watches, struct ls_fs_watch *watch) {
  free(watch->path);
  watches->count--;
  memmove(watch, watch + 1, (size_t)(&watches->all[watches->count] - watch) * sizeof *watch);
}

/* The same folder has the same descriptor, whatever its path. */
static int put(struct ls_fs_watches *watches, int descriptor, const char *path) {
  char *copy = strdup(path);
  if (copy == NULL)
    return -ENOMEM;
  struct ls_fs_watch *known = ls_fs_watches_find(watches, descriptor);
  if (known != NULL) {
    free(known->path);
    known->path = copy;
    return 0;
  }
  if (watches->count == watches->room) {
    size_t room = watches->room == 0 ? 4 : 2 * watches->room;
    struct ls_fs_watch *all = realloc(watches->all, room * sizeof *all);
    if (all == NULL) {
      free(copy);
      return -ENOMEM;
    }
    watches->all = all;
    watches->room = room;
  }
  size_t i = place_of(watches, descriptor);
  memmove(&watches->all[i + 1], &watches->all[i], (watches->count - i) * sizeof *watches->all);
  watches->all[i].descriptor = descriptor;
  watches->all[i].path = copy;
  watches->count++;
  return 0;
}

/* Whether it is the folder or one below it. */
static bool is_in(const char *path, const char *folder) {
  size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

void ls_fs_watches_remove(struct ls_fs_watches *watches, const char *path) {
  for (size_t i = watches->count; i-- > 0;) {
    struct ls_fs_watch *watch = &watches->all[i];
    if (!is_in(watch->path, path))
      continue;
    inotify_rm_watch(watches->fd, watch->descriptor);
    ls_fs_watches_forget(watches, watch);
  }
}

int ls_fs_watches_rename(struct ls_fs_watches *watches, const char *from, const char *to) {
  size_t old = strlen(from), size = strlen(to);
  for (size_t i = 0; i < watches->count; i++) {
    char *path = watches->all[i].path;
    if (!is_in(path, from))
      continue;
    char *renamed = malloc(size + strlen(path + old) + 1);
    if (renamed == NULL)
      return -ENOMEM;
    memcpy(renamed, to, size);
    strcpy(renamed + size, path + old);
    free(path);
    watches->all[i].path = renamed;
  }
  return 0;
}

/* ---- adding; on the pool ---- */

/* Appends the two parts, with a slash between them unless one is empty, and a NUL. */
static int append_path(struct ls_buf *buf, const char *folder, const char *name) {
  if (ls_buf_append(buf, folder, strlen(folder)) != 0)
    return -ENOMEM;
  if (*folder != '\0' && *name != '\0' && ls_buf_append(buf, "/", 1) != 0)
    return -ENOMEM;
  return ls_buf_append(buf, name, strlen(name) + 1);
}

/* Only the root may be a link. */
static int watch_folder(struct ls_fs_watches *watches, const char *full, const char *path) {
  uint32_t flags = IN_ONLYDIR | (*path != '\0' ? IN_DONT_FOLLOW : 0);
  int descriptor = inotify_add_watch(watches->fd, full, EVENTS | flags);
  return descriptor < 0 ? -errno : put(watches, descriptor, path);
}

/* Notes what is in the folder in found, where that is wanted, and its folders in pending. */
static int look_into(struct ls_fs_watches *watches, const char *full, const char *path, bool report,
                     struct ls_buf *pending) {
  struct ls_buf records = {0};
  int fd = ls_fs_open(AT_FDCWD, full, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0)
    return -errno;
  long count = ls_fs_list(fd, &records, LS_FS_TYPES);
  close(fd);
  int code = count < 0 ? (int)count : ls_fs_sort(&records, (size_t)count);
  const char *record = ls_buf_bytes(&records);
  for (long i = 0; i < count && code == 0; i++, record += ls_fs_record_length(record)) {
    if (report &&
        (ls_buf_append(&watches->found, record, 1) != 0 || append_path(&watches->found, path, record + 1) != 0))
      code = -ENOMEM;
    if (*record == DT_DIR && code == 0)
      code = append_path(pending, path, record + 1);
  }
  ls_buf_dispose(&records);
  return code;
}

/* A folder is watched before it is looked into: what comes into it meanwhile may be seen twice, but never missed. */
static int add_one(struct ls_fs_watches *watches, const char *path, bool report, struct ls_buf *pending) {
  struct ls_buf full = {0};
  int code = append_path(&full, watches->root, path);
  if (code == 0)
    code = watch_folder(watches, ls_buf_bytes(&full), path);
  if (code == 0 && watches->recursive)
    code = look_into(watches, ls_buf_bytes(&full), path, report, pending);
  ls_buf_dispose(&full);
  return code;
}

static bool has_gone(int code) {
  return code == -ENOENT || code == -ENOTDIR || code == -ELOOP;
}

/* Folders that cannot be read are left out, as those that go away meanwhile. */
static int add_tree(struct ls_fs_watches *watches, const char *top, bool report) {
  struct ls_buf pending = {0};
  int code = ls_buf_append(&pending, top, strlen(top) + 1);
  bool first = true;
  while (code == 0 && pending.len > 0) {
    char *path = strdup(ls_buf_bytes(&pending));
    if (path == NULL) {
      code = -ENOMEM;
      break;
    }
    ls_buf_consume(&pending, strlen(path) + 1);
    code = add_one(watches, path, report, &pending);
    if ((!first || report) && (has_gone(code) || code == -EACCES))
      code = 0;
    first = false;
    free(path);
  }
  ls_buf_dispose(&pending);
  return code;
}

int ls_fs_watches_add(struct ls_fs_watches *watches, const char *path) {
  return add_tree(watches, path, true);
}

/* Something else than a folder is watched through its folder, so that it is still seen when it has been replaced. */
static int set_root(struct ls_fs_watches *watches, const char *path) {
  struct stat st;
  if (stat(path, &st) != 0)
    return -errno;
  watches->root = strdup(path);
  if (watches->root == NULL)
    return -ENOMEM;
  if (S_ISDIR(st.st_mode))
    return 0;
  watches->recursive = false;
  char *copy = strdup(path);
  watches->only = copy != NULL ? strdup(basename(copy)) : NULL;
  free(copy);
  if (watches->only == NULL)
    return -ENOMEM;
  const char *folder = dirname(watches->root); /* its beginning, or a constant "." */
  memmove(watches->root, folder, strlen(folder) + 1);
  return 0;
}

int ls_fs_watches_new(const char *path, bool recursive, struct ls_fs_watches **result, const char **failed) {
  struct ls_fs_watches *watches = calloc(1, sizeof *watches);
  if (watches == NULL)
    return -ENOMEM;
  *result = watches;
  watches->recursive = recursive;
  watches->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (watches->fd < 0) {
    int code = -errno;
    *failed = code == -EMFILE ? "watch (no more files, or fs.inotify.max_user_instances reached)" : NULL;
    return code;
  }
  int code = set_root(watches, path);
  if (code == 0)
    code = add_tree(watches, "", false);
  if (code == -ENOSPC)
    *failed = "watch (fs.inotify.max_user_watches reached)";
  return code;
}

void ls_fs_watches_free(struct ls_fs_watches *watches, struct ls_fs *fs) {
  if (watches == NULL)
    return;
  if (watches->fd >= 0)
    ls_fs_close_later(fs, watches->fd);
  while (watches->count > 0)
    free(watches->all[--watches->count].path);
  free(watches->all);
  ls_buf_dispose(&watches->found);
  free(watches->only);
  free(watches->root);
  free(watches);
}
