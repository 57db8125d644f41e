/* SPDX-License-Identifier: MIT */
/* conn: one HTTP/1.1 connection as a state machine (RFC 9112). Bytes, the end of the stream and passed deadlines go
 * in; events, bytes to send and the kind of deadline that applies come out. It knows no socket, no clock and no Lua, so
 * that it can be tested and fuzzed alone.
 *
 * One request and its response is an exchange. Exchanges stand in the order of their requests; only the first one's
 * response bytes go to the connection's output, those of later ones wait in the exchange. An exchange ends (on_done)
 * when its response is complete, all before it have ended, and its request body has been read or thrown away.
 *
 * What goes wrong in a head is answered here: the handler never hears of it (no on_request). What goes wrong in a body
 * is for the handler: body_state turns FAILED, on_body tells it, the answer is the handler's to give (failure_status
 * says which fits) and closes the connection. Where the handler gives none, ls_exchange_abort gives that one.
 *
 * Inside an event handler any ls_exchange_* call is allowed, ls_conn_* calls are not. Nothing here calls an event from
 * within ls_exchange_respond, _write, _finish or _want_body: what follows from them (the next exchange's bytes,
 * on_done) happens in ls_conn_settle, which the owner calls in its flush step; so a caller never loses the ground it
 * stands on. */
#ifndef LS_HTTP_CONN_H
#define LS_HTTP_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/slice.h"
#include "http/body.h"
#include "http/date.h"
#include "http/head.h"
#include "http/headers.h"
#include "http/limits.h"
#include "http/parser.h"

struct ls_conn;
struct ls_exchange;

enum ls_deadline_kind {
  LS_DEADLINE_NONE,
  LS_DEADLINE_HEADER, /* since the first byte of a head (or the accept): never renewed by more bytes */
  LS_DEADLINE_BODY,   /* for the next limits->body_floor bytes of a body that a handler wants or that is discarded */
  LS_DEADLINE_KEEP_ALIVE, /* idle between requests */
  LS_DEADLINE_WRITE,      /* between two writes that made progress */
  LS_DEADLINE_LINGER,     /* closed for writing, throwing away what the client still sends */
  LS_DEADLINE_KINDS
};

struct ls_conn_events {
  /* Memory for the next request: a cleared exchange. NULL: out of memory, the connection is dropped. */
  struct ls_exchange *(*new_exchange)(struct ls_conn *conn);
  /* May be NULL. The body limit of this exchange, whose head is complete; without it limits->max_body. A Content-Length
   * over it is answered 413 without on_request. */
  uint64_t (*choose_body_limit)(struct ls_exchange *exchange);
  /* A whole, valid request head is in exchange->head. */
  void (*on_request)(struct ls_exchange *exchange);
  /* More bytes in exchange->body, or body_state has changed to DONE or FAILED. */
  void (*on_body)(struct ls_exchange *exchange);
  /* The held output fell below half of out_high after a write said it should wait; or to nothing, after
   * ls_exchange_go_direct said so. */
  void (*on_drain)(struct ls_exchange *exchange);
  /* May be NULL. Hands the parts to the kernel at once, as far as it takes them; how many bytes it took. Called for large
   * pieces of a response, from within ls_exchange_write: no ls_conn_* or ls_exchange_* call is allowed here. */
  size_t (*send_now)(struct ls_conn *conn, const struct ls_slice *parts, unsigned count);
  /* The exchange has ended regularly. It is out of the connection (conn NULL) and the owner's again. Every exchange of
   * new_exchange gets exactly one of on_done and on_gone, also one that never saw on_request. */
  void (*on_done)(struct ls_exchange *exchange);
  /* The connection is lost before that: same, and nothing more can be sent. */
  void (*on_gone)(struct ls_exchange *exchange);
};

enum ls_body_state {
  LS_BODY_NONE,    /* the request has none */
  LS_BODY_READING, /* more may come */
  LS_BODY_DONE,    /* complete; what is left of it is in body */
  LS_BODY_FAILED   /* body_error says why: LS_ECLOSED, LS_EPROTO, LS_ETOOBIG, -ETIMEDOUT, -ENOMEM */
};

enum ls_response_state { LS_RESPONSE_NONE, LS_RESPONSE_STREAMING, LS_RESPONSE_FINISHED };

struct ls_exchange {
  /* With memory, that stays between requests: */
  struct ls_head head;
  struct ls_buf body; /* received and not taken yet: see ls_exchange_content */
  struct ls_buf out;  /* response bytes waiting for the exchanges before this one */

  /* From here on all is zero between them: */
  struct ls_list link;  /* in conn->exchanges */
  struct ls_conn *conn; /* NULL: not on a connection (any more) */

