/* SPDX-License-Identifier: MIT */
/* conn: the asking half of a connection (heads and bodies come in), the order of its exchanges, and how it ends.
 * What is answered is written by response.c. */
#include "http/conn.h"

#include "base/error.h"

/* What the next byte belongs to; after the CR of an empty line to its LF. reading is NULL between requests only; with
 * PHASE_BODY it is in exchanges. */
enum phase { PHASE_BETWEEN, PHASE_EMPTY_LINE, PHASE_HEAD, PHASE_BODY };

enum {
  REST_HIGH = 16 * 1024,   /* bytes of later requests held; then reading pauses */
  DISCARD_MAX = 256 * 1024 /* bytes of an unwanted body that are thrown away rather than closing the connection */
};

void ls_conn_init(struct ls_conn *conn, const struct ls_conn_events *events, const struct ls_http_limits *limits,
                  struct ls_buf_pool *pool, const struct ls_date_cache *date) {
  *conn =
      (struct ls_conn){.events = events, .limits = limits, .pool = pool, .date = date, .deadline = LS_DEADLINE_HEADER};
  ls_parser_init(&conn->parser, limits);
  ls_list_init(&conn->exchanges);
}

static struct ls_exchange *exchange_at(struct ls_list *link) {
  return ls_container_of(link, struct ls_exchange, link);
}

static uint64_t held_output(const struct ls_conn *conn) {
  return conn->out.len + conn->unsent;
}

/* Deadlines */

static bool awaits_body(const struct ls_conn *conn) {
  const struct ls_exchange *exchange = conn->reading;
  if (conn->phase != PHASE_BODY)
    return false;
  return exchange->body_discarded ||
         (exchange->body_wanted && ls_exchange_content_len(exchange) < conn->limits->body_high);
}

static enum ls_deadline_kind deadline_of(const struct ls_conn *conn) {
  if (conn->broken)
    return LS_DEADLINE_NONE;
  if (conn->lingering)
    return LS_DEADLINE_LINGER;
  if (held_output(conn) != 0)
    return LS_DEADLINE_WRITE;
  if (awaits_body(conn))
    return LS_DEADLINE_BODY;
  if (conn->phase == PHASE_HEAD)
    return LS_DEADLINE_HEADER;
  if (conn->count != 0 || conn->last)
    return LS_DEADLINE_NONE;
  return conn->served == 0 ? LS_DEADLINE_HEADER : LS_DEADLINE_KEEP_ALIVE;
}

/* To be called after everything that may change it; progress: the kind that has what it waits for, and starts anew. */
static void update_deadline(struct ls_conn *conn, enum ls_deadline_kind progress) {
  enum ls_deadline_kind kind = deadline_of(conn);
  if (kind == conn->deadline && (kind != progress || kind == LS_DEADLINE_NONE))
    return;
  conn->deadline = (uint8_t)kind;
  conn->deadline_epoch++;
  conn->body_credit = 0;
}

/* Brings fresh content behind what was kept before. 0 or -ENOMEM. */
static int keep_content(struct ls_exchange *exchange) {
  if (exchange->fresh.len == 0)
    return 0;
  int err = ls_buf_append(&exchange->body, exchange->fresh.ptr, exchange->fresh.len);
  exchange->fresh = ls_slice(NULL, 0);
  return err;
}

/* Ends */

static void end_exchange(struct ls_exchange *exchange, void (*tell)(struct ls_exchange *)) {
  struct ls_conn *conn = exchange->conn;
  if (conn->reading == exchange) {
    conn->reading = NULL;
    conn->phase = PHASE_BETWEEN;
  }
  if (!ls_list_is_empty(&exchange->link)) { /* not so while its head is being read */
    ls_list_remove(&exchange->link);
    conn->count--;
  }
  if (keep_content(exchange) != 0) { /* who reads on does not get a body with a hole */
    exchange->body_state = LS_BODY_FAILED;
    exchange->body_error = -ENOMEM;
  }
  conn->waiting -= exchange->out.len;
  if (exchange->out.cap != 0)
    ls_buf_pool_give(conn->pool, &exchange->out);
  exchange->conn = NULL;
  tell(exchange);
}

/* Everything but what is already in the output. */
static void drop_all(struct ls_conn *conn) {
  conn->last = true;
  ls_buf_dispose(&conn->rest);
  while (!ls_list_is_empty(&conn->exchanges))
    end_exchange(exchange_at(conn->exchanges.next), conn->events->on_gone);
  if (conn->reading != NULL)
    end_exchange(conn->reading, conn->events->on_gone);
}

