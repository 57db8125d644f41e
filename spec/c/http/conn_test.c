/* SPDX-License-Identifier: MIT */
/* conn: what is read and in which order, how a connection ends. */
#include "http/fixture.h"

static void answers_and_keeps_alive(void) {
  struct client *c = client_new();
  c->answers = true;
  CHECK_INT(c->conn.deadline, LS_DEADLINE_HEADER);
  for (int i = 0; i < 3; i++) {
    feed(c, GET("/a"));
    check_log(c, "GET/a ");
    check_sent(c, OK("2", "ok"));
    CHECK_INT(c->conn.deadline, LS_DEADLINE_KEEP_ALIVE);
    CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_OPEN);
    CHECK_INT(c->live, 0);
  }
  feed(c, "\r\n\r\n" GET("/b"));
  check_sent(c, OK("2", "ok"));
  client_free(c);
}

static void answers_in_order_of_requests(void) {
  struct client *c = client_new();
  feed(c, GET("/1") GET("/2") GET("/3"));
  check_log(c, "GET/1 GET/2 GET/3 ");
  answer(c->requests[2], 200, "three");
  flush(c);
  answer(c->requests[1], 200, "two");
  flush(c);
  check_sent(c, "");
  CHECK_INT(c->live, 3);
  answer(c->requests[0], 200, "one");
  flush(c);
  check_sent(c, OK("3", "one") OK("3", "two") OK("5", "three"));
  CHECK_INT(c->live, 0);
  client_free(c);
}

static void holds_back_more_than_the_pipeline_takes(void) {
  struct client *c = client_new();
  feed(c, GET("/1") GET("/2") GET("/3") GET("/4") GET("/5") GET("/6"));
  check_log(c, "GET/1 GET/2 GET/3 GET/4 ");
  CHECK(ls_conn_wants_read(&c->conn));
  feed(c, "GET /7 HT");
  feed(c, "TP/1.1\r\nHost: x\r\n\r\n");
  answer(c->requests[0], 200, "1");
  flush(c);
  check_log(c, "GET/5 ");
  char *many = calloc(1, 20000);
  memset(many, '\n', 20000);
  feed_some(c, many, 20000);
  free(many);
  CHECK(!ls_conn_wants_read(&c->conn));
  for (int i = 1; i < 7; i++) {
    answer(c->requests[i], 200, "x");
    flush(c);
  }
  check_log(c, "GET/6 GET/7 ");
  CHECK(ls_conn_wants_read(&c->conn));
  CHECK_INT(c->live, 0);
  client_free(c);
}

static const char mixed[] =
    "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
    "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    "3\r\nabc\r\n000A;x=\"y\";z\r\n0123456789\r\n0;l\r\nX-T: v\r\nY:\r\n\r\n"
    "\r\nPOST /c HTTP/1.1\r\nhost:\t[::1]:80 \r\ncontent-length: 0\r\nConnection: x, close\r\n\r\nGET /ignored "
    "HTTP/1.1";

static void check_mixed(struct client *c) {
  if (c->requests[2]->conn != NULL)
    answer(c->requests[2], 200, "c");
  flush(c);
  check_log(c, "POST/a POST/b POST/c ");
  check_sent(c, OK("5", "hello")
                    OK("13", "abc0123456789") "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nc");
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
}

static void splits_change_nothing(void) {
  for (size_t first = 0; first <= strlen(mixed); first++) {
    struct client *c = client_new();
    c->echoes = true;
    feed_some(c, mixed, first);
    if (first % 2 == 0)
      flush(c);
    feed_some(c, mixed + first, strlen(mixed) - first);
    check_mixed(c);
    client_free(c);
  }
}

static void single_bytes_change_nothing(void) {
  struct client *c = client_new();
  c->echoes = true;
  for (size_t i = 0; i < strlen(mixed); i++)
    feed_some(c, mixed + i, 1);
  check_mixed(c);
  client_free(c);
}

