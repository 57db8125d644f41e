/* SPDX-License-Identifier: MIT */
#include "server/http1.h"

#include <stdlib.h>
#include <unistd.h>

#include "loop/restart.h"
#include "server/content.h"
#include "server/handler.h"
#include "server/proxied.h"
#include "server/response.h"
#include "server/state.h"

#define FLUSH_TURNS 8

static struct ls_http1 *of_conn(struct ls_conn *conn) {
  return ls_container_of(conn, struct ls_http1, conn);
}

static struct ls_http1 *of_stream(struct ls_stream *stream) {
  return ls_container_of(stream, struct ls_http1, stream);
}

static struct ls_request *of_exchange(struct ls_exchange *exchange) {
  return ls_container_of(exchange, struct ls_request, exchange);
}

void ls_http1_schedule(struct ls_http1 *http1) {
  if (!http1->closing)
    ls_loop_flush(http1->server->loop, &http1->flush);
}

/* ---- what the machine says ---- */

static struct ls_exchange *new_exchange(struct ls_conn *conn) {
  struct ls_http1 *http1 = of_conn(conn);
  struct ls_request *request = ls_request_take(http1->server, http1);
  return request == NULL ? NULL : &request->exchange;
}

static uint64_t choose_body_limit(struct ls_exchange *exchange) {
  const struct ls_server_options *options = &of_exchange(exchange)->server->options;
  uint64_t limit = ls_body_rules_find(&options->body_rules, &exchange->head, options->limits.max_body);
  return options->routes != NULL ? ls_routes_body_limit(options->routes, &exchange->head, limit) : limit;
}

/* A coding of its body that is not taken: says which are (RFC 9110 15.5.16). */
static void refuse_coding(struct ls_request *request) {
  static const char text[] = "415 Unsupported Media Type: the content coding of the request body\n";
  struct ls_headers *headers = &request->headers;
  request->status = 415;
  request->exchange.refusal = "the content coding of the request body";
  if (ls_headers_set(headers, ls_slice_of("Content-Type"), ls_slice_of("text/plain; charset=utf-8")) != 0 ||
      ls_headers_set(headers, ls_slice_of("Accept-Encoding"), ls_slice_of("gzip, deflate, br")) != 0 ||
      ls_response_send(request, ls_slice_of(text)) < 0)
    ls_response_abort(request);
}

static void on_request(struct ls_exchange *exchange) {
  struct ls_request *request = of_exchange(exchange);
  int status = ls_content_begin(request);
  if (status != 0) {
    if (status == 415)
      refuse_coding(request);
    else
      ls_response_abort(request);
    return;
  }
  if (request->server->closing) /* it has been waited for */
    ls_http1_drain(of_conn(exchange->conn));
  request->held = request->handled = true;
  request->server->handler->on_request(request->server, request);
}

static void on_body(struct ls_exchange *exchange) {
  struct ls_request *request = of_exchange(exchange);
  ls_content_renew(request);
  if (request->held)
    request->server->handler->on_body(request);
}

static void on_drain(struct ls_exchange *exchange) {
  struct ls_request *request = of_exchange(exchange);
  if (request->held)
    request->server->handler->on_drain(request);
}

/* What does not work here is seen when the flush sends the rest. */
static size_t send_now(struct ls_conn *conn, const struct ls_slice *parts, unsigned count) {
  struct ls_http1 *http1 = of_conn(conn);
  ssize_t sent = http1->closing || http1->writing > 0 ? 0 : ls_stream_try_write(&http1->stream, parts, count);
  return sent > 0 ? (size_t)sent : 0;
}

static void on_done(struct ls_exchange *exchange) {
  ls_request_end(of_exchange(exchange));
}

static void on_gone(struct ls_exchange *exchange) {
  struct ls_request *request = of_exchange(exchange);
  if (!request->held) {
    ls_request_end(request);
    return;
  }
  ls_request_detach(request);
  request->server->handler->on_gone(request); /* may release it: then it is pooled already */
}

static const struct ls_conn_events conn_events = {
    .new_exchange = new_exchange,
    .choose_body_limit = choose_body_limit,
    .on_request = on_request,
    .on_body = on_body,
    .on_drain = on_drain,
    .send_now = send_now,
    .on_done = on_done,
    .on_gone = on_gone,
};

/* ---- the end ---- */

void ls_http1_drop(struct ls_http1 *http1, bool reset) {
  if (http1->closing)
    return;
  http1->closing = true;
  ls_list_remove(&http1->flush.link);
  ls_deadline_disarm(&http1->deadline);
  ls_conn_dispose(&http1->conn);
  if (reset)
    ls_stream_reset(&http1->stream);
  else
    ls_stream_close(&http1->stream);
}

/* Where the program restarts, who has just connected gets an answer, if the request comes in time: he cannot know. */
static bool is_awaited(const struct ls_http1 *http1) {
  struct ls_restart *restart = http1->server->loop->restart;
  const struct ls_conn *conn = &http1->conn;
  return restart != NULL && conn->served == 0 && conn->reading == NULL && conn->count == 0 &&
         ls_handover_passes(&restart->handover);
}

