/* SPDX-License-Identifier: MIT */
/* headers: adding, replacing and removing fields, and the text that they leave. */
#include "http/headers.h"

#include "base/error.h"
#include "check.h"

static struct ls_slice s(const char *text) {
  return ls_slice_of(text);
}

static void check_text(const struct ls_headers *headers, const char *expected) {
  CHECK_BYTES(ls_buf_bytes(&headers->text), headers->text.len, expected);
}

static void keeps_order(void) {
  struct ls_headers h = {0};
  CHECK_INT(ls_headers_add(&h, s("X-A"), s("1")), 0);
  CHECK_INT(ls_headers_add(&h, s("Set-Cookie"), s("a=1")), 0);
  CHECK_INT(ls_headers_add(&h, s("set-cookie"), s("")), 0);
  check_text(&h, "X-A: 1\r\nSet-Cookie: a=1\r\nset-cookie: \r\n");
  CHECK_INT(ls_headers_find(&h, s("SET-COOKIE"), 0), 1);
  CHECK_INT(ls_headers_find(&h, s("SET-COOKIE"), 2), 2);
  CHECK_INT(ls_headers_find(&h, s("x-a"), 0), 0);
  CHECK_INT(ls_headers_find(&h, s("x-b"), 0), -1);
  CHECK_BYTES(ls_headers_value(&h, 1).ptr, ls_headers_value(&h, 1).len, "a=1");
  CHECK_BYTES(ls_headers_name(&h, 2).ptr, ls_headers_name(&h, 2).len, "set-cookie");
  ls_headers_dispose(&h);
}

static void set_replaces_all(void) {
  struct ls_headers h = {0};
  ls_headers_add(&h, s("Vary"), s("a"));
  ls_headers_add(&h, s("X-B"), s("b"));
  ls_headers_add(&h, s("vary"), s("c"));
  CHECK_INT(ls_headers_set(&h, s("VARY"), s("d")), 0);
  check_text(&h, "X-B: b\r\nVARY: d\r\n");
  CHECK_INT(h.count, 2);
  CHECK(ls_headers_has(&h, LS_FIELD_VARY));
  CHECK_INT(ls_headers_set(&h, s("x-b"), s("e")), 0);
  check_text(&h, "VARY: d\r\nx-b: e\r\n");
  CHECK_BYTES(ls_headers_value(&h, 1).ptr, ls_headers_value(&h, 1).len, "e");
  ls_headers_dispose(&h);
}

static void default_leaves_what_is_there(void) {
  struct ls_headers h = {0};
  CHECK_INT(ls_headers_default(&h, LS_FIELD_CONTENT_TYPE, s("text/plain")), 0);
  CHECK_INT(ls_headers_default(&h, LS_FIELD_CONTENT_TYPE, s("text/html")), 0);
  check_text(&h, "content-type: text/plain\r\n");
  ls_headers_dispose(&h);
}

static void removes(void) {
  struct ls_headers h = {0};
  ls_headers_add(&h, s("Date"), s("a"));
  ls_headers_add(&h, s("X"), s("b"));
  ls_headers_add(&h, s("date"), s("c"));
  ls_headers_remove(&h, s("DATE"));
  check_text(&h, "X: b\r\n");
  CHECK(!ls_headers_has(&h, LS_FIELD_DATE));
  ls_headers_remove(&h, s("x"));
  CHECK_INT(h.count, 0);
  CHECK_INT(h.text.len, 0);
  ls_headers_dispose(&h);
}

static void refuses_what_must_not_be_sent(void) {
  struct ls_headers h = {0};
  CHECK_INT(ls_headers_add(&h, s("X"), s("a")), 0);
  CHECK_INT(ls_headers_add(&h, s("X"), s("a\r\nB: c")), LS_EHEADER);
  CHECK_INT(ls_headers_add(&h, s("X"), s("a\nb")), LS_EHEADER);
  CHECK_INT(ls_headers_add(&h, s("X"), ls_slice("a\0b", 3)), LS_EHEADER);
  CHECK_INT(ls_headers_add(&h, s("X Y"), s("a")), LS_EHEADER);
  CHECK_INT(ls_headers_add(&h, s("X:"), s("a")), LS_EHEADER);
  CHECK_INT(ls_headers_add(&h, s(""), s("a")), LS_EHEADER);
  CHECK_INT(ls_headers_set(&h, s("X"), s("\r")), LS_EHEADER);
  check_text(&h, "X: a\r\n");
  ls_headers_dispose(&h);
}

static void grows_and_is_cleared(void) {
  struct ls_headers h = {0};
  char name[16];
  for (int i = 0; i < 200; i++) {
    snprintf(name, sizeof(name), "X-%d", i);
    CHECK_INT(ls_headers_add(&h, s(name), s("value")), 0);
  }
  CHECK_INT(ls_headers_find(&h, s("x-199"), 0), 199);
  ls_headers_clear(&h);
  CHECK_INT(h.count, 0);
  CHECK_INT(ls_headers_find(&h, s("x-199"), 0), -1);
  CHECK_INT(ls_headers_add(&h, s("A"), s("b")), 0);
  check_text(&h, "A: b\r\n");
  ls_headers_dispose(&h);
}

int main(void) {
  RUN(keeps_order);
  RUN(set_replaces_all);
  RUN(default_leaves_what_is_there);
  RUN(removes);
  RUN(refuses_what_must_not_be_sent);
  RUN(grows_and_is_cleared);
  return 0;
}
