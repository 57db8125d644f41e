/* SPDX-License-Identifier: MIT */
/* fixture: a server on a loop in the main thread, with a handler written in C, and a client thread that talks to it by
 * blocking sockets. What must happen on the loop's thread the client asks for with call(); what happens there it can
 * wait for with await_event(). Nothing sleeps; a wait that lasts ten seconds is a failure. */
#ifndef LS_SPEC_SERVER_FIXTURE_H
#define LS_SPEC_SERVER_FIXTURE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../check.h"
#include "base/error.h"
#include "loop/loop.h"
#include "loop/work.h"
#include "server/handler.h"
#include "server/http1.h"
#include "server/request.h"
#include "server/response.h"
#include "server/server.h"

#define STREAM_TOTAL ((size_t)6 * 1024 * 1024)

struct fixture {
  struct ls_loop loop;
  struct ls_pool *pool;
  struct ls_log *log;
  struct ls_server *server;
  struct ls_server_options options;
  int port;
  uv_async_t async;
  void (*command)(struct fixture *f);
  sem_t done;  /* the command was run and its drain is over */
  sem_t event; /* posted by the handler: see note() */
  void (*client)(struct fixture *f);
  struct ls_request *deferred[8]; /* by /defer, /hold and /abandon */
  unsigned deferred_count;
  unsigned requests, gone, half_closed, closed;
  uint64_t generations[8];
  struct ls_request *addresses[8];
};

static inline void wait_for(sem_t *sem) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 10;
  int status;
  while ((status = sem_timedwait(sem, &until)) != 0 && errno == EINTR)
    continue;
  CHECK_INT(status, 0);
}

/* ---- for the client's thread ---- */

static inline void call(struct fixture *f, void (*command)(struct fixture *f)) {
  f->command = command;
  uv_async_send(&f->async);
  wait_for(&f->done);
}

static inline void await_event(struct fixture *f) {
  wait_for(&f->event);
}

static inline int dial(const struct fixture *f) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(fd >= 0);
  struct timeval limit = {.tv_sec = 10};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)f->port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

