/* SPDX-License-Identifier: MIT */
#include "http/file_path.h"

#include <string.h>

#include "http/url.h"

static bool has_encoded_slash(struct ls_slice path) {
  for (size_t i = 0; i + 2 < path.len; i++)
    if (path.ptr[i] == '%' && path.ptr[i + 1] == '2' && (path.ptr[i + 2] | 0x20) == 'f')
      return true;
  return false;
}

static bool begins_with(struct ls_slice path, struct ls_slice start) {
  return path.len >= start.len && memcmp(path.ptr, start.ptr, start.len) == 0;
}

/* Where names count that begin with a dot. */
static size_t skip_well_known(struct ls_slice path) {
  static const char name[] = ".well-known/";
  return begins_with(path, ls_slice(name, sizeof name - 1)) ? sizeof name - 1 : 0;
}

bool ls_file_path_of(struct ls_slice *path, bool encoded, bool dotfiles, char *room) {
  while (path->len > 0 && path->ptr[0] == '/')
    *path = ls_slice(path->ptr + 1, path->len - 1);
  if (encoded && path->len > 0 && memchr(path->ptr, '%', path->len) != NULL) {
    if (has_encoded_slash(*path))
      return false;
    *path = ls_slice(room, ls_url_decode(*path, false, room));
  }
  char before = '/';
  for (size_t i = dotfiles ? 0 : skip_well_known(*path); i < path->len; i++) {
    char c = path->ptr[i];
    if (c == '\\' || c == '\0' || (before == '/' && (c == '/' || (c == '.' && !dotfiles))))
      return false;
    before = c;
  }
  return true;
}
