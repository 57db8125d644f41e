/* SPDX-License-Identifier: MIT */
/* resolver_test: questions that are answered, given up and left over. The name server is a UDP socket on the same loop,
 * which sends each query back as an answer without records, or says nothing. */
#include "loop/resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/error.h"
#include "check.h"
#include "loop/dns_answer.h"
#include "loop/loop.h"
#include "loop/work.h"

#define FLAGS_AT 2
#define HOUR_MS 3600000

struct spec {
  struct ls_pool *pool;
  struct ls_log *log;
  struct ls_loop loop;
  struct ls_resolver resolver;
  struct ls_resolver_server server;
  uv_poll_t poll;
  int fd;
  int asked;
  bool mute;
  void (*on_asked)(struct spec *spec);
  struct ls_question question;
  int done;
};

static void on_readable(uv_poll_t *poll, int status, int events) {
  struct spec *spec = ls_container_of(poll, struct spec, poll);
  unsigned char query[600];
  struct sockaddr_in from;
  socklen_t from_len = sizeof from;
  CHECK_INT(status, 0);
  CHECK_INT(events, UV_READABLE);
  ssize_t len = recvfrom(spec->fd, query, sizeof query, 0, (struct sockaddr *)&from, &from_len);
  CHECK(len >= 12);
  spec->asked++;
  query[FLAGS_AT] |= 0x80;
  query[FLAGS_AT + 1] = 0x80;
  if (!spec->mute)
    CHECK_INT(sendto(spec->fd, query, (size_t)len, 0, (struct sockaddr *)&from, from_len), len);
  if (spec->on_asked != NULL)
    spec->on_asked(spec);
}

static void listen_udp(struct spec *spec) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  spec->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  CHECK(spec->fd >= 0);
  CHECK_INT(bind(spec->fd, (struct sockaddr *)&address, sizeof address), 0);
  CHECK_INT(getsockname(spec->fd, (struct sockaddr *)&address, &len), 0);
  CHECK_INT(uv_poll_init(&spec->loop.uv, &spec->poll, spec->fd), 0);
  CHECK_INT(uv_poll_start(&spec->poll, UV_READABLE, on_readable), 0);
  uv_unref((uv_handle_t *)&spec->poll);
  spec->server = (struct ls_resolver_server){.family = AF_INET, .port = ntohs(address.sin_port)};
  memcpy(spec->server.address, &address.sin_addr, 4);
}

static void on_done(struct ls_question *question) {
  ls_container_of(question, struct spec, question)->done++;
}

static void start(struct spec *spec) {
  memset(spec, 0, sizeof *spec);
  spec->pool = ls_pool_new(4);
  spec->log = ls_log_new(2, 65536);
  CHECK(spec->pool != NULL && spec->log != NULL);
  CHECK_INT(ls_loop_init(&spec->loop, spec->pool, spec->log), 0);
  listen_udp(spec);
  ls_resolver_init(&spec->resolver, &spec->loop);
  ls_resolver_set_servers(&spec->resolver, &spec->server, 1);
  spec->question =
      (struct ls_question){.name = "a.test", .type = LS_DNS_A, .timeout_ms = HOUR_MS, .tries = 1, .done = on_done};
}

static void end(struct spec *spec) {
  ls_resolver_dispose(&spec->resolver);
  ls_loop_dispose(&spec->loop);
  ls_question_dispose(&spec->question);
  close(spec->fd);
  ls_pool_free(spec->pool);
  ls_log_free(spec->log);
}

static void ask(struct spec *spec) {
  CHECK_INT(ls_resolver_ask(&spec->resolver, &spec->question), 0);
}

