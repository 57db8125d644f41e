/* SPDX-License-Identifier: MIT */
/* conditional: each precondition alone, their order (RFC 9110 13.2.2), and how tags and dates compare. */
#include "http/conditional.h"

#include "check.h"
#include "http/parser.h"

static const struct ls_http_limits limits = {.max_url = 64, .max_header_bytes = 4096, .max_headers = 32};

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"
enum { MODIFIED = 784111777, NOW = 1764000000 };

static struct ls_validators strong(void) {
  return (struct ls_validators){.exists = true, .etag = ls_slice_of("\"a\""), .modified = MODIFIED};
}

/* The head of a request with these field lines. */
static struct ls_head head_of(const char *method, const char *fields, char bytes[2048]) {
  struct ls_head head = {0};
  struct ls_parser parser;
  size_t used;
  snprintf(bytes, 2048, "%s / HTTP/1.1\r\nHost: x\r\n%s\r\n", method, fields);
  ls_parser_init(&parser, &limits);
  CHECK_INT(ls_parser_head(&parser, &head, bytes, strlen(bytes), &used), LS_PARSER_DONE);
  return head;
}

static int check_with(const char *method, const char *fields, struct ls_validators validators) {
  char bytes[2048];
  struct ls_head head = head_of(method, fields, bytes);
  int result = ls_conditional_check(&head, &validators, NOW);
  ls_head_dispose(&head);
  return result;
}

static int check(const char *method, const char *fields) {
  return check_with(method, fields, strong());
}

static bool range_holds(const char *fields, struct ls_validators validators, int64_t now) {
  char bytes[2048];
  struct ls_head head = head_of("GET", fields, bytes);
  bool holds = ls_conditional_range_holds(&head, &validators, now);
  ls_head_dispose(&head);
  return holds;
}

static void tags_compare_weakly_and_strongly(void) {
  static const struct {
    const char *a, *b;
    bool strong, weak;
  } table[] = {{"W/\"1\"", "W/\"1\"", false, true}, /* the table of RFC 9110 8.8.3.2 */
               {"W/\"1\"", "W/\"2\"", false, false},
               {"W/\"1\"", "\"1\"", false, true},
               {"\"1\"", "\"1\"", true, true},
               {"\"1\"", "\"2\"", false, false}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct ls_slice a = ls_slice_of(table[i].a), b = ls_slice_of(table[i].b);
    CHECK_INT(ls_etag_equal_strong(a, b), table[i].strong);
    CHECK_INT(ls_etag_equal_strong(b, a), table[i].strong);
    CHECK_INT(ls_etag_equal_weak(a, b), table[i].weak);
    CHECK_INT(ls_etag_equal_weak(b, a), table[i].weak);
  }
  CHECK(!ls_etag_equal_weak(ls_slice("", 0), ls_slice("", 0)));
}

static void tags_have_quotes(void) {
  CHECK(ls_etag_is_valid(ls_slice_of("\"\"")) && ls_etag_is_valid(ls_slice_of("W/\"x,y\"")));
  CHECK(ls_etag_is_valid(ls_slice_of("\"\xc3\xa4!\"")));
  static const char *const others[] = {"",    "x",       "\"",       "\"x",    "x\"",     "w/\"x\"",
                                       "W/x", "\"a b\"", "\"a\"b\"", "\"x\" ", "\"\x7f\""};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    CHECK(!ls_etag_is_valid(ls_slice_of(others[i])));
}

static void if_match_is_strong(void) {
  CHECK_INT(check("PUT", "If-Match: \"a\"\r\n"), 0);
  CHECK_INT(check("PUT", "If-Match: \"b\"\r\n"), 412);
  CHECK_INT(check("GET", "If-Match: \"b\"\r\n"), 412);
  CHECK_INT(check("PUT", "If-Match: W/\"a\"\r\n"), 412);
  CHECK_INT(check("PUT", "If-Match: \"b\", \"a\"\r\n"), 0);
  CHECK_INT(check("PUT", "If-Match: \"b\"\r\nIf-Match: \"a\"\r\n"), 0);
  CHECK_INT(check("PUT", "If-Match: *\r\n"), 0);
  CHECK_INT(check("PUT", "If-Match:\r\n"), 412);
  CHECK_INT(check("PUT", "If-Match: a\r\n"), 412);
  struct ls_validators weak = strong();
  weak.etag = ls_slice_of("W/\"a\"");
  CHECK_INT(check_with("PUT", "If-Match: W/\"a\"\r\n", weak), 412);
}

static void nothing_exists(void) {
  struct ls_validators none = {.modified = LS_NO_DATE};
  CHECK_INT(check_with("PUT", "If-Match: *\r\n", none), 412);
  CHECK_INT(check_with("PUT", "If-Match: \"a\"\r\n", none), 412);
  CHECK_INT(check_with("PUT", "If-None-Match: *\r\n", none), 0);
  CHECK_INT(check_with("PUT", "If-Unmodified-Since: " DATE "\r\n", none), 0);
  CHECK_INT(check_with("GET", "If-Modified-Since: " DATE "\r\n", none), 0);
}

