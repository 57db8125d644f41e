/* SPDX-License-Identifier: MIT */
/* handler: how the server calls up, without knowing what is up there. One struct of functions, called on the loop's
 * thread, inside a libuv callback: they note what is to be done (ls_loop_ready) and return; they may call any
 * ls_request_* and ls_response_* function. */
#ifndef LS_SERVER_HANDLER_H
#define LS_SERVER_HANDLER_H

struct ls_refusal;
struct ls_request;
struct ls_server;

struct ls_handler {
  /* A request is here. The handler now holds it until it calls ls_request_release. */
  void (*on_request)(struct ls_server *server, struct ls_request *request);
  /* The request that a waiting body reader should look at again: more bytes, the end, or a failure. */
  void (*on_body)(struct ls_request *request);
  /* A writer that was told to wait may go on. */
  void (*on_drain)(struct ls_request *request);
  /* The client has gone before the response was complete. Waiting readers and writers should look again. */
  void (*on_gone)(struct ls_request *request);
  /* The client has sent its FIN while the request is under way: it may still be waiting for the answer. May be NULL. */
  void (*on_half_close)(struct ls_request *request);
  /* The server has answered something itself, and that is over: server/refusal.h. Only where options.tell_refusals; may be
   * NULL. Here no ls_request_* and ls_response_* function may be called. */
  void (*on_refused)(struct ls_server *server, const struct ls_refusal *refusal);
  /* The server has closed its listeners and its last connection. */
  void (*on_closed)(struct ls_server *server);
};

#endif
