/* SPDX-License-Identifier: MIT */
#include "server/encode.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/error.h"
#include "http/media.h"
#include "http/negotiate.h"
#include "loop/work.h"
#include "server/state.h"

enum {
  INLINE_MAX = 32 * 1024,   /* bytes that are encoded on the loop: about half a millisecond */
  JOB_MAX = 128 * 1024,     /* bytes of one job: the lane of files has to stay quick */
  WAITING_MAX = 256 * 1024, /* bytes that wait for a job; above, the writer should wait */
  POOLED_MAX = 8,           /* of one coding */
  KEPT_BYTES = 64 * 1024    /* what a pooled one may hold of buffers */
};

struct ls_encode {
  struct ls_request *request; /* NULL: nobody wants it, it is freed when its job is done */
  struct ls_encode *next;     /* in the pool */
  struct ls_encoder *encoder;
  enum ls_coding coding;
  int level; /* of the encoder, which keeps it */
  struct ls_work work;
  bool working;              /* input, output and encoder are the job's */
  bool finished;             /* by the handler */
  enum ls_encoder_step step; /* of the job under way */
  bool wants_drain;          /* a writer was told to wait because of what waits here */
  int status;                /* of the job */
  size_t job_len;            /* bytes at the front of input that it encodes */
  struct ls_buf input;       /* waits, or is being encoded */
  struct ls_buf later;       /* written while a job runs */
  struct ls_buf output;      /* encoded */
};

void ls_encode_options_init(struct ls_encode_options *options) {
  *options = (struct ls_encode_options){.min_size = 1024, .level = 4, .quality = 3};
}

const struct ls_encode_options *ls_encode_options_of(const struct ls_request *request) {
  return request->has_own_encode ? &request->own_encode : &request->server->options.encode;
}

/* ---- memory ---- */

static int level_of(const struct ls_encode_options *options, enum ls_coding coding) {
  return coding == LS_CODING_BROTLI ? options->quality : options->level;
}

static void free_encode(struct ls_encode *encode) {
  ls_encoder_free(encode->encoder);
  ls_buf_dispose(&encode->input);
  ls_buf_dispose(&encode->later);
  ls_buf_dispose(&encode->output);
  free(encode);
}

void ls_encode_pool_dispose(struct ls_encode_pool *pool) {
  for (unsigned coding = 0; coding < LS_CODINGS; coding++) {
    for (struct ls_encode *encode = pool->idle[coding], *next; encode != NULL; encode = next) {
      next = encode->next;
      free_encode(encode);
    }
  }
  *pool = (struct ls_encode_pool){0};
}

static void clear_buf(struct ls_buf *buf) {
  if (buf->cap > KEPT_BYTES)
    ls_buf_dispose(buf);
  ls_buf_clear(buf);
}

/* Only what works as hard as the server does by default is worth keeping. */
static void give(struct ls_server *server, struct ls_encode *encode) {
  struct ls_encode_pool *pool = &server->encodes;
  if (encode->level != level_of(&server->options.encode, encode->coding) ||
      pool->idle_count[encode->coding] >= POOLED_MAX || ls_encoder_reset(encode->encoder) != 0) {
    free_encode(encode);
    return;
  }
  clear_buf(&encode->input);
  clear_buf(&encode->later);
  clear_buf(&encode->output);
  encode->next = pool->idle[encode->coding];
  pool->idle[encode->coding] = encode;
  pool->idle_count[encode->coding]++;
}

static struct ls_encode *new_encode(enum ls_coding coding, int level) {
  struct ls_encode *encode = calloc(1, sizeof *encode);
  if (encode == NULL)
    return NULL;
  encode->coding = coding;
  encode->level = level;
  encode->encoder = ls_encoder_new(coding, level);
  if (encode->encoder != NULL)
    return encode;
  free(encode);
  return NULL;
}

static struct ls_encode *take(struct ls_server *server, enum ls_coding coding, int level) {
  struct ls_encode_pool *pool = &server->encodes;
  struct ls_encode *encode = pool->idle[coding];
  if (encode == NULL || encode->level != level)
    return new_encode(coding, level);
  pool->idle[coding] = encode->next;
  pool->idle_count[coding]--;
  encode->finished = encode->wants_drain = false;
  encode->status = 0;
  return encode;
}

/* ---- choosing ---- */

/* The first value of a field of the response; ptr NULL: it has none. */
static struct ls_slice value_of(const struct ls_headers *headers, const char *name) {
  int index = ls_headers_find(headers, ls_slice_of(name), 0);
  return index < 0 ? ls_slice(NULL, 0) : ls_headers_value(headers, (uint32_t)index);
}

