/* SPDX-License-Identifier: MIT */
#include "server/proxied.h"

#include <stdlib.h>

#include "base/clock.h"
#include "server/state.h"

#define LOG_EVERY_NS UINT64_C(10000000000)

/* At most one line in ten seconds: whoever connects can cause them. */
static void refuse(struct ls_http1 *http1, const char *peer, const char *reason) {
  struct ls_server *server = http1->server;
  char more[48];
  ls_http1_drop(http1, false);
  if (!ls_log_limit_take(&server->proxied_log, 1, LOG_EVERY_NS, ls_clock_ns(), more, sizeof more))
    return;
  ls_log_write(server->loop->log, LS_LOG_WARN, "a connection from %s was closed: %s%s",
               *peer != '\0' ? peer : "a unix socket", reason, more);
}

/* Whether the peer may send a header; it is dropped where not, and where it has left already. */
static bool is_trusted(struct ls_http1 *http1) {
  const struct ls_cidr_set *trusted = &http1->server->options.trust_proxy;
  char peer[INET6_ADDRSTRLEN];
  if (ls_cidr_set_is_empty(trusted))
    return true;
  if (ls_stream_peer(&http1->stream, peer, sizeof peer, NULL) != 0) {
    ls_http1_drop(http1, false);
    return false;
  }
  struct ls_ip ip = ls_origin_ip(peer);
  if (ls_cidr_set_has(trusted, &ip))
    return true;
  refuse(http1, peer, "trust_proxy does not name it, so it may send no PROXY header");
  return false;
}

bool ls_proxied_begin(struct ls_http1 *http1) {
  if (!is_trusted(http1))
    return false;
  http1->proxy = malloc(sizeof *http1->proxy);
  if (http1->proxy == NULL) {
    ls_http1_drop(http1, false);
    return false;
  }
  ls_proxy_header_init(http1->proxy, http1->server->options.proxy_protocol);
  http1->proxy_awaited = true;
  return true;
}

bool ls_proxied_take(struct ls_http1 *http1, const char **bytes, size_t *len) {
  size_t used;
  int status = ls_proxy_header_feed(http1->proxy, *bytes, *len, &used);
  if (status < 0) {
    char peer[INET6_ADDRSTRLEN] = "somebody";
    ls_stream_peer(&http1->stream, peer, sizeof peer, NULL);
    refuse(http1, peer, "it does not begin with a valid PROXY header");
    return false;
  }
  *bytes += used;
  *len -= used;
  http1->proxy_awaited = status == LS_PROXY_MORE;
  return *len != 0;
}
