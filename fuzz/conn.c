/* SPDX-License-Identifier: MIT */
/* fuzz/conn: http/conn against arbitrary bytes. An input is eight bytes that seed a random number generator, then what a
 * client sends. The generator decides how the bytes are split, when the client stops reading, when deadlines pass, and
 * what the handlers do; so every input runs always the same way.
 *
 * Even seeds: chaos; every call is made at every time, and the ends of the exchanges are counted. Odd seeds: handlers
 * that behave; the answers must not depend on how the bytes were split. */
#include "http/conn.h"

#include "base/error.h"
#include "expect.h"

enum { SLOTS = 8 };

struct owner;

struct slot {
  struct ls_exchange exchange;
  struct owner *owner;
  bool used, told;
};

struct owner {
  struct ls_conn conn;
  struct ls_buf_pool pool;
  struct slot slots[SLOTS];
  uint64_t random;
  bool chaos;
  struct ls_buf sent; /* all output, in order */
  struct ls_buf taken;
};

static uint32_t next_random(struct owner *owner) {
  owner->random = owner->random * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(owner->random >> 33);
}

static bool one_in(struct owner *owner, uint32_t n) {
  return next_random(owner) % n == 0;
}

static struct owner *owner_of(struct ls_conn *conn) {
  return ls_container_of(conn, struct owner, conn);
}

static struct slot *slot_of(struct ls_exchange *exchange) {
  return ls_container_of(exchange, struct slot, exchange);
}

/* ---- handlers ---- */

/* Reads everything of a head that a handler could, so that the sanitizers see it. */
static uint32_t look_at_head(const struct ls_head *head) {
  struct ls_slice method = ls_head_method(head), url = ls_head_url(head);
  uint32_t sum = (uint32_t)method.len;
  for (size_t i = 0; i < url.len; i++)
    sum = sum * 31 + (unsigned char)url.ptr[i];
  for (uint32_t i = 0; i < head->count; i++) {
    struct ls_slice name = ls_head_name(head, i), value = ls_head_value(head, i);
    EXPECT(ls_field_name_is_valid(name) && ls_field_value_is_valid(value));
    sum = sum * 31 + (uint32_t)(name.len + value.len);
    EXPECT(ls_head_find(head, name, 0) >= 0);
  }
  return sum;
}

/* Answers when the body is complete or has failed, with what depends on nothing but the request. */
static void behave(struct ls_exchange *exchange) {
  if (exchange->body_state == LS_BODY_READING || exchange->response_state != LS_RESPONSE_NONE)
    return;
  char text[64] = "failed";
  if (exchange->body_state == LS_BODY_DONE || exchange->body_state == LS_BODY_NONE) {
    uint32_t sum = look_at_head(&exchange->head);
    for (struct ls_slice run; (run = ls_exchange_content(exchange)).len != 0;) {
      for (size_t i = 0; i < run.len; i++)
        sum = sum * 31 + (unsigned char)run.ptr[i];
      ls_exchange_take_content(exchange, run.len);
    }
    snprintf(text, sizeof text, "%u bytes, %u", (unsigned)exchange->body_received, sum);
  }
  EXPECT(ls_exchange_respond(exchange, 200, NULL, exchange->head.url_len % 2 == 0 ? -1 : (int64_t)strlen(text)) == 0);
  EXPECT(ls_exchange_write(exchange, text, strlen(text)) >= 0);
  EXPECT(ls_exchange_finish(exchange, NULL) == 0);
}

static void respond_somehow(struct owner *owner, struct ls_exchange *exchange) {
  static const int statuses[] = {200, 204, 304, 205, 404, 103, 100, 101, 599};
  struct ls_headers headers = {0};
  if (one_in(owner, 4))
    ls_headers_add(&headers, ls_slice_of("Connection"), ls_slice_of(one_in(owner, 2) ? "close" : "keep-alive, x"));
  if (one_in(owner, 4))
    ls_headers_add(&headers, ls_slice_of("Content-Length"), ls_slice_of(one_in(owner, 4) ? "x" : "7"));
  ls_exchange_respond(exchange, statuses[next_random(owner) % 9], &headers, (int64_t)(next_random(owner) % 9) - 1);
  ls_headers_dispose(&headers);
}

static void finish_somehow(struct owner *owner, struct ls_exchange *exchange) {
  struct ls_headers trailers = {0};
  if (one_in(owner, 2))
    ls_headers_add(&trailers, ls_slice_of("X-Sum"), ls_slice_of("7"));
  ls_exchange_finish(exchange, &trailers);
  ls_headers_dispose(&trailers);
}

