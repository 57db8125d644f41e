/* SPDX-License-Identifier: MIT */
/* sources: files that are watched for changes, by their names in their folders: so also where an editor replaces the file,
 * and where it does not exist yet. A folder that does not exist is waited for in the one above.
 * Not for several threads at once. */
#ifndef LS_LOOP_SOURCES_H
#define LS_LOOP_SOURCES_H

#include <stdbool.h>
#include <stddef.h>

struct ls_source {
  int folder;    /* inotify's number of it */
  unsigned hash; /* of name */
  char *name;    /* in the folder */
  char *path;    /* as it was given */
};

struct ls_sources {
  int fd; /* of inotify, non-blocking, for poll(2); -1: closed */
  struct ls_source *list;
  size_t count, room;
};

enum ls_source_change {
  LS_SOURCE_SAME,
  LS_SOURCE_BEGUN,   /* somebody writes */
  LS_SOURCE_WRITTEN, /* it is complete: the writer has closed it, or put it in its place */
};

/* 0 or a negative code. */
int ls_sources_init(struct ls_sources *sources);
void ls_sources_dispose(struct ls_sources *sources);

/* Watches one more, before it is read; one that is watched already counts once. What cannot be watched is left out. */
void ls_sources_add(struct ls_sources *sources, const char *path);

/* What has happened since the last look; does not wait. *path: of the last one that has changed, as it was given; it
 * lives as long as sources. */
enum ls_source_change ls_sources_read(struct ls_sources *sources, const char **path);

#endif
