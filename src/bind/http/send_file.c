/* SPDX-License-Identifier: MIT */
#include "bind/http/send_file.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "bind/http/answer.h"
#include "bind/http/fault.h"
#include "bind/http/file_answer.h"
#include "bind/http/response.h"
#include "http/negotiate.h"
#include "http/parser.h"
#include "script/options.h"
#include "script/runtime.h"
#include "server/response.h"

/* ---- the operation ---- */

static int push_sent(lua_State *L, struct ls_op *op) {
  struct ls_file_answer *answer = ls_container_of(op, struct ls_file_answer, op);
  if (answer->head_error != LUA_NOREF) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, answer->head_error);
    return lua_error(L);
  }
  if (answer->source.failed != NULL) {
    int count = ls_push_failure(L, answer->status, "%s '%s'", answer->source.failed, answer->options.path);
    if (answer->generation == answer->call->generation)
      ls_fault_note(L, answer->call, "res:send_file");
    return count;
  }
  return ls_http_push_sent(L, answer->status);
}

static bool cancel_send_file(struct ls_op *op) {
  return ls_file_feed_cancel(ls_container_of(op, struct ls_file_answer, op));
}

static void free_send_file(struct ls_op *op) {
  struct ls_file_answer *answer = ls_container_of(op, struct ls_file_answer, op);
  ls_file_feed_dispose(answer);
  if (op->rt->L != NULL)
    luaL_unref(op->rt->L, LUA_REGISTRYINDEX, answer->head_error);
  free(answer);
}

static const struct ls_op_type type = {
    .name = "res:send_file", .push = push_sent, .cancel = cancel_send_file, .free = free_send_file};

/* ---- options ---- */

/* Options whose strings are Lua's still, or here. */
struct draft {
  struct ls_file_options options;
  char etag[LS_ETAG_MAX], cache_control[40];
};

static const char *check_value(lua_State *L, const char *name, const char *value) {
  if (value != NULL && !ls_field_value_is_valid(ls_slice_of(value)))
    luaL_error(L, "res:send_file: the %s contains CR, LF, NUL or another control character", name);
  return value;
}

/* An option that is true, false or a string, which goes to *text. Whether it is on. The table keeps the string. */
static bool read_switch(lua_State *L, const char *name, bool fallback, const char **text) {
  *text = NULL;
  int kind = lua_istable(L, 3) ? lua_getfield(L, 3, name) : LUA_TNIL;
  if (kind == LUA_TNIL)
    return fallback;
  if (kind == LUA_TSTRING)
    *text = ls_option_string(L, 3, name, NULL);
  else if (kind != LUA_TBOOLEAN)
    luaL_error(L, "option '%s' must be true, false or a string, not a %s", name, luaL_typename(L, -1));
  return lua_toboolean(L, -1);
}

