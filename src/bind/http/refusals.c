/* SPDX-License-Identifier: MIT */
/* refusals: what the server has answered itself, told to the function on_refuse of create_server. They wait in a list, and
 * one task a server takes them from there: the function is called outside of the parser, for one after the other, and a
 * flood of them costs no more than the list holds. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bind/http/impl.h"
#include "script/runtime.h"
#include "script/task.h"

#define WAITING_MAX 256

struct refusal {
  struct ls_list link; /* in server->refusals */
  struct ls_refusal is;
  time_t time;
  char line[LS_REFUSAL_LINE]; /* of is */
};

/* ---- telling ---- */

static void set_slice(lua_State *L, const char *name, struct ls_slice value) {
  if (value.len == 0)
    return;
  lua_pushlstring(L, value.ptr, value.len);
  lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

/* Of a line that has the form of a request line, its parts (RFC 9112 3). */
static void set_parts(lua_State *L, struct ls_slice line) {
  static const char protocol[] = "HTTP/", whole[] = "HTTP/1.1";
  const char *end = line.ptr + line.len;
  const char *url = memchr(line.ptr, ' ', line.len);
  const char *last = url != NULL ? memchr(url + 1, ' ', (size_t)(end - url - 1)) : NULL;
  size_t left = last != NULL ? (size_t)(end - last - 1) : 0;
  if (left != sizeof whole - 1 || memcmp(last + 1, protocol, sizeof protocol - 1) != 0)
    return;
  set_slice(L, "method", ls_slice(line.ptr, (size_t)(url - line.ptr)));
  set_slice(L, "url", ls_slice(url + 1, (size_t)(last - url - 1)));
  set_slice(L, "version", ls_slice(last + sizeof protocol, left - (sizeof protocol - 1)));
}

static void push_refusal(lua_State *L, const struct refusal *refusal, unsigned missed) {
  struct ls_slice line = ls_slice(refusal->line, refusal->is.line.len);
  lua_createtable(L, 0, 11);
  set_integer(L, "status", refusal->is.status);
  set_slice(L, "reason", ls_slice_of(refusal->is.reason));
  set_integer(L, "time", (lua_Integer)refusal->time);
  set_slice(L, "remote_address", ls_slice_of(refusal->is.address));
  if (refusal->is.port >= 0)
    set_integer(L, "remote_port", refusal->is.port);
  set_integer(L, "bytes_written", (lua_Integer)refusal->is.bytes);
  set_integer(L, "missed", missed);
  set_slice(L, "line", line);
  if (line.len > 0)
    set_parts(L, line);
}

/* Takes the first one: it is not told again, should memory be short now. */
static struct refusal take_first(struct ls_http_server *server, unsigned *missed) {
  struct refusal *first = ls_container_of(ls_list_shift(&server->refusals), struct refusal, link);
  struct refusal copy = *first;
  free(first);
  server->refusal_count--;
  *missed = server->missed;
  server->missed = 0;
  return copy;
}

static int k_tell(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct ls_http_server *server = (struct ls_http_server *)context;
  while (!ls_list_is_empty(&server->refusals)) {
    unsigned missed;
    struct refusal refusal = take_first(server, &missed);
    lua_rawgeti(L, LUA_REGISTRYINDEX, server->on_refuse);
    push_refusal(L, &refusal, missed);
    lua_callk(L, 1, 0, context, k_tell);
  }
  return 0;
}

static int l_tell(lua_State *L) {
  return k_tell(L, LUA_OK, (lua_KContext)lua_touserdata(L, 1));
}

static void start_telling(struct ls_http_server *server);

/* After an error of the function, which has ended the task, another one goes on with the next. Called twice where memory
 * is short. */
static void on_told(struct ls_task *task, lua_State *L, int status) {
  struct ls_http_server *server = task->data;
  task->data = NULL;
  if (server != NULL) {
    server->telling = NULL;
    start_telling(server);
    ls_http_server_settle(server);
  }
  ls_task_end_logged(task, L, status);
}

/* Without memory for a task they wait for the next one. */
static void start_telling(struct ls_http_server *server) {
  struct ls_runtime *rt = server->module->rt;
  if (server->telling != NULL || ls_list_is_empty(&server->refusals) || rt->exiting)
    return;
  server->telling = ls_task_take(rt, &rt->root, true);
  if (server->telling == NULL)
    return;
  server->telling->data = server;
  ls_task_start_c(server->telling, l_tell, server, on_told);
}

/* ---- queueing ---- */

static struct refusal *keep(const struct ls_refusal *refusal) {
  struct refusal *kept = malloc(sizeof *kept);
  if (kept == NULL)
    return NULL;
  ls_list_init(&kept->link);
  kept->is = *refusal;
  kept->time = time(NULL);
  memcpy(kept->line, refusal->line.ptr != NULL ? refusal->line.ptr : "", refusal->line.len);
  return kept;
}

void ls_http_on_refused(struct ls_server *told, const struct ls_refusal *refusal) {
  struct ls_http_server *server = ls_server_user(told);
  if (server->orphaned || server->module->rt->exiting)
    return;
  struct refusal *kept = server->refusal_count < WAITING_MAX ? keep(refusal) : NULL;
  if (kept == NULL) {
    server->missed++;
    return;
  }
  ls_list_push(&server->refusals, &kept->link);
  server->refusal_count++;
  start_telling(server);
}

void ls_http_drop_refusals(struct ls_http_server *server) {
  struct ls_list *link;
  while ((link = ls_list_shift(&server->refusals)) != NULL)
    free(ls_container_of(link, struct refusal, link));
  server->refusal_count = 0;
  if (server->telling != NULL)
    server->telling->data = NULL;
  server->telling = NULL;
}
