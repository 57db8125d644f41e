/* SPDX-License-Identifier: MIT */
/* multipart: which parts a body has (RFC 2046 5.1), however it is cut; and what is none. */
#include "http/multipart.h"

#include "base/error.h"
#include "check.h"

/* What came of it: each part as "<head|content>", unfinished without '>', then '.' for the end, or the code. */
static void read_on(struct ls_multipart *parser, struct ls_slice input, struct ls_buf *out) {
  struct ls_slice data;
  for (;;) {
    switch (ls_multipart_next(parser, &input, &data)) {
    case LS_MULTIPART_MORE:
      return;
    case LS_MULTIPART_PART:
      ls_buf_append(out, "<", 1);
      ls_buf_append(out, data.ptr, data.len);
      ls_buf_append(out, "|", 1);
      break;
    case LS_MULTIPART_DATA:
      CHECK(data.len != 0);
      ls_buf_append(out, data.ptr, data.len);
      break;
    case LS_MULTIPART_PART_END:
      ls_buf_append(out, ">", 1);
      break;
    case LS_MULTIPART_END:
      ls_buf_append(out, ".", 1);
      break;
    case LS_EPROTO:
      ls_buf_append(out, "EPROTO", 6);
      return;
    case LS_ETOOBIG:
      ls_buf_append(out, "ETOOBIG", 7);
      return;
    }
  }
}

/* The body cut at one place, and byte by byte. */
static void check_cut(struct ls_slice body, size_t head_max, size_t cut, const char *expected) {
  struct ls_multipart parser;
  struct ls_buf out = {0};
  ls_multipart_init(&parser, ls_slice_of("b"), head_max);
  if (cut <= body.len) {
    read_on(&parser, ls_slice(body.ptr, cut), &out);
    if (parser.state >= 0)
      read_on(&parser, ls_slice(body.ptr + cut, body.len - cut), &out);
  } else {
    for (size_t i = 0; i < body.len && parser.state >= 0; i++)
      read_on(&parser, ls_slice(body.ptr + i, 1), &out);
  }
  CHECK_BYTES(ls_buf_bytes(&out), out.len, expected);
  ls_buf_dispose(&out);
  ls_multipart_dispose(&parser);
}

static void check_body(const char *body, const char *expected) {
  struct ls_slice bytes = ls_slice_of(body);
  for (size_t cut = 0; cut <= bytes.len + 1; cut++)
    check_cut(bytes, 100, cut, expected);
}

static void parts(void) {
  check_body("--b\r\n\r\nx\r\n--b--\r\n", "<|x>.");
  check_body("--b\r\nA: 1\r\nB: 2\r\n\r\nx\r\ny\r\n--b\r\n\r\nz\r\n--b--", "<A: 1\r\nB: 2\r\n|x\r\ny><|z>.");
  check_body("--b--\r\n", ".");
}

static void empty_content(void) {
  check_body("--b\r\nA: 1\r\n\r\n\r\n--b--", "<A: 1\r\n|>.");
  check_body("--b\r\nA: 1\r\n\r\n--b--", "<A: 1\r\n|>.");
  check_body("--b\r\n\r\n--b\r\n\r\n--b--", "<|><|>.");
}

static void preamble_and_epilogue_are_thrown_away(void) {
  check_body("pre\r\n--not\r\n--b\r\n\r\nx\r\n--b--\r\npost\r\n--b\r\n\r\ny\r\n--b--", "<|x>.");
  check_body("\r\n--b\r\n\r\nx\r\n--b--", "<|x>.");
  check_body("x--b\r\n\r\nno\r\n--b\r\n\r\nx\r\n--b--", "<|x>.");
}

static void what_is_like_a_delimiter_is_content(void) {
  check_body("--b\r\n\r\n\r\n-\r\n--\r\n\r\r\n--c\r\n--b--", "<|\r\n-\r\n--\r\n\r\r\n--c>.");
  check_body("--b\r\n\r\n--c\r\n--b--", "<|--c>.");
  check_body("--b\r\n\r\n-x\r\n--b--", "<|-x>.");
  check_body("--b\r\n\r\nx\n--b\n\r--b\r\n--b--", "<|x\n--b\n\r--b>.");
  check_body("--b\r\n\r\n\r\r\n--b--", "<|\r>.");
}

static void padding(void) {
  check_body("--b \t\r\n\r\nx\r\n--b\t\r\n\r\ny\r\n--b-- \r\n", "<|x><|y>.");
}

