/* SPDX-License-Identifier: MIT */
/* impl: what the files of luaserve.http share.
 *
 * A call is one request in the hands of Lua: the task that runs the handler, the scope of what it starts, the waits for
 * body bytes and for a slow client. Its memory is pooled by the module and never freed while Lua lives, because req and
 * res (fresh userdata each time) that a handler kept point to it; the generation tells them that their request is over.
 * A call ends when the handler has ended, its scope is empty, and the response is complete or the client has left. */
#ifndef LS_BIND_HTTP_IMPL_H
#define LS_BIND_HTTP_IMPL_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log_limit.h"
#include "loop/file.h"
#include "loop/timer.h"
#include "script/op.h"
#include "script/runtime.h"
#include "script/scope.h"
#include "script/task.h"
#include "server/refusal.h"
#include "server/request.h"
#include "server/routes.h"
#include "server/server.h"

struct ls_call;
struct ls_runtime;

/* Kinds of what clients do wrong, each with log lines of its own: that they leave, and the statuses from 400 to 499. */
#define LS_HTTP_FAULTS 101

/* The calls that have ended. A req or res may be looked at, to say so, until the Lua state is closed. */
struct ls_call_pool {
  struct ls_remains remains;
  struct ls_list calls;
};

/* The module's state: one userdata in the registry, made before anything that has a finalizer of this module, so that
 * its own runs last. */
struct ls_http_module {
  struct ls_runtime *rt;
  struct ls_call_pool *pool;
  struct ls_list servers;                        /* ls_http_server.link: that have not closed */
  void (*on_shut_down)(struct ls_runtime *rt);   /* the caller of ls_http_shutdown waits for the last of them */
  int request_type, response_type, headers_type; /* registry references of the metatables */
  int json_encode, json_decode;                  /* the same of luaserve.json's functions; LUA_NOREF before first use */
  int json_writer;                               /* and of ls_json_push_writer's */
  struct ls_file_cache files;
  struct ls_log_limit faults[LS_HTTP_FAULTS]; /* of log lines about clients */
  char *
      chunk; /* LS_FILE_CHUNK bytes for who sends files, lent for the length of a function call; NULL before the first */
};

/* A server, behind its userdata: lives until it has closed, its calls have ended and the userdata is gone. */
struct ls_http_server {
  struct ls_list link; /* in module->servers */
  struct ls_http_module *module;
  struct ls_server_options options; /* of server, which does not own what they point to */
  struct ls_server *server;         /* NULL: create_server has failed half-way */
  struct ls_list calls;             /* ls_call.link */
  struct ls_list closers;           /* waits of server:close */
  uint64_t handler_timeout;
  struct ls_list refusals;        /* waiting to be told to on_refuse: refusals.c */
  unsigned refusal_count, missed; /* of these; and of those that found no room since one was told */
  struct ls_task *telling;        /* that calls on_refuse; NULL */
  int on_refuse;                  /* registry reference; LUA_NOREF: nobody wants to know */
  int handler;                    /* registry reference; LUA_NOREF once the userdata is gone */
  int self; /* registry reference of the userdata from listen until it has closed and its calls have ended */
  bool cancel_on_close;
  bool listening;
  bool closing;
  bool closed;                 /* on_closed has come */
  bool orphaned;               /* the userdata is gone */
  char where[LUA_IDSIZE + 16]; /* the handler's definition: "app.lua:12" */
};

/* The server has closed or a call has ended: lets the userdata go when both is so. Handlers may outlive the server's
 * connections, and need it until they have ended. */
void ls_http_server_settle(struct ls_http_server *server);

/* The handler's on_refused: queues it, to be told to on_refuse. */
void ls_http_on_refused(struct ls_server *server, const struct ls_refusal *refusal);
/* Nobody is told any more. */
void ls_http_drop_refusals(struct ls_http_server *server);

/* The options of create_server at index (nil or a table) over the defaults of server->options. Raises for unknown and
 * mistyped ones; what has been read by then is the server's. */
void ls_http_read_options(lua_State *L, int index, struct ls_http_server *server);

/* The value on top, true, false or { min_size =, level =, quality =, encodings = }, over what encode has. what: who takes it,
 * for errors. */
void ls_http_read_compress(lua_State *L, const char *what, struct ls_encode_options *encode);

/* Of these, trust_proxy, trust_fields and proxy_protocol. */
void ls_http_read_trust(lua_State *L, int index, struct ls_server_options *options);

/* ---- waits ---- */

enum ls_wait_kind { LS_WAIT_BODY, LS_WAIT_CHUNK, LS_WAIT_DRAIN };

struct ls_wait {
  struct ls_op op;
  struct ls_list link; /* in call->waits */
  struct ls_call *call;
  enum ls_wait_kind kind;
  int status;     /* what it ended with */
  uint64_t limit; /* LS_WAIT_BODY */
};