/* The status of the only answer; its connection closes after it. */
static void check_refused(const char *request, int status) {
  for (size_t split = 0; split < strlen(request); split++) {
    struct client *c = client_new();
    char expected[32];
    feed_some(c, request, split);
    feed_some(c, request + split, strlen(request) - split);
    flush(c);
    check_log(c, "");
    snprintf(expected, sizeof(expected), "HTTP/1.1 %d ", status);
    CHECK_BYTES(c->sent, c->sent_len < strlen(expected) ? c->sent_len : strlen(expected), expected);
    CHECK(strstr(c->sent, "\r\nConnection: close\r\n") != NULL);
    CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
    c->sent_len = 0;
    feed(c, GET("/more"));
    check_log(c, "");
    check_sent(c, "");
    ls_conn_lingers(&c->conn);
    CHECK_INT(c->conn.deadline, LS_DEADLINE_LINGER);
    CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_OPEN);
    feed(c, GET("/more"));
    ls_conn_feed_end(&c->conn);
    CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_CLOSE);
    client_free(c);
  }
}

#define H(fields) "GET / HTTP/1.1\r\n" fields "\r\n\r\n"

static void refuses_bad_syntax(void) {
  static const char *const bad[] = {"GET / HTTP/1.1\r\n\r\n",
                                    HX("Host: x"),
                                    HX("Host: y"),
                                    H("Host: a b"),
                                    H("Host: a/b"),
                                    H("Host: a:b"),
                                    H("Host: [::1"),
                                    H("Host: a@b"),
                                    HX("X : y"),
                                    HX("X: a\r\n b"),
                                    HX("X:\r\n b"),
                                    HX(" X: y"),
                                    HX("X"),
                                    HX(": y"),
                                    HX("X: a\001"),
                                    HX("X: a\nY: b"),
                                    HX("X: a\rY: b"),
                                    HX("X Y: b"),
                                    HX("X\xc3: b"),
                                    HX("X: a\x7f"),
                                    "GET / HTTP/1.1\nHost: x\r\n\r\n",
                                    "GET / HTTP/1.1\r\nHost: x\n\r\n",
                                    "GET / HTTP/1.1\r\nHost: x\r\n\n",
                                    "GET / HTTP/1.1\r\nHost: x\r\n\rX",
                                    "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
                                    "GET /  HTTP/1.1\r\nHost: x\r\n\r\n",
                                    "GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
                                    "GET /\r\nHost: x\r\n\r\n",
                                    "GET / HTTP/x.1\r\nHost: x\r\n\r\n",
                                    "GET / RTSP/1.0\r\nHost: x\r\n\r\n",
                                    "GET /\t HTTP/1.1\r\nHost: x\r\n\r\n",
                                    "GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
                                    "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
                                    "GET a HTTP/1.1\r\nHost: x\r\n\r\n",
                                    "GET * HTTP/1.1\r\nHost: x\r\n\r\n",
                                    "OPTIONS *a HTTP/1.1\r\nHost: x\r\n\r\n",
                                    " GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                    "\x16\x03\x01\x02",
                                    "G\x01T / HTTP/1.1",
                                    "GET\r\n",
                                    HX("Content-Length: 1\r\nContent-Length: 1"),
                                    HX("Content-Length: 1, 1"),
                                    HX("Content-Length: -1"),
                                    HX("Content-Length: +1"),
                                    HX("Content-Length: 0x1"),
                                    HX("Content-Length:"),
                                    HX("Content-Length: 1 1"),
                                    HX("Content-Length: 1\r\nTransfer-Encoding: chunked"),
                                    HX("Transfer-Encoding: chunked\r\nContent-Length: 1"),
                                    HX("Transfer-Encoding: chunked, identity"),
                                    HX("Transfer-Encoding: xchunked"),
                                    HX("Transfer-Encoding:"),
                                    HX("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
                                    HX("Transfer-Encoding: gzip"),
                                    "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    check_refused(bad[i], 400);
}

static void refuses_with_the_right_status(void) {
  check_refused("FOO / HTTP/1.1\r\nHost: x\r\n\r\n", 501);
  check_refused("get / HTTP/1.1\r\nHost: x\r\n\r\n", 501);
  check_refused("DESCRIBE / HTTP/1.1\r\nHost: x\r\n\r\n", 501);
  check_refused("CONNECT a:80 HTTP/1.1\r\nHost: x\r\n\r\n", 501);
  check_refused(HX("Transfer-Encoding: gzip, chunked"), 501);
  check_refused("GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505);
  check_refused("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505);
  check_refused("GET / HTTP/0.9\r\nHost: x\r\n\r\n", 505);
  check_refused("GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505);
  check_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
  check_refused(HX("Expect: magic"), 417);
  check_refused(HX("Content-Length: 1001"), 413);
  check_refused(HX("Content-Length: 9999999999999999999"), 413);
  check_refused(HX("A:\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\nG:\r\nH:"), 431);
}

static void refuses_what_is_too_long(void) {
  char text[2048], filler[600];
  memset(filler, 'a', sizeof(filler));
  snprintf(text, sizeof(text), "GET /%.100s HTTP/1.1\r\nHost: x\r\n\r\n", filler);
  check_refused(text, 414);
  snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\nX: %.400s\r\n\r\n", filler);
  check_refused(text, 431);
  snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\n%.400s: x\r\n\r\n", filler);
  check_refused(text, 431);
  memset(filler, ' ', sizeof(filler));
  struct client *c = client_new();
  snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\nX:%.600s", filler);
  feed(c, text);
  CHECK(strncmp(c->sent, "HTTP/1.1 431 ", 13) == 0);
  client_free(c);
  c = client_new();
  snprintf(text, sizeof(text), "GET %.600s", filler);
  feed(c, text);
  CHECK(strncmp(c->sent, "HTTP/1.1 400 ", 13) == 0);
  client_free(c);
}

static void accepts_what_is_just_within_limits(void) {
  char text[2048], filler[600];
  struct client *c = client_new();
  memset(filler, 'a', sizeof(filler));
  c->answers = true;
  snprintf(text, sizeof(text), "GET /%.99s HTTP/1.1\r\nHost: x\r\nX: %.386s\r\n\r\n", filler, filler);
  feed(c, text);
  check_sent(c, OK("2", "ok"));
  feed(c, HX("A:\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\nG:"));
  check_sent(c, OK("2", "ok"));
  feed(c, H("Host:"));
  check_sent(c, OK("2", "ok"));
  feed(c, "OPTIONS * HTTP/1.1\r\nHost: a.b-c:8080\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n");
  check_sent(c, OK("2", "ok"));
  feed(c, "GET http://a.b/c HTTP/1.1\r\nHost: a.b\r\n\r\n");
  check_sent(c, OK("2", "ok"));
  client_free(c);
}

static void refuses_behind_answers_under_way(void) {
  struct client *c = client_new();
  feed(c, GET("/1") "nonsense\r\n\r\n" GET("/2"));
  check_log(c, "GET/1 ");
  check_sent(c, "");
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_OPEN);
  answer(c->requests[0], 200, "1");
  flush(c);
  CHECK(strncmp(c->sent, OK("1", "1") "HTTP/1.1 501 ", strlen(OK("1", "1")) + 13) == 0);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
  client_free(c);
}

/* Its head was held back, in memory that goes when it has been parsed. */
static void refuses_what_was_held_back(void) {
  struct client *c = client_new();
  feed(c, GET("/1") GET("/2") GET("/3") GET("/4") "GET / HTTP/1.1\r\nX: y\r\n\r\n");
  answer(c->requests[0], 200, "1");
  flush(c);
  CHECK_INT(ls_conn_keep(&c->conn), 0);
  check_sent(c, OK("1", "1"));
  for (int i = 1; i < 4; i++)
    answer(c->requests[i], 200, "");
  flush(c);
  CHECK(strstr(c->sent, "HTTP/1.1 400 ") != NULL);
  client_free(c);
}

static void closes_after_max_requests(void) {
  struct client *c = client_new();
  c->limits.max_requests = 2;
  c->answers = true;
  feed(c, GET("/1") GET("/2") GET("/3"));
  check_log(c, "GET/1 GET/2 ");
  check_sent(c, OK("2", "ok") "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
  client_free(c);
}

static void makes_writers_wait(void) {
  struct client *c = client_new();
  struct ls_buf taken;
  char text[900];
  memset(text, 'x', sizeof(text));
  feed(c, GET("/1"));
  c->log[0] = '\0';
  CHECK_INT(ls_exchange_respond(c->requests[0], 200, NULL, -1), 0);
  CHECK_INT(ls_exchange_write(c->requests[0], text, 900), 0);
  CHECK_INT(ls_exchange_write(c->requests[0], text, 100), 1);
  CHECK_INT(ls_conn_settle(&c->conn), false);
  check_log(c, "");
  size_t len = c->conn.out.len;
  ls_conn_take_output(&c->conn, &taken);
  CHECK_INT(taken.len, len);
  ls_buf_dispose(&taken);
  ls_conn_settle(&c->conn);
  CHECK_INT(c->conn.deadline, LS_DEADLINE_WRITE);
  uint32_t epoch = c->conn.deadline_epoch;
  ls_conn_sent(&c->conn, len - 500);
  CHECK(epoch != c->conn.deadline_epoch);
  CHECK_INT(c->conn.deadline, LS_DEADLINE_WRITE);
  ls_conn_settle(&c->conn);
  check_log(c, "drain ");
  ls_conn_sent(&c->conn, 500);
  ls_conn_settle(&c->conn);
  check_log(c, "");
  CHECK_INT(c->conn.deadline, LS_DEADLINE_NONE);
  client_free(c);
}

static void parses_no_more_while_output_is_stuck(void) {
  struct client *c = client_new();
  struct ls_buf taken;
  feed(c, GET("/1"));
  CHECK_INT(ls_exchange_respond(c->requests[0], 200, NULL, 2000), 0);
  char text[2000] = {0};
  CHECK_INT(ls_exchange_write(c->requests[0], text, 2000), 1);
  CHECK_INT(ls_exchange_finish(c->requests[0], NULL), 0);
  ls_conn_settle(&c->conn);
  ls_conn_take_output(&c->conn, &taken);
  size_t len = taken.len;
  ls_buf_dispose(&taken);
  feed_some(c, GET("/2"), strlen(GET("/2")));
  CHECK(!ls_conn_settle(&c->conn));
  check_log(c, "GET/1 ");
  ls_conn_sent(&c->conn, len);
  CHECK(ls_conn_settle(&c->conn));
  check_log(c, "GET/2 ");
  client_free(c);
}

static void answers_after_a_half_close(void) {
  struct client *c = client_new();
  feed(c, GET("/1") "GET /2");
  ls_conn_feed_end(&c->conn);
  check_log(c, "GET/1 gone ");
  CHECK(!ls_conn_wants_read(&c->conn));
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_OPEN);
  answer(c->requests[0], 200, "1");
  flush(c);
  check_sent(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1");
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_CLOSE);
  client_free(c);
  c = client_new();
  ls_conn_feed_end(&c->conn);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_CLOSE);
  client_free(c);
  c = client_new(); /* with requests still unparsed */
  feed(c, GET("/1") GET("/2") GET("/3") GET("/4") GET("/5") "GE");
  ls_conn_feed_end(&c->conn);
  for (int i = 0; i < 5; i++) {
    answer(c->requests[i], 200, "x");
    flush(c);
  }
  check_log(c, "GET/1 GET/2 GET/3 GET/4 GET/5 gone ");
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_CLOSE);
  client_free(c);
}

static void fails_a_body_cut_short(void) {
  struct client *c = client_new();
  char expected[64];
  feed(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc");
  ls_conn_feed_end(&c->conn);
  snprintf(expected, sizeof(expected), "POST/ failed:%d ", LS_ECLOSED);
  check_log(c, expected);
  answer(c->requests[0], 400, "");
  flush(c);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_CLOSE);
  client_free(c);
}

static void expires_heads(void) {
  struct client *c = client_new();
  ls_conn_expire(&c->conn);
  flush(c);
  check_sent(c, "");
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_CLOSE);
  client_free(c);
  c = client_new();
  uint32_t epoch = c->conn.deadline_epoch;
  feed(c, "GET / HT");
  feed(c, "TP");
  CHECK_INT(c->conn.deadline, LS_DEADLINE_HEADER);
  CHECK_INT(c->conn.deadline_epoch, epoch);
  ls_conn_expire(&c->conn);
  flush(c);
  CHECK(strncmp(c->sent, "HTTP/1.1 408 ", 13) == 0);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
  ls_conn_lingers(&c->conn);
  ls_conn_expire(&c->conn);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_CLOSE);
  client_free(c);
}

