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
    int count =
        ls_push_failure(L, answer->status, "%s '%s'", answer->source.failed, ls_file_options_path(&answer->options));
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

/* ---- coded forms ---- */

/* The better one first. */
static const struct {
  const char *extension;
  enum ls_coding coding;
} codings[] = {{".br", LS_CODING_BROTLI}, {".gz", LS_CODING_GZIP}};

static void add_candidate(struct ls_file_answer *answer, const char *path, const char *coding) {
  answer->candidates[answer->candidate_count++] = (struct ls_file_candidate){.path = path, .coding = coding};
}

/* What list_candidates may need. */
static size_t candidates_size(const struct ls_file_options *options) {
  size_t root = options->root == NULL ? 0 : strlen(options->root) + 1;
  return options->precompressed ? sizeof codings / sizeof *codings * (root + strlen(options->path) + sizeof ".br") : 0;
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

static bool wants_first(const struct ls_head *head) {
  return head->method == HTTP_GET && ls_head_get(head, LS_FIELD_RANGE).ptr == NULL &&
         ls_head_get(head, LS_FIELD_IF_NONE_MATCH).ptr == NULL &&
         ls_head_get(head, LS_FIELD_IF_MODIFIED_SINCE).ptr == NULL;
}

/* The options with strings of its own: a job may need them when Lua has forgotten them. */
static struct ls_file_answer *new_answer(lua_State *L, struct ls_call *call, const struct ls_file_options *options) {
  size_t size = ls_file_options_size(options);
  struct ls_file_answer *answer = ls_op_alloc(L, sizeof *answer + size + candidates_size(options));
  answer->options = *options;
  ls_file_options_keep(&answer->options, answer->text);
  list_candidates(answer, &call->request->exchange.head, answer->text + size);
  answer->first_wanted = wants_first(&call->request->exchange.head);
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
  size_t len;
  const char *path = luaL_checklstring(L, 2, &len);
  struct ls_file_draft draft;
  struct ls_file_options *prepared = ls_file_options_get(L, 3, path, &draft);
  if (ls_response_is_begun(call->request) && !call->gone)
    luaL_error(L, "the response has been sent already");
  struct ls_file_answer *answer = new_answer(L, call, &draft.options);
  if (strlen(path) == len)
    ls_file_feed_start(answer);
  else /* a NUL, from a client perhaps: no file has such a name */
    ls_file_feed_refuse(answer, -ENOENT);
  if (prepared != NULL)
    prepared->root_linked = answer->options.root_linked; /* learned where it was opened at once */
  return ls_op_await(L, &answer->op, callback_index);
}