void ls_conn_dispose(struct ls_conn *conn) {
  conn->broken = true;
  drop_all(conn);
  ls_buf_pool_give(conn->pool, &conn->out);
  update_deadline(conn, LS_DEADLINE_NONE);
}

/* No request after those under way. */
static void stop_parsing(struct ls_conn *conn) {
  conn->last = true;
  ls_buf_dispose(&conn->rest);
}

/* What was being read is whole, or is not read further. */
static void stop_reading(struct ls_conn *conn) {
  conn->reading = NULL;
  conn->phase = PHASE_BETWEEN;
}

static void add_exchange(struct ls_conn *conn, struct ls_exchange *exchange) {
  ls_list_push(&conn->exchanges, &exchange->link);
  conn->count++;
}

/* Answers the head that is being read; the handler never hears of it. */
static void refuse(struct ls_conn *conn, int status, const char *reason) {
  struct ls_exchange *exchange = conn->reading;
  if (exchange->head.size == 0)
    ls_head_give_up(&exchange->head);
  conn->complete = false;
  stop_reading(conn);
  stop_parsing(conn);
  add_exchange(conn, exchange);
  ls_exchange_refuse(exchange, status, reason);
}

/* Bodies */

static void tell_body(struct ls_exchange *exchange) {
  if (!exchange->body_discarded && exchange->response_state != LS_RESPONSE_FINISHED)
    exchange->conn->events->on_body(exchange);
}

static void fail_body(struct ls_conn *conn, int error, uint16_t status) {
  struct ls_exchange *exchange = conn->reading;
  conn->complete = false;
  stop_reading(conn);
  stop_parsing(conn);
  exchange->body_state = LS_BODY_FAILED;
  exchange->body_error = error;
  exchange->failure_status = status;
  exchange->close_after = true;
  tell_body(exchange);
}

/* 0, or why no more of the body is taken. */
static int take_content(struct ls_conn *conn, struct ls_slice content) {
  struct ls_exchange *exchange = conn->reading;
  if (exchange->body_discarded) {
    if (content.len > conn->discard_left)
      return LS_ETOOBIG;
    conn->discard_left -= content.len;
    return 0;
  }
  if (content.len > exchange->body_limit || exchange->body_received > exchange->body_limit - content.len)
    return LS_ETOOBIG;
  if (keep_content(exchange) != 0) {
    conn->broken = true;
    return -ENOMEM;
  }
  exchange->fresh = content;
  exchange->body_received += content.len;
  return 0;
}

static uint16_t status_of(int error) {
  return error == LS_ETOOBIG ? 413 : error == -ENOMEM ? 500 : 400;
}

/* keeps: the bytes will not last until ls_conn_keep. */
static size_t feed_body(struct ls_conn *conn, const char *bytes, size_t len, bool keeps) {
  struct ls_exchange *exchange = conn->reading;
  struct ls_slice content;
  size_t at = 0, used = 0;
  int step;
  do {
    step = ls_body_next(&conn->body, bytes + at, len - at, &used, &content);
    at += used;
    int err = step == LS_BODY_CONTENT ? take_content(conn, content) : 0;
    if (err != 0)
      step = err;
  } while (step == LS_BODY_CONTENT);
  conn->body_credit += at;
  if (conn->body_credit >= conn->limits->body_floor)
    conn->progress = true;
  if (keeps && keep_content(exchange) != 0) {
    conn->broken = true;
    step = -ENOMEM;
  }
  if (step < 0) {
    fail_body(conn, step, status_of(step));
    return at;
  }
  if (step == LS_BODY_END) {
    exchange->body_state = LS_BODY_DONE;
    stop_reading(conn);
  }
  tell_body(exchange);
  return at;
}

/* The response is complete and the body is not: how it goes on without a reader. */
static void discard_body(struct ls_conn *conn, struct ls_exchange *exchange) {
  if (exchange->body_discarded)
    return;
  exchange->body_discarded = true;
  ls_buf_clear(&exchange->body);
  exchange->fresh = ls_slice(NULL, 0);
  conn->discard_left = DISCARD_MAX;
  bool is_long = exchange->head.content_length >= 0 && conn->body.left > DISCARD_MAX;
  if (is_long || exchange->close_after) /* a connection that closes lingers, and discards then */
    fail_body(conn, LS_ECLOSED, 400);
}

