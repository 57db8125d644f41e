/* SPDX-License-Identifier: MIT */
/* coding: what is encoded decodes to what it was, whatever the pieces, levels and flushes; and no step appends more than
 * it may. */
#include "http/coding.h"

#include <stdlib.h>

#include "base/error.h"
#include "check.h"

enum { SIZE = 400 * 1000 };

/* Neither regular nor random: numbers in text. */
static char *make_content(void) {
  char *content = malloc(SIZE + 32);
  unsigned state = 7;
  for (size_t len = 0; len < SIZE;) {
    state = state * 1103515245u + 12345u;
    len += (size_t)sprintf(content + len, "%zu %x\n", len, state >> 8);
  }
  return content;
}

static void decode(enum ls_coding coding, struct ls_slice bytes, size_t piece, size_t most, struct ls_buf *out) {
  struct ls_decoder *decoder = ls_decoder_new(coding);
  int state = LS_DECODER_MORE;
  for (size_t at = 0; at < bytes.len; at += piece) {
    struct ls_slice part = ls_slice(bytes.ptr + at, piece < bytes.len - at ? piece : bytes.len - at);
    do {
      size_t used, before = out->len;
      state = ls_decoder_feed(decoder, part, &used, out, most);
      CHECK(state >= 0 && used <= part.len && out->len - before <= most);
      part = ls_slice(part.ptr + used, part.len - used);
    } while (state == LS_DECODER_FULL);
    CHECK_INT(part.len, 0);
  }
  CHECK(ls_decoder_is_complete(decoder));
  ls_decoder_free(decoder);
}

static void check_same(const struct ls_buf *out, const char *content) {
  CHECK_INT(out->len, SIZE);
  CHECK(memcmp(ls_buf_bytes(out), content, SIZE) == 0);
}

static void encode_in_pieces(struct ls_encoder *encoder, const char *content, size_t piece, enum ls_encoder_step step,
                             struct ls_buf *out) {
  for (size_t at = 0; at < SIZE; at += piece) {
    size_t n = piece < SIZE - at ? piece : SIZE - at;
    CHECK_INT(ls_encoder_feed(encoder, ls_slice(content + at, n), step, out), 0);
  }
  CHECK_INT(ls_encoder_feed(encoder, ls_slice("", 0), LS_ENCODE_END, out), 0);
}

static void decodes_what_it_encodes(void) {
  static const size_t pieces[] = {1 << 17, SIZE, 4099};
  char *content = make_content();
  for (enum ls_coding coding = LS_CODING_GZIP; coding < LS_CODINGS; coding++) {
    for (int level = 1; level <= 9; level += 2) {
      struct ls_encoder *encoder = ls_encoder_new(coding, level);
      for (unsigned i = 0; i < 6; i++) { /* each after a reset */
        struct ls_buf coded = {0}, out = {0};
        encode_in_pieces(encoder, content, pieces[i % 3], i < 3 ? LS_ENCODE_MORE : LS_ENCODE_FLUSH, &coded);
        CHECK(coded.len < SIZE);
        decode(coding, ls_slice(ls_buf_bytes(&coded), coded.len), 70001, 65536, &out);
        check_same(&out, content);
        ls_buf_dispose(&coded);
        ls_buf_dispose(&out);
        CHECK_INT(ls_encoder_reset(encoder), 0);
      }
      ls_encoder_free(encoder);
    }
  }
  free(content);
}

static void flushes(void) {
  for (enum ls_coding coding = LS_CODING_GZIP; coding < LS_CODINGS; coding++) {
    struct ls_encoder *encoder = ls_encoder_new(coding, 5);
    struct ls_decoder *decoder = ls_decoder_new(coding);
    for (int i = 0; i < 20; i++) {
      struct ls_buf coded = {0}, out = {0};
      size_t used;
      CHECK_INT(ls_encoder_feed(encoder, ls_slice_of("event\n"), LS_ENCODE_FLUSH, &coded), 0);
      CHECK_INT(ls_decoder_feed(decoder, ls_slice(ls_buf_bytes(&coded), coded.len), &used, &out, 100), LS_DECODER_MORE);
      CHECK_BYTES(ls_buf_bytes(&out), out.len, "event\n");
      CHECK(!ls_decoder_is_complete(decoder));
      ls_buf_dispose(&coded);
      ls_buf_dispose(&out);
    }
    ls_encoder_free(encoder);
    ls_decoder_free(decoder);
  }
}