static void says_what_the_server_says(void) {
  struct spec spec;
  start(&spec);
  ask(&spec);
  CHECK(spec.question.pending != NULL);
  ls_loop_run(&spec.loop); /* ends, so a resolver at rest keeps nothing alive */
  CHECK_INT(spec.done, 1);
  CHECK_INT(spec.asked, 1);
  CHECK_INT(spec.question.status, LS_ENODATA);
  CHECK(spec.question.answer == NULL && spec.question.pending == NULL);
  ls_resolver_cancel(&spec.question);
  CHECK_INT(spec.done, 1);
  end(&spec);
}

static void impossible_name_is_told_at_once(void) {
  struct spec spec;
  start(&spec);
  spec.question.name = "a..test";
  ask(&spec);
  CHECK_INT(spec.done, 1);
  CHECK_INT(spec.question.status, LS_EBADNAME);
  CHECK(spec.question.pending == NULL);
  ls_loop_run(&spec.loop);
  CHECK_INT(spec.asked, 0);
  end(&spec);
}

static void cancel_asked(struct spec *spec) {
  ls_resolver_cancel(&spec->question);
}

static void given_up_one_keeps_nothing_alive(void) {
  struct spec spec;
  start(&spec);
  spec.mute = true;
  spec.on_asked = cancel_asked;
  ask(&spec);
  ls_loop_run(&spec.loop);
  CHECK_INT(spec.asked, 1);
  CHECK_INT(spec.done, 0);
  end(&spec);
}

/* Its answer is on the way already. */
static void given_up_one_is_not_told(void) {
  struct spec spec;
  start(&spec);
  spec.on_asked = cancel_asked;
  ask(&spec);
  ls_loop_run(&spec.loop);
  CHECK_INT(spec.asked, 1);
  CHECK_INT(spec.done, 0);
  end(&spec);
}

static void forget_server(struct spec *spec) {
  ls_resolver_set_servers(&spec->resolver, NULL, 0);
}

static void pending_one_keeps_its_servers(void) {
  struct spec spec;
  start(&spec);
  spec.on_asked = forget_server;
  ask(&spec);
  ls_loop_run(&spec.loop);
  CHECK_INT(spec.done, 1);
  CHECK_INT(spec.question.status, LS_ENODATA);
  end(&spec);
}

static void stop(struct spec *spec) {
  ls_loop_stop(&spec->loop);
}

static void stop_without_servers(struct spec *spec) {
  forget_server(spec);
  stop(spec);
}

/* The channel that has the question is in use, then retired. */
static void end_drops_what_is_pending(void) {
  void (*const ways[])(struct spec *) = {stop, stop_without_servers};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    struct spec spec;
    start(&spec);
    spec.mute = true;
    spec.on_asked = ways[i];
    ask(&spec);
    ls_loop_run(&spec.loop);
    CHECK(spec.question.pending != NULL);
    end(&spec);
    CHECK_INT(spec.done, 0);
    CHECK_INT(spec.question.status, 0);
    CHECK(spec.question.pending == NULL);
  }
}

static void silence_times_out(void) {
  struct spec spec;
  start(&spec);
  spec.mute = true;
  spec.question.timeout_ms = 1;
  spec.question.tries = 3;
  ask(&spec);
  ls_loop_run(&spec.loop);
  CHECK_INT(spec.done, 1);
  CHECK_INT(spec.question.status, -ETIMEDOUT);
  end(&spec);
}

static void system_has_servers(void) {
  struct spec spec;
  start(&spec);
  forget_server(&spec);
  CHECK_INT(ls_resolver_load_servers(&spec.resolver), 0);
  CHECK(spec.resolver.server_count >= 1);
  for (int i = 0; i < spec.resolver.server_count; i++)
    CHECK(spec.resolver.servers[i].port > 0);
  end(&spec);
}

int main(void) {
  RUN(says_what_the_server_says);
  RUN(impossible_name_is_told_at_once);
  RUN(given_up_one_keeps_nothing_alive);
  RUN(given_up_one_is_not_told);
  RUN(pending_one_keeps_its_servers);
  RUN(end_drops_what_is_pending);
  RUN(silence_times_out);
  RUN(system_has_servers);
  return 0;
}
