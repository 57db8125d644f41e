/* SPDX-License-Identifier: MIT */
#include "bind/http/send_file.h"

#include <stdlib.h>
#include <strings.h>

#include "base/error.h"
#include "bind/http/impl.h"
#include "loop/work.h"
#include "script/options.h"
#include "script/runtime.h"
#include "server/response.h"

/* The file is read whole, so it should not be larger than what a process likes to hold for a client. */
#define MAX_BYTES (UINT64_C(64) * 1024 * 1024)

/* An operation of its own and no wait of the call: a job on the pool may outlive it. */
struct send_file {
  struct ls_op op;
  struct ls_work work;
  struct ls_file_read read;
  struct ls_http_module *module;
  struct ls_call *call;
  uint64_t generation;
  const char *type; /* Content-Type; behind the path */
  int status;
  char path[];
};

static const char *type_of(const char *path) {
  static const struct {
    const char *extension, *type;
  } types[] = {
      {"html", "text/html; charset=utf-8"},
      {"htm", "text/html; charset=utf-8"},
      {"css", "text/css; charset=utf-8"},
      {"js", "text/javascript; charset=utf-8"},
      {"mjs", "text/javascript; charset=utf-8"},
      {"json", "application/json"},
      {"txt", "text/plain; charset=utf-8"},
      {"md", "text/markdown; charset=utf-8"},
      {"csv", "text/csv; charset=utf-8"},
      {"xml", "application/xml"},
      {"svg", "image/svg+xml"},
      {"png", "image/png"},
      {"jpg", "image/jpeg"},
      {"jpeg", "image/jpeg"},
      {"gif", "image/gif"},
      {"webp", "image/webp"},
      {"avif", "image/avif"},
      {"ico", "image/x-icon"},
      {"woff", "font/woff"},
      {"woff2", "font/woff2"},
      {"pdf", "application/pdf"},
      {"zip", "application/zip"},
      {"gz", "application/gzip"},
      {"wasm", "application/wasm"},
      {"mp3", "audio/mpeg"},
      {"mp4", "video/mp4"},
      {"webm", "video/webm"},
  };
  const char *name = strrchr(path, '/');
  const char *dot = strrchr(name != NULL ? name : path, '.');
  for (size_t i = 0; dot != NULL && i < sizeof types / sizeof *types; i++)
    if (strcasecmp(dot + 1, types[i].extension) == 0)
      return types[i].type;
  return "application/octet-stream";
}

static int push_sent(lua_State *L, struct ls_op *op) {
  struct send_file *file = ls_container_of(op, struct send_file, op);
  struct ls_call *call = file->call;
  if (file->status != 0) {
    const char *failed = file->read.failed != NULL ? file->read.failed : "read";
    return ls_push_failure(L, file->status, "%s '%s'", failed, file->path);
  }
  if (file->generation != call->generation || call->gone)
    return ls_http_push_sent(L, LS_ECLOSED);
  ls_http_default_type(L, call, file->type);
  int result = ls_response_send(call->request, ls_slice(ls_buf_bytes(&file->read.bytes), file->read.bytes.len));
  int results = ls_http_push_sent(L, result);
  ls_call_on_finish(call);
  ls_call_settle(call);
  return results;
}

static bool cancel_send_file(struct ls_op *op) {
  struct send_file *file = ls_container_of(op, struct send_file, op);
  return ls_work_cancel(&file->work);
}

static void free_send_file(struct ls_op *op) {
  struct send_file *file = ls_container_of(op, struct send_file, op);
  ls_file_read_dispose(&file->read);
  free(file);
}

static const struct ls_op_type type = {
    .name = "res:send_file", .push = push_sent, .cancel = cancel_send_file, .free = free_send_file};

static void run(struct ls_work *work) {
  struct send_file *file = ls_container_of(work, struct send_file, work);
  file->status = ls_file_read_blocking(&file->read);
}

static void on_read(struct ls_work *work) {
  struct send_file *file = ls_container_of(work, struct send_file, work);
  if (file->op.state != LS_OP_ORPHANED)
    ls_file_learn(&file->module->files, &file->read);
  ls_op_done(&file->op);
}

/* content_type NULL: by the path. */
static struct send_file *new_send_file(lua_State *L, struct ls_call *call, const char *path, const char *content_type) {
  if (content_type == NULL)
    content_type = type_of(path);
  size_t size = strlen(path) + 1, type_size = strlen(content_type) + 1;
  struct send_file *file = ls_op_alloc(L, sizeof *file + size + type_size);
  memcpy(file->path, path, size);
  file->type = memcpy(file->path + size, content_type, type_size);
  file->call = call;
  file->generation = call->generation;
  file->module = call->module;
  ls_file_read_init(&file->read, file->path, MAX_BYTES);
  file->work.run = run;
  file->work.done = on_read;
  ls_op_init(L, &file->op, &type);
  return file;
}

static void check_unanswered(lua_State *L, const struct ls_call *call) {
  if (ls_response_is_begun(call->request) && !call->gone)
    luaL_error(L, "the response has been sent already");
}

/* res:send_file(path [, options] [, callback]) -> true; or nil, message, code
 * Async. Reads the file (on the pool where the disk would have to be waited for) and sends it as the whole answer.
 * options: content_type, in place of the one that goes with the file's extension; res:set("content-type") wins over
 * both.
 * When it fails (ENOENT, EACCES, EISDIR, ETOOBIG over 64 MiB; ECLOSED: the client has left) nothing is sent. The path is
 * taken as it is: a path from a request must be checked first. Raises when the response has been begun.
 *   if not res:send_file("public/index.html") then res:send(404, "not found") end */
int ls_http_l_send_file(lua_State *L) {
  static const char *const known[] = {"content_type", NULL};
  int callback_index = lua_isfunction(L, 3) ? 3 : 4;
  ls_op_check(L, callback_index, "res:send_file");
  struct ls_call *call = ls_http_check(L, 1, ls_http_response_type);
  size_t len;
  const char *path = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, strlen(path) == len, 2, "a path has no NUL");
  const char *content_type = NULL;
  if (callback_index == 4) {
    ls_options_check(L, 3, "res:send_file", known);
    content_type = ls_option_string(L, 3, "content_type", NULL);
  }
  if (content_type != NULL && !ls_field_value_is_valid(ls_slice_of(content_type)))
    return luaL_error(L, "res:send_file: the content_type contains CR, LF, NUL or another control character");
  check_unanswered(L, call);
  struct send_file *file = new_send_file(L, call, path, content_type);
  file->status = ls_file_read_cached(&call->module->files, &file->read);
  if (file->status == -EAGAIN) {
    file->status = 0;
    int status = ls_work_submit(call->module->rt->loop, &file->work, LS_LANE_FILE);
    if (status == 0)
      return ls_op_await(L, &file->op, callback_index);
    file->status = status;
  }
  ls_op_done(&file->op);
  return ls_op_await(L, &file->op, callback_index);
}
