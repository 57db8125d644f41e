/* SPDX-License-Identifier: MIT */
/* head: reading what the parser filled in, whole and split, and keeping it. */
#include "http/head.h"

#include "check.h"
#include "http/parser.h"

static const struct ls_http_limits limits = {.max_url = 64, .max_header_bytes = 256, .max_headers = 8};

static const char request[] =
    "POST /a?b HTTP/1.1\r\nHost: x\r\nX-Empty:\r\nX-Foo: \t one two \t\r\n"
    "content-length:5\r\nx-foo: three\r\n\r\n";

static void check_request(const struct ls_head *head) {
  struct ls_slice method = ls_head_method(head), url = ls_head_url(head);
  CHECK_BYTES(method.ptr, method.len, "POST");
  CHECK_BYTES(url.ptr, url.len, "/a?b");
  CHECK_INT(head->count, 5);
  CHECK_INT(head->size, strlen(request));
  CHECK_INT(head->major * 10 + head->minor, 11);
  CHECK(head->keep_alive && head->has_body && !head->expect_continue);
  CHECK_INT(head->content_length, 5);
  struct ls_slice host = ls_head_get(head, LS_FIELD_HOST);
  CHECK_BYTES(host.ptr, host.len, "x");
  CHECK(ls_head_get(head, LS_FIELD_COOKIE).ptr == NULL);
  int at = ls_head_find(head, ls_slice_of("X-FOO"), 0);
  CHECK_INT(at, 2);
  CHECK_BYTES(ls_head_value(head, 2).ptr, ls_head_value(head, 2).len, "one two");
  CHECK_INT(ls_head_value(head, 1).len, 0);
  CHECK_INT(ls_head_find(head, ls_slice_of("X-FOO"), 3), 4);
  CHECK_INT(ls_head_find(head, ls_slice_of("X-FOO"), 5), -1);
  CHECK_INT(ls_head_find(head, ls_slice_of("Content-Length"), 0), 3);
  CHECK_BYTES(ls_head_name(head, 3).ptr, ls_head_name(head, 3).len, "content-length");
}

static void parse(struct ls_head *head, const char *bytes, size_t split) {
  struct ls_parser parser;
  size_t used;
  ls_parser_init(&parser, &limits);
  if (split != 0)
    CHECK_INT(ls_parser_head(&parser, head, bytes, split, &used), LS_PARSER_MORE);
  CHECK_INT(ls_parser_head(&parser, head, bytes + split, strlen(request) - split, &used), LS_PARSER_DONE);
  CHECK_INT(used, strlen(request) - split);
}

static void reads_a_whole_head_in_place(void) {
  struct ls_head head = {0};
  parse(&head, request, 0);
  CHECK(head.base == request);
  check_request(&head);
  ls_head_dispose(&head);
}

static void reads_a_head_split_anywhere(void) {
  struct ls_head head = {0};
  for (size_t split = 1; split < strlen(request); split++) {
    ls_head_clear(&head);
    parse(&head, request, split);
    check_request(&head);
  }
  ls_head_dispose(&head);
}

static void keeps_its_bytes(void) {
  struct ls_head head = {0};
  char *bytes = strdup(request);
  parse(&head, bytes, 0);
  CHECK_INT(ls_head_keep(&head), 0);
  memset(bytes, '!', strlen(request));
  free(bytes);
  check_request(&head);
  const char *base = head.base;
  CHECK_INT(ls_head_keep(&head), 0);
  CHECK(head.base == base);
  ls_head_clear(&head);
  CHECK_INT(head.count, 0);
  CHECK_INT(ls_head_keep(&head), 0);
  ls_head_dispose(&head);
}

/* Of a head that is refused, in whichever pieces it comes. */
static void keeps_the_line_of_what_is_refused(void) {
  static const char refused[] = "GET /a HTTP/1.1\r\nHost : x\r\n\r\n";
  for (size_t split = 0; split < strlen(refused); split++) {
    struct ls_head head = {0};
    struct ls_parser parser;
    size_t used;
    ls_parser_init(&parser, &limits);
    char *bytes = strdup(refused);
    int result = split != 0 ? ls_parser_head(&parser, &head, bytes, split, &used) : LS_PARSER_MORE;
    if (result == LS_PARSER_MORE)
      result = ls_parser_head(&parser, &head, bytes + split, strlen(refused) - split, &used);
    free(bytes);
    CHECK_INT(result, 400);
    CHECK_BYTES(ls_head_line(&head).ptr, ls_head_line(&head).len, "GET /a HTTP/1.1");
    CHECK_INT(head.size + head.count + head.url_len, 0);
    ls_head_dispose(&head);
  }
}

