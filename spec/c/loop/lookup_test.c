/* SPDX-License-Identifier: MIT */
/* lookup_test: names to addresses and back on the pool. Only what every machine answers alike is asked for. */
#include "loop/lookup.h"

#include <stdbool.h>
#include <uv.h>

#include "check.h"
#include "loop/loop.h"

struct spec {
  struct ls_pool *pool;
  struct ls_log *log;
  struct ls_loop loop;
};

struct asked {
  struct ls_lookup lookup;
  int done;
};

static void start(struct spec *spec) {
  memset(spec, 0, sizeof *spec);
  spec->pool = ls_pool_new(4);
  spec->log = ls_log_new(2, 65536);
  CHECK(spec->pool != NULL && spec->log != NULL);
  CHECK_INT(ls_loop_init(&spec->loop, spec->pool, spec->log), 0);
}

static void end(struct spec *spec) {
  ls_loop_dispose(&spec->loop);
  ls_pool_free(spec->pool);
  ls_log_free(spec->log);
}

static void on_done(struct ls_lookup *lookup) {
  ls_container_of(lookup, struct asked, lookup)->done++;
}

static void init(struct asked *asked, const char *host, int family) {
  asked->done = 0;
  CHECK_INT(ls_lookup_init(&asked->lookup, host, family, on_done), 0);
}

static void check_text(const struct addrinfo *entry, const char *expected) {
  char text[128];
  CHECK_INT(ls_lookup_text(entry, text, sizeof text), 0);
  CHECK_BYTES(text, strlen(text), expected);
}

static void numeric_is_answered_at_once(void) {
  struct asked asked;
  init(&asked, "192.0.2.1", AF_UNSPEC);
  CHECK(ls_lookup_numeric(&asked.lookup));
  CHECK_INT(asked.lookup.status, 0);
  check_text(asked.lookup.found, "192.0.2.1");
  CHECK(asked.lookup.found->ai_next == NULL);
  ls_lookup_dispose(&asked.lookup);
  init(&asked, "2001:DB8::0:1", AF_INET6);
  CHECK(ls_lookup_numeric(&asked.lookup));
  CHECK_INT(asked.lookup.found->ai_family, AF_INET6);
  check_text(asked.lookup.found, "2001:db8::1");
  ls_lookup_dispose(&asked.lookup);
  CHECK_INT(asked.done, 0);
}

static void flags_are_passed_on(void) {
  struct asked asked;
  init(&asked, "192.0.2.1", AF_INET6);
  CHECK(!ls_lookup_numeric(&asked.lookup));
  asked.lookup.flags = AI_V4MAPPED;
  CHECK(ls_lookup_numeric(&asked.lookup));
  check_text(asked.lookup.found, "::ffff:192.0.2.1");
  ls_lookup_dispose(&asked.lookup);
}

static void name_is_not_numeric(void) {
  static const char *const names[] = {"localhost", "", "1.2.3.4.5", "::g", "127.0.0.1 "};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct asked asked;
    init(&asked, names[i], AF_UNSPEC);
    CHECK(!ls_lookup_numeric(&asked.lookup));
    ls_lookup_dispose(&asked.lookup);
  }
}

static void text_needs_room(void) {
  struct asked asked;
  char text[4];
  init(&asked, "192.0.2.1", AF_UNSPEC);
  CHECK(ls_lookup_numeric(&asked.lookup));
  CHECK_INT(ls_lookup_text(asked.lookup.found, text, sizeof text), UV_EAI_OVERFLOW);
  ls_lookup_dispose(&asked.lookup);
}

static void localhost_is_loopback(void) {
  struct spec spec;
  struct asked asked;
  start(&spec);
  init(&asked, "localhost", AF_INET);
  CHECK_INT(ls_lookup_start(&spec.loop, &asked.lookup), 0);
  CHECK_INT(asked.done, 0);
  ls_loop_run(&spec.loop);
  CHECK_INT(asked.done, 1);
  CHECK_INT(asked.lookup.status, 0);
  check_text(asked.lookup.found, "127.0.0.1");
  ls_lookup_dispose(&asked.lookup);
  end(&spec);
}

/* A name that no resolver is asked for: it is too long to be one. */
static void failure_has_a_code_of_its_own(void) {
  struct spec spec;
  struct asked asked;
  char name[2000];
  memset(name, 'x', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  start(&spec);
  init(&asked, name, AF_UNSPEC);
  CHECK(!ls_lookup_numeric(&asked.lookup));
  CHECK_INT(ls_lookup_start(&spec.loop, &asked.lookup), 0);
  ls_loop_run(&spec.loop);
  CHECK_INT(asked.done, 1);
  CHECK(asked.lookup.found == NULL);
  CHECK(strncmp(uv_err_name(asked.lookup.status), "EAI_", 4) == 0);
  ls_lookup_dispose(&asked.lookup);
  end(&spec);
}

/* The lane takes one at a time here, so the others wait when they are cancelled. */
static void waiting_one_can_be_cancelled(void) {
  struct spec spec;
  struct asked asked[8];
  bool cancelled[8];
  start(&spec);
  for (int i = 0; i < 8; i++) {
    init(&asked[i], "localhost", AF_UNSPEC);
    CHECK_INT(ls_lookup_start(&spec.loop, &asked[i].lookup), 0);
  }
  for (int i = 7; i >= 0; i--)
    cancelled[i] = ls_lookup_cancel(&asked[i].lookup);
  ls_loop_run(&spec.loop);
  for (int i = 0; i < 8; i++) {
    CHECK_INT(asked[i].done, cancelled[i] ? 0 : 1);
    CHECK(!ls_lookup_cancel(&asked[i].lookup));
    ls_lookup_dispose(&asked[i].lookup);
  }
  end(&spec);
}

struct reversed {
  struct ls_reverse reverse;
  int done;
};

static void on_reverse(struct ls_reverse *reverse) {
  ls_container_of(reverse, struct reversed, reverse)->done++;
}

static void loopback_has_a_name(void) {
  struct spec spec;
  struct reversed reversed = {.done = 0};
  start(&spec);
  CHECK_INT(ls_reverse_init(&reversed.reverse, "127.0.0.1", on_reverse), 0);
  CHECK_INT(ls_reverse_start(&spec.loop, &reversed.reverse), 0);
  CHECK_INT(reversed.done, 0);
  ls_loop_run(&spec.loop);
  CHECK_INT(reversed.done, 1);
  CHECK_INT(reversed.reverse.status, 0);
  CHECK(strlen(reversed.reverse.entry.h_name) > 0);
  CHECK(!ls_reverse_cancel(&reversed.reverse));
  ls_reverse_dispose(&reversed.reverse);
  end(&spec);
}

static void name_has_no_reverse(void) {
  static const char *const texts[] = {"localhost", "", "1.2.3.4.5", "::g", "127.0.0.1:80"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct ls_reverse reverse;
    CHECK_INT(ls_reverse_init(&reverse, texts[i], on_reverse), UV_EINVAL);
    ls_reverse_dispose(&reverse);
  }
}

int main(void) {
  RUN(numeric_is_answered_at_once);
  RUN(flags_are_passed_on);
  RUN(name_is_not_numeric);
  RUN(text_needs_room);
  RUN(localhost_is_loopback);
  RUN(failure_has_a_code_of_its_own);
  RUN(waiting_one_can_be_cancelled);
  RUN(loopback_has_a_name);
  RUN(name_has_no_reverse);
  return 0;
}
