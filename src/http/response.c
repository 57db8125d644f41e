/* SPDX-License-Identifier: MIT */
/* response: the answering half of a connection: which framing a response gets, and where its bytes go. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "http/conn.h"
#include "http/status.h"
#include "http/writer.h"

enum framing {
  FRAMING_COUNTED, /* Content-Length; response_left bytes are owed */
  FRAMING_CHUNKED,
  FRAMING_TO_END, /* of the connection: HTTP/1.0 */
  FRAMING_EMPTY   /* no body, whatever is written */
};

enum {
  KEPT_BYTES = 16 * 1024,
  LARGE = 16 * 1024 /* a piece that is worth a write of its own, rather than a copy */
};

static void clear_buf(struct ls_buf *buf) {
  if (buf->cap > KEPT_BYTES)
    ls_buf_dispose(buf);
  ls_buf_clear(buf);
}

static void reset(struct ls_exchange *exchange) {
  size_t kept = offsetof(struct ls_exchange, link);
  memset((char *)exchange + kept, 0, sizeof *exchange - kept);
}

void ls_exchange_clear(struct ls_exchange *exchange) {
  ls_head_clear(&exchange->head);
  clear_buf(&exchange->body);
  clear_buf(&exchange->out);
  reset(exchange);
}

void ls_exchange_dispose(struct ls_exchange *exchange) {
  ls_head_dispose(&exchange->head);
  ls_buf_dispose(&exchange->body);
  ls_buf_dispose(&exchange->out);
  reset(exchange);
}

static bool is_open(const struct ls_exchange *exchange) {
  return exchange->conn != NULL && !exchange->conn->broken;
}

static bool is_first(const struct ls_exchange *exchange) {
  return exchange->link.prev == &exchange->conn->exchanges;
}

static bool is_last(const struct ls_exchange *exchange) {
  return exchange->link.next == &exchange->conn->exchanges;
}

/* Where the response's bytes go, with memory from the pool. */
static struct ls_buf *target_of(struct ls_exchange *exchange) {
  struct ls_buf *out = is_first(exchange) ? &exchange->conn->out : &exchange->out;
  if (out->cap == 0)
    ls_buf_pool_take(exchange->conn->pool, out);
  return out;
}

/* What has been appended to the target is the exchange's. */
static void count_bytes(struct ls_exchange *exchange, size_t len) {
  exchange->response_bytes += len;
  if (!is_first(exchange))
    exchange->conn->waiting += len;
}

/* Out of memory half-way: nothing right can follow. */
static int lost(struct ls_exchange *exchange) {
  exchange->conn->broken = true;
  return -ENOMEM;
}

/* The Content-Length among the headers: -1: none; LS_EHEADER: malformed or more than one. */
static int64_t own_length(const struct ls_headers *headers) {
  if (headers == NULL || !ls_headers_has(headers, LS_FIELD_CONTENT_LENGTH))
    return -1;
  struct ls_slice name = ls_field_name(LS_FIELD_CONTENT_LENGTH);
  int index = ls_headers_find(headers, name, 0);
  if (ls_headers_find(headers, name, (uint32_t)index + 1) >= 0)
    return LS_EHEADER;
  struct ls_slice value = ls_headers_value(headers, (uint32_t)index);
  int64_t length = 0;
  if (value.len == 0 || value.len > 18)
    return LS_EHEADER;
  for (size_t i = 0; i < value.len; i++) {
    if (value.ptr[i] < '0' || value.ptr[i] > '9')
      return LS_EHEADER;
    length = length * 10 + (value.ptr[i] - '0');
  }
  return length;
}

/* Whether a Connection field among the headers has the token close. */
static bool says_close(const struct ls_headers *headers) {
  if (headers == NULL || !ls_headers_has(headers, LS_FIELD_CONNECTION))
    return false;
  struct ls_slice name = ls_field_name(LS_FIELD_CONNECTION);
  for (int i = ls_headers_find(headers, name, 0); i >= 0; i = ls_headers_find(headers, name, (uint32_t)i + 1)) {
    if (ls_field_list_has(ls_headers_value(headers, (uint32_t)i), ls_slice_of("close")))
      return true;
  }
  return false;
}

