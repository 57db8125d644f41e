/* SPDX-License-Identifier: MIT */
#include "server/content.h"

#include <stdlib.h>

#include "base/error.h"
#include "http/coding.h"
#include "http/negotiate.h"
#include "loop/loop.h"
#include "server/request.h"
#include "server/state.h"

enum {
  STEP = 64 * 1024,  /* bytes that are decoded at a time */
  TURN = 256 * 1024, /* in one turn of the loop: about a millisecond */
};

struct ls_decode {
  struct ls_request *request;
  struct ls_decoder *decoder;
  struct ls_buf bytes; /* decoded, and not taken */
  uint64_t total;      /* decoded so far */
  size_t left;         /* that may still be decoded in this turn */
  bool has_more;       /* the decoder has output that it had no room for */
  bool ended;          /* whole and well */
  int error;
  struct ls_ready again; /* for the next turn */
};

/* ---- the beginning and the end ---- */

/* 0, or 415. */
static int find_coding(const struct ls_head *head, enum ls_coding *coding) {
  *coding = LS_CODING_IDENTITY;
  unsigned count = 0;
  for (uint32_t i = 0; i < head->count; i++) {
    if (head->fields[i].id != LS_FIELD_CONTENT_ENCODING)
      continue;
    struct ls_slice list = ls_head_value(head, i);
    struct ls_weighted member;
    while (ls_weighted_next(&list, &member))
      if (count++ != 0 || !ls_coding_find(member.value, coding))
        return 415;
  }
  return 0;
}

/* So that whoever waits looks again. */
static void run_again(struct ls_ready *ready) {
  struct ls_decode *decode = ls_container_of(ready, struct ls_decode, again);
  struct ls_request *request = decode->request;
  decode->left = TURN;
  if (request->held)
    request->server->handler->on_body(request);
}

int ls_content_begin(struct ls_request *request) {
  enum ls_coding coding;
  if (!request->server->options.decompress || !request->exchange.head.has_body)
    return 0;
  int status = find_coding(&request->exchange.head, &coding);
  if (status != 0 || coding == LS_CODING_IDENTITY)
    return status;
  struct ls_decode *decode = calloc(1, sizeof *decode);
  if (decode == NULL)
    return -ENOMEM;
  decode->decoder = ls_decoder_new(coding);
  if (decode->decoder == NULL) {
    free(decode);
    return -ENOMEM;
  }
  decode->request = request;
  decode->left = TURN;
  ls_ready_init(&decode->again, run_again);
  request->decode = decode;
  return 0;
}

void ls_content_dispose(struct ls_request *request) {
  struct ls_decode *decode = request->decode;
  if (decode == NULL)
    return;
  request->decode = NULL;
  ls_loop_unqueue(&decode->again);
  ls_decoder_free(decode->decoder);
  ls_buf_dispose(&decode->bytes);
  free(decode);
}

void ls_content_renew(struct ls_request *request) {
  if (request->decode != NULL)
    request->decode->left = TURN;
}

/* ---- decoding ---- */

static void fail(struct ls_decode *decode, int error) {
  decode->error = error;
  ls_buf_dispose(&decode->bytes);
}

/* No byte is left of what has come. */
static void look_for_end(struct ls_decode *decode) {
  if (decode->request->exchange.body_state != LS_BODY_DONE)
    return;
  if (ls_decoder_is_complete(decode->decoder))
    decode->ended = true;
  else
    fail(decode, LS_EPROTO);
}

static void decode_step(struct ls_decode *decode, struct ls_slice raw) {
  struct ls_exchange *exchange = &decode->request->exchange;
  size_t used, most = decode->left < STEP ? decode->left : STEP;
  int state = ls_decoder_feed(decode->decoder, raw, &used, &decode->bytes, most);
  if (used != 0)
    ls_exchange_take_content(exchange, used);
  size_t len = decode->bytes.len;
  decode->has_more = state == LS_DECODER_FULL;
  decode->left -= len;
  decode->total += len;
  if (state < 0)
    fail(decode, state);
  else if (decode->total > exchange->body_limit)
    fail(decode, LS_ETOOBIG);
  else if ((state == LS_DECODER_END && used < raw.len) || (state == LS_DECODER_FULL && used == 0 && len == 0))
    fail(decode, LS_EPROTO);
}

static void decode_some(struct ls_decode *decode) {
  while (decode->bytes.len == 0 && decode->error == 0 && !decode->ended) {
    struct ls_slice raw = ls_exchange_content(&decode->request->exchange);
    if (raw.len == 0 && !decode->has_more) {
      look_for_end(decode);
      return;
    }
    if (decode->left == 0) {
      ls_loop_immediate(decode->request->server->loop, &decode->again);
      return;
    }
    decode_step(decode, raw);
  }
}

struct ls_slice ls_content_next(struct ls_request *request) {
  struct ls_decode *decode = request->decode;
  if (decode == NULL)
    return ls_exchange_content(&request->exchange);
  decode_some(decode);
  return ls_slice(ls_buf_bytes(&decode->bytes), decode->bytes.len);
}

void ls_content_take(struct ls_request *request, size_t n) {
  if (request->decode != NULL)
    ls_buf_consume(&request->decode->bytes, n);
  else
    ls_exchange_take_content(&request->exchange, n);
  ls_request_touch(request);
}

/* ---- how it stands ---- */

enum ls_body_state ls_content_state(const struct ls_request *request) {
  const struct ls_decode *decode = request->decode;
  if (decode == NULL || request->exchange.body_state == LS_BODY_FAILED)
    return request->exchange.body_state;
  if (decode->error != 0)
    return LS_BODY_FAILED;
  return decode->ended ? LS_BODY_DONE : LS_BODY_READING;
}

int ls_content_error(const struct ls_request *request) {
  bool own = request->decode != NULL && request->decode->error != 0;
  return own ? request->decode->error : request->exchange.body_error;
}

int ls_content_failure_status(const struct ls_request *request) {
  if (request->decode == NULL || request->decode->error == 0)
    return request->exchange.failure_status;
  int error = request->decode->error;
  return error == LS_ETOOBIG ? 413 : error == LS_EPROTO ? 400 : 500;
}
