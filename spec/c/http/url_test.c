/* SPDX-License-Identifier: MIT */
/* url: targets, dot segments, escapes and pairs. */
#include "http/url.h"

#include "base/error.h"
#include "check.h"

static void check_slice(struct ls_slice slice, const char *expected) {
  if (expected == NULL)
    CHECK(slice.ptr == NULL);
  else
    CHECK_BYTES(slice.ptr, slice.len, expected);
}

static void check_split(const char *target, const char *authority, const char *path, const char *query) {
  struct ls_url url;
  CHECK_INT(ls_url_split(ls_slice_of(target), &url), 0);
  check_slice(url.authority, authority);
  check_slice(url.path, path);
  check_slice(url.query, query);
}

static void splits_targets(void) {
  check_split("/", "", "/", NULL);
  check_split("/a/b?c=d?e", "", "/a/b", "c=d?e");
  check_split("/a?", "", "/a", "");
  check_split("//a", "", "//a", NULL);
  check_split("*", "", "*", NULL);
  check_split("http://h:80/x?y", "h:80", "/x", "y");
  check_split("http://h", "h", "/", NULL);
  check_split("http://h?q", "h", "/", "q");
}

static void refuses_other_targets(void) {
  static const char *const bad[] = {"", "a", "a/b", "*x", "http:/x", "http://", "http:///x", "://x", "h:80"};
  struct ls_url url;
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    CHECK_INT(ls_url_split(ls_slice_of(bad[i]), &url), LS_EPROTO);
}

static void check_normal(const char *path, const char *expected) {
  char *out = malloc(strlen(path) + 1); /* its own memory, so that an overrun is seen */
  memcpy(out, path, strlen(path));
  int64_t len = ls_url_normalise(ls_slice(out, strlen(path)), out);
  if (expected == NULL)
    CHECK_INT(len, LS_EPROTO);
  else
    CHECK_BYTES(out, (size_t)len, expected);
  if (expected == NULL || strcmp(path, expected) != 0)
    CHECK(!ls_url_is_normal(ls_slice_of(path)));
  free(out);
}

static void removes_dot_segments(void) {
  check_normal("/", "/");
  check_normal("/a/b/", "/a/b/");
  check_normal("/a/./b", "/a/b");
  check_normal("/a/../b", "/b");
  check_normal("/a/b/..", "/a/");
  check_normal("/a/b/.", "/a/b/");
  check_normal("/..", "/");
  check_normal("/../../etc/passwd", "/etc/passwd");
  check_normal("/a/b/c/./../../g", "/a/g");
  check_normal("/a//../b", "/a/b");
  check_normal("/a/.../b", "/a/.../b");
  check_normal("/.a/..b/c.", "/.a/..b/c.");
  check_normal("/a/%2e%2E/b", "/b");
  check_normal("/a/%2e/b", "/a/b");
  check_normal("/a/.%2e", "/");
  check_normal("/a%2fb/..", "/");
  check_normal("*", "*");
}

static void leaves_other_escapes(void) {
  check_normal("/a%20b/%41", "/a%20b/%41");
  check_normal("/a%00", NULL);
  check_normal("/a%", NULL);
  check_normal("/a%4", NULL);
  check_normal("/a%zz", NULL);
}

static void check_decoded(const char *in, bool plus, const char *expected) {
  char out[64];
  CHECK_BYTES(out, ls_url_decode(ls_slice_of(in), plus, out), expected);
}

static void decodes(void) {
  check_decoded("a%20b+c", false, "a b+c");
  check_decoded("a%20b+c", true, "a b c");
  check_decoded("100%", true, "100%");
  check_decoded("%4", true, "%4");
  check_decoded("%gg%c3%A9%2B", true, "%gg\xc3\xa9+");
  check_decoded("", true, "");
}

static void walks_over_pairs(void) {
  struct ls_slice rest = ls_slice_of("&a=b&&c&d=&=e&f=g=h&"), name, value;
  static const char *const expected[][2] = {{"a", "b"}, {"c", NULL}, {"d", ""}, {"", "e"}, {"f", "g=h"}};
  for (size_t i = 0; i < 5; i++) {
    CHECK(ls_url_next_pair(&rest, &name, &value));
    check_slice(name, expected[i][0]);
    check_slice(value, expected[i][1]);
  }
  CHECK(!ls_url_next_pair(&rest, &name, &value));
}

int main(void) {
  RUN(splits_targets);
  RUN(refuses_other_targets);
  RUN(removes_dot_segments);
  RUN(leaves_other_escapes);
  RUN(decodes);
  RUN(walks_over_pairs);
  return 0;
}
