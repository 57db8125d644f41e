/* SPDX-License-Identifier: MIT */
/* memory: every allocation that a connection and its requests make on the loop's thread fails once, each in a fresh
 * server, and then all from that one on. The connection may die; the server must not, and serves the next one. Linked with
 * --wrap for malloc, calloc and realloc. */
#include "fixture.h"

#define HEAD(method, url) method " " url " HTTP/1.1\r\nHost: x\r\n"
#define GET(url) HEAD("GET", url) "\r\n"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

/* Of the loop's thread alone: how many allocations succeed before one fails; -1: all. */
static _Thread_local int left = -1;
static _Thread_local bool goes_on_failing;
static _Thread_local unsigned failures;

static bool fails(void) {
  if (left < 0)
    return false;
  if (left > 0) {
    left--;
    return false;
  }
  if (!goes_on_failing)
    left = -1;
  failures++;
  return true;
}

void *__wrap_malloc(size_t size) {
  return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
  return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
  return size != 0 && fails() ? NULL : __real_realloc(memory, size);
}

/* What the clients of all rounds share. */
static struct {
  void (*adjust)(struct ls_server_options *options);
  const char *prefix; /* what a connection has to begin with */
  int succeeding;     /* allocations before the one that fails */
  bool all;           /* and all after it */
  const char *bytes;
  size_t len;
  bool failed; /* one did */
} round_of;

static void arm(struct fixture *f) {
  (void)f;
  left = round_of.succeeding;
  goes_on_failing = round_of.all;
  failures = 0;
}

static void disarm(struct fixture *f) {
  (void)f;
  left = -1;
  round_of.failed = failures > 0;
}

/* libuv aborts where its list of descriptors cannot grow; so that is made large before. */
static void grow_watchers(struct fixture *f) {
  static uv_poll_t poll;
  int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 900), pair[2];
  close(fd);
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  CHECK_INT(dup3(pair[0], fd, O_CLOEXEC), fd);
  CHECK_INT(uv_poll_init(&f->loop.uv, &poll, fd), 0);
  CHECK_INT(uv_poll_start(&poll, UV_READABLE, NULL), 0);
  uv_poll_stop(&poll);
  uv_close((uv_handle_t *)&poll, NULL);
  close(pair[0]);
  close(pair[1]);
  close(fd);
}

/* Sends the bytes and takes what comes, whether it is an answer, an end or a reset. */
static void client_meets_failures(struct fixture *f) {
  char text[4096];
  call(f, grow_watchers);
  call(f, arm);
  int fd = dial(f);
  if (send(fd, round_of.bytes, round_of.len, MSG_NOSIGNAL) == (ssize_t)round_of.len)
    shutdown(fd, SHUT_WR);
  ssize_t n;
  while ((n = recv(fd, text, sizeof text, 0)) > 0)
    continue;
  CHECK(n == 0 || errno != EAGAIN); /* it is not left hanging until a deadline */
  close(fd);
  call(f, disarm);
  fd = dial(f);
  say(fd, round_of.prefix);
  say(fd, GET("/hello"));
  CHECK(strcmp(read_response(fd, text, sizeof text), "hello") == 0);
  close(fd);
}

static void fail_each(const char *bytes, size_t len, bool all) {
  round_of.bytes = bytes;
  round_of.len = len;
  round_of.all = all;
  round_of.succeeding = 0;
  do {
    with_server(client_meets_failures, round_of.adjust);
    round_of.succeeding++;
  } while (round_of.failed);
  CHECK(round_of.succeeding > 3); /* some did fail */
}

static void test_of(const char *bytes) {
  fail_each(bytes, strlen(bytes), false);
  fail_each(bytes, strlen(bytes), true);
}

static void survives_failures_of_a_request(void) {
  test_of(GET("/hello"));
}

static void survives_failures_of_a_pipeline(void) {
  test_of(GET("/hello") HEAD("POST", "/echo") "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" GET("/abandon")
              GET("/hello"));
}

static void survives_failures_of_a_refusal(void) {
  test_of(GET("/hello") "GET / HTTP/1.1\r\n\r\n");
}

/* More than the buffers keep warm, and more fields than a head has room for at first. */
static void survives_failures_of_large_ones(void) {
  enum { BODY = 100 * 1024 }; /* the handler takes nothing of it before it is whole */
  char *bytes = __real_malloc(BODY + 4096);
  int len = sprintf(bytes, HEAD("POST", "/echo"));
  for (int i = 0; i < 40; i++)
    len += sprintf(bytes + len, "X-Field-%d: %d\r\n", i, i);
  len += sprintf(bytes + len, "Content-Length: %d\r\n\r\n", BODY);
  memset(bytes + len, 'x', BODY);
  fail_each(bytes, (size_t)len + BODY, false);
  fail_each(bytes, (size_t)len + BODY, true);
  free(bytes);
}

#define PROXY "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"

static void want_proxy_header(struct ls_server_options *options) {
  options->proxy_protocol = LS_PROXY_V1;
}

static void survives_failures_of_a_proxied_request(void) {
  round_of.adjust = want_proxy_header;
  round_of.prefix = PROXY;
  test_of(PROXY GET("/hello"));
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  round_of.prefix = "";
  RUN(survives_failures_of_a_request);
  RUN(survives_failures_of_a_pipeline);
  RUN(survives_failures_of_a_refusal);
  RUN(survives_failures_of_large_ones);
  RUN(survives_failures_of_a_proxied_request);
  return 0;
}