static void act(struct owner *owner, struct ls_exchange *exchange) {
  static const char content[20000] = "content";
  look_at_head(&exchange->head);
  switch (next_random(owner) % 10) {
  case 0:
  case 1:
    respond_somehow(owner, exchange);
    break;
  case 2:
    ls_exchange_write(exchange, content,
                      one_in(owner, 4) ? sizeof content / (1 + next_random(owner) % 5) : next_random(owner) % 9);
    break;
  case 3:
    if (exchange->response_left == 0 || one_in(owner, 8))
      finish_somehow(owner, exchange);
    break;
  case 4:
    if (one_in(owner, 8))
      ls_exchange_abort(exchange);
    break;
  case 5:
    ls_exchange_want_body(exchange);
    break;
  case 6:
    ls_exchange_take_content(exchange, next_random(owner) % (ls_exchange_content(exchange).len + 1));
    break;
  case 7:
    if (one_in(owner, 8))
      ls_exchange_refuse(exchange, 503, "no reason");
    break;
  case 8:
    if (one_in(owner, 4))
      EXPECT(!ls_exchange_withdraw(exchange) || exchange->response_state == LS_RESPONSE_NONE);
    break;
  default:
    break;
  }
}

static void handle(struct ls_exchange *exchange) {
  struct owner *owner = slot_of(exchange)->owner;
  if (!owner->chaos)
    behave(exchange);
  else
    act(owner, exchange);
}

/* ---- events ---- */

static struct ls_exchange *new_exchange(struct ls_conn *conn) {
  struct owner *owner = owner_of(conn);
  if (owner->chaos && one_in(owner, 200))
    return NULL;
  for (int i = 0; i < SLOTS; i++) {
    struct slot *slot = &owner->slots[i];
    if (slot->used)
      continue;
    slot->used = true;
    slot->told = false;
    slot->owner = owner;
    return &slot->exchange;
  }
  EXPECT(!"more exchanges than max_pipeline");
  return NULL;
}

/* A kernel that takes as much as it likes. */
static size_t send_now(struct ls_conn *conn, const struct ls_slice *parts, unsigned count) {
  struct owner *owner = owner_of(conn);
  size_t taken = 0;
  EXPECT(owner->taken.len == 0);
  for (unsigned i = 0; i < count; i++) {
    size_t n = owner->chaos && one_in(owner, 3) ? next_random(owner) % (parts[i].len + 1) : parts[i].len;
    ls_buf_append(&owner->sent, parts[i].ptr, n);
    taken += n;
    if (n < parts[i].len)
      break;
  }
  return taken;
}

static void on_request(struct ls_exchange *exchange) {
  EXPECT(!slot_of(exchange)->told);
  slot_of(exchange)->told = true;
  handle(exchange);
}

static void on_body(struct ls_exchange *exchange) {
  EXPECT(slot_of(exchange)->told);
  EXPECT(exchange->body_received <= exchange->body_limit);
  handle(exchange);
}

static void on_end(struct ls_exchange *exchange) {
  struct slot *slot = slot_of(exchange);
  EXPECT(slot->used && exchange->conn == NULL);
  slot->used = false;
  if (one_in(slot->owner, 2))
    ls_exchange_clear(exchange);
  else
    ls_exchange_dispose(exchange);
}

static const struct ls_conn_events events = {.new_exchange = new_exchange,
                                             .on_request = on_request,
                                             .on_body = on_body,
                                             .on_drain = handle,
                                             .send_now = send_now,
                                             .on_done = on_end,
                                             .on_gone = on_end};

static const struct ls_http_limits limits = {.max_url = 200,
                                             .max_header_bytes = 1000,
                                             .max_headers = 20,
                                             .max_body = 500,
                                             .max_requests = 50,
                                             .max_pipeline = SLOTS - 1,
                                             .body_high = 200,
                                             .body_floor = 20,
                                             .out_high = 2000};

/* ---- the connection's owner ---- */

static void send_some(struct owner *owner) {
  struct ls_slice out = ls_conn_output(&owner->conn);
  size_t n = owner->chaos && !one_in(owner, 3) ? next_random(owner) % (out.len + 1) : out.len;
  ls_buf_append(&owner->sent, out.ptr, n);
  ls_conn_consume_output(&owner->conn, n);
  if (owner->chaos && one_in(owner, 4) && owner->taken.len == 0)
    ls_conn_take_output(&owner->conn, &owner->taken);
  if (owner->taken.len != 0 && one_in(owner, 2)) {
    n = one_in(owner, 2) ? owner->taken.len : next_random(owner) % (owner->taken.len + 1);
    ls_buf_consume(&owner->taken, n);
    ls_conn_sent(&owner->conn, n);
    if (owner->taken.len == 0)
      ls_buf_pool_give(&owner->pool, &owner->taken);
  }
}