static void malformed(void) {
  check_body("--b\n\nx\n--b--", "EPROTO");
  check_body("--bc\r\n\r\nx\r\n--b--", "EPROTO");
  check_body("--b\r\n\r\nx\r\n--b-\r\n", "<|x>EPROTO");
  check_body("--b\r\n\r\nx\r\n--b -", "<|x>EPROTO");
  check_body("--b\r\rx", "EPROTO");
  check_body("--b\r\nA: 1\n\r\nx\r\n--b--", "EPROTO");
  check_body("--b\r\nA: 1\r\n--b\r\n\r\nx\r\n--b--", "EPROTO");
  check_body("--b\r\n--b: 1\r\n\r\nx\r\n--b--", "EPROTO");
  check_body("--b\r\nA: \r1\r\n\r\nx\r\n--b--", "EPROTO");
}

static void zero_bytes(void) {
  check_cut(ls_slice("--b\r\nA: \0\r\n\r\nx\r\n--b--", 23), 100, 5, "EPROTO");
  struct ls_multipart parser;
  struct ls_buf out = {0};
  ls_multipart_init(&parser, ls_slice_of("b"), 100);
  read_on(&parser, ls_slice("--b\r\n\r\n\0\0\r\n--b--", 16), &out);
  CHECK(out.len == 6 && memcmp(ls_buf_bytes(&out), "<|\0\0>.", 6) == 0);
  ls_buf_dispose(&out);
  ls_multipart_dispose(&parser);
}

static void truncated(void) {
  static const char body[] = "--b\r\nA: 1\r\n\r\nxy\r\n--b--";
  for (size_t len = 0; len < sizeof body; len++) {
    struct ls_multipart parser;
    struct ls_buf out = {0};
    ls_multipart_init(&parser, ls_slice_of("b"), 100);
    read_on(&parser, ls_slice(body, len), &out);
    CHECK(parser.state >= 0);
    CHECK(ls_multipart_is_complete(&parser) == (len == sizeof body - 1));
    ls_buf_dispose(&out);
    ls_multipart_dispose(&parser);
  }
}

static void limits_of_headers(void) {
  struct ls_slice body = ls_slice_of("--b\r\nA: 1\r\n\r\nx\r\n--b--");
  for (size_t cut = 0; cut <= body.len + 1; cut++) {
    check_cut(body, 6, cut, "<A: 1\r\n|x>.");
    check_cut(body, 5, cut, "ETOOBIG");
  }
}

static void failures_stay(void) {
  struct ls_multipart parser;
  struct ls_slice input = ls_slice_of("--b\n"), data;
  ls_multipart_init(&parser, ls_slice_of("b"), 100);
  CHECK(ls_multipart_next(&parser, &input, &data) == LS_EPROTO);
  input = ls_slice_of("\r\n--b\r\n\r\nx");
  CHECK(ls_multipart_next(&parser, &input, &data) == LS_EPROTO);
  ls_multipart_dispose(&parser);
}

static void boundaries(void) {
  CHECK(ls_multipart_is_boundary(ls_slice_of("gc0p4Jq0M2Yt08jU534c0p")));
  CHECK(ls_multipart_is_boundary(ls_slice_of("'()+_,-./:=? x")));
  CHECK(!ls_multipart_is_boundary(ls_slice_of("")));
  CHECK(!ls_multipart_is_boundary(ls_slice_of("x ")));
  CHECK(!ls_multipart_is_boundary(ls_slice_of("a\r\nb")));
  CHECK(!ls_multipart_is_boundary(ls_slice_of("\xc3\xa4")));
  static const char longest[] = "1234567890123456789012345678901234567890123456789012345678901234567890";
  CHECK(ls_multipart_is_boundary(ls_slice(longest, 70)));
  CHECK(!ls_multipart_is_boundary(
      ls_slice_of("x1234567890123456789012345678901234567890123456789012345678901234567890")));
  struct ls_multipart parser;
  ls_multipart_init(&parser, ls_slice(longest, 70), 0);
  CHECK(parser.delimiter_len == sizeof parser.delimiter);
}

int main(void) {
  RUN(parts);
  RUN(empty_content);
  RUN(preamble_and_epilogue_are_thrown_away);
  RUN(what_is_like_a_delimiter_is_content);
  RUN(padding);
  RUN(malformed);
  RUN(zero_bytes);
  RUN(truncated);
  RUN(limits_of_headers);
  RUN(failures_stay);
  RUN(boundaries);
  return 0;
}