  struct ls_slice fresh; /* of the body, behind those bytes: still in the fed bytes, until ls_conn_keep */
  enum ls_body_state body_state;
  int body_error;
  uint64_t body_received; /* in all */
  uint64_t body_limit;    /* as choose_body_limit said; may be changed later where the body is chunked */
  bool body_wanted;
  bool body_discarded;     /* the response is complete: what still comes is thrown away */
  bool continue_sent;      /* 100 Continue, or no need of it */
  uint16_t failure_status; /* where body_state is FAILED: the status that says why (400, 408, 413, 500) */

  enum ls_response_state response_state;
  uint8_t response_framing;     /* response.c's */
  bool close_after;             /* this response is the connection's last */
  bool wants_drain;             /* a write said wait: on_drain is due */
  bool wants_empty;             /* not before all that is held has gone */
  uint64_t response_length;     /* body bytes promised by Content-Length */
  uint64_t response_left;       /* of them, still owed */
  uint64_t response_bytes;      /* of the response so far, head and body, as they go to the client */
  uint64_t response_head_bytes; /* of them, the head */
  int status;                   /* sent; 0: none yet */
  const char *refusal;          /* the reason of ls_exchange_refuse; NULL: it was not called */
};

struct ls_conn {
  const struct ls_conn_events *events;
  const struct ls_http_limits *limits;
  struct ls_buf_pool *pool;         /* where out takes its memory */
  const struct ls_date_cache *date; /* the owner refreshes it once a second; NULL: no Date field is sent */
  struct ls_parser parser;
  struct ls_body body; /* of reading */
  struct ls_list exchanges;
  struct ls_exchange *reading; /* whose head or body is being parsed */
  uint32_t count;              /* exchanges under way */
  uint32_t served;             /* requests so far */
  struct ls_buf rest;          /* read, not parsed: the pipeline or the output was full */
  struct ls_buf out;           /* to send now */
  uint64_t unsent;             /* bytes the owner has taken from out and not reported with ls_conn_sent */
  uint64_t waiting;            /* bytes in the out of exchanges that are not the first */
  uint64_t body_credit;        /* bytes of a body that have come since its deadline began */
  uint64_t discard_left;       /* bytes of an unread body that may still be thrown away before the connection closes */
  uint8_t phase;               /* conn.c's: what the next byte belongs to */
  bool last;                   /* no request after the one being read, or after those under way */
  bool ended;                  /* the client has sent its FIN */
  bool broken;                 /* to be reset */
  bool complete;               /* the client said that it sends no more, and has not: nothing to linger for */
  bool quiet;                  /* closes without lingering: the client has nothing under way */
  bool lingering;
  bool progress;           /* a feed has begun a head or brought enough of a body: the deadline starts anew */
  uint8_t deadline;        /* enum ls_deadline_kind that applies */
  uint32_t deadline_epoch; /* changes whenever that deadline must start anew */
};

/* Everything passed is borrowed and must outlive the connection. */
void ls_conn_init(struct ls_conn *conn, const struct ls_conn_events *events, const struct ls_http_limits *limits,
                  struct ls_buf_pool *pool, const struct ls_date_cache *date);

/* The connection is lost or to be dropped: on_gone for every exchange, then frees what it holds. Idempotent. */
void ls_conn_dispose(struct ls_conn *conn);

/* Parses everything in bytes; heads and content of requests that are still under way afterwards point into bytes until
 * ls_conn_keep. 0 or a negative code (-ENOMEM, and the connection should be dropped); a protocol error is no error
 * here: it queues its 4xx answer and the connection closes after it. */
int ls_conn_feed(struct ls_conn *conn, const char *bytes, size_t len);

/* The client has sent its FIN: no more bytes. What is under way is still answered. */
void ls_conn_feed_end(struct ls_conn *conn);

/* Copies heads and content that still are in fed bytes, before those go. 0 or -ENOMEM (drop the connection). */
int ls_conn_keep(struct ls_conn *conn);

/* Moves finished exchanges out (on_done), brings the next one's bytes to the output, tells on_drain, resumes parsing of
 * the rest when pipeline and output have room (on_request may come). Call it in the flush step, until it returns false:
 * nothing new was parsed; and after ls_conn_sent. */
bool ls_conn_settle(struct ls_conn *conn);

/* Whether room in the output could bring anything further. */
static inline bool ls_conn_is_under_way(const struct ls_conn *conn) {
  return conn->count != 0 || conn->rest.len != 0;
}

/* Whether the owner should read from the socket. */
bool ls_conn_wants_read(const struct ls_conn *conn);
/* How much of a body is to come that somebody takes as it comes: the owner does well to read as much of it at a time as
 * it can. 0: as usual. More than that would be read of what is behind it, and held. */
uint64_t ls_conn_expects(const struct ls_conn *conn);

/* The bytes to send now. The owner either sends some and says how many with consume + sent, or takes conn->out's memory
 * away (ls_conn_take_output) and reports with ls_conn_sent as it goes. */