static void expires_idle_connections(void) {
  struct client *c = client_new();
  c->answers = true;
  feed(c, GET("/"));
  CHECK_INT(c->conn.deadline, LS_DEADLINE_KEEP_ALIVE);
  uint32_t epoch = c->conn.deadline_epoch;
  feed(c, GET("/"));
  CHECK_INT(c->conn.deadline, LS_DEADLINE_KEEP_ALIVE);
  CHECK(c->conn.deadline_epoch != epoch);
  epoch = c->conn.deadline_epoch;
  feed(c, "\r\n");
  CHECK_INT(c->conn.deadline_epoch, epoch);
  feed(c, "G");
  CHECK_INT(c->conn.deadline, LS_DEADLINE_HEADER);
  feed(c, GET("/") + 1);
  ls_conn_expire(&c->conn);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_CLOSE);
  client_free(c);
}

static void expires_bodies_and_writes(void) {
  struct client *c = client_new();
  char expected[64];
  c->wants = true;
  feed(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc");
  CHECK_INT(c->conn.deadline, LS_DEADLINE_BODY);
  ls_conn_expire(&c->conn);
  snprintf(expected, sizeof(expected), "POST/ failed:%d ", -ETIMEDOUT);
  check_log(c, expected);
  CHECK_INT(c->requests[0]->failure_status, 408);
  ls_exchange_abort(c->requests[0]);
  ls_conn_settle(&c->conn);
  CHECK(strncmp(ls_conn_output(&c->conn).ptr, "HTTP/1.1 408 ", 13) == 0);
  CHECK_INT(c->conn.deadline, LS_DEADLINE_WRITE);
  ls_conn_expire(&c->conn);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_RESET);
  client_free(c);
}

