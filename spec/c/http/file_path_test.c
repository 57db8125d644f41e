/* SPDX-License-Identifier: MIT */
/* file_path: what of a URL's path can be a file below a folder. */
#include "http/file_path.h"

#include "check.h"

/* expected NULL: there can be no such file. */
static void check_path(const char *text, bool encoded, bool dotfiles, const char *expected) {
  size_t len = strlen(text);
  char *own = malloc(len + 1), *room = malloc(len + 1);
  CHECK(own != NULL && room != NULL);
  memcpy(own, text, len);
  struct ls_slice path = ls_slice(own, len);
  CHECK(ls_file_path_of(&path, encoded, dotfiles, room) == (expected != NULL));
  if (expected != NULL)
    CHECK_BYTES(path.ptr, path.len, expected);
  free(own);
  free(room);
}

static void takes_slashes_and_encodings_away(void) {
  check_path("/a.txt", true, false, "a.txt");
  check_path("//a/b", true, false, "a/b");
  check_path("a/b/", true, false, "a/b/");
  check_path("", true, false, "");
  check_path("///", true, false, "");
  check_path("/a%20b%2Etxt", true, false, "a b.txt");
  check_path("/a%20b", false, false, "a%20b");
  check_path("/50%", true, false, "50%");
  check_path("/%zz", true, false, "%zz");
}

static void refuses_what_no_segment_is(void) {
  static const char *const bad[] = {"/a%2fb", "/a%2Fb", "/%2f", "/a\\b", "/a%5cb", "/a%00", "/a//b", "/a//"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    check_path(bad[i], true, false, NULL);
    check_path(bad[i], true, true, NULL);
  }
}

static void hides_names_with_a_dot(void) {
  static const char *const hidden[] = {"/.git",          "/a/.git/config", "/%2egit",          "/..",
                                       "/a/../b",        "/.well-known",   "/a/.well-known/b", "/.well-known/.b",
                                       "/.well-knownx/b"};
  for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
    check_path(hidden[i], true, false, NULL);
  check_path("/.git", true, true, ".git");
  check_path("/.well-known/security.txt", true, false, ".well-known/security.txt");
  check_path("/a./b.", true, false, "a./b.");
}

int main(void) {
  RUN(takes_slashes_and_encodings_away);
  RUN(refuses_what_no_segment_is);
  RUN(hides_names_with_a_dot);
  return 0;
}