/* What was flushed comes out without another byte that comes in, however little is taken at a time. */
static void gives_all_that_was_flushed(void) {
  for (enum ls_coding coding = LS_CODING_GZIP; coding < LS_CODINGS; coding++) {
    char content[300] = {0};
    struct ls_buf coded = {0}, out = {0};
    struct ls_encoder *encoder = ls_encoder_new(coding, 5);
    struct ls_decoder *decoder = ls_decoder_new(coding);
    CHECK_INT(ls_encoder_feed(encoder, ls_slice(content, sizeof content), LS_ENCODE_FLUSH, &coded), 0);
    struct ls_slice bytes = ls_slice(ls_buf_bytes(&coded), coded.len);
    size_t used;
    while (ls_decoder_feed(decoder, bytes, &used, &out, 100) == LS_DECODER_FULL)
      bytes = ls_slice(bytes.ptr + used, bytes.len - used);
    CHECK_INT(out.len, sizeof content);
    ls_encoder_free(encoder);
    ls_decoder_free(decoder);
    ls_buf_dispose(&coded);
    ls_buf_dispose(&out);
  }
}

/* Zeros without end in about a kilobyte. */
static void bounds_its_output(void) {
  char *zeros = calloc(1, SIZE);
  for (enum ls_coding coding = LS_CODING_GZIP; coding < LS_CODINGS; coding++) {
    struct ls_buf coded = {0}, out = {0};
    struct ls_encoder *encoder = ls_encoder_new(coding, 9);
    CHECK_INT(ls_encoder_feed(encoder, ls_slice(zeros, SIZE), LS_ENCODE_END, &coded), 0);
    CHECK(coded.len < 2000);
    decode(coding, ls_slice(ls_buf_bytes(&coded), coded.len), 1, 333, &out);
    check_same(&out, zeros);
    ls_encoder_free(encoder);
    ls_buf_dispose(&coded);
    ls_buf_dispose(&out);
  }
  free(zeros);
}

static int decode_text(enum ls_coding coding, const char *bytes, size_t len) {
  struct ls_decoder *decoder = ls_decoder_new(coding);
  struct ls_buf out = {0};
  size_t used;
  int state = ls_decoder_feed(decoder, ls_slice(bytes, len), &used, &out, 1000);
  ls_buf_dispose(&out);
  ls_decoder_free(decoder);
  return state;
}

static void refuses_what_is_of_no_coding(void) {
  CHECK_INT(decode_text(LS_CODING_GZIP, "hello", 5), LS_EPROTO);
  CHECK_INT(decode_text(LS_CODING_DEFLATE, "\x78\x00", 2), LS_EPROTO);
  CHECK_INT(decode_text(LS_CODING_DEFLATE, "\xff", 1), LS_EPROTO);
  CHECK_INT(decode_text(LS_CODING_BROTLI, "\xff\xff\xff\xff\xff\xff", 6), LS_EPROTO);
}

static void knows_names(void) {
  enum ls_coding coding;
  for (enum ls_coding i = LS_CODING_IDENTITY; i < LS_CODINGS; i++) {
    CHECK(ls_coding_find(ls_coding_name(i), &coding));
    CHECK_INT(coding, i);
  }
  CHECK(ls_coding_find(ls_slice_of("X-GZip"), &coding) && coding == LS_CODING_GZIP);
  CHECK(!ls_coding_find(ls_slice_of("compress"), &coding));
  CHECK(!ls_coding_find(ls_slice_of(""), &coding));
}

int main(void) {
  RUN(decodes_what_it_encodes);
  RUN(flushes);
  RUN(gives_all_that_was_flushed);
  RUN(bounds_its_output);
  RUN(refuses_what_is_of_no_coding);
  RUN(knows_names);
  return 0;
}