static void drains(void) {
  struct client *c = client_new();
  ls_conn_drain(&c->conn);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_CLOSE);
  client_free(c);
  c = client_new();
  feed(c, GET("/1") GET("/2"));
  ls_conn_drain(&c->conn);
  feed(c, GET("/3"));
  check_log(c, "GET/1 GET/2 ");
  answer(c->requests[0], 200, "1");
  answer(c->requests[1], 200, "2");
  flush(c);
  check_sent(c, OK("1", "1") "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n2");
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
  client_free(c);
  c = client_new(); /* a head that has begun is still answered */
  c->answers = true;
  feed(c, "GET / HTTP/1.1\r\n");
  ls_conn_drain(&c->conn);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_OPEN);
  feed(c, "Host: x\r\n\r\n" GET("/2"));
  check_log(c, "GET/ ");
  check_sent(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
  client_free(c);
}

static void survives_no_memory_for_a_request(void) {
  struct client *c = client_new();
  for (int i = 0; i < MAX_EXCHANGES; i++)
    c->slots[i].used = true;
  CHECK_INT(ls_conn_feed(&c->conn, GET("/"), strlen(GET("/"))), -ENOMEM);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_RESET);
  client_free(c);
}

int main(void) {
  RUN(answers_and_keeps_alive);
  RUN(answers_in_order_of_requests);
  RUN(holds_back_more_than_the_pipeline_takes);
  RUN(splits_change_nothing);
  RUN(single_bytes_change_nothing);
  RUN(refuses_bad_syntax);
  RUN(refuses_with_the_right_status);
  RUN(refuses_what_is_too_long);
  RUN(accepts_what_is_just_within_limits);
  RUN(refuses_behind_answers_under_way);
  RUN(refuses_what_was_held_back);
  RUN(closes_after_max_requests);
  RUN(makes_writers_wait);
  RUN(parses_no_more_while_output_is_stuck);
  RUN(answers_after_a_half_close);
  RUN(fails_a_body_cut_short);
  RUN(expires_heads);
  RUN(expires_idle_connections);
  RUN(expires_bodies_and_writes);
  RUN(drains);
  RUN(survives_no_memory_for_a_request);
  return 0;
}
