/* SPDX-License-Identifier: MIT */
#include "http/coding.h"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/error.h"
#include "http/field.h"

enum {
  GZIP_BITS = 15 + 16, /* the largest window, in gzip's format: zlib's manual, deflateInit2 */
  ZLIB_BITS = 15,
  RAW_BITS = -15,
  MEMORY_LEVEL = 8,
  BROTLI_WINDOW = 19,     /* 512 KiB: what is larger helps large files and costs every stream */
  OUTPUT_STEP = 16 * 1024 /* room that is made at a time */
};

static const struct ls_slice names[LS_CODINGS] = {{"identity", 8}, {"gzip", 4}, {"deflate", 7}, {"br", 2}};

struct ls_slice ls_coding_name(enum ls_coding coding) {
  return names[coding];
}

bool ls_coding_find(struct ls_slice name, enum ls_coding *coding) {
  for (unsigned i = 0; i < LS_CODINGS; i++) {
    if (ls_field_name_equal(name, names[i])) {
      *coding = (enum ls_coding)i;
      return true;
    }
  }
  *coding = LS_CODING_GZIP;
  return ls_field_name_equal(name, ls_slice("x-gzip", 6));
}

/* ---- encoding ---- */

struct ls_encoder {
  enum ls_coding coding;
  int level;
  z_stream z;
  BrotliEncoderState *brotli;
};

static int begin_brotli(struct ls_encoder *encoder) {
  encoder->brotli = BrotliEncoderCreateInstance(NULL, NULL, NULL);
  if (encoder->brotli == NULL)
    return -ENOMEM;
  BrotliEncoderSetParameter(encoder->brotli, BROTLI_PARAM_QUALITY, (uint32_t)encoder->level);
  BrotliEncoderSetParameter(encoder->brotli, BROTLI_PARAM_LGWIN, BROTLI_WINDOW);
  return 0;
}