/* Heads */

static bool begin_head(struct ls_conn *conn) {
  struct ls_exchange *exchange = conn->events->new_exchange(conn);
  if (exchange == NULL) {
    conn->broken = true;
    return false;
  }
  exchange->conn = conn;
  ls_list_init(&exchange->link);
  ls_parser_reset(&conn->parser);
  conn->reading = exchange;
  conn->phase = PHASE_HEAD;
  conn->progress = conn->served != 0; /* the first head's time began with the connection */
  return true;
}

/* What follows the empty lines. */
static bool begin_request(struct ls_conn *conn) {
  bool inside = conn->phase == PHASE_EMPTY_LINE;
  if (!begin_head(conn))
    return false;
  if (inside)
    refuse(conn, 400, "a bare CR before the request line");
  return true;
}

static void begin_body(struct ls_conn *conn, struct ls_exchange *exchange) {
  exchange->body_state = LS_BODY_READING;
  ls_body_begin(&conn->body, exchange->head.content_length, conn->limits->max_header_bytes);
  conn->phase = PHASE_BODY;
  conn->progress = true;
}

static void on_head(struct ls_conn *conn) {
  struct ls_exchange *exchange = conn->reading;
  const struct ls_head *head = &exchange->head;
  exchange->body_limit = conn->limits->max_body;
  if (head->has_body) {
    if (conn->events->choose_body_limit != NULL)
      exchange->body_limit = conn->events->choose_body_limit(exchange);
    if (head->content_length > 0 && (uint64_t)head->content_length > exchange->body_limit) {
      refuse(conn, 413, "the request body is too large");
      return;
    }
  }
  conn->served++;
  conn->complete = !head->keep_alive;
  if (!head->keep_alive || (conn->limits->max_requests != 0 && conn->served >= conn->limits->max_requests))
    conn->last = true;
  exchange->close_after = conn->last;
  add_exchange(conn, exchange);
  if (head->has_body)
    begin_body(conn, exchange);
  else
    stop_reading(conn);
  conn->events->on_request(exchange);
}

/* keeps: as for feed_body. */
static size_t feed_head(struct ls_conn *conn, const char *bytes, size_t len, bool keeps) {
  size_t used;
  struct ls_exchange *exchange = conn->reading;
  int result = ls_parser_head(&conn->parser, &exchange->head, bytes, len, &used);
  if (result == LS_PARSER_MORE)
    return used;
  if (result == -ENOMEM || (result == LS_PARSER_DONE && keeps && ls_head_keep(&exchange->head) != 0)) {
    conn->broken = true;
    return len;
  }
  if (result != LS_PARSER_DONE) {
    refuse(conn, result, conn->parser.reason);
    return len;
  }
  on_head(conn);
  return used;
}

static bool can_begin(const struct ls_conn *conn) {
  return conn->count < conn->limits->max_pipeline && held_output(conn) + conn->waiting <= conn->limits->out_high;
}

/* Empty lines before a request are ignored (RFC 9112 2.2), but not a lone CR or LF. */
static size_t skip_empty_lines(struct ls_conn *conn, const char *bytes, size_t len) {
  size_t n = 0;
  while (n < len && bytes[n] == (conn->phase == PHASE_BETWEEN ? '\r' : '\n')) {
    conn->phase = conn->phase == PHASE_BETWEEN ? PHASE_EMPTY_LINE : PHASE_BETWEEN;
    n++;
  }
  return n;
}

/* How many of the bytes were parsed, or thrown away: all but what must wait for room. */
static size_t parse(struct ls_conn *conn, const char *bytes, size_t len, bool keeps) {
  size_t at = 0;
  while (at < len) {
    if (conn->broken)
      return len;
    if (conn->phase == PHASE_HEAD) {
      at += feed_head(conn, bytes + at, len - at, keeps);
    } else if (conn->phase == PHASE_BODY) {
      at += feed_body(conn, bytes + at, len - at, keeps);
    } else {
      if (conn->last) {
        conn->complete = false;
        return len;
      }
      at += skip_empty_lines(conn, bytes + at, len - at);
      if (at < len && !can_begin(conn))
        return at;
      if (at < len && !begin_request(conn))
        return len;
    }
  }
  return len;
}

