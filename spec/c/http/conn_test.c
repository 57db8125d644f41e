/* SPDX-License-Identifier: MIT */
/* conn: the state machine, driven with bytes. A client struct plays the owner: it notes each event as a short word and
 * what was sent as text. */
#include "http/conn.h"

#include "base/error.h"
#include "check.h"

enum { MAX_EXCHANGES = 64 };

struct slot {
  struct ls_exchange exchange;
  struct client *client;
  bool used;
};

struct client {
  struct ls_conn conn;
  struct ls_http_limits limits;
  struct ls_buf_pool pool;
  struct slot slots[MAX_EXCHANGES];
  struct ls_exchange *requests[256]; /* in the order of on_request */
  unsigned count;
  unsigned live; /* exchanges handed out */
  char log[8192];
  char sent[65536];
  size_t sent_len;
  uint64_t choose; /* what choose_body_limit says; 0: max_body */
  bool wants;      /* on_request wants the body */
  bool answers;    /* on_request answers 200 "ok" */
  bool echoes;     /* when the body is complete it is the answer */
};

static struct client *client_of(struct ls_conn *conn) {
  return ls_container_of(conn, struct client, conn);
}

static void note(struct client *client, const char *text, size_t len) {
  size_t at = strlen(client->log);
  CHECK(at + len + 2 < sizeof(client->log));
  memcpy(client->log + at, text, len);
  strcpy(client->log + at + len, " ");
}

static void answer(struct ls_exchange *exchange, int status, const char *text) {
  CHECK_INT(ls_exchange_respond(exchange, status, NULL, (int64_t)strlen(text)), 0);
  CHECK(ls_exchange_write(exchange, text, strlen(text)) >= 0);
  CHECK_INT(ls_exchange_finish(exchange), 0);
}

static struct ls_exchange *new_exchange(struct ls_conn *conn) {
  struct client *client = client_of(conn);
  for (int i = 0; i < MAX_EXCHANGES; i++) {
    struct slot *slot = &client->slots[i];
    if (slot->used)
      continue;
    slot->used = true;
    slot->client = client;
    client->live++;
    return &slot->exchange;
  }
  return NULL;
}

static uint64_t choose_body_limit(struct ls_exchange *exchange) {
  struct client *client = client_of(exchange->conn);
  return client->choose != 0 ? client->choose : client->limits.max_body;
}

static void on_request(struct ls_exchange *exchange) {
  struct client *client = client_of(exchange->conn);
  struct ls_slice method = ls_head_method(&exchange->head), url = ls_head_url(&exchange->head);
  note(client, method.ptr, method.len);
  client->log[strlen(client->log) - 1] = '\0';
  note(client, url.ptr, url.len);
  CHECK(client->count < 256);
  client->requests[client->count++] = exchange;
  if (client->wants)
    ls_exchange_want_body(exchange);
  if (client->answers)
    answer(exchange, 200, "ok");
}

static void on_body(struct ls_exchange *exchange) {
  struct client *client = client_of(exchange->conn);
  if (exchange->body_state == LS_BODY_FAILED) {
    char text[32];
    snprintf(text, sizeof(text), "failed:%d", exchange->body_error);
    note(client, text, strlen(text));
  }
  if (client->echoes && exchange->body_state == LS_BODY_DONE) {
    CHECK_INT(ls_exchange_respond(exchange, 200, NULL, (int64_t)exchange->body.len), 0);
    CHECK(ls_exchange_write(exchange, ls_buf_bytes(&exchange->body), exchange->body.len) >= 0);
    CHECK_INT(ls_exchange_finish(exchange), 0);
  }
}

static void on_drain(struct ls_exchange *exchange) {
  note(client_of(exchange->conn), "drain", 5);
}

static void release(struct ls_exchange *exchange) {
  struct slot *slot = ls_container_of(exchange, struct slot, exchange);
  CHECK(exchange->conn == NULL);
  CHECK(slot->used);
  ls_exchange_clear(exchange);
  slot->used = false;
  slot->client->live--;
}

static void on_done(struct ls_exchange *exchange) {
  release(exchange);
}

static void on_gone(struct ls_exchange *exchange) {
  note(ls_container_of(exchange, struct slot, exchange)->client, "gone", 4);
  release(exchange);
}

static const struct ls_conn_events events = {.new_exchange = new_exchange,
                                             .choose_body_limit = choose_body_limit,
                                             .on_request = on_request,
                                             .on_body = on_body,
                                             .on_drain = on_drain,
                                             .on_done = on_done,
                                             .on_gone = on_gone};

static struct client *client_new(void) {
  static const struct ls_date_cache date = {.second = 0, .text = "Thu, 01 Jan 1970 00:00:00 GMT"};
  struct client *client = calloc(1, sizeof(*client));
  CHECK(client != NULL);
  client->limits = (struct ls_http_limits){.max_url = 100,
                                           .max_header_bytes = 400,
                                           .max_headers = 8,
                                           .max_body = 1000,
                                           .max_pipeline = 4,
                                           .body_high = 100,
                                           .out_high = 1000};
  ls_conn_init(&client->conn, &events, &client->limits, &client->pool, &date);
  return client;
}