static void read_etag(lua_State *L, struct draft *draft) {
  const char *text;
  draft->options.with_etag = read_switch(L, "etag", true, &text);
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

static void read_cache_control(lua_State *L, struct draft *draft) {
  const char *value = check_value(L, "cache_control", ls_option_string(L, 3, "cache_control", NULL));
  lua_Integer max_age = ls_option_integer(L, 3, "max_age", 0, INT32_MAX, -1);
  draft->options.cache_control = value;
  if (max_age < 0)
    return;
  if (value != NULL)
    luaL_error(L, "res:send_file: cache_control and max_age say the same: give one of them");
  snprintf(draft->cache_control, sizeof draft->cache_control, "max-age=%lld", (long long)max_age);
  draft->options.cache_control = draft->cache_control;
}

/* Leaves the value's memory on the stack. */
static void read_attachment(lua_State *L, struct draft *draft) {
  const char *name;
  if (!read_switch(L, "attachment", false, &name))
    return;
  if (name == NULL)
    name = draft->options.path;
  draft->options.disposition = ls_http_push_disposition(L, ls_slice_of(name));
}

static void read_options(lua_State *L, int index, struct draft *draft) {
  static const char *const known[] = {"attachment",    "cache_control", "content_type",  "etag",
                                      "last_modified", "max_age",       "precompressed", "ranges",
                                      "root",          "status",        "symlinks",      NULL};
  struct ls_file_options *options = &draft->options;
  if (!lua_isfunction(L, index))
    ls_options_check(L, index, "res:send_file", known);
  options->root = ls_option_string(L, index, "root", NULL);
  options->content_type = check_value(L, "content_type", ls_option_string(L, index, "content_type", NULL));
  options->status = (int)ls_option_integer(L, index, "status", 200, 599, 0);
  options->follow = ls_option_boolean(L, index, "symlinks", false);
  options->with_date = ls_option_boolean(L, index, "last_modified", true);
  options->with_ranges = ls_option_boolean(L, index, "ranges", true);
  options->precompressed = ls_option_boolean(L, index, "precompressed", false);
  read_etag(L, draft);
  read_cache_control(L, draft);
  read_attachment(L, draft);
}

/* ---- coded forms ---- */

/* The better one first. */
static const struct {
  const char *extension;
  enum ls_coding coding;
} codings[] = {{".br", LS_CODING_BROTLI}, {".gz", LS_CODING_GZIP}};

static void add_candidate(struct ls_file_answer *answer, const char *path, const char *coding) {
  answer->candidates[answer->candidate_count++] = (struct ls_file_candidate){.path = path, .coding = coding};
}

/* Brings the files that would do into their order, with memory from room. */
static void list_candidates(struct ls_file_answer *answer, const struct ls_head *head, char *room) {
  const char *path = answer->options.path;
  size_t len = strlen(path);
  for (size_t i = 0; answer->options.precompressed && i < sizeof codings / sizeof *codings; i++) {
    if (ls_negotiate_coding(head, &codings[i].coding, 1) == LS_CODING_IDENTITY)
      continue;
    memcpy(room, path, len);
    memcpy(room + len, codings[i].extension, sizeof ".br");
    add_candidate(answer, room, ls_coding_name(codings[i].coding).ptr);
    room += len + sizeof ".br";
  }
  add_candidate(answer, path, NULL);
}

/* ---- res:send_file ---- */

/* The text goes behind the struct: a job may need it when Lua has forgotten it. */
static char *keep(char **room, const char *text) {
  if (text == NULL)
    return NULL;
  size_t size = strlen(text) + 1;
  char *kept = memcpy(*room, text, size);
  *room += size;
  return kept;
}

static size_t size_of(const char *text) {
  return text == NULL ? 0 : strlen(text) + 1;
}

static bool wants_first(const struct ls_head *head) {
  return head->method == HTTP_GET && ls_head_get(head, LS_FIELD_RANGE).ptr == NULL &&
         ls_head_get(head, LS_FIELD_IF_NONE_MATCH).ptr == NULL &&
         ls_head_get(head, LS_FIELD_IF_MODIFIED_SINCE).ptr == NULL;
}

static struct ls_file_answer *new_answer(lua_State *L, struct ls_call *call, const struct ls_file_options *options) {
  const struct ls_head *head = &call->request->exchange.head;
  size_t coded = options->precompressed ? 2 * (strlen(options->path) + sizeof ".br") : 0;
  size_t size = size_of(options->path) + size_of(options->root) + size_of(options->content_type) +
                size_of(options->cache_control) + size_of(options->disposition) + size_of(options->etag) +
                LS_ETAG_CODING_MAX + coded;
  struct ls_file_answer *answer = ls_op_alloc(L, sizeof *answer + size);
  char *room = answer->text;
  answer->options = *options;
  answer->options.path = keep(&room, options->path);
  answer->options.root = keep(&room, options->root);
  answer->options.content_type = keep(&room, options->content_type);
  answer->options.cache_control = keep(&room, options->cache_control);
  answer->options.disposition = keep(&room, options->disposition);
  answer->options.etag = keep(&room, options->etag);
  room += LS_ETAG_CODING_MAX;
  list_candidates(answer, head, room);
  answer->first_wanted = wants_first(head);
  answer->call = call;
  answer->generation = call->generation;
  answer->module = call->module;
  answer->head_error = LUA_NOREF;
  answer->lent = -1;
  ls_op_init(L, &answer->op, &type);
  return answer;
}

/* res:send_file(path [, options] [, callback]) -> true; or nil, message, code
 * Async. A file of any size as the whole answer; returns when all of it has been handed to the connection. Says ETag,
 * Last-Modified and Accept-Ranges, and answers conditional requests (304, 412; RFC 9110 13) and requests for ranges (206,
 * 416; RFC 9110 14) by itself. What was set with res:set wins over all of these and over the options.
 *   root           the folder that path is relative to and cannot leave: not by "..", a '/' in front or a symbolic link
 *   symlinks       false  true: links may lead out of the root
 *   content_type   in place of the one that goes with the path's extension
 *   status         res.status; ranges are for 200 only, preconditions for 2xx
 *   etag           true: by size, time and inode, weak while the file is fresh; a string; false: none
 *   last_modified  true
 *   ranges         true
 *   cache_control  the field's value; or max_age, in seconds
 *   attachment     false  true: to be saved, under its own name; a string: under this name
 *   precompressed  false  true: path.br or path.gz in its place, where it is there and the client takes it
 * Before anything is sent it fails with ENOENT, ENOTDIR and ENAMETOOLONG (there is no such file either), EACCES (also: it
 * would leave the root), EISDIR, EINVAL (no regular file) and so on, and another answer can be given. If the file becomes
 * shorter or unreadable while it is sent, or the operation is cancelled then, the connection is reset. nil, "closed",
 * "ECLOSED": the client has left. Raises for other options and when the response has been begun.
 *   if not res:send_file(req:decoded_path():sub(2), { root = "public" }) then res:send(404, "not found") end */
int ls_http_l_send_file(lua_State *L) {
  int callback_index = lua_isfunction(L, 3) ? 3 : 4;
  ls_op_check(L, callback_index, "res:send_file");
  struct ls_call *call = ls_http_check(L, 1, ls_http_response_type);
  lua_settop(L, callback_index);
  struct draft draft = {.options = {0}};
  size_t len;
  draft.options.path = luaL_checklstring(L, 2, &len);
  read_options(L, 3, &draft);
  if (ls_response_is_begun(call->request) && !call->gone)
    luaL_error(L, "the response has been sent already");
  struct ls_file_answer *answer = new_answer(L, call, &draft.options);
  if (strlen(draft.options.path) == len)
    ls_file_feed_start(answer);
  else /* a NUL, from a client perhaps: no file has such a name */
    ls_file_feed_refuse(answer, -ENOENT);
  return ls_op_await(L, &answer->op, callback_index);
}
