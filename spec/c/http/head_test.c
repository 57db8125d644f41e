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

int main(void) {
  RUN(keeps_the_line_of_what_is_refused);
  RUN(reads_a_whole_head_in_place);
  RUN(reads_a_head_split_anywhere);
  RUN(keeps_its_bytes);
  return 0;
}