/* Whether a list field of the response names the token. */
static bool has_token(const struct ls_headers *headers, const char *field, const char *token) {
  struct ls_slice name = ls_slice_of(field);
  for (int i = ls_headers_find(headers, name, 0); i >= 0; i = ls_headers_find(headers, name, (uint32_t)i + 1)) {
    struct ls_slice list = ls_headers_value(headers, (uint32_t)i);
    struct ls_weighted member;
    while (ls_weighted_next(&list, &member))
      if (ls_field_name_equal(member.value, ls_slice_of(token)))
        return true;
  }
  return false;
}

static bool has_content(int status) {
  return status >= 200 && status != 204 && status != 205 && status != 206 && status != 304;
}

/* Whether the content might be coded, for a client that wants it. */
static bool is_eligible(const struct ls_request *request, int64_t length) {
  const struct ls_headers *headers = &request->headers;
  if (!has_content(request->status) || (length >= 0 && length < (int64_t)ls_encode_options_of(request)->min_size))
    return false;
  return ls_media_is_compressible(value_of(headers, "content-type")) &&
         value_of(headers, "content-encoding").ptr == NULL && value_of(headers, "content-range").ptr == NULL &&
         !has_token(headers, "cache-control", "no-transform");
}

static int add_vary(struct ls_headers *headers) {
  if (has_token(headers, "vary", "accept-encoding") || has_token(headers, "vary", "*"))
    return 0;
  return ls_headers_add(headers, ls_slice_of("Vary"), ls_slice_of("accept-encoding"));
}

/* A strong tag names bytes, and these will be others (RFC 9110 8.8.1). */
static int weaken_etag(struct ls_headers *headers) {
  char text[256];
  struct ls_slice tag = value_of(headers, "etag");
  if (tag.ptr == NULL || tag.len == 0 || tag.ptr[0] != '"')
    return 0;
  if (tag.len + 2 > sizeof text) {
    ls_headers_remove(headers, ls_slice_of("etag"));
    return 0;
  }
  memcpy(text, "W/", 2);
  memcpy(text + 2, tag.ptr, tag.len);
  return ls_headers_set(headers, ls_slice_of("ETag"), ls_slice(text, tag.len + 2));
}

static int set_fields(struct ls_headers *headers, enum ls_coding coding) {
  int err = weaken_etag(headers);
  if (err == 0)
    err = ls_headers_set(headers, ls_slice_of("Content-Encoding"), ls_coding_name(coding));
  if (err == 0)
    ls_headers_remove(headers, ls_slice_of("content-length"));
  return err;
}

bool ls_encode_choose(struct ls_request *request, int64_t length) {
  const struct ls_encode_options *options = ls_encode_options_of(request);
  const struct ls_head *head = &request->exchange.head;
  if (!is_eligible(request, length) || add_vary(&request->headers) != 0 || head->minor == 0)
    return false; /* HTTP/1.0 has no chunks: the end could not be told from a broken connection */
  enum ls_coding coding = ls_negotiate_coding(head, options->codings, options->count);
  if (coding == LS_CODING_IDENTITY)
    return false;
  if (head->method == HTTP_HEAD)
    return set_fields(&request->headers, coding) == 0;
  struct ls_encode *encode = take(request->server, coding, level_of(options, coding));
  if (encode == NULL)
    return false;
  if (set_fields(&request->headers, coding) != 0) {
    give(request->server, encode);
    return false;
  }
  encode->request = request;
  request->encode = encode;
  return true;
}

/* ---- encoding ---- */

/* Sends what is encoded. As ls_exchange_write. */
static int send_output(struct ls_encode *encode) {
  struct ls_buf *output = &encode->output;
  int status = 0;
  if (output->len != 0)
    status = ls_exchange_write(&encode->request->exchange, ls_buf_bytes(output), output->len);
  ls_buf_clear(output);
  return status;
}

/* All has been sent. */
static int end(struct ls_encode *encode) {
  struct ls_request *request = encode->request;
  ls_encode_drop(request);
  return ls_exchange_finish(&request->exchange, &request->trailers);
}

static int encode_inline(struct ls_encode *encode, struct ls_slice bytes, enum ls_encoder_step step) {
  int status = ls_encoder_feed(encode->encoder, bytes, step, &encode->output);
  return status != 0 ? status : send_output(encode);
}

