/* SPDX-License-Identifier: MIT */
/* writer: how a response looks on the wire (RFC 9112 4 to 7): heads and chunk framing, appended to a buffer.
 * It writes what it is told; what is right for a request is response.c's to know. */
#ifndef LS_HTTP_WRITER_H
#define LS_HTTP_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "http/headers.h"

struct ls_writer_head {
  int status;                       /* 100 to 999 */
  const struct ls_headers *headers; /* NULL: none */
  const char *date;                 /* LS_DATE_LEN bytes, where headers has no Date; NULL: no Date field */
  int64_t length;                   /* a Content-Length field; -1: none */
  bool chunked;                     /* a Transfer-Encoding field */
  bool own_length;                  /* the Content-Length of headers is sent; it is left out otherwise */
  bool own_connection;              /* the Connection of headers is sent; it is left out otherwise */
  bool close, keep_alive;           /* a Connection field that says so */
};

/* The whole head. Transfer-Encoding of headers is left out. 0, or -ENOMEM with nothing appended. */
int ls_writer_head(struct ls_buf *out, const struct ls_writer_head *head);

/* One chunk; nothing for len 0, which would be the end. Same results. */
int ls_writer_chunk(struct ls_buf *out, const char *bytes, size_t len);

/* The line in front of a chunk of that size, for who sends the chunk and the line end behind it from where they are. The
 * slice points into line. */
struct ls_writer_chunk {
  char line[18]; /* 16 digits and the line end */
};
struct ls_slice ls_writer_chunk_head(struct ls_writer_chunk *chunk, size_t len);

/* The end of a chunked body, with trailer fields (NULL: none). Same results. */
int ls_writer_last_chunk(struct ls_buf *out, const struct ls_headers *trailers);

#endif