static inline void say(int fd, const char *text) {
  size_t len = strlen(text);
  CHECK_INT(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static inline void hang_up_rudely(int fd) {
  struct linger rude = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &rude, sizeof rude);
  close(fd);
}

/* Reads one response (framed by Content-Length) into text; returns its body, which text ends with. */
static inline const char *read_response(int fd, char *text, size_t size) {
  size_t len = 0;
  char *body = NULL;
  while (body == NULL) {
    CHECK(len + 1 < size);
    CHECK_INT(recv(fd, text + len, 1, 0), 1);
    text[++len] = 0;
    body = len >= 4 && memcmp(text + len - 4, "\r\n\r\n", 4) == 0 ? text + len : NULL;
  }
  const char *length = strcasestr(text, "\r\ncontent-length:");
  size_t left = length == NULL ? 0 : strtoul(length + 17, NULL, 10);
  CHECK(len + left < size);
  while (left > 0) {
    ssize_t n = recv(fd, text + len, left, 0);
    CHECK(n > 0);
    len += (size_t)n;
    left -= (size_t)n;
  }
  text[len] = 0;
  return body;
}

/* Whether the server closes without another byte: 0 for FIN, else the errno. */
static inline int read_end(int fd) {
  char byte;
  ssize_t n = recv(fd, &byte, 1, 0);
  CHECK(n <= 0);
  return n == 0 ? 0 : errno;
}

/* ---- the handler, on the loop's thread ---- */

static inline void note(struct fixture *f) {
  sem_post(&f->event);
}

static inline struct fixture *fixture_of(struct ls_request *request) {
  return ls_server_user(request->server);
}

static inline bool url_is(struct ls_request *request, const char *url) {
  return ls_slice_equal(ls_head_url(&request->exchange.head), ls_slice_of(url));
}

static inline void answer(struct ls_request *request, const char *text) {
  ls_response_send(request, ls_slice_of(text));
  ls_request_release(request);
}

/* The whole body, which is in one piece once it is kept. Without memory for that the connection goes. */
static inline struct ls_slice whole_content(struct ls_exchange *exchange) {
  ls_conn_keep(exchange->conn);
  return ls_exchange_content(exchange);
}

static inline void echo(struct ls_request *request) {
  struct ls_exchange *exchange = &request->exchange;
  if (exchange->body_state == LS_BODY_READING)
    return;
  if (exchange->body_state == LS_BODY_FAILED)
    ls_response_fail(request, 400, "body failed");
  else
    ls_response_send(request, whole_content(exchange));
  ls_request_release(request);
}

/* user counts the bytes written, until the client has them all. */
static inline void stream(struct ls_request *request) {
  static const char block[16384] = {'x'};
  size_t written = (size_t)request->user;
  while (written < STREAM_TOTAL) {
    int status = ls_response_write(request, block, sizeof block);
    CHECK(status >= 0);
    written += sizeof block;
    request->user = (void *)written;
    if (status == 1)
      return;
  }
  CHECK_INT(ls_response_finish(request), 0);
  ls_request_release(request);
}

static inline void on_request(struct ls_server *server, struct ls_request *request) {
  struct fixture *f = ls_server_user(server);
  if (f->requests < 8) {
    f->generations[f->requests] = request->generation;
    f->addresses[f->requests] = request;
  }
  f->requests++;
  if (url_is(request, "/defer") || url_is(request, "/hold")) {
    f->deferred[f->deferred_count++] = request;
    if (url_is(request, "/hold"))
      ls_exchange_want_body(&request->exchange);
    note(f);
  } else if (url_is(request, "/echo")) {
    ls_exchange_want_body(&request->exchange);
    echo(request);
  } else if (url_is(request, "/stream")) {
    ls_response_begin(request, STREAM_TOTAL);
    stream(request);
  } else if (url_is(request, "/abandon")) {
    ls_request_release(request);
  } else {
    answer(request, "hello");
  }
}

static inline void on_body(struct ls_request *request) {
  if (url_is(request, "/echo"))
    echo(request);
  else if (url_is(request, "/hold") && request->exchange.body_state == LS_BODY_DONE)
    note(fixture_of(request));
}

static inline void on_drain(struct ls_request *request) {
  stream(request);
}

static inline void on_gone(struct ls_request *request) {
  struct fixture *f = fixture_of(request);
  f->gone++;
  CHECK(!ls_request_is_open(request));
  CHECK_INT(ls_response_send(request, ls_slice_of("late")), LS_ECLOSED);
  ls_request_release(request);
  note(f);
}

static inline void on_half_close(struct ls_request *request) {
  struct fixture *f = fixture_of(request);
  f->half_closed++;
  note(f);
}

static inline void on_closed(struct ls_server *server) {
  struct fixture *f = ls_server_user(server);
  f->closed++;
  note(f);
}

/* ---- running ---- */

static inline void close_all(struct fixture *f) {
  ls_server_close(f->server, 0);
  uv_close((uv_handle_t *)&f->async, NULL);
}

static inline void *client_thread(void *arg) {
  struct fixture *f = arg;
  f->client(f);
  call(f, close_all);
  return NULL;
}

static inline void on_async(uv_async_t *async) {
  struct fixture *f = async->data;
  void (*command)(struct fixture * f) = f->command;
  f->command = NULL;
  if (command != NULL)
    command(f);
  ls_loop_drain(&f->loop);
  if (command != NULL)
    sem_post(&f->done);
}

/* Runs client against a fresh server; adjust may change its options. */
static inline void with_server(void (*client)(struct fixture *f), void (*adjust)(struct ls_server_options *options)) {
  static const struct ls_handler handler = {.on_request = on_request,
                                            .on_body = on_body,
                                            .on_drain = on_drain,
                                            .on_gone = on_gone,
                                            .on_half_close = on_half_close,
                                            .on_closed = on_closed};
  struct fixture f = {.client = client};
  f.log = ls_log_new(STDERR_FILENO, 65536);
  f.pool = ls_pool_new(4);
  CHECK(f.log != NULL && f.pool != NULL);
  CHECK_INT(ls_loop_init(&f.loop, f.pool, f.log), 0);
  CHECK_INT(uv_async_init(&f.loop.uv, &f.async, on_async), 0);
  f.async.data = &f;
  sem_init(&f.done, 0, 0);
  sem_init(&f.event, 0, 0);
  ls_server_options_init(&f.options);
  if (adjust != NULL)
    adjust(&f.options);
  f.server = ls_server_new(&f.loop, &f.options, &handler, &f);
  CHECK(f.server != NULL);
  struct ls_listen_options listen_options = {.host = "127.0.0.1"};
  CHECK_INT(ls_server_listen(f.server, &listen_options), 0);
  char host[INET6_ADDRSTRLEN];
  CHECK_INT(ls_server_address(f.server, 0, host, sizeof host, &f.port), 0);
  CHECK(strcmp(host, "127.0.0.1") == 0 && f.port > 0);
  CHECK_INT(ls_server_address(f.server, 1, host, sizeof host, &f.port), -ENOENT);
  pthread_t thread;
  CHECK_INT(pthread_create(&thread, NULL, client_thread, &f), 0);
  ls_loop_run(&f.loop);
  pthread_join(thread, NULL);
  CHECK_INT(f.closed, 1);
  ls_server_free(f.server);
  ls_loop_dispose(&f.loop);
  ls_pool_free(f.pool);
  ls_log_free(f.log);
  sem_destroy(&f.done);
  sem_destroy(&f.event);
}

#endif