static inline struct ls_slice ls_conn_output(const struct ls_conn *conn) {
  return ls_slice(ls_buf_bytes(&conn->out), conn->out.len);
}
void ls_conn_consume_output(struct ls_conn *conn, size_t n); /* sent at once; frees the memory to the pool when empty */
void ls_conn_take_output(struct ls_conn *conn, struct ls_buf *taken); /* moved; counts as unsent */
void ls_conn_sent(struct ls_conn *conn, size_t n);                    /* n of the unsent bytes are with the kernel */

/* After all output is out: shut the writing side and linger (the client may still be sending), or close at once. */
enum ls_conn_close { LS_CONN_OPEN, LS_CONN_SHUTDOWN, LS_CONN_CLOSE, LS_CONN_RESET };
enum ls_conn_close ls_conn_close_state(const struct ls_conn *conn);
/* The owner has shut the writing side: from now on input is thrown away and the LINGER deadline runs. */
void ls_conn_lingers(struct ls_conn *conn);

/* conn->deadline has passed. HEADER: 408, or a plain close where nothing was received. BODY: the body fails with
 * -ETIMEDOUT. KEEP_ALIVE, LINGER: close. WRITE: reset. */
void ls_conn_expire(struct ls_conn *conn);

/* Graceful end: idle connections close now, others after the answers under way, with Connection: close. */
void ls_conn_drain(struct ls_conn *conn);

/* An exchange for new_exchange: zeroed memory is cleared. clear forgets the request and its response and keeps modest
 * memory for the next; dispose frees all. Only where exchange->conn is NULL. */
void ls_exchange_clear(struct ls_exchange *exchange);
void ls_exchange_dispose(struct ls_exchange *exchange);

/* Starts the response. length: bytes of the body to come, or -1: unknown (chunked for HTTP/1.1, to the end of the
 * connection for 1.0). Adds Date, framing and Connection unless headers has them. headers may be NULL. A status of
 * 1xx sends an interim response and leaves the exchange open. HEAD, 204, 205 and 304 send no body whatever is written.
 * Of headers, Transfer-Encoding is not sent; Content-Length is the length where length is -1, and stays as it is where
 * no body is sent. 0, -ENOMEM, -EINVAL (a status that cannot be sent: 101, under 100, over 999), LS_EHEADER (not a
 * Content-Length), LS_ESTATE (already started), LS_ECLOSED (the connection has gone). */
int ls_exchange_respond(struct ls_exchange *exchange, int status, const struct ls_headers *headers, int64_t length);

/* Body bytes. 0; 1: taken, but the writer should wait for on_drain before it writes more; -ENOMEM, LS_ESTATE,
 * LS_ECLOSED, LS_ELENGTH (more than was promised: nothing of it is sent; response_length and _left tell the numbers). */
int ls_exchange_write(struct ls_exchange *exchange, const char *bytes, size_t len);

/* The end of the response, with the trailer fields if its body goes in chunks (else they are dropped; NULL: none).
 * 0, or LS_ESTATE, LS_ECLOSED, LS_ELENGTH (fewer than promised: the connection is reset, so that the client can tell),
 * -ENOMEM. */
int ls_exchange_finish(struct ls_exchange *exchange, const struct ls_headers *trailers);

/* A whole answer in plain text, "503 Service Unavailable: reason", after which the connection closes. reason: a constant
 * text. 0, -ENOMEM, LS_ESTATE, LS_ECLOSED. */
int ls_exchange_refuse(struct ls_exchange *exchange, int status, const char *reason);

/* Whether the next bytes of the body may go to the kernel past the connection. 0: they may. 1: others wait in front of them,
 * and on_drain tells when these have gone. LS_ESTATE: this response is sent in another way; LS_ECLOSED. */
int ls_exchange_go_direct(struct ls_exchange *exchange);
/* So many, which must be owed (response_left), have gone there. */
void ls_exchange_sent_directly(struct ls_exchange *exchange, uint64_t len);

/* Takes a response back of which nothing has gone to the owner yet, so that another can be given. Whether there is none
 * (any more); false: some of it has left, or all of it is written. Interim responses stay. */
bool ls_exchange_withdraw(struct ls_exchange *exchange);

/* The response cannot be completed: resets the connection if some of it has left, so that the client can tell. Otherwise
 * the client gets failure_status (500 where the body has not failed) and the connection closes. */
void ls_exchange_abort(struct ls_exchange *exchange);

/* The handler asks for the body: sends 100 Continue where it is awaited. */
void ls_exchange_want_body(struct ls_exchange *exchange);

/* What of the body is there and was not taken yet: its next bytes (a run of them, there may be more behind it), and how
 * many there are in all. */
static inline struct ls_slice ls_exchange_content(const struct ls_exchange *exchange) {
  return exchange->body.len != 0 ? ls_slice(ls_buf_bytes(&exchange->body), exchange->body.len) : exchange->fresh;
}
static inline size_t ls_exchange_content_len(const struct ls_exchange *exchange) {
  return exchange->body.len + exchange->fresh.len;
}
/* Takes n bytes of that run; reading may go on. */
void ls_exchange_take_content(struct ls_exchange *exchange, size_t n);

#endif