void ls_http1_drain(struct ls_http1 *http1) {
  if (http1->closing || is_awaited(http1))
    return;
  ls_conn_drain(&http1->conn);
  ls_http1_schedule(http1);
}

/* ---- the flush: everything that follows from what was read and said ---- */

/* Finished exchanges make room, and parsing of what waited goes on. Requests whose handlers have not looked yet keep a copy
 * of their heads. false: dropped. */
static bool settle(struct ls_http1 *http1) {
  bool goes_on;
  do {
    goes_on = ls_conn_settle(&http1->conn);
    if (ls_conn_keep(&http1->conn) != 0) {
      ls_http1_drop(http1, true);
      return false;
    }
  } while (goes_on);
  ls_list_remove(&http1->flush.link); /* what was said meanwhile leaves with this flush */
  return true;
}

/* Hands the output to the kernel; libuv keeps what it does not take now, or all of it where at_once is false. */
static bool send_output(struct ls_http1 *http1, struct ls_slice output, bool at_once) {
  ssize_t sent = at_once ? ls_stream_try_write(&http1->stream, &output, 1) : 0;
  if (sent > 0)
    ls_conn_consume_output(&http1->conn, (size_t)sent);
  if (sent == (ssize_t)output.len)
    return true;
  struct ls_buf rest = {0};
  if (sent >= 0) {
    ls_conn_take_output(&http1->conn, &rest);
    http1->writing = rest.len;
    if (ls_stream_write(&http1->stream, &rest, &http1->server->bufs) == 0)
      return true;
  }
  ls_http1_drop(http1, false);
  return false;
}

/* Settles and sends in turns, because what has been sent makes room for writers and waiting requests. A writer that
 * fills the room again and again is put off after some turns, for the sake of the others. false: dropped. */
static bool settle_and_send(struct ls_http1 *http1) {
  for (unsigned turn = 0;; turn++) {
    if (!settle(http1))
      return false;
    struct ls_slice output = ls_conn_output(&http1->conn);
    if (output.len == 0 || http1->writing > 0)
      return true;
    if (!send_output(http1, output, turn < FLUSH_TURNS))
      return false;
    if (!ls_conn_is_under_way(&http1->conn))
      return true;
  }
}

/* false: dropped. */
static bool follow_close(struct ls_http1 *http1) {
  enum ls_conn_close state = ls_conn_close_state(&http1->conn);
  if (state == LS_CONN_OPEN)
    return true;
  if (state == LS_CONN_RESET) {
    ls_http1_drop(http1, true);
    return false;
  }
  if (http1->writing > 0 || ls_conn_output(&http1->conn).len > 0)
    return true;
  if (state == LS_CONN_CLOSE) {
    ls_http1_drop(http1, false);
    return false;
  }
  if (http1->lingering)
    return true;
  if (http1->ended || ls_stream_shutdown(&http1->stream) != 0) { /* both sides have ended: nothing to linger for */
    ls_http1_drop(http1, false);
    return false;
  }
  http1->lingering = true;
  ls_conn_lingers(&http1->conn);
  return true;
}

/* false: dropped. */
static bool follow_reading(struct ls_http1 *http1) {
  bool wanted = !http1->ended && ls_conn_wants_read(&http1->conn);
  http1->stream.expected = ls_conn_expects(&http1->conn);
  if (wanted == http1->stream.reading)
    return true;
  if (!wanted) {
    ls_stream_read_stop(&http1->stream);
    return true;
  }
  if (ls_stream_read_start(&http1->stream) == 0)
    return true;
  ls_http1_drop(http1, false);
  return false;
}

static void follow_deadline(struct ls_http1 *http1) {
  struct ls_conn *conn = &http1->conn;
  uint8_t kind = conn->deadline;
  if (kind == LS_DEADLINE_NONE && !http1->stream.reading)
    kind = LS_DEADLINE_WATCH;
  if (kind == http1->armed && (kind == LS_DEADLINE_WATCH || conn->deadline_epoch == http1->armed_epoch))
    return;
  http1->armed = kind;
  http1->armed_epoch = conn->deadline_epoch;
  if (kind == LS_DEADLINE_NONE)
    ls_deadline_disarm(&http1->deadline);
  else
    ls_deadline_arm(&http1->server->deadlines, kind, &http1->deadline);
}

static void run_flush(struct ls_ready *ready) {
  struct ls_http1 *http1 = ls_container_of(ready, struct ls_http1, flush);
  if (settle_and_send(http1) && follow_close(http1) && follow_reading(http1))
    follow_deadline(http1);
}

/* ---- deadlines ---- */

/* The kernel takes a large write piece by piece; libuv tells only the end, but shows what is left. */
static bool write_made_progress(struct ls_http1 *http1) {
  size_t left = ls_stream_unsent(&http1->stream);
  if (left >= http1->writing)
    return false;
  ls_conn_sent(&http1->conn, http1->writing - left);
  http1->writing = left;
  return true;
}

