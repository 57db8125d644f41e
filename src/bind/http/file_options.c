/* SPDX-License-Identifier: MIT */
#include "bind/http/file_options.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "bind/http/answer.h"
#include "http/field.h"
#include "script/handle.h"
#include "script/options.h"

#define PREPARED "luaserve.file_options"

/* ---- strings ---- */

static size_t size_of(const char *text) {
  return text == NULL ? 0 : strlen(text) + 1;
}

size_t ls_file_options_size(const struct ls_file_options *options) {
  return 2 * size_of(options->root) + size_of(options->path) + size_of(options->content_type) +
         size_of(options->cache_control) + size_of(options->disposition) + size_of(options->name) +
         size_of(options->etag) + LS_ETAG_CODING_MAX;
}

static char *keep(char **room, const char *text) {
  if (text == NULL)
    return NULL;
  size_t size = strlen(text) + 1;
  char *kept = memcpy(*room, text, size);
  *room += size;
  return kept;
}

/* The root, with a '/' where its NUL would be, and then the path. */
static char *keep_path(char **room, const char *root, const char *path) {
  if (path == NULL || root == NULL)
    return keep(room, path);
  char *whole = keep(room, root);
  (*room)[-1] = '/';
  keep(room, path);
  return whole;
}

void ls_file_options_keep(struct ls_file_options *options, char *room) {
  options->path = keep_path(&room, options->root, options->path);
  options->root = keep(&room, options->root);
  options->content_type = keep(&room, options->content_type);
  options->cache_control = keep(&room, options->cache_control);
  options->disposition = keep(&room, options->disposition);
  options->name = keep(&room, options->name);
  options->etag = keep(&room, options->etag);
}

const char *ls_file_options_path(const struct ls_file_options *options) {
  return options->root == NULL ? options->path : options->path + strlen(options->root) + 1;
}

/* ---- from a table ---- */

static const char *check_value(lua_State *L, const char *name, const char *value) {
  if (value != NULL && !ls_field_value_is_valid(ls_slice_of(value)))
    luaL_error(L, "res:send_file: the %s contains CR, LF, NUL or another control character", name);
  return value;
}

/* An option that is true, false or a string, which goes to *text. Whether it is on. The table keeps the string. */
static bool read_switch(lua_State *L, int index, const char *name, bool fallback, const char **text) {
  *text = NULL;
  int kind = lua_getfield(L, index, name);
  if (kind == LUA_TNIL)
    return fallback;
  if (kind == LUA_TSTRING)
    *text = ls_option_string(L, index, name, NULL);
  else if (kind != LUA_TBOOLEAN)
    luaL_error(L, "option '%s' must be true, false or a string, not a %s", name, luaL_typename(L, -1));
  return lua_toboolean(L, -1);
}

static void read_etag(lua_State *L, int index, struct ls_file_draft *draft) {
  const char *text;
  draft->options.with_etag = read_switch(L, index, "etag", true, &text);
  if (text == NULL)
    return;
  char room[LS_ETAG_MAX];
  struct ls_slice etag = ls_http_check_etag(L, ls_slice_of(text), room);
  if (etag.len >= LS_ETAG_MAX)
    luaL_error(L, "option 'etag' is too long");
  memcpy(draft->etag, etag.ptr, etag.len);
  draft->etag[etag.len] = '\0';
  draft->options.etag = draft->etag;
}

static void read_cache_control(lua_State *L, int index, struct ls_file_draft *draft) {
  const char *value = check_value(L, "cache_control", ls_option_string(L, index, "cache_control", NULL));
  lua_Integer max_age = ls_option_integer(L, index, "max_age", 0, INT32_MAX, -1);
  draft->options.cache_control = value;
  if (max_age < 0)
    return;
  if (value != NULL)
    luaL_error(L, "res:send_file: cache_control and max_age say the same: give one of them");
  snprintf(draft->cache_control, sizeof draft->cache_control, "max-age=%lld", (long long)max_age);
  draft->options.cache_control = draft->cache_control;
}

static void read_table(lua_State *L, int index, struct ls_file_draft *draft) {
  static const char *const known[] = {"attachment",    "cache_control", "content_type",  "etag",
                                      "last_modified", "max_age",       "precompressed", "ranges",
                                      "root",          "status",        "symlinks",      NULL};
  struct ls_file_options *options = &draft->options;
  ls_options_check(L, index, "res:send_file", known);
  options->root = ls_option_string(L, index, "root", NULL);
  options->content_type = check_value(L, "content_type", ls_option_string(L, index, "content_type", NULL));
  options->status = (int)ls_option_integer(L, index, "status", 200, 599, 0);
  options->follow = ls_option_boolean(L, index, "symlinks", false);
  options->with_date = ls_option_boolean(L, index, "last_modified", true);
  options->with_ranges = ls_option_boolean(L, index, "ranges", true);
  options->precompressed = ls_option_boolean(L, index, "precompressed", false);
  options->attached = read_switch(L, index, "attachment", false, &options->name);
  read_etag(L, index, draft);
  read_cache_control(L, index, draft);
}

static void read_options(lua_State *L, int index, struct ls_file_draft *draft) {
  draft->options = (struct ls_file_options){.with_etag = true, .with_date = true, .with_ranges = true};
  if (!lua_isnoneornil(L, index) && !lua_isfunction(L, index))
    read_table(L, index, draft);
}

/* ---- prepared ---- */

struct prepared {
  struct ls_file_options options;
  char text[];
};

/* files.prepare(options) -> what res:send_file takes in their place, for who sends many files with the same. Raises as that
 * does.
 *   local prepared = files.prepare { root = "public", max_age = 3600 } */
int ls_http_l_prepare_file_options(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  struct ls_file_draft draft;
  read_options(L, 1, &draft);
  struct prepared *prepared = lua_newuserdatauv(L, sizeof *prepared + ls_file_options_size(&draft.options), 0);
  prepared->options = draft.options;
  ls_file_options_keep(&prepared->options, prepared->text);
  luaL_setmetatable(L, PREPARED);
  return 1;
}

struct ls_file_options *ls_file_options_get(lua_State *L, int index, const char *path, struct ls_file_draft *draft) {
  struct prepared *prepared = lua_isuserdata(L, index) ? luaL_testudata(L, index, PREPARED) : NULL;
  if (prepared != NULL)
    draft->options = prepared->options;
  else
    read_options(L, index, draft);
  struct ls_file_options *options = &draft->options;
  options->path = path;
  if (options->attached)
    options->disposition = ls_http_push_disposition(L, ls_slice_of(options->name != NULL ? options->name : path));
  return prepared != NULL ? &prepared->options : NULL;
}

void ls_file_options_open(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  ls_handle_type(L, PREPARED, methods, NULL);
}
