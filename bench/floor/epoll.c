/* SPDX-License-Identifier: MIT */
/* The floor: what the system itself costs. A loop of epoll_wait, read and send on one thread, with the same answer to
 * every request, and no look at what it says but for its end, and for "Connection: close".
 *
 *   make bench-floors && build/bench/epoll
 *
 * It knows requests without a body only: each is what stands before an empty line. Those that arrive together
 * (pipelining) are answered with one write; one that arrives in pieces is answered when its end has come, and of it
 * nothing needs to be kept but how much of the empty line there was. A client that does not take its answers is read no
 * further until it has, so a connection holds a few numbers and no memory grows. HTTP/1.1 keeps connections, and
 * so does this, until the client closes or has said "Connection: close". */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS 512
#define READ_SIZE 65536
#define BATCH 64 /* answers that one write takes */

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
static const char end_mark[] = "\r\n\r\n";
static const char close_mark[] = "\r\nconnection: close\r\n";

#define ANSWER_SIZE (sizeof answer - 1)
#define LAST_SIZE (sizeof last_answer - 1)

/* How much of each text the last bytes are the beginning of, so that both may be split between two reads. */
struct connection {
  int fd;
  uint32_t events;  /* what epoll waits for */
  uint8_t at_end;   /* of end_mark */
  uint8_t at_close; /* of close_mark */
  bool closing;     /* the client wants no more than what it has asked for */
  size_t owed;      /* bytes of answers that have not been written */
  size_t owed_last; /* and of the last one */
};

struct server {
  int epoll, listener;
  char batch[BATCH * ANSWER_SIZE];
  char input[READ_SIZE];
};

static void fail(const char *what) {
  perror(what);
  exit(1);
}

/* Neither text begins again within itself but with its CR, so one step back is enough. */
static uint8_t step(const char *text, uint8_t at, char byte) {
  char lower = byte >= 'A' && byte <= 'Z' ? (char)(byte + 32) : byte;
  if (text[at] == lower)
    return at + 1;
  return lower == '\r';
}

/* Owes an answer for each request that ends in these bytes. */
static void count_requests(struct connection *c, const char *data, size_t len) {
  for (size_t i = 0; i < len && !c->closing; i++) {
    c->at_end = step(end_mark, c->at_end, data[i]);
    if (c->at_close < sizeof close_mark - 1)
      c->at_close = step(close_mark, c->at_close, data[i]);
    if (c->at_end < sizeof end_mark - 1)
      continue;
    c->closing = c->at_close == sizeof close_mark - 1;
    if (c->closing)
      c->owed_last = LAST_SIZE;
    else
      c->owed += ANSWER_SIZE;
    c->at_end = c->at_close = 0;
  }
}

static void drop(struct connection *c) {
  close(c->fd); /* takes it out of epoll as well */
  free(c);
}

/* What is left of the answers begins in the middle of one. False: the connection is broken. */
static bool write_owed(struct server *s, struct connection *c) {
  while (c->owed + c->owed_last > 0) {
    bool last = c->owed == 0;
    size_t done = (ANSWER_SIZE - c->owed % ANSWER_SIZE) % ANSWER_SIZE, room = sizeof s->batch - done;
    const char *from = last ? last_answer + LAST_SIZE - c->owed_last : s->batch + done;
    ssize_t n = send(c->fd, from, last ? c->owed_last : c->owed < room ? c->owed : room, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno == EAGAIN;
    if (last)
      c->owed_last -= (size_t)n;
    else
      c->owed -= (size_t)n;
  }
  return true;
}

static bool wait_for(struct server *s, struct connection *c, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  if (c->events == events)
    return true;
  c->events = events;
  return epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &event) == 0;
}

/* One read for each turn of the loop, so that no client holds up the others. */
static bool serve(struct server *s, struct connection *c) {
  if (c->events == EPOLLIN) {
    ssize_t n = read(c->fd, s->input, sizeof s->input);
    if (n < 0)
      return errno == EAGAIN || errno == EINTR;
    if (n == 0)
      return false;
    count_requests(c, s->input, (size_t)n);
  }
  if (!write_owed(s, c))
    return false;
  bool all = c->owed + c->owed_last == 0;
  return !(all && c->closing) && wait_for(s, c, all ? EPOLLIN : EPOLLOUT);
}

static void accept_all(struct server *s) {
  int fd, on = 1;
  while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL) {
      close(fd);
      continue;
    }
    c->fd = fd;
    c->events = EPOLLIN;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
      drop(c);
  }
}

static void start(struct server *s) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  struct epoll_event event = {.events = EPOLLIN};
  for (size_t i = 0; i < BATCH; i++)
    memcpy(s->batch + i * ANSWER_SIZE, answer, ANSWER_SIZE);
  s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&address, len) != 0 ||
      listen(s->listener, SOMAXCONN) != 0 || getsockname(s->listener, (struct sockaddr *)&address, &len) != 0)
    fail("listen");
  s->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (s->epoll < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &event) != 0)
    fail("epoll");
  printf("http://127.0.0.1:%d\n", ntohs(address.sin_port));
  fflush(stdout);
}

int main(void) {
  struct server *s = calloc(1, sizeof *s);
  struct epoll_event events[EVENTS];
  if (s == NULL)
    fail("calloc");
  start(s);
  for (;;) {
    int n = epoll_wait(s->epoll, events, EVENTS, -1);
    if (n < 0 && errno != EINTR)
      fail("epoll_wait");
    for (int i = 0; i < n; i++) {
      struct connection *c = events[i].data.ptr;
      if (c == NULL)
        accept_all(s);
      else if (!serve(s, c))
        drop(c);
    }
  }
}
