/* SPDX-License-Identifier: MIT */
/* response: answering a request, with the content coding that the client and the server's options ask for. Everything here schedules the connection's flush, so that what was said in one drain
 * leaves in one write. */
#ifndef LS_SERVER_RESPONSE_H
#define LS_SERVER_RESPONSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "server/encode.h"
#include "server/request.h"

/* Whether the head has been given: status and fields cannot change any more. */
static inline bool ls_response_is_begun(const struct ls_request *request) {
  return request->exchange.response_state != LS_RESPONSE_NONE;
}

/* Whether the end has been given. Some of the response may still have to be encoded, or to leave. */
static inline bool ls_response_is_finished(const struct ls_request *request) {
  return request->exchange.response_state == LS_RESPONSE_FINISHED || ls_encode_is_finished(request);
}

/* The head, with request->status and request->headers. length as for ls_exchange_respond. Same results. */
int ls_response_begin(struct ls_request *request, int64_t length);
/* Body bytes; begins chunked if the head is not sent. Results as ls_exchange_write: 1 means wait for on_drain. */
int ls_response_write(struct ls_request *request, const char *bytes, size_t len);
/* For bytes of the body that go to the kernel without coming through here, such as a file's: the connection's descriptor,
 * which does not block, until anything else is done; who wants to keep it duplicates it. -EAGAIN: after on_drain. Other
 * codes: write them. */
int ls_response_lend(struct ls_request *request);
/* So many went there, in order. Nothing else may be written in between. */
void ls_response_lent_sent(struct ls_request *request, uint64_t len);
/* The end, with request->trailers; begins with length 0 if the head is not sent. */
int ls_response_finish(struct ls_request *request);
/* Head, body and end at once. */
int ls_response_send(struct ls_request *request, struct ls_slice body);
/* The response cannot be completed any more: the connection is reset, or gets a 500 (the body's failure_status) if
 * nothing of the response has left yet. */
void ls_response_abort(struct ls_request *request);
/* A plain-text answer from C, where text is NULL the status's name: for errors that no handler answered. What was set
 * and begun so far is dropped. If some of that has left already the connection is reset. */
void ls_response_fail(struct ls_request *request, int status, const char *text);

#endif
