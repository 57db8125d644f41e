/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#define HEAD(method, url) method " " url " HTTP/1.1\r\nHost: x\r\n"
#define GET(url) HEAD("GET", url) "\r\n"

static void answer_first(struct fixture *f) {
  answer(f->deferred[0], "first");
}

static void answer_second(struct fixture *f) {
  answer(f->deferred[1], "second");
}

/* ---- requests and responses ---- */

static void client_keeps_alive(struct fixture *f) {
  char text[4096];
  int fd = dial(f);
  for (int i = 0; i < 3; i++) {
    say(fd, GET("/hello"));
    const char *body = read_response(fd, text, sizeof text);
    CHECK(strncmp(text, "HTTP/1.1 200 OK\r\n", 17) == 0);
    CHECK(strcasestr(text, "\r\ndate: ") != NULL);
    CHECK(strcmp(body, "hello") == 0);
  }
  CHECK(f->addresses[0] == f->addresses[2]); /* the memory is pooled */
  CHECK(f->generations[0] < f->generations[1] && f->generations[1] < f->generations[2]);
  close(fd);
}

static void test_keep_alive(void) {
  with_server(client_keeps_alive, NULL);
}

static void client_pipelines(struct fixture *f) {
  char text[4096];
  int fd = dial(f);
  char all[16384] = "";
  for (int i = 0; i < 150; i++)
    strcat(all, i % 50 == 0 ? HEAD("POST", "/echo") "Content-Length: 3\r\n\r\nabc" : GET("/hello"));
  say(fd, all);
  for (int i = 0; i < 150; i++)
    CHECK(strcmp(read_response(fd, text, sizeof text), i % 50 == 0 ? "abc" : "hello") == 0);
  CHECK_INT(f->requests, 150);
  close(fd);
}

static void test_pipelining(void) {
  with_server(client_pipelines, NULL);
}

static void client_waits_in_order(struct fixture *f) {
  char text[4096];
  int fd = dial(f);
  say(fd, GET("/defer") GET("/defer") GET("/hello"));
  await_event(f);
  await_event(f);
  call(f, answer_second);
  call(f, answer_first);
  CHECK(strcmp(read_response(fd, text, sizeof text), "first") == 0);
  CHECK(strcmp(read_response(fd, text, sizeof text), "second") == 0);
  CHECK(strcmp(read_response(fd, text, sizeof text), "hello") == 0);
  close(fd);
}

static void test_order_of_responses(void) {
  with_server(client_waits_in_order, NULL);
}

static void client_sends_bodies(struct fixture *f) {
  char text[4096];
  int fd = dial(f);
  say(fd, HEAD("POST", "/echo") "Content-Length: 10\r\n\r\nhalf ");
  say(fd, "other");
  CHECK(strcmp(read_response(fd, text, sizeof text), "half other") == 0);
  say(fd, HEAD("POST", "/echo") "Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n");
  say(fd, "3\r\n to\r\n0\r\n\r\n");
  CHECK(strcmp(read_response(fd, text, sizeof text), "four to") == 0);
  say(fd, HEAD("POST", "/hello") "Content-Length: 4\r\n\r\nskip" GET("/hello"));
  CHECK(strcmp(read_response(fd, text, sizeof text), "hello") == 0);
  CHECK(strcmp(read_response(fd, text, sizeof text), "hello") == 0);
  close(fd);
}

static void test_bodies(void) {
  with_server(client_sends_bodies, NULL);
}

static void client_reads_a_stream(struct fixture *f) {
  static char block[65536];
  int fd = dial(f);
  say(fd, HEAD("GET", "/stream") "Connection: close\r\n\r\n");
  size_t total = 0, head = 0;
  ssize_t n;
  while ((n = recv(fd, block, sizeof block, 0)) > 0) {
    if (total == 0) {
      char *end = memmem(block, (size_t)n, "\r\n\r\n", 4);
      CHECK(end != NULL);
      head = (size_t)(end + 4 - block);
    }
    total += (size_t)n;
  }
  CHECK_INT(n, 0);
  CHECK_INT(total - head, STREAM_TOTAL);
  close(fd);
}