static void client_free(struct client *client) {
  ls_conn_dispose(&client->conn);
  ls_conn_dispose(&client->conn);
  CHECK_INT(client->live, 0);
  for (int i = 0; i < MAX_EXCHANGES; i++)
    ls_exchange_dispose(&client->slots[i].exchange);
  ls_buf_pool_dispose(&client->pool);
  free(client);
}

/* As the owner's flush step, to a socket that takes everything. Date lines are left out of sent. */
static void flush(struct client *client) {
  static const char date[] = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
  while (ls_conn_settle(&client->conn)) {
  }
  struct ls_slice out = ls_conn_output(&client->conn);
  if (out.len == 0)
    return;
  CHECK(client->sent_len + out.len < sizeof(client->sent));
  memcpy(client->sent + client->sent_len, out.ptr, out.len);
  client->sent_len += out.len;
  client->sent[client->sent_len] = '\0';
  ls_conn_consume_output(&client->conn, out.len);
  for (char *at = strstr(client->sent, date); at != NULL; at = strstr(at, date)) {
    memmove(at, at + strlen(date), strlen(at + strlen(date)) + 1);
    client->sent_len -= strlen(date);
  }
  while (ls_conn_settle(&client->conn)) {
  }
}

static void feed_some(struct client *client, const char *bytes, size_t len) {
  char *copy = malloc(len + 1); /* its own memory, which goes */
  memcpy(copy, bytes, len);
  CHECK_INT(ls_conn_feed(&client->conn, copy, len), 0);
  CHECK_INT(ls_conn_keep(&client->conn), 0);
  free(copy);
}

static void feed(struct client *client, const char *text) {
  feed_some(client, text, strlen(text));
  flush(client);
}

static void check_sent(struct client *client, const char *expected) {
  CHECK_BYTES(client->sent, client->sent_len, expected);
  client->sent_len = 0;
  client->sent[0] = '\0';
}

