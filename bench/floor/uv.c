/* SPDX-License-Identifier: MIT */
/* The second floor: the libraries that luaserve stands on, libuv and llhttp, with the same answer to every request.
 *
 *   build/bench/uv
 *
 * llhttp tells where requests end and whether the client keeps the connection; requests that arrive together are
 * answered with one write. What cannot be written at once is kept by libuv, and the client is not read from until it
 * has taken it. */
#include <llhttp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define READ_SIZE 65536
#define BATCH 64 /* answers of one buffer */

static const char answer[] =
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: 13\r\n"
    "\r\n"
    "Hello, World!";

static const char last_answer[] =
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: 13\r\n"
    "Connection: close\r\n"
    "\r\n"
    "Hello, World!";

#define ANSWER_SIZE (sizeof answer - 1)
#define LAST_SIZE (sizeof last_answer - 1)

struct server {
  uv_tcp_t listener;
  llhttp_settings_t settings;
  char batch[BATCH * ANSWER_SIZE];
  char last[LAST_SIZE];
  char input[READ_SIZE]; /* one is enough: what has been read is parsed before the next read */
};

struct connection {
  uv_tcp_t stream;
  llhttp_t parser;
  struct server *server;
  uv_write_t write;
  uv_buf_t *buffers; /* of a write under way, else NULL */
  size_t owed;       /* bytes of answers to what the last read brought */
  bool last;         /* the client wants no more */
};

static void fail(const char *what, int code) {
  fprintf(stderr, "%s: %s\n", what, uv_strerror(code));
  exit(1);
}

static void on_close(uv_handle_t *handle) {
  struct connection *c = handle->data;
  free(c->buffers);
  free(c);
}

static void drop(struct connection *c) {
  if (!uv_is_closing((uv_handle_t *)&c->stream))
    uv_close((uv_handle_t *)&c->stream, on_close);
}

static int on_message_complete(llhttp_t *parser) {
  struct connection *c = parser->data;
  c->last = !llhttp_should_keep_alive(parser);
  c->owed += c->last ? LAST_SIZE : ANSWER_SIZE;
  return c->last ? HPE_PAUSED : 0;
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf) {
  struct connection *c = handle->data;
  (void)size;
  *buf = uv_buf_init(c->server->input, READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void on_write(uv_write_t *request, int status) {
  struct connection *c = request->data;
  free(c->buffers);
  c->buffers = NULL;
  c->owed = 0;
  if (status != 0 || c->last || uv_read_start((uv_stream_t *)&c->stream, on_alloc, on_read) != 0)
    drop(c);
}

/* The buffers that hold what is owed after `done` bytes of it, at most as many as there are; the number that it takes. */
static size_t describe(struct connection *c, size_t done, uv_buf_t *buffers, size_t room) {
  struct server *s = c->server;
  size_t last = c->last ? LAST_SIZE : 0, left = c->owed - last, count = 0;
  size_t from = done < left ? done % ANSWER_SIZE : 0, skip = done > left ? done - left : 0;
  left -= done < left ? done : left;
  for (; left > 0; count++, from = 0) {
    size_t len = left < sizeof s->batch - from ? left : sizeof s->batch - from;
    if (count < room)
      buffers[count] = uv_buf_init(s->batch + from, (unsigned)len);
    left -= len;
  }
  if (last > skip && count++ < room)
    buffers[count - 1] = uv_buf_init(s->last + skip, (unsigned)(last - skip));
  return count;
}

/* Hands what has not been written to libuv. */
static bool write_later(struct connection *c, size_t done) {
  size_t count = describe(c, done, NULL, 0);
  c->buffers = calloc(count, sizeof *c->buffers);
  if (c->buffers == NULL)
    return false;
  describe(c, done, c->buffers, count);
  uv_read_stop((uv_stream_t *)&c->stream);
  c->write.data = c;
  return uv_write(&c->write, (uv_stream_t *)&c->stream, c->buffers, (unsigned)count, on_write) == 0;
}

/* False: the connection is over. */
static bool write_owed(struct connection *c) {
  uv_buf_t buffers[4];
  size_t count = describe(c, 0, buffers, 4);
  int n = uv_try_write((uv_stream_t *)&c->stream, buffers, count < 4 ? (unsigned)count : 4);
  if (n < 0 && n != UV_EAGAIN)
    return false;
  size_t done = n > 0 ? (size_t)n : 0;
  if (done < c->owed)
    return write_later(c, done);
  c->owed = 0;
  return !c->last;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  struct connection *c = stream->data;
  if (n == 0)
    return;
  if (n < 0)
    return drop(c);
  llhttp_errno_t error = llhttp_execute(&c->parser, buf->base, (size_t)n);
  if (error != HPE_OK && !c->last)
    return drop(c);
  if (c->owed > 0 && !write_owed(c))
    drop(c);
}

static void on_connection(uv_stream_t *listener, int status) {
  struct server *s = listener->data;
  struct connection *c = status == 0 ? calloc(1, sizeof *c) : NULL;
  if (c == NULL)
    return;
  c->server = s;
  if (uv_tcp_init(listener->loop, &c->stream) != 0) {
    free(c);
    return;
  }
  c->stream.data = c;
  llhttp_init(&c->parser, HTTP_REQUEST, &s->settings);
  c->parser.data = c;
  if (uv_accept(listener, (uv_stream_t *)&c->stream) != 0 ||
      uv_read_start((uv_stream_t *)&c->stream, on_alloc, on_read) != 0)
    return drop(c);
  uv_tcp_nodelay(&c->stream, 1);
}

static void start(struct server *s, uv_loop_t *loop) {
  struct sockaddr_in address;
  int len = sizeof address, code;
  for (size_t i = 0; i < BATCH; i++)
    memcpy(s->batch + i * ANSWER_SIZE, answer, ANSWER_SIZE);
  memcpy(s->last, last_answer, LAST_SIZE);
  llhttp_settings_init(&s->settings);
  s->settings.on_message_complete = on_message_complete;
  uv_ip4_addr("127.0.0.1", 0, &address);
  s->listener.data = s;
  if ((code = uv_tcp_init(loop, &s->listener)) != 0 ||
      (code = uv_tcp_bind(&s->listener, (struct sockaddr *)&address, 0)) != 0 ||
      (code = uv_listen((uv_stream_t *)&s->listener, SOMAXCONN, on_connection)) != 0 ||
      (code = uv_tcp_getsockname(&s->listener, (struct sockaddr *)&address, &len)) != 0)
    fail("listen", code);
  printf("http://127.0.0.1:%d\n", ntohs(address.sin_port));
  fflush(stdout);
}

int main(void) {
  struct server *s = calloc(1, sizeof *s);
  uv_loop_t *loop = uv_default_loop();
  if (s == NULL || loop == NULL)
    fail("start", UV_ENOMEM);
  start(s, loop);
  return uv_run(loop, UV_RUN_DEFAULT);
}