static void test_streaming_with_back_pressure(void) {
  with_server(client_reads_a_stream, NULL);
}

static void client_sends_nonsense(struct fixture *f) {
  char text[4096];
  int fd = dial(f);
  say(fd, "GET / HTTP/1.1\r\n\r\n"); /* no Host */
  read_response(fd, text, sizeof text);
  CHECK(strncmp(text, "HTTP/1.1 400 ", 13) == 0);
  CHECK_INT(read_end(fd), 0);
  CHECK_INT(f->requests, 0);
  close(fd);
}

static void test_bad_request(void) {
  with_server(client_sends_nonsense, NULL);
}

static void client_is_abandoned(struct fixture *f) {
  char text[4096];
  int fd = dial(f);
  say(fd, GET("/abandon"));
  read_response(fd, text, sizeof text);
  CHECK(strncmp(text, "HTTP/1.1 500 ", 13) == 0);
  CHECK_INT(read_end(fd), 0);
  close(fd);
}

static void test_release_without_answer(void) {
  with_server(client_is_abandoned, NULL);
}

/* ---- clients that leave ---- */

static void client_half_closes(struct fixture *f) {
  char text[4096];
  int fd = dial(f);
  say(fd, GET("/defer"));
  await_event(f);
  shutdown(fd, SHUT_WR);
  await_event(f);
  CHECK_INT(f->half_closed, 1);
  call(f, answer_first);
  CHECK(strcmp(read_response(fd, text, sizeof text), "first") == 0);
  CHECK_INT(read_end(fd), 0);
  CHECK_INT(f->gone, 0);
  close(fd);
}

static void test_half_close(void) {
  with_server(client_half_closes, NULL);
}

static void client_resets(struct fixture *f) {
  int fd = dial(f);
  say(fd, GET("/defer"));
  await_event(f);
  hang_up_rudely(fd);
  await_event(f);
  CHECK_INT(f->gone, 1);
  fd = dial(f); /* and the server goes on */
  char text[4096];
  say(fd, GET("/hello"));
  CHECK(strcmp(read_response(fd, text, sizeof text), "hello") == 0);
  close(fd);
}

static void test_reset(void) {
  with_server(client_resets, NULL);
}

static void small_body_buffer(struct ls_server_options *options) {
  options->limits.body_high = 1024;
  options->limits.max_body = 64 * 1024 * 1024;
}

