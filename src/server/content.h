/* SPDX-License-Identifier: MIT */
/* content: the body of a request as its handler sees it: as it came, or, with the option decompress, decoded.
 *
 * A few bytes may decode to a thousand times as many, so decoding is lazy: it goes on when what was decoded has been
 * taken, and in one turn of the loop only up to a bound; on_body tells when to look again. The limit of the body holds
 * for what came and for what it decodes to. */
#ifndef LS_SERVER_CONTENT_H
#define LS_SERVER_CONTENT_H

#include <stddef.h>

#include "base/slice.h"
#include "http/conn.h"

struct ls_decode;
struct ls_request;

/* When the head is there: prepares to decode where Content-Encoding says so. 0; 415: a coding that is not known, or more
 * than one; or -ENOMEM. */
int ls_content_begin(struct ls_request *request);
/* Harmless where nothing is decoded. */
void ls_content_dispose(struct ls_request *request);

/* More has come: a new turn. */
void ls_content_renew(struct ls_request *request);

/* The next run of bytes that were not taken yet; len 0: there is nothing now, and then ls_content_state says whether
 * more may come. */
struct ls_slice ls_content_next(struct ls_request *request);
/* Takes n bytes of that run. */
void ls_content_take(struct ls_request *request, size_t n);

enum ls_body_state ls_content_state(const struct ls_request *request);
/* Where that is FAILED: why, as exchange->body_error, and the status that says so to the client. */
int ls_content_error(const struct ls_request *request);
int ls_content_failure_status(const struct ls_request *request);

#endif
