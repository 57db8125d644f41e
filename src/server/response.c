/* SPDX-License-Identifier: MIT */
#include "server/response.h"

#include "base/error.h"
#include "http/status.h"
#include "server/http1.h"
#include "server/state.h"

/* Why a request that is on no connection takes no response. */
static int closed_code(const struct ls_request *request) {
  return ls_response_is_finished(request) ? LS_ESTATE : LS_ECLOSED;
}

/* Whether the content coding of the response may still be chosen. */
static bool may_code(const struct ls_request *request) {
  return ls_encode_options_of(request)->count != 0 && !ls_response_is_begun(request);
}

static inline int respond(struct ls_request *request, int64_t length) {
  if (request->on_head != NULL && !ls_response_is_begun(request))
    request->on_head(request);
  ls_server_refresh_date(request->server);
  ls_http1_schedule(request->http1);
  int status = ls_exchange_respond(&request->exchange, request->status, &request->headers, length);
  if (status != 0)
    ls_encode_drop(request);
  return status;
}

int ls_response_begin(struct ls_request *request, int64_t length) {
  if (request->http1 == NULL)
    return closed_code(request);
  if (may_code(request) && ls_encode_choose(request, length))
    length = -1;
  return respond(request, length);
}

static int write_content(struct ls_request *request, struct ls_slice bytes) {
  ls_http1_schedule(request->http1);
  if (request->encode != NULL)
    return ls_encode_write(request, bytes);
  return ls_exchange_write(&request->exchange, bytes.ptr, bytes.len);
}

static int finish(struct ls_request *request) {
  ls_http1_schedule(request->http1);
  if (request->encode != NULL)
    return ls_encode_finish(request);
  return ls_exchange_finish(&request->exchange, &request->trailers);
}

int ls_response_write(struct ls_request *request, const char *bytes, size_t len) {
  if (request->http1 == NULL)
    return closed_code(request);
  int status = ls_response_is_begun(request) ? 0 : ls_response_begin(request, -1);
  return status != 0 ? status : write_content(request, ls_slice(bytes, len));
}

int ls_response_lend(struct ls_request *request) {
  if (request->http1 == NULL)
    return closed_code(request);
  int status = request->encode != NULL ? LS_ESTATE : ls_exchange_go_direct(&request->exchange);
  if (status != 0)
    return status > 0 ? -EAGAIN : status;
  return request->http1->closing ? LS_ECLOSED : request->http1->stream.fd;
}

void ls_response_lent_sent(struct ls_request *request, uint64_t len) {
  ls_exchange_sent_directly(&request->exchange, len);
}

int ls_response_finish(struct ls_request *request) {
  if (request->http1 == NULL)
    return closed_code(request);
  int status = ls_response_is_begun(request) ? 0 : ls_response_begin(request, 0);
  return status != 0 ? status : finish(request);
}

static int send_all(struct ls_request *request, struct ls_slice content, int64_t length) {
  int status = respond(request, length);
  if (status == 0 && content.len > 0)
    status = write_content(request, content);
  return status < 0 ? status : finish(request);
}

/* A small content is encoded before its head is sent, so that this can tell its length. */
static int send_coded(struct ls_request *request, struct ls_slice content) {
  struct ls_slice coded;
  int status = ls_encode_whole(request, content, &coded);
  if (status != 0)
    return status < 0 ? status : send_all(request, content, -1);
  struct ls_encode *encode = request->encode;
  request->encode = NULL; /* what is sent now is coded */
  status = send_all(request, coded, (int64_t)coded.len);
  request->encode = encode;
  ls_encode_drop(request);
  return status;
}

int ls_response_send(struct ls_request *request, struct ls_slice body) {
  if (request->http1 == NULL)
    return closed_code(request);
  bool is_coded = may_code(request) && ls_encode_choose(request, (int64_t)body.len);
  if (is_coded && request->encode != NULL)
    return send_coded(request, body);
  return send_all(request, body, is_coded ? -1 : (int64_t)body.len);
}

void ls_response_abort(struct ls_request *request) {
  if (request->http1 == NULL)
    return;
  ls_encode_drop(request);
  ls_http1_schedule(request->http1);
  ls_exchange_abort(&request->exchange);
}

void ls_response_fail(struct ls_request *request, int status, const char *text) {
  if (request->http1 == NULL || ls_response_is_finished(request))
    return;
  ls_encode_drop(request);
  if (!ls_exchange_withdraw(&request->exchange)) {
    ls_response_abort(request);
    return;
  }
  ls_headers_clear(&request->headers);
  ls_headers_clear(&request->trailers);
  request->status = status;
  int result = ls_headers_set(&request->headers, ls_slice_of("content-type"), ls_slice_of("text/plain; charset=utf-8"));
  if (result == 0)
    result = ls_response_send(request, text != NULL ? ls_slice_of(text) : ls_status_reason(status));
  if (result < 0)
    ls_response_abort(request);
}
