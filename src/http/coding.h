/* SPDX-License-Identifier: MIT */
/* coding: content codings (RFC 9110 8.4.1): gzip (RFC 1952), deflate, which is zlib's format (RFC 1950), and br (RFC 7932).
 * Encoders and decoders are byte machines over zlib and brotli. Each is used by one thread at a time. */
#ifndef LS_HTTP_CODING_H
#define LS_HTTP_CODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

enum ls_coding { LS_CODING_IDENTITY, LS_CODING_GZIP, LS_CODING_DEFLATE, LS_CODING_BROTLI, LS_CODINGS };

/* "gzip", "deflate", "br", "identity". */
struct ls_slice ls_coding_name(enum ls_coding coding);
/* By its name in any case; "x-gzip" is gzip. false: not known. */
bool ls_coding_find(struct ls_slice name, enum ls_coding *coding);

/* ---- encoding ---- */

struct ls_encoder;

/* level: 1 to 9 for gzip and deflate, 0 to 11 for br. NULL: out of memory. An encoder takes about 260 KiB, one for br up to
 * some MiB, according to level. */
struct ls_encoder *ls_encoder_new(enum ls_coding coding, int level);
void ls_encoder_free(struct ls_encoder *encoder);

/* Makes it ready for another content, keeping its memory where it can. 0 or -ENOMEM (free it then). */
int ls_encoder_reset(struct ls_encoder *encoder);

/* FLUSH: what was fed can be decoded from what is out. END: the content is complete; then only reset or free. */
enum ls_encoder_step { LS_ENCODE_MORE, LS_ENCODE_FLUSH, LS_ENCODE_END };

/* Encodes all of the bytes, appending to out. 0 or -ENOMEM. */
int ls_encoder_feed(struct ls_encoder *encoder, struct ls_slice bytes, enum ls_encoder_step step, struct ls_buf *out);

/* ---- decoding ---- */

struct ls_decoder;

struct ls_decoder *ls_decoder_new(enum ls_coding coding);
void ls_decoder_free(struct ls_decoder *decoder);

enum ls_decoder_state {
  LS_DECODER_MORE, /* all bytes are used */
  LS_DECODER_FULL, /* most bytes were appended, there may be more: call again with the rest */
  LS_DECODER_END   /* the content is complete, and the bytes behind it, if any, are not used */
};

/* Decodes bytes, says in *used how many, and appends at most most bytes to out. -ENOMEM, or LS_EPROTO for what is not of
 * this coding; do not go on then. Members of gzip that follow each other are one content (RFC 1952 2.2), so its END comes
 * only with ls_decoder_is_complete. deflate without zlib's wrapping is taken as well, as some clients send it. */
int ls_decoder_feed(struct ls_decoder *decoder, struct ls_slice bytes, size_t *used, struct ls_buf *out, size_t most);

/* Whether the content may end here. */
bool ls_decoder_is_complete(const struct ls_decoder *decoder);

#endif