/* A client that waits for 100 Continue, and has not been told: it may or may not send the body after this response, so
 * that what follows cannot be told from it. */
static bool is_unsure(const struct ls_exchange *exchange) {
  return exchange->head.expect_continue && !exchange->continue_sent && exchange->body_state == LS_BODY_READING &&
         exchange->body_received == 0;
}

static bool has_no_content(const struct ls_exchange *exchange, int status) {
  return exchange->head.method == HTTP_HEAD || status == 204 || status == 205 || status == 304;
}

static void plan_empty(struct ls_exchange *exchange, struct ls_writer_head *head, int64_t own, int64_t length) {
  exchange->response_framing = FRAMING_EMPTY;
  if (head->status == 204)
    return;
  if (head->status == 205)
    head->length = 0;
  else if (own >= 0)
    head->own_length = true;
  else if (exchange->head.method == HTTP_HEAD && head->status != 304)
    head->length = length;
}

static void plan_content(struct ls_exchange *exchange, struct ls_writer_head *head, int64_t own, int64_t length) {
  if (length >= 0 || own >= 0) {
    exchange->response_framing = FRAMING_COUNTED;
    exchange->response_length = exchange->response_left = (uint64_t)(length >= 0 ? length : own);
    head->length = length;
    head->own_length = length < 0;
  } else if (exchange->head.minor >= 1) {
    exchange->response_framing = FRAMING_CHUNKED;
    head->chunked = true;
  } else {
    exchange->response_framing = FRAMING_TO_END;
    exchange->close_after = true;
  }
}

static void plan_connection(struct ls_exchange *exchange, struct ls_writer_head *head) {
  bool has = head->headers != NULL && ls_headers_has(head->headers, LS_FIELD_CONNECTION);
  bool own_close = has && says_close(head->headers);
  bool ends_here = exchange->conn->last && is_last(exchange) &&
                   (exchange->conn->reading == NULL || exchange->conn->reading == exchange);
  if (own_close || ends_here || is_unsure(exchange))
    exchange->close_after = true;
  head->own_connection = exchange->close_after ? own_close : has;
  head->close = exchange->close_after && !own_close;
  head->keep_alive = !exchange->close_after && !has && exchange->head.minor == 0;
}

static int append_head(struct ls_exchange *exchange, const struct ls_writer_head *head) {
  struct ls_buf *out = target_of(exchange);
  size_t before = out->len;
  int err = ls_writer_head(out, head);
  count_bytes(exchange, out->len - before);
  return err;
}

/* 1xx: a head alone; HTTP/1.0 clients do not know it. */
static int respond_interim(struct ls_exchange *exchange, int status, const struct ls_headers *headers) {
  if (exchange->head.minor == 0)
    return 0;
  struct ls_writer_head head = {.status = status, .headers = headers, .length = -1};
  if (append_head(exchange, &head) != 0)
    return lost(exchange);
  exchange->response_bytes = 0; /* it stays whatever becomes of the response */
  if (status == 100)
    exchange->continue_sent = true;
  return 0;
}

int ls_exchange_respond(struct ls_exchange *exchange, int status, const struct ls_headers *headers, int64_t length) {
  if (!is_open(exchange))
    return LS_ECLOSED;
  if (exchange->response_state != LS_RESPONSE_NONE)
    return LS_ESTATE;
  if (status < 100 || status > 999 || status == 101)
    return -EINVAL;
  if (status < 200)
    return respond_interim(exchange, status, headers);
  int64_t own = own_length(headers);
  if (own < -1)
    return (int)own;

  const struct ls_date_cache *date = exchange->conn->date;
  struct ls_writer_head head = {.status = status, .headers = headers, .length = -1};
  head.date = date == NULL ? NULL : date->text;
  if (has_no_content(exchange, status))
    plan_empty(exchange, &head, own, length);
  else
    plan_content(exchange, &head, own, length);
  plan_connection(exchange, &head);
  if (append_head(exchange, &head) != 0)
    return lost(exchange);
  exchange->response_head_bytes = exchange->response_bytes;
  exchange->response_state = LS_RESPONSE_STREAMING;
  exchange->status = status;
  return 0;
}

