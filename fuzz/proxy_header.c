/* SPDX-License-Identifier: MIT */
/* fuzz/proxy_header: PROXY headers. An input is a byte that says which versions are allowed and how much it is split,
 * then what a proxy sends. What comes of it must not depend on the split, and no header is longer than it may be. */
#include "http/proxy_header.h"

#include "base/error.h"
#include "expect.h"

struct outcome {
  struct ls_proxy_header header;
  size_t used;
  int status;
};

static struct outcome run(uint8_t allowed, const uint8_t *bytes, size_t len, size_t piece) {
  struct outcome outcome = {.status = LS_PROXY_MORE};
  ls_proxy_header_init(&outcome.header, allowed);
  for (size_t at = 0; at < len && outcome.status == LS_PROXY_MORE; at += piece) {
    size_t n = piece < len - at ? piece : len - at, used = 0;
    char *copy = copy_of(bytes + at, n);
    outcome.status = ls_proxy_header_feed(&outcome.header, copy, n, &used);
    free(copy);
    EXPECT(used <= n && (used == n || outcome.status != LS_PROXY_MORE));
    outcome.used += used;
  }
  return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (len < 2)
    return 0;
  uint8_t allowed = 1 + bytes[0] % 3;
  struct outcome whole = run(allowed, bytes + 1, len - 1, len),
                 parts = run(allowed, bytes + 1, len - 1, 1 + bytes[0] / 8);
  const struct ls_proxy_header *a = &whole.header, *b = &parts.header;
  EXPECT(whole.status == LS_PROXY_MORE || whole.status == LS_PROXY_DONE || whole.status == LS_EPROTO);
  EXPECT(whole.status == parts.status && whole.used == parts.used && a->version == b->version);
  if (whole.status == LS_PROXY_DONE) {
    EXPECT(a->told == b->told && ls_ip_equal(&a->source, &b->source) && a->port == b->port && a->secure == b->secure);
    EXPECT((a->version & allowed) != 0);
    EXPECT(a->told || (a->source.len == 0 && !a->secure));
  }
  EXPECT(whole.used <= (a->version == LS_PROXY_V1 ? LS_PROXY_LINE_MAX : 16 + LS_PROXY_REST_MAX));
  return 0;
}
