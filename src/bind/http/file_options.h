/* SPDX-License-Identifier: MIT */
/* file_options: what can be said of a file that is sent: the table that res:send_file takes, or a userdata made of one
 * before. */
#ifndef LS_BIND_HTTP_FILE_OPTIONS_H
#define LS_BIND_HTTP_FILE_OPTIONS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "bind/http/precondition.h"

struct ls_file_options {
  const char *path, *root; /* root NULL: the path as it is */
  const char *content_type, *cache_control,
      *disposition; /* field values; NULL: content_type by the path, the others none */
  const char *name; /* under which it is to be saved, where attached is set; NULL: its own */
  char *etag; /* as it is sent, with room for a coding; NULL: made from the file's attributes, where with_etag is set */
  int status; /* 0: res.status */
  bool follow, root_linked, with_etag, with_date, with_ranges, precompressed, attached;
};

/* Options whose strings are Lua's still, or here. */
struct ls_file_draft {
  struct ls_file_options options;
  char etag[LS_ETAG_MAX], cache_control[40];
};

/* The options at index, a table, prepared, or none, for this path. Raises for mistaken ones. May leave values on the stack,
 * which the strings need. Returns those that were prepared, or NULL. */
struct ls_file_options *ls_file_options_get(lua_State *L, int index, const char *path, struct ls_file_draft *draft);

/* The type of those that are prepared: before the first. */
void ls_file_options_open(lua_State *L);
int ls_http_l_prepare_file_options(lua_State *L);

/* What the strings take; with a root its path is kept behind that, in one string, for ls_file_source_init. */
size_t ls_file_options_size(const struct ls_file_options *options);
void ls_file_options_keep(struct ls_file_options *options, char *room);

/* Of options that were kept: the path as it was given. */
const char *ls_file_options_path(const struct ls_file_options *options);

#endif
