/* SPDX-License-Identifier: MIT */
/* Requests that are traced (script/trace.h): the Server-Timing field of their responses (W3C Server Timing), and a line in
 * the log for the slowest. */
#include <stdlib.h>

#include "bind/http/impl.h"
#include "script/runtime.h"
#include "script/trace.h"

#define TIMING_SIZE 256
#define LINE_SIZE 2048

/* Without memory the response does without; a response that had to be given up and begun anew gets it again. */
static void on_head(struct ls_request *request) {
  struct ls_call *call = request->user;
  if (call == NULL)
    return;
  char text[TIMING_SIZE];
  uint64_t total = ls_trace_update(call->trace, call->module->rt);
  size_t length = ls_trace_format_timing(call->trace, total, text, sizeof text);
  ls_headers_add(&request->headers, ls_slice_of("server-timing"), ls_slice(text, length));
}

void ls_call_trace_begin(struct ls_call *call, struct ls_request *request) {
  if (call->trace == NULL)
    call->trace = malloc(sizeof *call->trace);
  if (call->trace == NULL)
    return; /* this request is not traced */
  ls_trace_start(call->trace);
  call->scope.trace = call->trace;
  request->on_head = on_head;
}

void ls_call_trace_end(struct ls_call *call) {
  struct ls_runtime *rt = call->module->rt;
  uint64_t total = ls_trace_update(call->trace, rt);
  if (!ls_tracing_is_slow(&rt->tracing, total))
    return;
  char what[512], line[LINE_SIZE];
  ls_call_describe(call, what, sizeof what);
  ls_trace_format_line(call->trace, total, line, sizeof line);
  ls_log_write(rt->loop->log, LS_LOG_INFO, "trace: %s: %d in %s", what, call->request->status, line);
}