/* C code that sends the content of the response piece by piece, one at a time. */
struct ls_feed {
  /* The client has taken what was sent, or has left, or the call has ended: which of them is for the feed to find out, in
   * the drain that follows. */
  void (*go_on)(struct ls_feed *feed);
};

/* ---- calls ---- */

enum ls_body_use { LS_BODY_UNUSED, LS_BODY_WHOLE, LS_BODY_CHUNKS };

struct ls_call {
  struct ls_list link; /* in server->calls, or the module's pool */
  struct ls_scope scope;
  struct ls_http_module *module;
  struct ls_http_server *server;
  struct ls_request *request; /* NULL once the call has ended */
  uint64_t generation;
  struct ls_task *task; /* that runs the handler; NULL once it has ended */
  struct ls_timer timer;
  struct ls_ready abandoned; /* nobody holds res any more */
  struct ls_list waits;
  struct ls_wait wait; /* the first one needs no memory of its own */
  bool wait_used;
  unsigned wait_count;   /* not freed yet: the call is not pooled before */
  struct ls_feed *feed;  /* who else sends raises meanwhile; NULL */
  int head_ref, end_ref; /* tables of functions, like close_ref: see hooks.c */
  struct ls_buf body;    /* collected for req:body() */
  enum ls_body_use body_use;
  int body_ref;      /* the whole body as a string */
  int close_ref;     /* a table of functions */
  int rejection_ref; /* the message or value with which a method of req refused the body */
  int rejection_status;
  int failure_ref;              /* what a method of res that answers has failed with, for the log */
  struct ls_trace *trace;       /* memory for one, which scope has where requests are traced; NULL: none was */
  struct ls_routes *routes;     /* owned: of the app that found the route; NULL */
  const struct ls_route *route; /* in routes */
  const char *returned;         /* the type of what the handler has returned; NULL: nothing */
  char ended[LUA_IDSIZE + 16];  /* the middleware that ended without calling next: "app.lua:12"; "": none */
  uint64_t timeout;             /* ms, of timer; 0: none */
  bool has_own_timeout;         /* not that of the server */
  bool cancel_on_close;
  bool later, gone;
  bool in_app;         /* an app handles it, and answers for http errors */
  bool rejected;       /* the handler passed that on as its error: answered by rejection_status */
  bool over_limit;     /* the body is larger than req:body(limit) allowed: 413 */
  bool has_events;     /* the response is a stream of events: bind/http/events.h. The timer is the heartbeat's then */
  bool has_sent_event; /* since the last heartbeat */
  uint64_t heartbeat;  /* ns; 0: none */
};

/* Where requests are traced: begins with one; and logs what came of it, when it was slow, before the call ends. */
void ls_call_trace_begin(struct ls_call *call, struct ls_request *request);
void ls_call_trace_end(struct ls_call *call);

/* Makes a call of the request and starts its task; answers 503 where memory is short. */
void ls_call_start(struct ls_http_server *server, struct ls_request *request);

void ls_call_on_body(struct ls_call *call);
void ls_call_on_drain(struct ls_call *call);
/* The response is complete: nobody will take what its writers and body readers wait for. */
void ls_call_on_finish(struct ls_call *call);
void ls_call_on_gone(struct ls_call *call);
void ls_call_on_half_close(struct ls_call *call);

/* The response may be complete now: ends the call if nothing else is left of it. The last thing done with it. */
void ls_call_settle(struct ls_call *call);

/* Runs the functions of req:on_close in tasks of the call's scope. */
void ls_call_run_close_functions(struct ls_call *call);

/* The same of req:on_end. false: there are none, or no memory. */
bool ls_call_run_end_functions(struct ls_call *call);

/* Whether there are functions of res:on_head to be run before the head. */
static inline bool ls_call_has_head_functions(const struct ls_call *call) {
  return call->head_ref != LUA_NOREF && call->request->exchange.response_state == LS_RESPONSE_NONE;
}

/* Runs them where no Lua code runs that could: in a task of the call's scope, with data, which tells by on_end. NULL: out
 * of memory. */
struct ls_task *ls_call_run_head_functions(struct ls_call *call, void *data, ls_task_end on_end);

/* Lua is going away: lets go of the request and of everything that waits. */
void ls_call_forsake(struct ls_call *call);

/* From now on, instead of the timeout that it has; in ms, 0: none. */
void ls_call_set_timeout(struct ls_call *call, uint64_t timeout);

/* The body may have no more than limit bytes; it cannot be raised here, because what was over it is answered 413 already.
 * False: it has more. */
bool ls_call_limit_body(struct ls_call *call, uint64_t limit);

