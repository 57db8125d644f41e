/* SPDX-License-Identifier: MIT */
#include "bind/fs/level.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "bind/fs/impl.h"

/* ---- the entries of a folder ---- */

static unsigned char type_of(const struct dirent *entry, int folder, enum ls_fs_types types) {
  struct stat st;
  unsigned char type = entry->d_type;
  if (types == LS_FS_TYPES_CHEAP)
    return type;
  if (type == DT_UNKNOWN && fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
    type = IFTODT(st.st_mode);
  if (type == DT_LNK && types == LS_FS_TYPES_FOLLOW && fstatat(folder, entry->d_name, &st, 0) == 0)
    type = IFTODT(st.st_mode);
  return type;
}

static bool is_dots(const char *name) {
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static long list(DIR *folder, struct ls_buf *records, enum ls_fs_types types) {
  for (long count = 0;;) {
    errno = 0;
    /* cppcheck-suppress readdirCalled ; one thread has the folder, and readdir_r is deprecated */
    const struct dirent *entry = readdir(folder);
    if (entry == NULL)
      return errno != 0 ? -errno : count;
    if (is_dots(entry->d_name))
      continue;
    unsigned char type = type_of(entry, dirfd(folder), types);
    if (ls_buf_append(records, &type, 1) != 0 || ls_buf_append(records, entry->d_name, strlen(entry->d_name) + 1) != 0)
      return -ENOMEM;
    count++;
  }
}

long ls_fs_list(int folder, struct ls_buf *records, enum ls_fs_types types) {
  int fd = fcntl(folder, F_DUPFD_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  DIR *stream = fdopendir(fd);
  if (stream == NULL) {
    int code = -errno;
    close(fd);
    return code;
  }
  long count = list(stream, records, types);
  closedir(stream);
  return count;
}

static int compare(const void *a, const void *b) {
  return strcmp(*(const char *const *)a + 1, *(const char *const *)b + 1);
}

int ls_fs_sort(struct ls_buf *records, size_t count) {
  struct ls_buf sorted = {0};
  const char **order = malloc((count + 1) * sizeof *order);
  if (order == NULL || ls_buf_reserve(&sorted, records->len + 1) != 0) {
    free(order);
    return -ENOMEM;
  }
  const char *record = ls_buf_bytes(records);
  for (size_t i = 0; i < count; i++) {
    order[i] = record;
    record += ls_fs_record_length(record);
  }
  qsort(order, count, sizeof *order, compare);
  for (size_t i = 0; i < count; i++)
    ls_buf_append(&sorted, order[i], ls_fs_record_length(order[i])); /* there is room */
  free(order);
  ls_buf_dispose(records);
  *records = sorted;
  return 0;
}

/* ---- a stack of folders ---- */

int ls_fs_levels_push(struct ls_fs_levels *levels, struct ls_buf *records, const struct stat *st, size_t path_length) {
  if (levels->count == levels->room) {
    size_t room = levels->room == 0 ? 8 : 2 * levels->room;
    struct ls_fs_level *all = realloc(levels->all, room * sizeof *all);
    if (all == NULL) {
      ls_buf_dispose(records);
      return -ENOMEM;
    }
    levels->all = all;
    levels->room = room;
  }
  struct ls_fs_level *level = &levels->all[levels->count++];
  *level =
      (struct ls_fs_level){.records = *records, .id = ls_fs_id_of(st), .mode = st->st_mode, .path_length = path_length};
  level->at = records->len > 0 ? ls_buf_bytes(records) : NULL;
  ls_buf_init(records);
  return 0;
}

void ls_fs_levels_pop(struct ls_fs_levels *levels) {
  ls_buf_dispose(&levels->all[--levels->count].records);
}

void ls_fs_levels_dispose(struct ls_fs_levels *levels) {
  while (levels->count > 0)
    ls_fs_levels_pop(levels);
  free(levels->all);
  *levels = (struct ls_fs_levels){0};
}

bool ls_fs_levels_has(const struct ls_fs_levels *levels, const struct stat *st) {
  for (size_t i = 0; i < levels->count; i++) {
    if (ls_fs_id_is(levels->all[i].id, st))
      return true;
  }
  return false;
}

const char *ls_fs_level_next(struct ls_fs_level *level) {
  const char *record = level->at;
  if (record == NULL)
    return NULL;
  level->at += ls_fs_record_length(record);
  if (level->at == ls_buf_bytes(&level->records) + level->records.len)
    level->at = NULL;
  return record;
}

/* ---- a cursor ---- */

/* Cuts path to length and appends name behind a slash, unless either is empty. The NUL does not count. */
static int set_path(struct ls_buf *path, size_t length, const char *name) {
  path->len = length;
  if (ls_buf_reserve(path, strlen(name) + 2) != 0)
    return -ENOMEM;
  if (length > 0 && *name != '\0')
    ls_buf_append(path, "/", 1);
  ls_buf_append(path, name, strlen(name) + 1);
  path->len--;
  return 0;
}

int ls_fs_cursor_init(struct ls_fs_cursor *cursor, const char *path) {
  *cursor = (struct ls_fs_cursor){.fd = -1};
  size_t length = strlen(path);
  if (set_path(&cursor->path, 0, path) != 0)
    return -ENOMEM;
  while (length > 1 && path[length - 1] == '/')
    length--;
  cursor->path.len = length;
  return 0;
}

void ls_fs_cursor_dispose(struct ls_fs_cursor *cursor) {
  if (cursor->fd >= 0)
    close(cursor->fd);
  ls_fs_levels_dispose(&cursor->levels);
  ls_buf_dispose(&cursor->path);
}

int ls_fs_cursor_enter(struct ls_fs_cursor *cursor, const char *name) {
  bool root = cursor->levels.count == 0;
  int fd = ls_fs_open(root ? AT_FDCWD : cursor->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (fd < 0)
    return -errno;
  struct stat st;
  struct ls_buf records = {0};
  int code = fstat(fd, &st) != 0 ? -errno : 0;
  long count = code == 0 ? ls_fs_list(fd, &records, LS_FS_TYPES_CHEAP) : code;
  if (count >= 0 && !root)
    code = set_path(&cursor->path, cursor->path.len, name); /* name may lie in the level below, which stays */
  else if (count < 0)
    code = (int)count;
  if (code == 0)
    code = ls_fs_levels_push(&cursor->levels, &records, &st, cursor->path.len);
  ls_buf_dispose(&records);
  if (code != 0) {
    close(fd);
    return code;
  }
  if (cursor->fd >= 0)
    close(cursor->fd);
  cursor->fd = fd;
  return 0;
}

int ls_fs_go_up(int fd, struct ls_fs_id id) {
  struct stat st;
  int parent = ls_fs_open(fd, "..", O_PATH | O_DIRECTORY, 0);
  int code = parent < 0 || fstat(parent, &st) != 0 ? -errno : 0;
  if (code == 0 && !ls_fs_id_is(id, &st))
    code = -ESTALE;
  close(fd);
  if (code != 0 && parent >= 0)
    close(parent);
  return code != 0 ? code : parent;
}

int ls_fs_cursor_leave(struct ls_fs_cursor *cursor) {
  ls_fs_levels_pop(&cursor->levels);
  const struct ls_fs_level *level = ls_fs_levels_top(&cursor->levels);
  cursor->fd = ls_fs_go_up(cursor->fd, level->id);
  if (cursor->fd < 0) {
    int code = cursor->fd;
    cursor->fd = -1;
    return code;
  }
  ls_buf_bytes(&cursor->path)[cursor->path.len] = '\0'; /* where a longer path may have gone on */
  cursor->path.len = level->path_length;
  return 0;
}

char *ls_fs_cursor_path(const struct ls_fs_cursor *cursor, const char *name) {
  struct ls_buf path = {0};
  if (ls_buf_append(&path, ls_buf_bytes(&cursor->path), cursor->path.len) != 0 ||
      set_path(&path, path.len, name != NULL ? name : "") != 0) {
    ls_buf_dispose(&path);
    return NULL;
  }
  return path.data;
}