/* Fills the server's bounded buffer and the kernel's, so that the server has stopped reading. */
static void client_resets_while_unread(struct fixture *f) {
  static const char block[65536] = "";
  int fd = dial(f);
  say(fd, HEAD("POST", "/hold") "Content-Length: 60000000\r\n\r\n");
  await_event(f);
  while (send(fd, block, sizeof block, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
    continue;
  CHECK(errno == EAGAIN || errno == EWOULDBLOCK);
  hang_up_rudely(fd);
  await_event(f);
  CHECK_INT(f->gone, 1);
}

static void test_reset_while_not_reading(void) {
  with_server(client_resets_while_unread, small_body_buffer);
}

/* ---- limits ---- */

static void one_connection(struct ls_server_options *options) {
  options->max_connections = 1;
}

static void client_comes_second(struct fixture *f) {
  char text[4096];
  int first = dial(f);
  say(first, GET("/hello"));
  read_response(first, text, sizeof text);
  int second = dial(f);
  read_response(second, text, sizeof text);
  CHECK(strncmp(text, "HTTP/1.1 503 ", 13) == 0);
  CHECK(strstr(text, "\r\nConnection: close\r\n") != NULL);
  CHECK_INT(read_end(second), 0);
  close(second);
  say(first, GET("/hello"));
  CHECK(strcmp(read_response(first, text, sizeof text), "hello") == 0);
  close(first);
}

static void test_max_connections(void) {
  with_server(client_comes_second, one_connection);
}

static void short_header_time(struct ls_server_options *options) {
  options->header_timeout = 50;
}

static void client_is_slow(struct fixture *f) {
  char text[4096];
  int fd = dial(f);
  say(fd, "GET / HTTP/1.1\r\nHos");
  read_response(fd, text, sizeof text);
  CHECK(strncmp(text, "HTTP/1.1 408 ", 13) == 0);
  CHECK_INT(read_end(fd), 0);
  close(fd);
}

static void test_header_timeout(void) {
  with_server(client_is_slow, short_header_time);
}

static void short_idle_time(struct ls_server_options *options) {
  options->keep_alive_timeout = 50;
}

static void client_is_idle(struct fixture *f) {
  char text[4096];
  int fd = dial(f);
  say(fd, GET("/hello"));
  read_response(fd, text, sizeof text);
  CHECK_INT(read_end(fd), 0);
  close(fd);
}

static void test_keep_alive_timeout(void) {
  with_server(client_is_idle, short_idle_time);
}

static void short_write_time(struct ls_server_options *options) {
  options->write_timeout = 50;
}

static void client_does_not_read(struct fixture *f) {
  int fd = dial(f);
  say(fd, GET("/stream"));
  await_event(f);
  CHECK_INT(f->gone, 1);
  close(fd);
}

static void test_write_timeout(void) {
  with_server(client_does_not_read, short_write_time);
}

static void test_size_of_a_connection(void) {
  CHECK(sizeof(struct ls_http1) <= 1024);
}

/* ---- closing ---- */

static void close_in_a_minute(struct fixture *f) {
  ls_server_close(f->server, 60000);
}

static void close_soon(struct fixture *f) {
  ls_server_close(f->server, 1);
}

static void client_sees_the_end(struct fixture *f) {
  char text[4096];
  int idle = dial(f);
  say(idle, GET("/hello"));
  read_response(idle, text, sizeof text);
  int busy = dial(f);
  say(busy, GET("/defer"));
  await_event(f);
  call(f, close_in_a_minute);
  CHECK_INT(read_end(idle), 0);
  close(idle);
  call(f, answer_first);
  CHECK(strcmp(read_response(busy, text, sizeof text), "first") == 0);
  CHECK(strcasestr(text, "\r\nconnection: close\r\n") != NULL);
  CHECK_INT(read_end(busy), 0);
  close(busy);
  await_event(f);
  CHECK_INT(f->closed, 1);
}

static void test_close_with_grace(void) {
  with_server(client_sees_the_end, NULL);
}

static void client_outstays(struct fixture *f) {
  int fd = dial(f);
  say(fd, GET("/defer"));
  await_event(f);
  call(f, close_in_a_minute);
  call(f, close_soon); /* only shortens the grace */
  await_event(f);      /* gone */
  CHECK_INT(f->gone, 1);
  CHECK_INT(read_end(fd), ECONNRESET);
  close(fd);
  await_event(f);
  CHECK_INT(f->closed, 1);
}

static void test_close_after_grace(void) {
  with_server(client_outstays, NULL);
}

int main(void) {
  RUN(test_size_of_a_connection);
  RUN(test_keep_alive);
  RUN(test_pipelining);
  RUN(test_order_of_responses);
  RUN(test_bodies);
  RUN(test_streaming_with_back_pressure);
  RUN(test_bad_request);
  RUN(test_release_without_answer);
  RUN(test_half_close);
  RUN(test_reset);
  RUN(test_reset_while_not_reading);
  RUN(test_max_connections);
  RUN(test_header_timeout);
  RUN(test_keep_alive_timeout);
  RUN(test_write_timeout);
  RUN(test_close_with_grace);
  RUN(test_close_after_grace);
  return 0;
}