struct ls_encoder *ls_encoder_new(enum ls_coding coding, int level) {
  struct ls_encoder *encoder = calloc(1, sizeof *encoder);
  if (encoder == NULL)
    return NULL;
  encoder->coding = coding;
  encoder->level = level;
  int bits = coding == LS_CODING_GZIP ? GZIP_BITS : ZLIB_BITS;
  bool failed = coding == LS_CODING_BROTLI
                    ? begin_brotli(encoder) != 0
                    : deflateInit2(&encoder->z, level, Z_DEFLATED, bits, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK;
  if (!failed)
    return encoder;
  free(encoder);
  return NULL;
}

void ls_encoder_free(struct ls_encoder *encoder) {
  if (encoder == NULL)
    return;
  if (encoder->coding == LS_CODING_BROTLI)
    BrotliEncoderDestroyInstance(encoder->brotli);
  else
    deflateEnd(&encoder->z);
  free(encoder);
}

int ls_encoder_reset(struct ls_encoder *encoder) {
  if (encoder->coding != LS_CODING_BROTLI)
    return deflateReset(&encoder->z) == Z_OK ? 0 : -ENOMEM;
  BrotliEncoderDestroyInstance(encoder->brotli); /* there is no way to use it again */
  return begin_brotli(encoder);
}

/* Free room at the end of out; 0: out of memory. */
static size_t make_room(struct ls_buf *out, size_t size) {
  if (ls_buf_reserve(out, size) != 0)
    return 0;
  return out->cap - out->start - out->len;
}

static int deflate_all(struct ls_encoder *encoder, struct ls_slice bytes, int flush, struct ls_buf *out) {
  z_stream *z = &encoder->z;
  z->next_in = (Bytef *)(uintptr_t)bytes.ptr;
  z->avail_in = (uInt)bytes.len;
  do {
    size_t room = make_room(out, OUTPUT_STEP);
    if (room == 0)
      return -ENOMEM;
    z->next_out = (Bytef *)ls_buf_bytes(out) + out->len;
    z->avail_out = (uInt)(room < UINT32_MAX ? room : UINT32_MAX);
    uInt before = z->avail_out;
    deflate(z, flush); /* what it says is of no use: it is done when it leaves room */
    out->len += before - z->avail_out;
  } while (z->avail_out == 0);
  return 0;
}

/* While it has output it takes bytes and encodes nothing: it is done when a call leaves it without any. */
static int brotli_all(struct ls_encoder *encoder, struct ls_slice bytes, BrotliEncoderOperation operation,
                      struct ls_buf *out) {
  const uint8_t *in = (const uint8_t *)bytes.ptr;
  size_t in_left = bytes.len, size;
  do {
    size_t none = 0;
    if (!BrotliEncoderCompressStream(encoder->brotli, operation, &in_left, &in, &none, NULL, NULL))
      return -ENOMEM;
    size = 0;
    const uint8_t *output = BrotliEncoderTakeOutput(encoder->brotli, &size);
    if (size != 0 && ls_buf_append(out, output, size) != 0)
      return -ENOMEM;
  } while (in_left != 0 || size != 0);
  return 0;
}

int ls_encoder_feed(struct ls_encoder *encoder, struct ls_slice bytes, enum ls_encoder_step step, struct ls_buf *out) {
  static const int flushes[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
  static const BrotliEncoderOperation operations[] = {BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH,
                                                      BROTLI_OPERATION_FINISH};
  if (encoder->coding == LS_CODING_BROTLI)
    return brotli_all(encoder, bytes, operations[step], out);
  while (bytes.len > INT32_MAX) { /* zlib counts in 32 bits */
    int err = deflate_all(encoder, ls_slice(bytes.ptr, INT32_MAX), Z_NO_FLUSH, out);
    if (err != 0)
      return err;
    bytes = ls_slice(bytes.ptr + INT32_MAX, bytes.len - INT32_MAX);
  }
  return deflate_all(encoder, bytes, flushes[step], out);
}

/* ---- decoding ---- */

struct ls_decoder {
  enum ls_coding coding;
  bool begun;    /* bytes have come */
  bool complete; /* the content, or a member of it, has ended */
  z_stream z;
  BrotliDecoderState *brotli;
};

struct ls_decoder *ls_decoder_new(enum ls_coding coding) {
  struct ls_decoder *decoder = calloc(1, sizeof *decoder);
  if (decoder == NULL)
    return NULL;
  decoder->coding = coding;
  bool failed;
  if (coding == LS_CODING_BROTLI) {
    decoder->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    failed = decoder->brotli == NULL;
  } else {
    failed = inflateInit2(&decoder->z, coding == LS_CODING_GZIP ? GZIP_BITS : ZLIB_BITS) != Z_OK;
  }
  if (!failed)
    return decoder;
  free(decoder);
  return NULL;
}

void ls_decoder_free(struct ls_decoder *decoder) {
  if (decoder == NULL)
    return;
  if (decoder->coding == LS_CODING_BROTLI)
    BrotliDecoderDestroyInstance(decoder->brotli);
  else
    inflateEnd(&decoder->z);
  free(decoder);
}

bool ls_decoder_is_complete(const struct ls_decoder *decoder) {
  return decoder->complete;
}

static int state_after(const struct ls_decoder *decoder, size_t in_left, size_t out_left) {
  if (decoder->complete && decoder->coding != LS_CODING_GZIP)
    return LS_DECODER_END;
  return out_left == 0 || in_left != 0 ? LS_DECODER_FULL : LS_DECODER_MORE;
}

/* The first byte tells zlib's wrapping, whose low four bits are 8 (RFC 1950 2.2), from raw blocks. */
static int choose_format(struct ls_decoder *decoder, struct ls_slice bytes) {
  if (decoder->begun || bytes.len == 0)
    return 0;
  decoder->begun = true;
  if (decoder->coding != LS_CODING_DEFLATE || (bytes.ptr[0] & 15) == 8)
    return 0;
  return inflateReset2(&decoder->z, RAW_BITS) == Z_OK ? 0 : -ENOMEM;
}

static int inflate_some(struct ls_decoder *decoder, struct ls_slice bytes, size_t *used, char *out, size_t *out_len) {
  z_stream *z = &decoder->z;
  size_t in_len = bytes.len < UINT32_MAX ? bytes.len : UINT32_MAX, most = *out_len;
  int err = choose_format(decoder, bytes);
  if (err == 0 && decoder->complete && in_len != 0) { /* another member */
    decoder->complete = false;
    err = inflateReset(z) == Z_OK ? 0 : -ENOMEM;
  }
  if (err != 0)
    return err;
  z->next_in = (Bytef *)(uintptr_t)bytes.ptr;
  z->avail_in = (uInt)in_len;
  z->next_out = (Bytef *)out;
  z->avail_out = (uInt)most;
  int result = in_len == 0 && decoder->complete ? Z_OK : inflate(z, Z_NO_FLUSH);
  *used = in_len - z->avail_in;
  *out_len = most - z->avail_out;
  if (result == Z_STREAM_END)
    decoder->complete = true;
  else if (result == Z_MEM_ERROR)
    return -ENOMEM;
  else if (result != Z_OK && result != Z_BUF_ERROR) /* BUF_ERROR: nothing to do now */
    return LS_EPROTO;
  return state_after(decoder, bytes.len - *used, z->avail_out);
}

static int unbrotli_some(struct ls_decoder *decoder, struct ls_slice bytes, size_t *used, char *out, size_t *out_len) {
  const uint8_t *in = (const uint8_t *)bytes.ptr;
  uint8_t *to = (uint8_t *)out;
  size_t in_left = bytes.len, out_left = *out_len;
  BrotliDecoderResult result = BrotliDecoderDecompressStream(decoder->brotli, &in_left, &in, &out_left, &to, NULL);
  *used = bytes.len - in_left;
  *out_len -= out_left;
  if (result == BROTLI_DECODER_RESULT_ERROR) {
    BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(decoder->brotli);
    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES && code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES
               ? -ENOMEM
               : LS_EPROTO;
  }
  decoder->complete = result == BROTLI_DECODER_RESULT_SUCCESS;
  return state_after(decoder, in_left, out_left); /* it asks for input also when it has output left */
}

int ls_decoder_feed(struct ls_decoder *decoder, struct ls_slice bytes, size_t *used, struct ls_buf *out, size_t most) {
  *used = 0;
  size_t room = make_room(out, most), len = most < UINT32_MAX ? most : UINT32_MAX;
  if (room < most)
    return -ENOMEM;
  char *to = ls_buf_bytes(out) + out->len;
  int state = decoder->coding == LS_CODING_BROTLI ? unbrotli_some(decoder, bytes, used, to, &len)
                                                  : inflate_some(decoder, bytes, used, to, &len);
  if (state >= 0)
    out->len += len;
  return state;
}
