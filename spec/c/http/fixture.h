/* SPDX-License-Identifier: MIT */
/* fixture: the state machine, driven with bytes. A client struct plays the owner: it notes each event as a short word and
 * what was sent as text. */
#ifndef LS_SPEC_HTTP_FIXTURE_H
#define LS_SPEC_HTTP_FIXTURE_H

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

static inline struct client *client_of(struct ls_conn *conn) {
  return ls_container_of(conn, struct client, conn);
}

static inline void note(struct client *client, const char *text, size_t len) {
  size_t at = strlen(client->log);
  CHECK(at + len + 2 < sizeof(client->log));
  memcpy(client->log + at, text, len);
  strcpy(client->log + at + len, " ");
}

static inline void answer(struct ls_exchange *exchange, int status, const char *text) {
  CHECK_INT(ls_exchange_respond(exchange, status, NULL, (int64_t)strlen(text)), 0);
  CHECK(ls_exchange_write(exchange, text, strlen(text)) >= 0);
  CHECK_INT(ls_exchange_finish(exchange, NULL), 0);
}

static inline struct ls_exchange *new_exchange(struct ls_conn *conn) {
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

static inline uint64_t choose_body_limit(struct ls_exchange *exchange) {
  struct client *client = client_of(exchange->conn);
  return client->choose != 0 ? client->choose : client->limits.max_body;
}

static inline void on_request(struct ls_exchange *exchange) {
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

static inline void on_body(struct ls_exchange *exchange) {
  struct client *client = client_of(exchange->conn);
  if (exchange->body_state == LS_BODY_FAILED) {
    char text[32];
    snprintf(text, sizeof(text), "failed:%d", exchange->body_error);
    note(client, text, strlen(text));
  }
  if (client->echoes && exchange->body_state == LS_BODY_DONE) {
    CHECK_INT(ls_exchange_respond(exchange, 200, NULL, (int64_t)ls_exchange_content_len(exchange)), 0);
    for (struct ls_slice run; (run = ls_exchange_content(exchange)).len != 0;) {
      CHECK(ls_exchange_write(exchange, run.ptr, run.len) >= 0);
      ls_exchange_take_content(exchange, run.len);
    }
    CHECK_INT(ls_exchange_finish(exchange, NULL), 0);
  }
}

static inline void on_drain(struct ls_exchange *exchange) {
  note(client_of(exchange->conn), "drain", 5);
}

static inline void release(struct ls_exchange *exchange) {
  struct slot *slot = ls_container_of(exchange, struct slot, exchange);
  CHECK(exchange->conn == NULL);
  CHECK(slot->used);
  ls_exchange_clear(exchange);
  slot->used = false;
  slot->client->live--;
}

static inline void on_done(struct ls_exchange *exchange) {
  release(exchange);
}

static inline void on_gone(struct ls_exchange *exchange) {
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

static inline struct client *client_new(void) {
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

static inline void client_free(struct client *client) {
  ls_conn_dispose(&client->conn);
  ls_conn_dispose(&client->conn);
  CHECK_INT(client->live, 0);
  for (int i = 0; i < MAX_EXCHANGES; i++)
    ls_exchange_dispose(&client->slots[i].exchange);
  ls_buf_pool_dispose(&client->pool);
  free(client);
}

/* As the owner's flush step, to a socket that takes everything. Date lines are left out of sent. */
static inline void flush(struct client *client) {
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

static inline void feed_some(struct client *client, const char *bytes, size_t len) {
  char *copy = malloc(len + 1); /* its own memory, which goes */
  memcpy(copy, bytes, len);
  CHECK_INT(ls_conn_feed(&client->conn, copy, len), 0);
  CHECK_INT(ls_conn_keep(&client->conn), 0);
  free(copy);
}

static inline void feed(struct client *client, const char *text) {
  feed_some(client, text, strlen(text));
  flush(client);
}

static inline void check_sent(struct client *client, const char *expected) {
  CHECK_BYTES(client->sent, client->sent_len, expected);
  client->sent_len = 0;
  client->sent[0] = '\0';
}

static inline void check_log(struct client *client, const char *expected) {
  CHECK_BYTES(client->log, strlen(client->log), expected);
  client->log[0] = '\0';
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define OK(length, body) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n" body

#define HX(fields) "GET / HTTP/1.1\r\nHost: x\r\n" fields "\r\n\r\n"

#endif
