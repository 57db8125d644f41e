/* SPDX-License-Identifier: MIT */
/* limits: how much of everything one HTTP/1.1 connection may take, and what it may ask for at all. */
#ifndef LS_HTTP_LIMITS_H
#define LS_HTTP_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct ls_http_limits {
  uint32_t max_url;          /* bytes of the request target; beyond: 414 */
  uint32_t max_header_bytes; /* bytes of the field lines; beyond: 431 */
  uint32_t max_headers;      /* fields; beyond: 431 */
  uint64_t max_body;         /* bytes; beyond: 413 (by Content-Length when the head arrives). UINT64_MAX: none */
  uint64_t body_floor;       /* bytes of a body that must come in each BODY deadline, or the rest of it. 0: one byte */
  uint32_t max_requests;     /* per connection; the last one is answered with Connection: close. 0: none */
  uint32_t max_pipeline;     /* requests under way per connection; more wait unparsed */
  uint32_t body_high;        /* request body bytes held for a handler that does not take them; then reading pauses */
  uint32_t out_high;         /* response bytes held for a client that does not take them; then writers should wait */
  bool allow_trace;          /* TRACE is the handler's; else 501 */
};

#endif
