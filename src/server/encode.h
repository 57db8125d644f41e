/* SPDX-License-Identifier: MIT */
/* encode: the content coding of a response, between what the handler writes and what its exchange sends.
 *
 * Small pieces are encoded where they are written, and flushed, so that the client gets them. Larger ones go to the pool in
 * jobs of a bounded size; what is written meanwhile waits for the next job, and above a bound the writer is told to wait
 * (on_drain tells when to go on). So the end of a large response comes after its handler has said it.
 *
 * A job that has lost its request (the client has left, the response was dropped) frees itself when it is done. */
#ifndef LS_SERVER_ENCODE_H
#define LS_SERVER_ENCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"
#include "http/coding.h"

struct ls_encode;
struct ls_request;
struct ls_server;

struct ls_encode_options {
  unsigned count;                         /* of the codings; 0: responses are sent as they are */
  enum ls_coding codings[LS_CODINGS - 1]; /* in the order the server likes them */
  uint32_t min_size;                      /* bytes; smaller contents, where the size is known, are sent as they are */
  int level;                              /* of gzip and deflate: 1 to 9 */
  int quality;                            /* of br: 0 to 11 */
};

/* The defaults, with count 0. */
void ls_encode_options_init(struct ls_encode_options *options);

/* Those of the response: its own, or the server's. */
const struct ls_encode_options *ls_encode_options_of(const struct ls_request *request);

/* What waits to be used again; a server's. Zeroed memory is empty. */
struct ls_encode_pool {
  struct ls_encode *idle[LS_CODINGS]; /* linked */
  unsigned idle_count[LS_CODINGS];
};
void ls_encode_pool_dispose(struct ls_encode_pool *pool);

/* Before the head is sent: decides whether and how the content, of length bytes (-1: not known), is coded, and changes the
 * response's fields accordingly (Content-Encoding, Vary, ETag, Content-Length). Then request->encode is set, or the request
 * was a HEAD. Whether the content is coded. Where memory is short it is not. */
bool ls_encode_choose(struct ls_request *request, int64_t length);

/* As ls_exchange_write: 0; 1: taken, wait for on_drain; or a negative code. */
int ls_encode_write(struct ls_request *request, struct ls_slice bytes);

/* The end. 0 or a negative code; the response is complete when what is under way has been encoded. */
int ls_encode_finish(struct ls_request *request);

/* Encodes all of a content at once: 0; 1: it is too large for that; or -ENOMEM. The output stays until ls_encode_drop. */
int ls_encode_whole(struct ls_request *request, struct ls_slice content, struct ls_slice *coded);

/* Whether the handler has finished the response, though not all of it is encoded. */
bool ls_encode_is_finished(const struct ls_request *request);

/* Lets go of it: nothing more is coded, nothing more is sent. Harmless where there is none. */
void ls_encode_drop(struct ls_request *request);

#endif
