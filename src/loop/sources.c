/* SPDX-License-Identifier: MIT */
#include "loop/sources.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define MASK (IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ONLYDIR)
#define SOURCES_MAX 8192
#define READ_SIZE 4096

int ls_sources_init(struct ls_sources *sources) {
  *sources = (struct ls_sources){.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
  return sources->fd < 0 ? -errno : 0;
}

void ls_sources_dispose(struct ls_sources *sources) {
  for (size_t i = 0; i < sources->count; i++) {
    free(sources->list[i].name);
    free(sources->list[i].path);
  }
  free(sources->list);
  if (sources->fd >= 0)
    close(sources->fd);
}

/* ---- adding ---- */

static unsigned hash_of(const char *name) {
  unsigned hash = 5381;
  for (; *name != '\0'; name++)
    hash = 33 * hash + (unsigned char)*name;
  return hash;
}

static struct ls_source *find(const struct ls_sources *sources, int folder, const char *name) {
  unsigned hash = hash_of(name);
  for (size_t i = 0; i < sources->count; i++) {
    struct ls_source *source = &sources->list[i];
    if (source->hash == hash && source->folder == folder && strcmp(source->name, name) == 0)
      return source;
  }
  return NULL;
}

static bool make_room(struct ls_sources *sources) {
  if (sources->count < sources->room)
    return true;
  size_t room = 2 * sources->room + 16;
  struct ls_source *more = sources->count < SOURCES_MAX ? realloc(sources->list, room * sizeof *more) : NULL;
  if (more == NULL)
    return false;
  sources->list = more;
  sources->room = room;
  return true;
}

static void append(struct ls_sources *sources, int folder, const char *name, const char *path) {
  if (find(sources, folder, name) != NULL || !make_room(sources))
    return;
  struct ls_source source = {.folder = folder, .hash = hash_of(name), .name = strdup(name), .path = strdup(path)};
  if (source.name == NULL || source.path == NULL) {
    free(source.name);
    free(source.path);
    return;
  }
  sources->list[sources->count++] = source;
}

/* Watches the last name of place, or of the innermost folder of it that is missing; changes place. */
static void add_place(struct ls_sources *sources, char *place, const char *path) {
  for (;;) {
    char *slash = strrchr(place, '/');
    const char *folder = slash == NULL ? "." : slash == place ? "/" : place;
    const char *name = slash != NULL ? slash + 1 : place;
    if (slash != NULL && slash != place)
      *slash = '\0';
    int number = inotify_add_watch(sources->fd, folder, MASK);
    if (number >= 0 && *name != '\0')
      append(sources, number, name, path);
    if (number >= 0 || slash == NULL || slash == place || errno != ENOENT)
      return;
  }
}

/* A link is watched, and the file that it leads to. */
void ls_sources_add(struct ls_sources *sources, const char *path) {
  char place[PATH_MAX], real[PATH_MAX];
  if (sources->fd < 0 || (size_t)snprintf(place, sizeof place, "%s", path) >= sizeof place)
    return;
  add_place(sources, place, path);
  if (realpath(path, real) != NULL)
    add_place(sources, real, path);
}

/* ---- looking ---- */

static enum ls_source_change take(const struct ls_sources *sources, const struct inotify_event *event, const char *name,
                                  const char **path) {
  if (event->mask & IN_Q_OVERFLOW) {
    *path = "something";
    return LS_SOURCE_WRITTEN;
  }
  const struct ls_source *source = NULL;
  if (event->len > 0)
    source = find(sources, event->wd, name);
  else if (event->mask & IN_IGNORED) /* the folder has gone, and may come back */
    for (size_t i = 0; i < sources->count && source == NULL; i++)
      source = sources->list[i].folder == event->wd ? &sources->list[i] : NULL;
  if (source == NULL)
    return LS_SOURCE_SAME;
  *path = source->path;
  return event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO) ? LS_SOURCE_WRITTEN : LS_SOURCE_BEGUN;
}

enum ls_source_change ls_sources_read(struct ls_sources *sources, const char **path) {
  char bytes[READ_SIZE] __attribute__((aligned(__alignof__(struct inotify_event))));
  enum ls_source_change last = LS_SOURCE_SAME;
  ssize_t size;
  while ((size = read(sources->fd, bytes, sizeof bytes)) > 0) {
    for (const char *at = bytes; at < bytes + size;) {
      const struct inotify_event *event = (const struct inotify_event *)(const void *)at;
      enum ls_source_change change = take(sources, event, event->name, path);
      if (change != LS_SOURCE_SAME)
        last = change;
      at += sizeof *event + event->len;
    }
  }
  return last;
}
