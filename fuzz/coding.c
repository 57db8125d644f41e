/* SPDX-License-Identifier: MIT */
/* fuzz/coding: decoders of content codings against arbitrary bytes. An input is a byte that says which coding and how the
 * bytes are split, then the bytes. Output is bounded at each step; whole and in parts they decode to the same. What
 * decodes is encoded and decoded again. */
#include "http/coding.h"

#include "base/error.h"
#include "expect.h"

enum { MOST = 100, TOTAL_MAX = 1 << 20 };

struct outcome {
  struct ls_buf out;
  int state;
  bool complete;
};

static void feed(struct ls_decoder *decoder, struct ls_slice bytes, size_t most, struct outcome *outcome) {
  do {
    size_t used = 0, before = outcome->out.len;
    outcome->state = ls_decoder_feed(decoder, bytes, &used, &outcome->out, most);
    EXPECT(used <= bytes.len && outcome->out.len - before <= most);
    EXPECT(outcome->state != LS_DECODER_MORE || used == bytes.len);
    if (outcome->state == LS_DECODER_FULL && used == 0 && outcome->out.len == before)
      outcome->state = LS_EPROTO; /* it does not get on */
    bytes = ls_slice(bytes.ptr + used, bytes.len - used);
  } while (outcome->state == LS_DECODER_FULL && outcome->out.len < TOTAL_MAX);
}

static struct outcome decode(enum ls_coding coding, const uint8_t *bytes, size_t len, size_t piece, size_t most) {
  struct outcome outcome = {.state = LS_DECODER_MORE};
  struct ls_decoder *decoder = ls_decoder_new(coding);
  EXPECT(decoder != NULL);
  for (size_t at = 0; at < len && outcome.state == LS_DECODER_MORE; at += piece) {
    size_t n = piece < len - at ? piece : len - at;
    char *copy = copy_of(bytes + at, n);
    feed(decoder, ls_slice(copy, n), most, &outcome);
    free(copy);
  }
  outcome.complete = ls_decoder_is_complete(decoder);
  ls_decoder_free(decoder);
  return outcome;
}

static void check_round_trip(enum ls_coding coding, const struct ls_buf *content) {
  struct ls_buf coded = {0};
  struct ls_encoder *encoder = ls_encoder_new(coding, 1);
  size_t half = content->len / 2;
  EXPECT(encoder != NULL);
  EXPECT(ls_encoder_feed(encoder, ls_slice(ls_buf_bytes(content), half), LS_ENCODE_FLUSH, &coded) == 0);
  EXPECT(ls_encoder_feed(encoder, ls_slice(ls_buf_bytes(content) + half, content->len - half), LS_ENCODE_END, &coded) ==
         0);
  ls_encoder_free(encoder);
  struct outcome again = decode(coding, (const uint8_t *)ls_buf_bytes(&coded), coded.len, coded.len, TOTAL_MAX);
  EXPECT(again.complete && again.out.len == content->len);
  EXPECT(memcmp(ls_buf_bytes(&again.out), ls_buf_bytes(content), content->len) == 0);
  ls_buf_dispose(&coded);
  ls_buf_dispose(&again.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (len < 2)
    return 0;
  enum ls_coding coding = (enum ls_coding)(LS_CODING_GZIP + bytes[0] % 3);
  size_t piece = 1 + bytes[0] / 3 % 16;
  struct outcome whole = decode(coding, bytes + 1, len - 1, len, TOTAL_MAX);
  struct outcome parts = decode(coding, bytes + 1, len - 1, piece, MOST);
  if (whole.out.len < TOTAL_MAX && whole.state >= 0) {
    EXPECT(whole.complete == parts.complete && whole.out.len == parts.out.len);
    EXPECT(whole.out.len == 0 || memcmp(ls_buf_bytes(&whole.out), ls_buf_bytes(&parts.out), whole.out.len) == 0);
  }
  if (whole.complete && whole.out.len != 0 && whole.out.len < 4096)
    check_round_trip(coding, &whole.out);
  ls_buf_dispose(&whole.out);
  ls_buf_dispose(&parts.out);
  return 0;
}