/* The client has sent its last byte, and all of them were parsed. */
static void end_input(struct ls_conn *conn) {
  if (conn->phase == PHASE_BODY)
    fail_body(conn, LS_ECLOSED, 400);
  else if (conn->phase == PHASE_HEAD)
    end_exchange(conn->reading, conn->events->on_gone);
  stop_parsing(conn);
}

static void update_after_parsing(struct ls_conn *conn) {
  enum ls_deadline_kind progress = conn->phase == PHASE_HEAD ? LS_DEADLINE_HEADER : LS_DEADLINE_BODY;
  update_deadline(conn, conn->progress ? progress : LS_DEADLINE_NONE);
  conn->progress = false;
}

int ls_conn_feed(struct ls_conn *conn, const char *bytes, size_t len) {
  if (conn->broken || conn->lingering || conn->ended)
    return 0;
  size_t used = conn->rest.len != 0 ? 0 : parse(conn, bytes, len, false);
  if (used < len && ls_buf_append(&conn->rest, bytes + used, len - used) != 0)
    conn->broken = true;
  update_after_parsing(conn);
  return conn->broken ? -ENOMEM : 0;
}

void ls_conn_feed_end(struct ls_conn *conn) {
  conn->ended = true;
  if (conn->rest.len == 0)
    end_input(conn);
  update_deadline(conn, LS_DEADLINE_NONE);
}

int ls_conn_keep(struct ls_conn *conn) {
  for (struct ls_list *link = conn->exchanges.next; link != &conn->exchanges; link = link->next) {
    struct ls_exchange *exchange = exchange_at(link);
    if (ls_head_keep(&exchange->head) != 0 || keep_content(exchange) != 0) {
      conn->broken = true;
      return -ENOMEM;
    }
  }
  return 0;
}

/* Settling */

/* The first exchange's bytes that had to wait. */
static void move_output(struct ls_conn *conn, struct ls_exchange *exchange) {
  if (exchange->out.len == 0)
    return;
  conn->waiting -= exchange->out.len;
  if (conn->out.len == 0) {
    ls_buf_pool_give(conn->pool, &conn->out);
    conn->out = exchange->out;
    ls_buf_init(&exchange->out);
    return;
  }
  if (ls_buf_append(&conn->out, ls_buf_bytes(&exchange->out), exchange->out.len) != 0)
    conn->broken = true;
  ls_buf_clear(&exchange->out);
}

static void tell_drain(struct ls_conn *conn, struct ls_exchange *exchange) {
  if (!exchange->wants_drain || held_output(conn) > (exchange->wants_empty ? 0 : conn->limits->out_high / 2))
    return;
  exchange->wants_drain = false;
  if (exchange->response_state == LS_RESPONSE_STREAMING)
    conn->events->on_drain(exchange);
}

/* Ends what is at its end, in order. */
static void end_finished(struct ls_conn *conn) {
  while (!conn->broken && !ls_list_is_empty(&conn->exchanges)) {
    struct ls_exchange *exchange = exchange_at(conn->exchanges.next);
    move_output(conn, exchange);
    if (exchange->response_state != LS_RESPONSE_FINISHED) {
      tell_drain(conn, exchange);
      if (exchange->response_state != LS_RESPONSE_FINISHED)
        return;
    }
    if (exchange->body_state == LS_BODY_READING)
      discard_body(conn, exchange);
    if (exchange->body_state == LS_BODY_READING)
      return;
    bool closes = exchange->close_after;
    end_exchange(exchange, conn->events->on_done);
    if (closes)
      drop_all(conn);
  }
}

/* The memory of rest is the parser's while it runs: what it feeds must not be what is appended to. */
static bool parse_rest(struct ls_conn *conn) {
  if (conn->rest.len == 0 || conn->broken || conn->last || !can_begin(conn))
    return false;
  struct ls_buf rest = conn->rest;
  ls_buf_init(&conn->rest);
  ls_buf_consume(&rest, parse(conn, ls_buf_bytes(&rest), rest.len, true));
  if (rest.len == 0 || conn->last)
    ls_buf_dispose(&rest);
  conn->rest = rest;
  return true;
}

bool ls_conn_settle(struct ls_conn *conn) {
  end_finished(conn);
  bool parsed = parse_rest(conn);
  if (conn->ended && !conn->last && conn->rest.len == 0)
    end_input(conn);
  update_after_parsing(conn);
  return parsed;
}