static int check_streaming(const struct ls_exchange *exchange) {
  if (!is_open(exchange))
    return LS_ECLOSED;
  return exchange->response_state == LS_RESPONSE_STREAMING ? 0 : LS_ESTATE;
}

static int append_content(struct ls_exchange *exchange, const char *bytes, size_t len) {
  struct ls_buf *out = target_of(exchange);
  size_t before = out->len;
  bool chunked = exchange->response_framing == FRAMING_CHUNKED;
  int err = chunked ? ls_writer_chunk(out, bytes, len) : ls_buf_append(out, bytes, len);
  count_bytes(exchange, out->len - before);
  return err;
}

/* The part of it that is behind the first taken bytes of all parts is appended to the output. */
static int append_rest(struct ls_buf *out, const struct ls_slice *parts, unsigned count, size_t taken) {
  for (unsigned i = 0; i < count; i++) {
    size_t skipped = taken < parts[i].len ? taken : parts[i].len;
    taken -= skipped;
    int err = ls_buf_append(out, parts[i].ptr + skipped, parts[i].len - skipped);
    if (err != 0)
      return err;
  }
  return 0;
}

/* A large piece of the first response goes to the kernel from where it is, behind what is in the output. */
static int send_content(struct ls_exchange *exchange, const char *bytes, size_t len) {
  struct ls_conn *conn = exchange->conn;
  struct ls_writer_chunk frame;
  bool chunked = exchange->response_framing == FRAMING_CHUNKED;
  struct ls_slice parts[4] = {ls_conn_output(conn)};
  unsigned count = 1;
  if (chunked)
    parts[count++] = ls_writer_chunk_head(&frame, len);
  parts[count++] = ls_slice(bytes, len);
  if (chunked)
    parts[count++] = ls_slice("\r\n", 2);
  size_t taken = conn->events->send_now(conn, parts, count);
  for (unsigned i = 1; i < count; i++)
    exchange->response_bytes += parts[i].len;
  size_t held = parts[0].len, from_held = taken < held ? taken : held;
  if (from_held != 0)
    ls_conn_consume_output(conn, from_held);
  return append_rest(target_of(exchange), parts + 1, count - 1, taken - from_held);
}

static int put_content(struct ls_exchange *exchange, const char *bytes, size_t len) {
  if (exchange->response_framing == FRAMING_EMPTY)
    return 0;
  if (exchange->response_framing == FRAMING_COUNTED)
    exchange->response_left -= len;
  const struct ls_conn *conn = exchange->conn;
  bool at_once = len >= LARGE && conn->unsent == 0 && is_first(exchange) && conn->events->send_now != NULL;
  return at_once ? send_content(exchange, bytes, len) : append_content(exchange, bytes, len);
}

int ls_exchange_write(struct ls_exchange *exchange, const char *bytes, size_t len) {
  int err = check_streaming(exchange);
  if (err != 0)
    return err;
  if (exchange->response_framing == FRAMING_COUNTED && len > exchange->response_left)
    return LS_ELENGTH;
  if (len != 0 && put_content(exchange, bytes, len) != 0)
    return lost(exchange);
  const struct ls_conn *conn = exchange->conn;
  uint64_t held = is_first(exchange) ? conn->out.len + conn->unsent : exchange->out.len;
  if (held <= conn->limits->out_high)
    return 0;
  exchange->wants_drain = true;
  exchange->wants_empty = false;
  return 1;
}

