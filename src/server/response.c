/* SPDX-License-Identifier: MIT */
#include "server/response.h"

#include "base/error.h"
#include "http/status.h"
#include "server/http1.h"
#include "server/state.h"

/* Why a request that is on no connection takes no response. */
static int closed_code(const struct ls_request *request) {
  return request->exchange.response_state == LS_RESPONSE_FINISHED ? LS_ESTATE : LS_ECLOSED;
}

int ls_response_begin(struct ls_request *request, int64_t length) {
  if (request->http1 == NULL)
    return closed_code(request);
  ls_server_refresh_date(request->server);
  ls_http1_schedule(request->http1);
  return ls_exchange_respond(&request->exchange, request->status, &request->headers, length);
}

int ls_response_write(struct ls_request *request, const char *bytes, size_t len) {
  if (request->http1 == NULL)
    return closed_code(request);
  if (request->exchange.response_state == LS_RESPONSE_NONE) {
    int status = ls_response_begin(request, -1);
    if (status != 0)
      return status;
  }
  ls_http1_schedule(request->http1);
  return ls_exchange_write(&request->exchange, bytes, len);
}

int ls_response_finish(struct ls_request *request) {
  if (request->http1 == NULL)
    return closed_code(request);
  if (request->exchange.response_state == LS_RESPONSE_NONE) {
    int status = ls_response_begin(request, 0);
    if (status != 0)
      return status;
  }
  ls_http1_schedule(request->http1);
  return ls_exchange_finish(&request->exchange, &request->trailers);
}

int ls_response_send(struct ls_request *request, struct ls_slice body) {
  int status = ls_response_begin(request, (int64_t)body.len);
  if (status != 0)
    return status;
  if (body.len > 0)
    status = ls_exchange_write(&request->exchange, body.ptr, body.len);
  return status < 0 ? status : ls_exchange_finish(&request->exchange, NULL);
}

void ls_response_abort(struct ls_request *request) {
  if (request->http1 == NULL)
    return;
  ls_http1_schedule(request->http1);
  ls_exchange_abort(&request->exchange);
}

void ls_response_fail(struct ls_request *request, int status, const char *text) {
  if (request->http1 == NULL || request->exchange.response_state == LS_RESPONSE_FINISHED)
    return;
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