/* On a pool thread. */
static void run(struct ls_work *work) {
  struct ls_encode *encode = ls_container_of(work, struct ls_encode, work);
  struct ls_slice bytes = ls_slice(ls_buf_bytes(&encode->input), encode->job_len);
  encode->status = ls_encoder_feed(encode->encoder, bytes, encode->step, &encode->output);
}

/* Starts a job for what waits; runs it here where that fails. As ls_exchange_write. */
static int start_job(struct ls_encode *encode);

/* The job's output goes out; on with what has come meanwhile. As ls_exchange_write. */
static int after_job(struct ls_encode *encode) {
  ls_buf_consume(&encode->input, encode->job_len);
  int status = encode->status != 0 ? encode->status : send_output(encode);
  if (status < 0)
    return status;
  if (encode->step == LS_ENCODE_END)
    return end(encode);
  if (encode->input.len == 0) {
    struct ls_buf empty = encode->input;
    ls_buf_clear(&empty);
    encode->input = encode->later;
    encode->later = empty;
  }
  if (encode->input.len == 0 && !encode->finished)
    return status;
  int next = start_job(encode);
  return next != 0 ? next : status;
}

static void tell_drain(struct ls_request *request) {
  if (request->held)
    request->server->handler->on_drain(request);
}

static void on_job_done(struct ls_work *work) {
  struct ls_encode *encode = ls_container_of(work, struct ls_encode, work);
  struct ls_request *request = encode->request;
  if (request == NULL) {
    free_encode(encode);
    return;
  }
  encode->working = false;
  ls_request_touch(request);
  int status = after_job(encode);
  if (status < 0) {
    ls_encode_drop(request);
    ls_exchange_abort(&request->exchange);
    tell_drain(request);
    return;
  }
  bool waits = request->encode != NULL && (status == 1 || encode->input.len + encode->later.len > WAITING_MAX);
  if (!waits && request->encode != NULL && encode->wants_drain) {
    encode->wants_drain = false;
    tell_drain(request);
  }
}

static int start_job(struct ls_encode *encode) {
  encode->job_len = encode->input.len < JOB_MAX ? encode->input.len : JOB_MAX;
  if (encode->job_len < encode->input.len || encode->later.len != 0)
    encode->step = LS_ENCODE_MORE;
  else
    encode->step = encode->finished ? LS_ENCODE_END : LS_ENCODE_FLUSH;
  encode->work.run = run;
  encode->work.done = on_job_done;
  if (ls_work_submit(encode->request->server->loop, &encode->work, LS_LANE_FILE) == 0) {
    encode->working = true;
    return 0;
  }
  run(&encode->work);
  return after_job(encode);
}

int ls_encode_write(struct ls_request *request, struct ls_slice bytes) {
  struct ls_encode *encode = request->encode;
  if (encode->finished)
    return LS_ESTATE;
  if (bytes.len == 0)
    return 0;
  if (!encode->working && bytes.len <= INLINE_MAX)
    return encode_inline(encode, bytes, LS_ENCODE_FLUSH);
  struct ls_buf *to = encode->working ? &encode->later : &encode->input;
  if (ls_buf_append(to, bytes.ptr, bytes.len) != 0)
    return -ENOMEM;
  int status = encode->working ? 0 : start_job(encode);
  if (status == 0 && encode->working && encode->input.len + encode->later.len > WAITING_MAX) {
    encode->wants_drain = true;
    return 1;
  }
  return status;
}

int ls_encode_finish(struct ls_request *request) {
  struct ls_encode *encode = request->encode;
  if (encode->finished)
    return LS_ESTATE;
  encode->finished = true;
  if (encode->working)
    return 0;
  int status = encode_inline(encode, ls_slice("", 0), LS_ENCODE_END);
  return status < 0 ? status : end(encode);
}

int ls_encode_whole(struct ls_request *request, struct ls_slice content, struct ls_slice *coded) {
  struct ls_encode *encode = request->encode;
  if (content.len > INLINE_MAX)
    return 1;
  int status = ls_encoder_feed(encode->encoder, content, LS_ENCODE_END, &encode->output);
  *coded = ls_slice(ls_buf_bytes(&encode->output), encode->output.len);
  return status;
}

bool ls_encode_is_finished(const struct ls_request *request) {
  return request->encode != NULL && request->encode->finished;
}

void ls_encode_drop(struct ls_request *request) {
  struct ls_encode *encode = request->encode;
  if (encode == NULL)
    return;
  request->encode = NULL;
  if (encode->working && !ls_work_cancel(&encode->work)) {
    encode->request = NULL;
    return;
  }
  encode->working = false;
  give(request->server, encode);
}
