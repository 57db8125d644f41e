/* SPDX-License-Identifier: MIT */
/* body: content and its end, whatever way the bytes are cut. */
#include "http/body.h"

#include "base/error.h"
#include "check.h"

struct got {
  char content[256];
  size_t len;
  size_t used; /* of all bytes */
};

/* Feeds bytes in pieces of the given size. The last step. */
static int run(struct got *got, int64_t length, uint32_t spare, const char *bytes, size_t piece) {
  struct ls_body body;
  int step = LS_BODY_MORE;
  size_t len = strlen(bytes);
  *got = (struct got){0};
  ls_body_begin(&body, length, spare);
  for (size_t at = 0; at < len && step == LS_BODY_MORE; at += piece) {
    size_t left = len - at < piece ? len - at : piece, used;
    const char *from = bytes + at;
    struct ls_slice content;
    do {
      step = ls_body_next(&body, from, left, &used, &content);
      CHECK(used <= left);
      from += used;
      left -= used;
      got->used += used;
      if (step == LS_BODY_CONTENT) {
        memcpy(got->content + got->len, content.ptr, content.len);
        got->len += content.len;
      }
    } while (step == LS_BODY_CONTENT);
    if (step == LS_BODY_MORE)
      CHECK_INT(left, 0);
  }
  return step;
}

static void check_content(int64_t length, const char *bytes, const char *content, size_t used) {
  for (size_t piece = 1; piece <= strlen(bytes); piece++) {
    struct got got;
    CHECK_INT(run(&got, length, 100, bytes, piece), LS_BODY_END);
    CHECK_BYTES(got.content, got.len, content);
    CHECK_INT(got.used, used);
  }
}

static void counts(void) {
  check_content(5, "hello", "hello", 5);
  check_content(5, "hellomore", "hello", 5);
  check_content(0, "more", "", 0);
  struct got got;
  CHECK_INT(run(&got, 5, 0, "hell", 4), LS_BODY_MORE);
}

static void joins_chunks(void) {
  check_content(-1, "0\r\n\r\nGET", "", 5);
  check_content(-1, "5\r\nhello\r\n000b\r\n, wide worl\r\n1\r\nd\r\n0\r\n\r\n", "hello, wide world", 40);
  check_content(-1, "1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", "abcdefghijklmnopqrstuvwxyz", 37);
}

static void drops_extensions_and_trailers(void) {
  check_content(-1, "1;a\r\nx\r\n1;b=\"c\";d=e\r\ny\r\n0;f\r\nX: y\r\nZ:\r\n\r\n!", "xy", 41);
}

static void refuses_broken_framing(void) {
  static const char *const bad[] = {"g\r\n",          "-1\r\n",
                                    "0x1\r\n",        " 1\r\n",
                                    "1 \r\n",         "\r\n",
                                    ";\r\n",          "1\n",
                                    "1\r\r\n",        "1;a\nx",
                                    "1;\001\r\n",     "1\r\nxx\r\n",
                                    "1\r\nx\n",       "1\r\nx\r1",
                                    "0\r\nX\r\n",     "0\r\n: y\r\n",
                                    "0\r\nX : y\r\n", "0\r\nX: \001\r\n",
                                    "0\r\nX: y\n",    "0\r\n\rx",
                                    "0\r\n\n",        "10000000000000000\r\n"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    for (size_t piece = 1; piece <= strlen(bad[i]); piece++) {
      struct got got;
      CHECK_INT(run(&got, -1, 100, bad[i], piece), LS_EPROTO);
    }
  }
}

static void bounds_what_is_dropped(void) {
  struct got got;
  CHECK_INT(run(&got, -1, 4, "1;aa\r\nx\r\n1;aa\r\nx\r\n0\r\n\r\n", 99), LS_BODY_END);
  CHECK_INT(run(&got, -1, 3, "1;aa\r\nx\r\n1;aa\r\nx\r\n0\r\n\r\n", 99), LS_ETOOBIG);
  CHECK_INT(run(&got, -1, 4, "0\r\nA: b\r\n\r\n", 99), LS_BODY_END);
  CHECK_INT(run(&got, -1, 3, "0\r\nA: b\r\n\r\n", 99), LS_ETOOBIG);
}

int main(void) {
  RUN(counts);
  RUN(joins_chunks);
  RUN(drops_extensions_and_trailers);
  RUN(refuses_broken_framing);
  RUN(bounds_what_is_dropped);
  return 0;
}