static void check_log(struct client *client, const char *expected) {
  CHECK_BYTES(client->log, strlen(client->log), expected);
  client->log[0] = '\0';
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define OK(length, body) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body

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
#define HX(fields) "GET / HTTP/1.1\r\nHost: x\r\n" fields "\r\n\r\n"

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
  ls_buf_consume(&c->requests[0]->body, 50);
  ls_exchange_took_body(c->requests[0]);
  CHECK(ls_conn_wants_read(&c->conn));
  CHECK_INT(c->conn.deadline, LS_DEADLINE_BODY);
  text[99] = 'x';
  feed(c, text);
  CHECK_INT(c->requests[0]->body_state, LS_BODY_DONE);
  CHECK(ls_conn_wants_read(&c->conn));
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

static void check_response(const char *request, int status, const char *fields, int64_t length, const char *body,
                           const char *expected, enum ls_conn_close close) {
  struct client *c = client_new();
  struct ls_headers headers = {0};
  char line[200];
  strcpy(line, fields);
  char *rest;
  for (char *name = strtok_r(line, ":", &rest); name != NULL; name = strtok_r(NULL, ":", &rest)) {
    char *value = strtok_r(NULL, "\n", &rest);
    CHECK_INT(ls_headers_add(&headers, ls_slice_of(name), ls_slice_of(value)), 0);
  }
  feed(c, request);
  CHECK_INT(ls_exchange_respond(c->requests[0], status, &headers, length), 0);
  CHECK_INT(ls_exchange_write(c->requests[0], body, strlen(body)), 0);
  CHECK_INT(ls_exchange_finish(c->requests[0]), 0);
  flush(c);
  check_sent(c, expected);
  CHECK_INT(ls_conn_close_state(&c->conn), close);
  ls_headers_dispose(&headers);
  client_free(c);
}

#define GET10 "GET / HTTP/1.0\r\n\r\n"
#define GET10_KEEP "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
#define HEAD "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"

static void chooses_the_framing(void) {
  check_response(GET("/"), 200, "", -1, "abc",
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", LS_CONN_OPEN);
  check_response(GET("/"), 200, "Content-Length:3", -1, "abc", OK("3", "abc"), LS_CONN_OPEN);
  check_response(GET("/"), 200, "Content-Length:7", 3, "abc", OK("3", "abc"), LS_CONN_OPEN);
  check_response(GET("/"), 200, "Transfer-Encoding:gzip", 3, "abc", OK("3", "abc"), LS_CONN_OPEN);
  check_response(GET10, 200, "", -1, "abc", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", LS_CONN_SHUTDOWN);
  check_response(GET10_KEEP, 200, "", -1, "abc", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", LS_CONN_SHUTDOWN);
  check_response(GET10_KEEP, 200, "", 3, "abc",
                 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc", LS_CONN_OPEN);
  check_response(HX("Connection: close"), 200, "", 0, "",
                 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", LS_CONN_SHUTDOWN);
  check_response(GET("/"), 200, "Connection:x, Close", 0, "",
                 "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n", LS_CONN_SHUTDOWN);
}

static void sends_no_body_where_there_is_none(void) {
  check_response(HEAD, 200, "", 3, "abc", OK("3", ""), LS_CONN_OPEN);
  check_response(HEAD, 200, "Content-Length:9", 0, "", OK("9", ""), LS_CONN_OPEN);
  check_response(HEAD, 200, "", -1, "abc", "HTTP/1.1 200 OK\r\n\r\n", LS_CONN_OPEN);
  check_response(GET("/"), 204, "", 3, "abc", "HTTP/1.1 204 No Content\r\n\r\n", LS_CONN_OPEN);
  check_response(GET("/"), 204, "Content-Length:3", -1, "abc", "HTTP/1.1 204 No Content\r\n\r\n", LS_CONN_OPEN);
  check_response(GET("/"), 304, "ETag:x", 0, "", "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", LS_CONN_OPEN);
  check_response(GET("/"), 205, "", -1, "abc", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", LS_CONN_OPEN);
}

static void refuses_misuse(void) {
  struct client *c = client_new();
  struct ls_headers headers = {0};
  ls_headers_add(&headers, ls_slice_of("Content-Length"), ls_slice_of("1x"));
  feed(c, GET("/"));
  struct ls_exchange *e = c->requests[0];
  CHECK_INT(ls_exchange_write(e, "a", 1), LS_ESTATE);
  CHECK_INT(ls_exchange_finish(e), LS_ESTATE);
  CHECK_INT(ls_exchange_respond(e, 101, NULL, 0), -EINVAL);
  CHECK_INT(ls_exchange_respond(e, 1000, NULL, 0), -EINVAL);
  CHECK_INT(ls_exchange_respond(e, 200, &headers, -1), LS_EHEADER);
  CHECK_INT(ls_exchange_respond(e, 103, NULL, 0), 0);
  CHECK_INT(ls_exchange_respond(e, 200, NULL, 2), 0);
  CHECK_INT(ls_exchange_respond(e, 200, NULL, 2), LS_ESTATE);
  CHECK_INT(ls_exchange_write(e, "abc", 3), LS_ELENGTH);
  CHECK_INT(ls_exchange_write(e, "ab", 2), 0);
  CHECK_INT(ls_exchange_finish(e), 0);
  CHECK_INT(ls_exchange_finish(e), LS_ESTATE);
  CHECK_INT(ls_exchange_write(e, "", 0), LS_ESTATE);
  flush(c);
  check_sent(c, "HTTP/1.1 103 Early Hints\r\n\r\n" OK("2", "ab"));
  CHECK_INT(ls_exchange_respond(e, 200, NULL, 0), LS_ECLOSED);
  ls_headers_dispose(&headers);
  client_free(c);
}

static void resets_what_cannot_be_completed(void) {
  struct client *c = client_new();
  feed(c, GET("/"));
  CHECK_INT(ls_exchange_respond(c->requests[0], 200, NULL, 2), 0);
  CHECK_INT(ls_exchange_finish(c->requests[0]), LS_ELENGTH);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_RESET);
  ls_conn_dispose(&c->conn);
  check_log(c, "GET/ gone ");
  client_free(c);
  c = client_new();
  feed(c, GET("/1") GET("/2"));
  CHECK_INT(ls_exchange_respond(c->requests[1], 200, NULL, 2), 0);
  ls_exchange_abort(c->requests[1]); /* its head has not left: it is taken back */
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_OPEN);
  CHECK_INT(ls_exchange_respond(c->requests[0], 200, NULL, 2), 0);
  ls_exchange_abort(c->requests[0]);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_RESET);
  client_free(c);
  c = client_new();
  feed(c, GET("/1"));
  ls_exchange_abort(c->requests[0]);
  flush(c);
  CHECK(strncmp(c->sent, "HTTP/1.1 500 ", 13) == 0);
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
  client_free(c);
}

static void drops_requests_behind_a_closing_answer(void) {
  struct client *c = client_new();
  struct ls_headers headers = {0};
  ls_headers_add(&headers, ls_slice_of("Connection"), ls_slice_of("close"));
  feed(c, GET("/1") GET("/2") GET("/3") "GET");
  CHECK_INT(ls_exchange_respond(c->requests[0], 200, &headers, 0), 0);
  CHECK_INT(ls_exchange_finish(c->requests[0]), 0);
  flush(c);
  check_log(c, "GET/1 GET/2 GET/3 gone gone gone ");
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
  ls_headers_dispose(&headers);
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
  CHECK_INT(ls_exchange_finish(c->requests[0]), 0);
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
  RUN(fails_broken_chunks);
  RUN(bounds_extensions_and_trailers);
  RUN(bounds_chunked_bodies);
  RUN(hook_raises_the_limit);
  RUN(pauses_for_a_body_that_nobody_takes);
  RUN(discards_a_body_after_the_answer);
  RUN(stops_discarding_a_long_chunked_body);
  RUN(says_continue_when_asked);
  RUN(closes_when_continue_was_not_said);
  RUN(says_continue_in_order);
  RUN(chooses_the_framing);
  RUN(sends_no_body_where_there_is_none);
  RUN(refuses_misuse);
  RUN(resets_what_cannot_be_completed);
  RUN(drops_requests_behind_a_closing_answer);
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