/* The app found the route: its timeout and so on hold from here on. */
void ls_call_take_route(struct ls_call *call, struct ls_routes *routes, const struct ls_route *route);

/* The handler has failed and somebody answers for it: logs the error on top of L (NULL: it is no bug), cancels what the
 * handler has started, and resets the connection where a part of the answer has left. */
void ls_call_fail(struct ls_call *call, lua_State *L);

/* "GET /path" for log lines. */
void ls_call_describe(const struct ls_call *call, char *text, size_t size);

/* A wait for the running task, not awaited yet. Raises when memory is short. */
struct ls_wait *ls_wait_new(lua_State *L, struct ls_call *call, enum ls_wait_kind kind, const struct ls_op_type *type);
/* For the ls_op_type of every kind. */
bool ls_wait_cancel(struct ls_op *op);
void ls_wait_free(struct ls_op *op);

/* Asks for the body, if the client is still there to send it. */
void ls_call_want_body(struct ls_call *call);

/* Whether more of the body may come. */
bool ls_call_awaits_body(const struct ls_call *call);

/* Pops the message, or value, about a body that is not what the handler asked for: should it become the handler's error, the
 * client gets this status. */
void ls_call_reject_body(lua_State *L, struct ls_call *call, int status);

/* Looks what has come of the body: 0: complete in call->body; 1: more to come; or a negative code. */
int ls_call_collect_body(struct ls_call *call, uint64_t limit);

/* ---- req and res ---- */

struct ls_call_handle {
  const char *type; /* one of the names below: by address */
  struct ls_call *call;
  uint64_t generation;
};

extern const char ls_http_request_type[];
extern const char ls_http_response_type[];
extern const char ls_http_headers_type[];

void ls_http_push_handle(lua_State *L, struct ls_call *call, const char *type, int metatable, int uservalues);

/* The call of the userdata at index; raises for another value, and when the request has ended. */
struct ls_call *ls_http_check(lua_State *L, int index, const char *type);
/* The same, but NULL for those. */
struct ls_call *ls_http_find(lua_State *L, int index, const char *type);

/* Where the handler at index is written: "app.lua:12". size: LUA_IDSIZE + 16 is room for all. */
void ls_http_note_where(lua_State *L, int handler, char *where, size_t size);

/* One name of an __index: a getter, a method, or a method that is the function of that name in a module written in Lua,
 * which is loaded when it is looked up for the first time. */
struct ls_http_field {
  const char *name;
  int (*get)(lua_State *L, struct ls_call *call); /* pushes one value; the userdata is at index 1 */
  lua_CFunction method;
  const char *module;
};

#define LS_HTTP_GETTER(field, getter) \
  { .name = (field), .get = (getter) }
#define LS_HTTP_METHOD(field, function) \
  { .name = (field), .method = (function) }
#define LS_HTTP_IN_LUA(field, in) \
  { .name = (field), .module = (in) }

/* Makes a metatable whose __index is fields, with the given metamethods; returns its registry reference. */
int ls_http_make_type(lua_State *L, const char *name, const struct ls_http_field *fields, const luaL_Reg *metamethods);

int ls_http_make_request_type(lua_State *L);
int ls_http_make_headers_type(lua_State *L);
int ls_http_make_response_type(lua_State *L);

/* The userdata's own values, of req. */
enum { LS_HTTP_PARAMS = 1, LS_HTTP_QUERY, LS_HTTP_HEADERS };

/* req.path, on top of the stack where it has to be made; the slice is good while that is there, or the request. */
struct ls_slice ls_http_path(lua_State *L, struct ls_call *call);

/* The routes of the userdata at index; raises for another value. */
struct ls_routes *ls_http_check_routes(lua_State *L, int index);

/* Methods of req that stand in body.c. */
int ls_http_l_body(lua_State *L);
int ls_http_l_json(lua_State *L);
int ls_http_l_form(lua_State *L);
int ls_http_l_chunks(lua_State *L);
int ls_http_l_check_self(lua_State *L);
int ls_http_l_reject(lua_State *L);
int ls_http_l_cookie(lua_State *L);

/* Methods of req and res that stand in hooks.c. */
int ls_http_l_on_close(lua_State *L);
int ls_http_l_on_end(lua_State *L);
int ls_http_l_on_head(lua_State *L);

/* The return statement of a method of res, at index 1, where ls_call_has_head_functions: runs them, with the value at
 * body_index (0: nil), then go_on, which finds the stack as it is now but has to look at the call anew. */
int ls_http_before_head(lua_State *L, int body_index, lua_CFunction go_on);

/* Pushes luaserve.json's encode or decode. */
void ls_http_push_json(lua_State *L, struct ls_http_module *module, bool encode);

/* Pushes what ls_json_push_writer does. */
void ls_http_push_json_writer(lua_State *L, struct ls_http_module *module);

#endif