void ls_http1_expired(struct ls_deadline *deadline) {
  struct ls_http1 *http1 = ls_container_of(deadline, struct ls_http1, deadline);
  uint8_t kind = http1->armed;
  http1->armed = LS_DEADLINE_NONE;
  ls_server_refresh_date(http1->server);
  if (kind == LS_DEADLINE_WATCH) {
    if (ls_stream_is_gone(&http1->stream)) {
      ls_http1_drop(http1, false);
      return;
    }
  } else if (kind != LS_DEADLINE_WRITE || !write_made_progress(http1)) {
    ls_conn_expire(&http1->conn);
  }
  ls_http1_schedule(http1);
}

/* ---- what the socket says ---- */

static void on_read(struct ls_stream *stream, const char *bytes, size_t len) {
  struct ls_http1 *http1 = of_stream(stream);
  if (http1->closing)
    return;
  if (http1->proxy_awaited && !ls_proxied_take(http1, &bytes, &len))
    return;
  ls_server_refresh_date(http1->server);
  if (ls_conn_feed(&http1->conn, bytes, len) != 0)
    ls_http1_drop(http1, true);
  else
    ls_http1_schedule(http1);
}

/* The client will say no more; whoever waits for an answer may still be there. */
static void tell_half_close(struct ls_http1 *http1) {
  const struct ls_handler *handler = http1->server->handler;
  if (handler->on_half_close == NULL)
    return;
  struct ls_list *head = &http1->conn.exchanges;
  struct ls_list *next;
  for (struct ls_list *link = head->next; link != head; link = next) {
    next = link->next;
    struct ls_request *request = of_exchange(ls_container_of(link, struct ls_exchange, link));
    if (request->held)
      handler->on_half_close(request);
  }
}

static void on_end(struct ls_stream *stream, int status) {
  struct ls_http1 *http1 = of_stream(stream);
  if (http1->closing)
    return;
  /* a unix socket that has closed altogether ends as one that has closed its half */
  if (status < 0 || http1->lingering || ls_stream_is_gone(stream)) {
    ls_http1_drop(http1, false);
    return;
  }
  http1->ended = true;
  ls_conn_feed_end(&http1->conn);
  tell_half_close(http1);
  ls_http1_schedule(http1);
}

static void on_written(struct ls_stream *stream, int status) {
  struct ls_http1 *http1 = of_stream(stream);
  if (http1->closing)
    return;
  if (status < 0) {
    ls_http1_drop(http1, false);
    return;
  }
  size_t sent = http1->writing;
  http1->writing = 0;
  if (sent > 0)
    ls_conn_sent(&http1->conn, sent);
  ls_http1_schedule(http1);
}

static void on_closed(struct ls_stream *stream) {
  struct ls_http1 *http1 = of_stream(stream);
  struct ls_server *server = http1->server;
  ls_list_remove(&http1->link);
  server->connection_count--;
  free(http1->proxy);
  if (server->idle_connection_count < LS_SERVER_POOLED && !server->closing) {
    ls_list_push_front(&server->idle_connections, &http1->link);
    server->idle_connection_count++;
  } else {
    free(http1);
  }
  ls_server_settle(server);
}

static const struct ls_stream_events stream_events = {
    .on_read = on_read,
    .on_end = on_end,
    .on_written = on_written,
    .on_closed = on_closed,
};

/* ---- the beginning ---- */

static struct ls_http1 *take_memory(struct ls_server *server) {
  struct ls_list *link = ls_list_shift(&server->idle_connections);
  if (link == NULL)
    return malloc(sizeof(struct ls_http1));
  server->idle_connection_count--;
  return ls_container_of(link, struct ls_http1, link);
}

int ls_http1_open(struct ls_server *server, int fd, int family) {
  struct ls_http1 *http1 = take_memory(server);
  if (http1 == NULL) {
    close(fd);
    return -ENOMEM;
  }
  *http1 = (struct ls_http1){.server = server, .flush.run = run_flush};
  ls_list_init(&http1->link);
  ls_list_init(&http1->flush.link);
  ls_deadline_init(&http1->deadline);
  ls_conn_init(&http1->conn, &conn_events, &server->options.limits, &server->bufs, &server->date);
  ls_list_push(&server->connections, &http1->link);
  server->connection_count++;
  int status = ls_stream_open(server->loop, &http1->stream, fd, family, &stream_events);
  if (status != 0) { /* on_closed is coming */
    http1->closing = true;
    ls_conn_dispose(&http1->conn);
    return status;
  }
  if (server->unref)
    ls_stream_set_ref(&http1->stream, false);
  if (server->options.proxy_protocol != 0 && !ls_proxied_begin(http1))
    return 0;
  ls_stream_read_now(&http1->stream);
  if (!http1->closing && follow_reading(http1))
    follow_deadline(http1);
  return 0;
}
