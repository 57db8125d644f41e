/* SPDX-License-Identifier: MIT */
/* fuzz/body: the framing of request content. An input is a byte that says how much it is split, then what follows a
 * head. Content and outcome must not depend on the split, and nothing behind the end is taken. */
#include "http/body.h"

#include "base/buf.h"
#include "base/error.h"
#include "expect.h"

enum { SPARE = 200 };

struct outcome {
  struct ls_buf content;
  size_t used;
  int step;
};

static void feed(struct ls_body *body, const char *bytes, size_t len, struct outcome *outcome) {
  size_t at = 0;
  do {
    size_t used = 0;
    struct ls_slice content = {0};
    outcome->step = ls_body_next(body, bytes + at, len - at, &used, &content);
    EXPECT(used <= len - at);
    if (outcome->step == LS_BODY_CONTENT) {
      EXPECT(content.ptr >= bytes + at && content.ptr + content.len <= bytes + at + used);
      EXPECT(ls_buf_append(&outcome->content, content.ptr, content.len) == 0);
    }
    at += used;
  } while (outcome->step == LS_BODY_CONTENT);
  if (outcome->step == LS_BODY_MORE)
    EXPECT(at == len);
  outcome->used += at;
}

static struct outcome run(int64_t length, const uint8_t *bytes, size_t len, size_t piece) {
  struct outcome outcome = {.step = LS_BODY_MORE};
  struct ls_body body;
  ls_body_begin(&body, length, SPARE);
  for (size_t at = 0; at < len && outcome.step == LS_BODY_MORE; at += piece) {
    size_t n = piece < len - at ? piece : len - at;
    char *copy = copy_of(bytes + at, n);
    feed(&body, copy, n, &outcome);
    free(copy);
  }
  return outcome;
}

static void check(int64_t length, const uint8_t *bytes, size_t len, size_t piece) {
  struct outcome whole = run(length, bytes, len, len + 1), parts = run(length, bytes, len, piece);
  EXPECT(whole.step == parts.step && whole.used == parts.used);
  EXPECT(whole.content.len == parts.content.len);
  EXPECT(whole.content.len == 0 ||
         memcmp(ls_buf_bytes(&whole.content), ls_buf_bytes(&parts.content), whole.content.len) == 0);
  EXPECT(whole.step >= 0 || whole.step == LS_EPROTO || whole.step == LS_ETOOBIG);
  EXPECT(length < 0 || whole.content.len <= (size_t)length);
  ls_buf_dispose(&whole.content);
  ls_buf_dispose(&parts.content);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (len < 2)
    return 0;
  size_t piece = 1 + bytes[0] % 8;
  check(-1, bytes + 1, len - 1, piece);
  check(bytes[0], bytes + 1, len - 1, piece);
  return 0;
}