int ls_exchange_go_direct(struct ls_exchange *exchange) {
  int err = check_streaming(exchange);
  if (err != 0)
    return err;
  const struct ls_conn *conn = exchange->conn;
  if (exchange->response_framing != FRAMING_COUNTED || !is_first(exchange))
    return LS_ESTATE;
  if (conn->out.len == 0 && conn->unsent == 0)
    return 0;
  exchange->wants_drain = exchange->wants_empty = true;
  return 1;
}

void ls_exchange_sent_directly(struct ls_exchange *exchange, uint64_t len) {
  exchange->response_left -= len;
  exchange->response_bytes += len;
}

int ls_exchange_finish(struct ls_exchange *exchange, const struct ls_headers *trailers) {
  int err = check_streaming(exchange);
  if (err != 0)
    return err;
  exchange->response_state = LS_RESPONSE_FINISHED;
  if (exchange->response_framing == FRAMING_COUNTED && exchange->response_left != 0) {
    exchange->conn->broken = true;
    return LS_ELENGTH;
  }
  if (exchange->response_framing != FRAMING_CHUNKED)
    return 0;
  struct ls_buf *out = target_of(exchange);
  size_t before = out->len;
  if (ls_writer_last_chunk(out, trailers) != 0)
    return lost(exchange);
  count_bytes(exchange, out->len - before);
  return 0;
}

static int refuse_with(struct ls_exchange *exchange, struct ls_headers *headers, int status, const char *reason) {
  char text[200];
  struct ls_slice phrase = ls_status_reason(status);
  int len = snprintf(text, sizeof(text), "%d %.*s: %s\n", status, (int)phrase.len, phrase.ptr, reason);
  if (len >= (int)sizeof(text))
    len = (int)sizeof(text) - 1;
  int err = ls_headers_add(headers, ls_slice_of("Content-Type"), ls_slice_of("text/plain; charset=utf-8"));
  if (err == 0)
    err = ls_exchange_respond(exchange, status, headers, len);
  if (err == 0 && ls_exchange_write(exchange, text, (size_t)len) >= 0)
    err = ls_exchange_finish(exchange, NULL);
  return err;
}

int ls_exchange_refuse(struct ls_exchange *exchange, int status, const char *reason) {
  if (!is_open(exchange))
    return LS_ECLOSED;
  if (exchange->response_state != LS_RESPONSE_NONE)
    return LS_ESTATE;
  exchange->close_after = true;
  exchange->refusal = reason;
  struct ls_headers headers = {0};
  int err = refuse_with(exchange, &headers, status, reason);
  ls_headers_dispose(&headers);
  return err == -ENOMEM ? lost(exchange) : err;
}

/* Only the first exchange appends to the connection's output, so what is its own is the end of that. */
bool ls_exchange_withdraw(struct ls_exchange *exchange) {
  if (!is_open(exchange) || exchange->response_state != LS_RESPONSE_STREAMING)
    return exchange->response_state == LS_RESPONSE_NONE;
  struct ls_conn *conn = exchange->conn;
  bool first = is_first(exchange);
  struct ls_buf *out = first ? &conn->out : &exchange->out;
  if (out->len < exchange->response_bytes)
    return false;
  out->len -= (size_t)exchange->response_bytes;
  if (!first)
    conn->waiting -= exchange->response_bytes;
  exchange->response_bytes = exchange->response_head_bytes = 0;
  exchange->response_length = exchange->response_left = 0;
  exchange->response_state = LS_RESPONSE_NONE;
  exchange->wants_drain = false;
  exchange->status = 0;
  return true;
}

void ls_exchange_abort(struct ls_exchange *exchange) {
  if (!is_open(exchange) || exchange->response_state == LS_RESPONSE_FINISHED)
    return;
  if (!ls_exchange_withdraw(exchange)) {
    exchange->response_state = LS_RESPONSE_FINISHED;
    exchange->conn->broken = true;
    return;
  }
  int status = exchange->failure_status != 0 ? exchange->failure_status : 500;
  ls_exchange_refuse(exchange, status, status == 500 ? "the request was not answered" : "the request body");
}
