/* SPDX-License-Identifier: MIT */
/* byteranges: several ranges of a representation as one body, multipart/byteranges (RFC 9110 14.6, RFC 2046 5.1.1):
 *
 *   --boundary CRLF fields CRLF CRLF  bytes  CRLF --boundary CRLF fields CRLF CRLF  bytes  CRLF --boundary-- CRLF
 */
#ifndef LS_HTTP_BYTERANGES_H
#define LS_HTTP_BYTERANGES_H

#include <stdint.h>

#include "base/buf.h"
#include "http/range.h"

/* Room for "bytes 1-2/3". */
enum { LS_CONTENT_RANGE_MAX = 72 };

enum { LS_BOUNDARY_BYTES = 15, LS_BOUNDARY_LEN = 2 * LS_BOUNDARY_BYTES };

struct ls_byteranges {
  const struct ls_ranges *ranges;
  uint64_t size;        /* of the whole */
  struct ls_slice type; /* each part's Content-Type; len 0: none */
  char boundary[LS_BOUNDARY_LEN + 1];
};

/* "bytes 0-9/100", the value of Content-Range. Its length. */
int ls_range_format(const struct ls_range *range, uint64_t size, char text[LS_CONTENT_RANGE_MAX]);

/* Makes the boundary of random bytes, which nobody who wrote the content can have known. */
void ls_byteranges_set_boundary(struct ls_byteranges *parts, const unsigned char random[LS_BOUNDARY_BYTES]);

/* Bytes of the whole body. */
uint64_t ls_byteranges_length(const struct ls_byteranges *parts);

/* Appends what stands in front of the part with this index; with the number of parts, what ends the body. 0 or
 * -ENOMEM. */
int ls_byteranges_put(const struct ls_byteranges *parts, unsigned index, struct ls_buf *out);

#endif