/* The result for a head that comes in pieces of n bytes. */
static int parse_pieces(struct ls_head *head, const char *bytes, size_t n) {
  struct ls_parser parser;
  size_t len = strlen(bytes), used;
  int result = LS_PARSER_MORE;
  ls_parser_init(&parser, &limits);
  for (size_t at = 0; at < len && result == LS_PARSER_MORE; at += n)
    result = ls_parser_head(&parser, head, bytes + at, n < len - at ? n : len - at, &used);
  return result;
}

/* One that comes whole is, as a rule, not llhttp's. */
static void says_the_same_of_a_whole_head(void) {
  static const struct {
    const char *bytes;
    bool keep_alive;
    int result;
  } cases[] = {
      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true, LS_PARSER_DONE},
      {"GET / HTTP/1.0\r\n\r\n", false, LS_PARSER_DONE},
      {"GET / HTTP/1.0\r\nConnection: foo,Keep-Alive\r\n\r\n", true, LS_PARSER_DONE},
      {"OPTIONS / HTTP/1.1\r\nHost: x\r\nConnection: TE, close\r\n\r\n", false, LS_PARSER_DONE},
      {"DELETE /a HTTP/1.1\r\nHost: x\r\nConnection: closed\r\n\r\n", true, LS_PARSER_DONE},
      {"GET /a HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", true, LS_PARSER_DONE},
      {"PROPFIND /a HTTP/1.1\r\nHost: x\r\n\r\n", true, LS_PARSER_DONE},
      {"GET http://x/a HTTP/1.1\r\nHost: x\r\n\r\n", true, LS_PARSER_DONE},
      {"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n", true, LS_PARSER_DONE},
      {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\t\r\n\r\n", false, 400},
      {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", false, 400},
      {"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", false, 400},
      {"GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", false, 400},
      {"GET /a HTTP/1.1\r\nHost: x\r\nA: b\nB: c\r\n\r\n", false, 400},
      {"GET /a HTTP/1.1\r\nHost: x\r\nA: b\rB: c\r\n\r\n", false, 400},
      {"GET /a HTTP/1.1\r\nHost: x\r\nA: b\x7f\r\n\r\n", false, 400},
      {"GET /a HTTP/1.1\r\nHost: x\r\nA b\r\n\r\n", false, 400},
      {"GET /a HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", false, 400},
      {"GET  /a HTTP/1.1\r\nHost: x\r\n\r\n", false, 400},
      {"GET /a HTTP/1.1 \r\nHost: x\r\n\r\n", false, 400},
      {"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", false, 400},
      {"GET /a HTTP/1.1\r\n\r\n", false, 400},
      {"GET /a HTTP/1.2\r\nHost: x\r\n\r\n", false, 505},
      {"GET /a HTTP/1.1\r\nHost: x\r\n1:\r\n2:\r\n3:\r\n4:\r\n5:\r\n6:\r\n7:\r\n8:\r\n\r\n", false, 431},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct ls_head whole = {0}, pieces = {0};
    CHECK_INT(parse_pieces(&whole, cases[i].bytes, strlen(cases[i].bytes)), cases[i].result);
    CHECK_INT(parse_pieces(&pieces, cases[i].bytes, 1), cases[i].result);
    CHECK(whole.keep_alive == cases[i].keep_alive && pieces.keep_alive == cases[i].keep_alive);
    CHECK_INT(whole.count, pieces.count);
    CHECK_INT(whole.url_len, pieces.url_len);
    CHECK_INT(whole.content_length, pieces.content_length);
    ls_head_dispose(&whole);
    ls_head_dispose(&pieces);
  }
}

int main(void) {
  RUN(says_the_same_of_a_whole_head);
  RUN(keeps_the_line_of_what_is_refused);
  RUN(reads_a_whole_head_in_place);
  RUN(reads_a_head_split_anywhere);
  RUN(keeps_its_bytes);
  return 0;
}