/* In the order of server/http1.c. */
static void flush(struct owner *owner) {
  for (;;) {
    bool again = ls_conn_settle(&owner->conn);
    EXPECT(ls_conn_keep(&owner->conn) == 0);
    size_t before = owner->sent.len;
    send_some(owner);
    if (!again && (owner->sent.len == before || !ls_conn_is_under_way(&owner->conn)))
      break;
  }
  if (ls_conn_close_state(&owner->conn) == LS_CONN_SHUTDOWN)
    ls_conn_lingers(&owner->conn);
}

/* What may happen between two reads. */
static void meddle(struct owner *owner) {
  struct slot *slot = &owner->slots[next_random(owner) % SLOTS];
  if (slot->used && slot->told && slot->exchange.conn != NULL)
    act(owner, &slot->exchange);
  if (one_in(owner, 100))
    ls_conn_expire(&owner->conn);
  if (one_in(owner, 200))
    ls_conn_drain(&owner->conn);
}

static void feed(struct owner *owner, const uint8_t *bytes, size_t len, bool split) {
  size_t at = 0;
  while (at < len && ls_conn_close_state(&owner->conn) != LS_CONN_RESET) {
    size_t n = !split ? len - at : 1 + next_random(owner) % (one_in(owner, 3) ? 200 : 4);
    n = n < len - at ? n : len - at;
    char *copy = copy_of(bytes + at, n);
    if (ls_conn_wants_read(&owner->conn) || !owner->chaos) {
      at += n;
      if (ls_conn_feed(&owner->conn, copy, n) != 0) {
        ls_conn_dispose(&owner->conn);
        free(copy);
        return;
      }
    }
    if (owner->chaos)
      meddle(owner);
    flush(owner);
    free(copy);
    if (owner->chaos && !ls_conn_wants_read(&owner->conn) && one_in(owner, 50))
      ls_conn_expire(&owner->conn);
    if (owner->chaos && one_in(owner, 5000))
      return;
  }
}

static struct owner *run(uint64_t seed, bool chaos, bool split, const uint8_t *bytes, size_t len) {
  static const struct ls_date_cache date = {.second = 0, .text = "Thu, 01 Jan 1970 00:00:00 GMT"};
  struct owner *owner = calloc(1, sizeof *owner);
  owner->random = seed;
  owner->chaos = chaos;
  ls_buf_pool_init(&owner->pool);
  ls_conn_init(&owner->conn, &events, &limits, &owner->pool, &date);
  feed(owner, bytes, len, split);
  if (!chaos || one_in(owner, 2)) {
    ls_conn_feed_end(&owner->conn);
    flush(owner);
  }
  ls_conn_dispose(&owner->conn);
  for (int i = 0; i < SLOTS; i++) {
    EXPECT(!owner->slots[i].used);
    ls_exchange_dispose(&owner->slots[i].exchange);
  }
  ls_buf_dispose(&owner->taken);
  ls_buf_pool_dispose(&owner->pool);
  return owner;
}

/* What was sent, but for what a refusal says: a request with several faults may be refused for another of them. */
static struct ls_slice answers_of(const struct owner *owner) {
  static const char mark[] = "HTTP/1.1 ";
  struct ls_slice sent = ls_slice(ls_buf_bytes(&owner->sent), owner->sent.len);
  for (size_t i = sent.len; i-- > 0;) {
    if (sent.len - i < sizeof mark || memcmp(sent.ptr + i, mark, sizeof mark - 1) != 0)
      continue;
    return sent.ptr[i + sizeof mark - 1] >= '4' ? ls_slice(sent.ptr, i + sizeof mark - 1) : sent;
  }
  return sent;
}

static void owner_free(struct owner *owner) {
  ls_buf_dispose(&owner->sent);
  free(owner);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  uint64_t seed;
  if (len < sizeof seed)
    return 0;
  memcpy(&seed, bytes, sizeof seed);
  bytes += sizeof seed;
  len -= sizeof seed;
  if (seed % 2 == 0) {
    owner_free(run(seed, true, true, bytes, len));
    return 0;
  }
  struct owner *whole = run(seed, false, false, bytes, len), *parts = run(seed, false, true, bytes, len);
  struct ls_slice expected = answers_of(whole), got = answers_of(parts);
  bool same = expected.len == got.len && (got.len == 0 || memcmp(expected.ptr, got.ptr, got.len) == 0);
  if (!same) {
    fprintf(stderr, "whole:\n%.*s\nin parts:\n%.*s\n", (int)whole->sent.len, ls_buf_bytes(&whole->sent),
            (int)parts->sent.len, ls_buf_bytes(&parts->sent));
    abort();
  }
  owner_free(whole);
  owner_free(parts);
  return 0;
}