static void if_none_match_is_weak(void) {
  CHECK_INT(check("GET", "If-None-Match: \"a\"\r\n"), 304);
  CHECK_INT(check("HEAD", "If-None-Match: W/\"a\"\r\n"), 304);
  CHECK_INT(check("GET", "If-None-Match: \"b\"\r\n"), 0);
  CHECK_INT(check("GET", "If-None-Match: *\r\n"), 304);
  CHECK_INT(check("PUT", "If-None-Match: *\r\n"), 412);
  CHECK_INT(check("DELETE", "If-None-Match: W/\"a\"\r\n"), 412);
  CHECK_INT(check("GET", "If-None-Match: \"b\", \"c\" , ,W/\"a\"\r\n"), 304);
  CHECK_INT(check("GET", "If-None-Match: \"b\"\r\nIf-None-Match: \"a\"\r\n"), 304);
  CHECK_INT(check("GET", "If-None-Match: \"x,\"a\"\r\n"), 0);
  CHECK_INT(check("GET", "If-None-Match: \"b\" \"a\"\r\n"), 0);
  CHECK_INT(check("GET", "If-None-Match: a\r\n"), 0);
}

static void if_modified_since_is_for_reading(void) {
  CHECK_INT(check("GET", "If-Modified-Since: " DATE "\r\n"), 304);
  CHECK_INT(check("GET", "If-Modified-Since: " AFTER "\r\n"), 304);
  CHECK_INT(check("GET", "If-Modified-Since: " BEFORE "\r\n"), 0);
  CHECK_INT(check("HEAD", "If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n"), 304);
  CHECK_INT(check("GET", "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n"), 304);
  CHECK_INT(check("POST", "If-Modified-Since: " DATE "\r\n"), 0);
  CHECK_INT(check("GET", "If-Modified-Since: tomorrow\r\n"), 0);
  CHECK_INT(check("GET", "If-Modified-Since: " DATE ", " DATE "\r\n"), 0);
  CHECK_INT(check("GET", "If-Modified-Since: " DATE "\r\nIf-Modified-Since: " DATE "\r\n"), 0);
}

static void if_unmodified_since_is_for_all(void) {
  CHECK_INT(check("PUT", "If-Unmodified-Since: " DATE "\r\n"), 0);
  CHECK_INT(check("PUT", "If-Unmodified-Since: " BEFORE "\r\n"), 412);
  CHECK_INT(check("GET", "If-Unmodified-Since: " BEFORE "\r\n"), 412);
  CHECK_INT(check("PUT", "If-Unmodified-Since: nonsense\r\n"), 0);
}

static void they_are_looked_at_in_order(void) {
  CHECK_INT(check("PUT", "If-Unmodified-Since: " BEFORE "\r\nIf-Match: \"a\"\r\n"), 0); /* ignored beside If-Match */
  CHECK_INT(check("GET", "If-Modified-Since: " DATE "\r\nIf-None-Match: \"b\"\r\n"), 0);
  CHECK_INT(check("GET", "If-Modified-Since: " BEFORE "\r\nIf-None-Match: \"a\"\r\n"), 304);
  CHECK_INT(check("GET", "If-None-Match: \"a\"\r\nIf-Match: \"b\"\r\n"), 412);
  CHECK_INT(check("GET", "If-None-Match: \"a\"\r\nIf-Match: \"a\"\r\n"), 304);
  CHECK_INT(check("GET", "If-Unmodified-Since: " BEFORE "\r\nIf-None-Match: \"a\"\r\n"), 412);
}

static void some_methods_have_no_conditions(void) {
  CHECK_INT(check("OPTIONS", "If-Match: \"b\"\r\n"), 0);
  CHECK_INT(check("OPTIONS", "If-None-Match: *\r\n"), 0);
}

static void if_range_asks_for_the_very_same(void) {
  CHECK(range_holds("Range: bytes=0-1\r\n", strong(), NOW));
  CHECK(range_holds("If-Range: \"a\"\r\n", strong(), NOW));
  CHECK(!range_holds("If-Range: \"b\"\r\n", strong(), NOW));
  CHECK(!range_holds("If-Range: W/\"a\"\r\n", strong(), NOW));
  CHECK(!range_holds("If-Range: \"a\", \"b\"\r\n", strong(), NOW));
  CHECK(!range_holds("If-Range: \"a\"\r\nIf-Range: \"a\"\r\n", strong(), NOW));
  CHECK(!range_holds("If-Range: *\r\n", strong(), NOW));
  CHECK(range_holds("If-Range: " DATE "\r\n", strong(), NOW));
  CHECK(!range_holds("If-Range: " AFTER "\r\n", strong(), NOW));
  CHECK(!range_holds("If-Range: " BEFORE "\r\n", strong(), NOW));
  CHECK(!range_holds("If-Range: " DATE "\r\n", strong(), MODIFIED));
  CHECK(range_holds("If-Range: " DATE "\r\n", strong(), MODIFIED + 1));
  struct ls_validators weak = {.exists = true, .etag = ls_slice_of("W/\"a\""), .modified = LS_NO_DATE};
  CHECK(!range_holds("If-Range: W/\"a\"\r\n", weak, NOW));
  CHECK(!range_holds("If-Range: " DATE "\r\n", weak, NOW));
}

int main(void) {
  RUN(tags_compare_weakly_and_strongly);
  RUN(tags_have_quotes);
  RUN(if_match_is_strong);
  RUN(nothing_exists);
  RUN(if_none_match_is_weak);
  RUN(if_modified_since_is_for_reading);
  RUN(if_unmodified_since_is_for_all);
  RUN(they_are_looked_at_in_order);
  RUN(some_methods_have_no_conditions);
  RUN(if_range_asks_for_the_very_same);
  return 0;
}
