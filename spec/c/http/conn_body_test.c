/* SPDX-License-Identifier: MIT */
/* conn: request bodies: broken, too long, not taken, not wanted, awaited by 100 Continue. */
#include "http/fixture.h"

#define CHUNKED "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

static void fails_broken_chunks(void) {
  static const char *const bad[] = {
      "x\r\n",     "\r\n", ";a\r\n",         "5 \r\n",     "1\nx",         "1\r\nxy",  "1\r\nx\n",
      "1\r\nx\rz", "1\rx", "0\r\n X: y\r\n", "0\r\nX\r\n", "0\r\nX: \001", "0\r\n\rx", "11111111111111111\r\n",
      "1;\n"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    struct client *c = client_new();
    char expected[64];
    feed(c, CHUNKED);
    feed(c, bad[i]);
    snprintf(expected, sizeof(expected), "POST/ failed:%d ", LS_EPROTO);
    check_log(c, expected);
    CHECK_INT(c->requests[0]->failure_status, 400);
    ls_exchange_abort(c->requests[0]);
    flush(c);
    CHECK(strncmp(c->sent, "HTTP/1.1 400 ", 13) == 0);
    CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
    client_free(c);
  }
}

static void bounds_extensions_and_trailers(void) {
  struct client *c = client_new();
  feed(c, CHUNKED);
  for (int i = 0; i < 100 && c->requests[0]->body_state == LS_BODY_READING; i++)
    feed(c, "1;aaaaaaa\r\nx\r\n");
  CHECK_INT(c->requests[0]->body_error, LS_ETOOBIG);
  CHECK_INT(c->requests[0]->body_received, 400 / 7);
  client_free(c);
}

static void bounds_chunked_bodies(void) {
  struct client *c = client_new();
  char expected[64];
  c->choose = 10;
  feed(c, CHUNKED "a\r\n0123456789\r\n");
  CHECK_INT(c->requests[0]->body_state, LS_BODY_READING);
  feed(c, "1\r\nx\r\n");
  snprintf(expected, sizeof(expected), "POST/ failed:%d ", LS_ETOOBIG);
  check_log(c, expected);
  CHECK_INT(c->requests[0]->failure_status, 413);
  answer(c->requests[0], 200, "anyway");
  flush(c);
  check_sent(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nanyway");
  client_free(c);
}

static void hook_raises_the_limit(void) {
  struct client *c = client_new();
  c->choose = 5000;
  feed(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n");
  check_log(c, "POST/ ");
  client_free(c);
}

static void pauses_for_a_body_that_nobody_takes(void) {
  struct client *c = client_new();
  char text[101] = {0};
  memset(text, 'x', 100);
  feed(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n");
  CHECK_INT(c->conn.deadline, LS_DEADLINE_NONE);
  ls_exchange_want_body(c->requests[0]);
  CHECK_INT(c->conn.deadline, LS_DEADLINE_BODY);
  uint32_t epoch = c->conn.deadline_epoch;
  feed(c, "y");
  CHECK(epoch != c->conn.deadline_epoch);
  CHECK(ls_conn_wants_read(&c->conn));
  text[99] = '\0';
  feed(c, text);
  CHECK(!ls_conn_wants_read(&c->conn));
  CHECK_INT(c->conn.deadline, LS_DEADLINE_NONE);
  ls_exchange_take_content(c->requests[0], 50);
  CHECK(ls_conn_wants_read(&c->conn));
  CHECK_INT(c->conn.deadline, LS_DEADLINE_BODY);
  text[99] = 'x';
  feed(c, text);
  CHECK_INT(c->requests[0]->body_state, LS_BODY_DONE);
  CHECK(ls_conn_wants_read(&c->conn));
  client_free(c);
}

static void renews_the_deadline_for_enough_of_a_body(void) {
  struct client *c = client_new();
  c->limits.body_floor = 10;
  feed(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n");
  ls_exchange_want_body(c->requests[0]);
  uint32_t epoch = c->conn.deadline_epoch;
  feed(c, "123456789");
  CHECK_INT(c->conn.deadline_epoch, epoch);
  feed(c, "0");
  CHECK_INT(c->conn.deadline_epoch, epoch + 1);
  feed(c, "1");
  CHECK_INT(c->conn.deadline_epoch, epoch + 1);
  feed(c, "2345678901234");
  CHECK_INT(c->conn.deadline_epoch, epoch + 2);
  ls_conn_expire(&c->conn);
  CHECK_INT(c->requests[0]->failure_status, 408);
  client_free(c);
}

static void discards_a_body_after_the_answer(void) {
  struct client *c = client_new();
  c->answers = true;
  feed(c, "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  check_sent(c, OK("2", "ok"));
  CHECK_INT(c->live, 1);
  CHECK_INT(c->conn.deadline, LS_DEADLINE_BODY);
  feed(c, "defghij" GET("/2"));
  check_sent(c, OK("2", "ok"));
  check_log(c, "POST/1 GET/2 ");
  CHECK_INT(c->live, 0);
  c->limits.max_body = UINT64_MAX;
  feed(c, "POST /3 HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\nabc");
  CHECK_INT(c->live, 0);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
  client_free(c);
}

static void stops_discarding_a_long_chunked_body(void) {
  struct client *c = client_new();
  char *chunk = malloc(64 * 1024 + 1);
  memset(chunk, 'x', 64 * 1024);
  chunk[64 * 1024] = '\0';
  c->answers = true;
  feed(c, CHUNKED "FFFFFFF\r\n");
  check_sent(c, OK("2", "ok"));
  for (int i = 0; i < 4; i++)
    feed(c, chunk);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_OPEN);
  feed(c, chunk);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
  CHECK_INT(c->live, 0);
  free(chunk);
  client_free(c);
}

#define EXPECT "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n"

static void says_continue_when_asked(void) {
  struct client *c = client_new();
  c->echoes = true;
  feed(c, EXPECT);
  check_sent(c, "");
  ls_exchange_want_body(c->requests[0]);
  ls_exchange_want_body(c->requests[0]);
  flush(c);
  check_sent(c, "HTTP/1.1 100 Continue\r\n\r\n");
  feed(c, "ab");
  check_sent(c, OK("2", "ab"));
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_OPEN);
  c->wants = true;
  feed(c, EXPECT "cd"); /* it did not wait: by the time it is told, the bytes are here */
  flush(c);
  check_sent(c, "HTTP/1.1 100 Continue\r\n\r\n" OK("2", "cd"));
  client_free(c);
}

static void closes_when_continue_was_not_said(void) {
  struct client *c = client_new();
  c->answers = true;
  feed(c, EXPECT);
  check_sent(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
  client_free(c);
}

static void says_continue_in_order(void) {
  struct client *c = client_new();
  feed(c, GET("/1") EXPECT);
  ls_exchange_want_body(c->requests[1]);
  flush(c);
  check_sent(c, "");
  answer(c->requests[0], 200, "1");
  flush(c);
  check_sent(c, OK("1", "1") "HTTP/1.1 100 Continue\r\n\r\n");
  client_free(c);
}

int main(void) {
  RUN(fails_broken_chunks);
  RUN(bounds_extensions_and_trailers);
  RUN(bounds_chunked_bodies);
  RUN(hook_raises_the_limit);
  RUN(pauses_for_a_body_that_nobody_takes);
  RUN(renews_the_deadline_for_enough_of_a_body);
  RUN(discards_a_body_after_the_answer);
  RUN(stops_discarding_a_long_chunked_body);
  RUN(says_continue_when_asked);
  RUN(closes_when_continue_was_not_said);
  RUN(says_continue_in_order);
  return 0;
}
