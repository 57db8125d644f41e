/* SPDX-License-Identifier: MIT */
/* multipart: bodies of several parts (RFC 2046 5.1), as they come, in pieces cut anywhere. What the header fields of a part
 * say is nobody's business here.
 *
 *   [preamble CRLF] --boundary *LWSP CRLF
 *   field: value CRLF ... CRLF content CRLF
 *   --boundary-- [epilogue]
 *
 * Strict where leniency would let two readers see different parts: lines end in CRLF, and what follows a boundary at the
 * beginning of a line is the end of that line or "--". */
#ifndef LS_HTTP_MULTIPART_H
#define LS_HTTP_MULTIPART_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

/* RFC 2046 5.1.1 */
#define LS_MULTIPART_BOUNDARY_MAX 70

/* What ls_multipart_next gives. For each part: PART, any number of DATA, PART_END; after the last one END. */
enum ls_multipart_event {
  LS_MULTIPART_MORE,     /* the input is used up */
  LS_MULTIPART_PART,     /* data: its header lines, each with its CRLF; may be empty */
  LS_MULTIPART_DATA,     /* data: some bytes of its content, never none */
  LS_MULTIPART_PART_END, /* the part is complete */
  LS_MULTIPART_END       /* so is the body; what else there is, is thrown away, and is MORE */
};

struct ls_multipart {
  char delimiter[4 + LS_MULTIPART_BOUNDARY_MAX]; /* CRLF "--" boundary */
  size_t delimiter_len;
  size_t matched; /* how much of it the last input ended with */
  size_t implied; /* of these, what stood before the content and is no part of it */
  size_t head_max;
  struct ls_buf head;
  size_t line; /* where in head the last line begins */
  int state;   /* private to multipart.c; negative: the code it failed with */
};

/* Whether it can be the parameter boundary: 1 to 70 visible characters or spaces, and no space at the end. */
bool ls_multipart_is_boundary(struct ls_slice boundary);

/* boundary: a valid one, copied. head_max: bytes of the header lines of each part. */
void ls_multipart_init(struct ls_multipart *parser, struct ls_slice boundary, size_t head_max);
void ls_multipart_dispose(struct ls_multipart *parser);

/* Takes bytes off the front of input up to the next event. data is valid until the next call, and as long as the input.
 * Or LS_EPROTO, LS_ETOOBIG (header lines), -ENOMEM: then, and from then on. */
int ls_multipart_next(struct ls_multipart *parser, struct ls_slice *input, struct ls_slice *data);

/* Whether END has been: where the input ends before that the body has been cut off. */
bool ls_multipart_is_complete(const struct ls_multipart *parser);

#endif