/* What the owner asks and tells */

bool ls_conn_wants_read(const struct ls_conn *conn) {
  if (conn->broken || conn->ended)
    return false;
  if (conn->phase == PHASE_BODY && !conn->reading->body_discarded &&
      ls_exchange_content_len(conn->reading) >= conn->limits->body_high)
    return false;
  return conn->rest.len < REST_HIGH;
}

uint64_t ls_conn_expects(const struct ls_conn *conn) {
  const struct ls_exchange *exchange = conn->reading;
  bool taken = conn->phase == PHASE_BODY && exchange->body_wanted && ls_exchange_content_len(exchange) == 0;
  return taken ? conn->body.left : 0;
}

void ls_conn_consume_output(struct ls_conn *conn, size_t n) {
  ls_buf_consume(&conn->out, n);
  if (conn->out.len == 0)
    ls_buf_pool_give(conn->pool, &conn->out);
  update_deadline(conn, n != 0 ? LS_DEADLINE_WRITE : LS_DEADLINE_NONE);
}

void ls_conn_take_output(struct ls_conn *conn, struct ls_buf *taken) {
  *taken = conn->out;
  ls_buf_init(&conn->out);
  conn->unsent += taken->len;
  update_deadline(conn, LS_DEADLINE_NONE);
}

void ls_conn_sent(struct ls_conn *conn, size_t n) {
  conn->unsent -= n;
  update_deadline(conn, n != 0 ? LS_DEADLINE_WRITE : LS_DEADLINE_NONE);
}

enum ls_conn_close ls_conn_close_state(const struct ls_conn *conn) {
  if (conn->broken)
    return LS_CONN_RESET;
  bool at_once = conn->ended || conn->quiet || conn->complete;
  if (conn->lingering)
    return at_once ? LS_CONN_CLOSE : LS_CONN_OPEN;
  if (!conn->last || conn->reading != NULL || conn->count != 0 || held_output(conn) != 0)
    return LS_CONN_OPEN;
  return at_once ? LS_CONN_CLOSE : LS_CONN_SHUTDOWN;
}

void ls_conn_lingers(struct ls_conn *conn) {
  conn->lingering = true;
  update_deadline(conn, LS_DEADLINE_NONE);
}

void ls_conn_expire(struct ls_conn *conn) {
  switch ((enum ls_deadline_kind)conn->deadline) {
  case LS_DEADLINE_HEADER:
  case LS_DEADLINE_KEEP_ALIVE:
    if (conn->phase == PHASE_HEAD) {
      refuse(conn, 408, "the request did not arrive in time");
      break;
    }
    stop_parsing(conn);
    conn->quiet = true;
    break;
  case LS_DEADLINE_BODY:
    fail_body(conn, -ETIMEDOUT, 408);
    break;
  case LS_DEADLINE_WRITE:
    conn->broken = true;
    break;
  case LS_DEADLINE_LINGER:
    conn->quiet = true;
    break;
  case LS_DEADLINE_NONE:
  case LS_DEADLINE_KINDS:
    break;
  }
  update_deadline(conn, LS_DEADLINE_NONE);
}

void ls_conn_drain(struct ls_conn *conn) {
  if (!conn->last && conn->count == 0 && conn->reading == NULL && held_output(conn) == 0)
    conn->quiet = true;
  stop_parsing(conn);
  update_deadline(conn, LS_DEADLINE_NONE);
}

void ls_exchange_want_body(struct ls_exchange *exchange) {
  struct ls_conn *conn = exchange->conn;
  if (conn == NULL || conn->broken)
    return;
  exchange->body_wanted = true;
  if (exchange->head.expect_continue && !exchange->continue_sent && exchange->body_state == LS_BODY_READING &&
      exchange->body_received == 0 && exchange->response_state == LS_RESPONSE_NONE)
    ls_exchange_respond(exchange, 100, NULL, 0);
  update_deadline(conn, LS_DEADLINE_NONE);
}

void ls_exchange_take_content(struct ls_exchange *exchange, size_t n) {
  if (exchange->body.len != 0)
    ls_buf_consume(&exchange->body, n);
  else
    exchange->fresh = ls_slice(exchange->fresh.ptr + n, exchange->fresh.len - n);
  if (exchange->conn != NULL)
    update_deadline(exchange->conn, LS_DEADLINE_NONE);
}
