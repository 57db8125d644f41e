/* SPDX-License-Identifier: MIT */
/* body: where the content of a request lies in the bytes after its head (RFC 9112 6 and 7): counted by Content-Length,
 * or in chunks:
 *
 *   size-in-hex [;extension] CRLF  size bytes  CRLF   ...   0 [;extension] CRLF  trailer fields  CRLF
 *
 * Strict about every CR LF. Extensions and trailers are checked, counted and dropped. */
#ifndef LS_HTTP_BODY_H
#define LS_HTTP_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct ls_body {
  uint64_t left;  /* bytes of the content or of the chunk still to come */
  uint32_t spare; /* bytes that extensions and trailers may still take */
  uint8_t state;  /* body.c's */
};

/* length -1: chunked, with at most spare bytes of extensions and trailers. */
void ls_body_begin(struct ls_body *body, int64_t length, uint32_t spare);

enum ls_body_step { LS_BODY_MORE, LS_BODY_CONTENT, LS_BODY_END };

/* Takes some of the bytes and says how many in *used. LS_BODY_CONTENT: *content is the next run of content;
 * LS_BODY_MORE: all were used, more are needed; LS_BODY_END: the body ends after the used ones. LS_EPROTO: broken
 * framing, LS_ETOOBIG: extensions or trailers over spare; do not go on then. */
int ls_body_next(struct ls_body *body, const char *bytes, size_t len, size_t *used, struct ls_slice *content);

#endif
