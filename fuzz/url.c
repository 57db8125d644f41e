/* SPDX-License-Identifier: MIT */
/* fuzz/url: request targets taken apart, normalised and decoded. What was normalised once stays as it is. */
#include "http/url.h"

#include "expect.h"

static bool is_within(struct ls_slice part, struct ls_slice whole) {
  return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len) ||
         (part.len == 1 && *part.ptr == '/');
}

/* No segment of a normal path is "." or "..", however its dots are written. */
static void check_normal(struct ls_slice path) {
  char *again = malloc(path.len + 1);
  EXPECT(ls_url_normalise(path, again) == (int64_t)path.len);
  EXPECT(memcmp(again, path.ptr, path.len) == 0);
  again[path.len] = '\0';
  EXPECT(path.ptr[0] != '/' || strstr(again, "/../") == NULL);
  free(again);
}

static void check_path(struct ls_slice path) {
  char *out = malloc(path.len + 1);
  int64_t len = ls_url_normalise(path, out);
  EXPECT((len >= 0) == ls_url_escapes_are_valid(path));
  EXPECT(len <= (int64_t)path.len);
  if (ls_url_is_normal(path))
    EXPECT(len == (int64_t)path.len && memcmp(out, path.ptr, path.len) == 0);
  if (len > 0)
    check_normal(ls_slice(out, (size_t)len));
  free(out);
}

static void check_query(struct ls_slice query) {
  struct ls_slice rest = query, name, value;
  while (ls_url_next_pair(&rest, &name, &value)) {
    EXPECT(is_within(name, query) && is_within(value, query));
    char *out = malloc(name.len + 1);
    EXPECT(ls_url_decode(name, true, out) <= name.len);
    free(out);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  char *copy = copy_of(bytes, len);
  struct ls_slice target = ls_slice(copy, len);
  struct ls_url url;
  if (ls_url_split(target, &url) == 0) {
    EXPECT(url.path.len != 0);
    EXPECT(is_within(url.scheme, target) && is_within(url.authority, target) && is_within(url.path, target) &&
           is_within(url.query, target));
    check_path(url.path);
    check_query(url.query);
  }
  if (len != 0)
    check_path(target);
  free(copy);
  return 0;
}
