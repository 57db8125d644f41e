/* SPDX-License-Identifier: MIT */
/* response: how answers are framed, refused and taken back. */
#include "http/fixture.h"

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
  CHECK_INT(ls_exchange_finish(c->requests[0], NULL), 0);
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
  check_response(GET10, 200, "", -1, "abc", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", LS_CONN_CLOSE);
  check_response(GET10_KEEP, 200, "", -1, "abc", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", LS_CONN_SHUTDOWN);
  check_response(GET10_KEEP, 200, "", 3, "abc",
                 "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc", LS_CONN_OPEN);
  check_response(HX("Connection: close"), 200, "", 0, "",
                 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", LS_CONN_CLOSE);
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
  CHECK_INT(ls_exchange_finish(e, NULL), LS_ESTATE);
  CHECK_INT(ls_exchange_respond(e, 101, NULL, 0), -EINVAL);
  CHECK_INT(ls_exchange_respond(e, 1000, NULL, 0), -EINVAL);
  CHECK_INT(ls_exchange_respond(e, 200, &headers, -1), LS_EHEADER);
  CHECK_INT(ls_exchange_respond(e, 103, NULL, 0), 0);
  CHECK_INT(ls_exchange_respond(e, 200, NULL, 2), 0);
  CHECK_INT(ls_exchange_respond(e, 200, NULL, 2), LS_ESTATE);
  CHECK_INT(ls_exchange_write(e, "abc", 3), LS_ELENGTH);
  CHECK_INT(ls_exchange_write(e, "ab", 2), 0);
  CHECK_INT(ls_exchange_finish(e, NULL), 0);
  CHECK_INT(ls_exchange_finish(e, NULL), LS_ESTATE);
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
  CHECK_INT(ls_exchange_finish(c->requests[0], NULL), LS_ELENGTH);
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
  flush(c);
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

/* Begun behind a complete response that is still in the output too. */
static void takes_back_what_has_not_left(void) {
  struct client *c = client_new();
  feed(c, GET("/1") GET("/2") GET("/3"));
  struct ls_exchange *e = c->requests[1];
  CHECK(ls_exchange_withdraw(e)); /* there is nothing yet */
  CHECK_INT(ls_exchange_respond(e, 200, NULL, -1), 0);
  CHECK_INT(ls_exchange_write(e, "abc", 3), 0);
  CHECK(c->conn.waiting > 3);
  CHECK(ls_exchange_withdraw(e));
  CHECK_INT(c->conn.waiting, 0);
  CHECK_INT(ls_exchange_respond(e, 103, NULL, 0), 0);
  CHECK_INT(ls_exchange_respond(e, 200, NULL, 5), 0);
  answer(c->requests[0], 200, "ok");
  CHECK(!ls_exchange_withdraw(c->requests[0]));
  while (ls_conn_settle(&c->conn)) {
  }
  CHECK_INT(c->conn.waiting, 0);
  CHECK_INT(ls_exchange_write(e, "abc", 3), 0);
  CHECK(ls_exchange_withdraw(e)); /* it is in the connection's output now */
  answer(e, 201, "x");
  CHECK_INT(ls_exchange_respond(c->requests[2], 200, NULL, 5), 0);
  flush(c);
  check_sent(c, OK("2", "ok") "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx"
                              "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  CHECK(!ls_exchange_withdraw(c->requests[2]));
  client_free(c);
}

/* Later requests stay unparsed while the answers that wait behind a slow one are many bytes. */
static void parses_no_more_while_answers_wait(void) {
  struct client *c = client_new();
  feed(c, GET("/1") GET("/2"));
  char body[1200];
  memset(body, 'x', sizeof(body));
  CHECK_INT(ls_exchange_respond(c->requests[1], 200, NULL, sizeof(body)), 0);
  CHECK_INT(ls_exchange_write(c->requests[1], body, sizeof(body)), 1);
  CHECK_INT(ls_exchange_finish(c->requests[1], NULL), 0);
  feed(c, GET("/3"));
  check_log(c, "GET/1 GET/2 ");
  answer(c->requests[0], 200, "ok");
  flush(c);
  check_log(c, "GET/3 ");
  client_free(c);
}

static void drops_requests_behind_a_closing_answer(void) {
  struct client *c = client_new();
  struct ls_headers headers = {0};
  ls_headers_add(&headers, ls_slice_of("Connection"), ls_slice_of("close"));
  feed(c, GET("/1") GET("/2") GET("/3") "GET");
  CHECK_INT(ls_exchange_respond(c->requests[0], 200, &headers, 0), 0);
  CHECK_INT(ls_exchange_finish(c->requests[0], NULL), 0);
  flush(c);
  check_log(c, "GET/1 GET/2 GET/3 gone gone gone ");
  CHECK_INT(ls_conn_close_state(&c->conn), LS_CONN_SHUTDOWN);
  ls_headers_dispose(&headers);
  client_free(c);
}

int main(void) {
  RUN(chooses_the_framing);
  RUN(sends_no_body_where_there_is_none);
  RUN(refuses_misuse);
  RUN(resets_what_cannot_be_completed);
  RUN(takes_back_what_has_not_left);
  RUN(parses_no_more_while_answers_wait);
  RUN(drops_requests_behind_a_closing_answer);
  return 0;
}
