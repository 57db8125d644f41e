/* SPDX-License-Identifier: MIT */
#include "server/server.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "server/http1.h"
#include "server/refusal.h"
#include "server/state.h"

#define WATCH_MS 1000
#define LINGER_MS 2000
#define NS_PER_MS UINT64_C(1000000)

void ls_server_options_init(struct ls_server_options *options) {
  *options = (struct ls_server_options){
      .limits =
          {
              .max_url = 8 * 1024,
              .max_header_bytes = 16 * 1024,
              .max_headers = 100,
              .max_body = 1024 * 1024,
              .max_requests = 0,
              .max_pipeline = 16,
              .body_high = 128 * 1024,
              .out_high = 256 * 1024,
          },
      .header_timeout = 10000,
      .body_timeout = 30000,
      .keep_alive_timeout = 15000,
      .write_timeout = 30000,
      .min_body_rate = 100,
  };
  ls_encode_options_init(&options->encode);
}

static void init_classes(struct ls_server *server) {
  const struct ls_server_options *options = &server->options;
  struct ls_deadline_class *classes = server->classes;
  classes[LS_DEADLINE_HEADER].duration = options->header_timeout;
  classes[LS_DEADLINE_BODY].duration = options->body_timeout;
  classes[LS_DEADLINE_KEEP_ALIVE].duration = options->keep_alive_timeout;
  classes[LS_DEADLINE_WRITE].duration = options->write_timeout;
  classes[LS_DEADLINE_LINGER].duration = LINGER_MS;
  classes[LS_DEADLINE_WATCH].duration = WATCH_MS;
  for (unsigned i = 0; i <= LS_DEADLINE_WATCH; i++)
    classes[i].expired = ls_http1_expired;
}

static void on_grace(struct ls_timer *timer);

struct ls_server *ls_server_new(struct ls_loop *loop, const struct ls_server_options *options,
                                const struct ls_handler *handler, void *user) {
  struct ls_server *server = calloc(1, sizeof *server);
  if (server == NULL)
    return NULL;
  server->loop = loop;
  server->options = *options;
  server->options.limits.body_floor = options->min_body_rate * options->body_timeout / 1000;
  server->handler = handler;
  server->user = user;
  server->grace.fire = on_grace;
  ls_list_init(&server->connections);
  ls_list_init(&server->idle_connections);
  ls_list_init(&server->idle_requests);
  ls_buf_pool_init(&server->bufs);
  init_classes(server);
  if (ls_deadlines_init(loop, &server->deadlines, server->classes, LS_DEADLINE_KINDS + 1) != 0) {
    free(server);
    return NULL;
  }
  return server;
}

void *ls_server_user(const struct ls_server *server) {
  return server->user;
}

struct ls_loop *ls_server_loop(const struct ls_server *server) {
  return server->loop;
}

unsigned ls_server_connections(const struct ls_server *server) {
  return server->connection_count;
}

static __attribute__((noinline)) void refresh_date(struct ls_server *server) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != server->date.second)
    ls_date_cache_refresh(&server->date, now.tv_sec);
}

void ls_server_refresh_date(struct ls_server *server) {
  uint64_t turn = server->loop->turn_since;
  if (turn != 0 && turn == server->date_turn)
    return;
  server->date_turn = turn;
  refresh_date(server);
}

/* ---- listening ---- */

/* An answer for a connection that gets no memory or descriptor of its own. What the client has sent already is read
 * away: closing over unread bytes would send RST, and the client might lose the answer. */
static void refuse(struct ls_server *server, int fd, const char *reason) {
  static const char answer[] =
      "HTTP/1.1 503 Service Unavailable\r\n"
      "Content-Type: text/plain; charset=utf-8\r\n"
      "Content-Length: 19\r\n"
      "Retry-After: 1\r\n"
      "Connection: close\r\n"
      "\r\n"
      "Service Unavailable";
  char scratch[4096];
  ls_refusal_of_connection(server, fd, reason, 19);
  if (send(fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
    return; /* there is nobody to tell */
  shutdown(fd, SHUT_WR);
  for (int i = 0; i < 16 && recv(fd, scratch, sizeof scratch, MSG_DONTWAIT) > 0; i++)
    continue;
}

static struct ls_server *server_of(struct ls_listener *listener) {
  return ls_container_of(listener, struct ls_server_listener, listener)->server;
}

static void on_accept(struct ls_listener *listener, int fd) {
  struct ls_server *server = server_of(listener);
  uint32_t max = server->options.max_connections;
  if (server->closing || (max != 0 && server->connection_count >= max)) {
    refuse(server, fd, server->closing ? "the server is closing" : "too many connections");
    close(fd);
    return;
  }
  if (ls_http1_open(server, fd, listener->family) == -ENOMEM)
    ls_log_write(server->loop->log, LS_LOG_ERROR, "a connection was dropped: out of memory");
}

static void on_refused(struct ls_listener *listener, int fd) {
  refuse(server_of(listener), fd, "too many open files");
}

static void on_listener_closed(struct ls_listener *listener) {
  struct ls_server *server = server_of(listener);
  server->listening--;
  ls_server_settle(server);
}

int ls_server_listen(struct ls_server *server, const struct ls_listen_options *options) {
  if (server->closing)
    return LS_ECLOSED;
  if (server->listener_count == LS_SERVER_LISTENERS)
    return -EMFILE;
  struct ls_server_listener *entry = calloc(1, sizeof *entry);
  if (entry == NULL)
    return -ENOMEM;
  entry->server = server;
  entry->listener.on_accept = on_accept;
  entry->listener.on_refused = on_refused;
  entry->listener.on_closed = on_listener_closed;
  struct ls_listen_options copy = *options;
  copy.client_first = true;
  if (copy.backlog == 0)
    copy.backlog = server->options.backlog;
  int status = ls_listener_start(server->loop, &entry->listener, &copy);
  if (status != 0) {
    free(entry);
    return status;
  }
  server->listeners[server->listener_count++] = entry;
  server->listening++;
  if (server->unref)
    ls_listener_set_ref(&entry->listener, false);
  return 0;
}

int ls_server_address(const struct ls_server *server, unsigned n, char *text, size_t size, int *port) {
  if (n >= server->listener_count || server->closing)
    return -ENOENT;
  return ls_listener_address(&server->listeners[n]->listener, text, size, port);
}

bool ls_server_is_unix(const struct ls_server *server, unsigned n) {
  return server->listeners[n]->listener.family == AF_UNIX;
}

void ls_server_set_ref(struct ls_server *server, bool ref) {
  server->unref = !ref;
  if (server->closing)
    return;
  for (unsigned i = 0; i < server->listener_count; i++)
    ls_listener_set_ref(&server->listeners[i]->listener, ref);
  for (struct ls_list *link = server->connections.next; link != &server->connections; link = link->next)
    ls_stream_set_ref(&ls_container_of(link, struct ls_http1, link)->stream, ref);
}

/* ---- closing ---- */

static void on_deadlines_closed(struct ls_deadlines *deadlines) {
  struct ls_server *server = ls_container_of(deadlines, struct ls_server, deadlines);
  server->deadlines_closed = true;
  ls_server_settle(server);
}

/* Every handle starts closing as early as it can: at the end of the program what is open is closed without us. */
void ls_server_settle(struct ls_server *server) {
  if (!server->closing || server->closed)
    return;
  if (!server->deadlines_closing && (server->connection_count == 0 || server->dropped)) {
    server->deadlines_closing = true;
    ls_timer_stop(server->loop, &server->grace);
    server->deadlines.on_closed = on_deadlines_closed;
    ls_deadlines_close(&server->deadlines);
  }
  if (server->deadlines_closed && server->listening == 0 && server->connection_count == 0) {
    server->closed = true;
    server->handler->on_closed(server); /* may free it */
  }
}

/* Dropping moves no connection out of the list (that is for the close phase), so walking it is safe. */
static void drop_all(struct ls_server *server) {
  server->dropped = true;
  for (struct ls_list *link = server->connections.next; link != &server->connections; link = link->next)
    ls_http1_drop(ls_container_of(link, struct ls_http1, link), true);
}

static void on_grace(struct ls_timer *timer) {
  struct ls_server *server = ls_container_of(timer, struct ls_server, grace);
  drop_all(server);
  ls_server_settle(server);
}

static void begin_close(struct ls_server *server) {
  server->closing = true;
  for (unsigned i = 0; i < server->listener_count; i++)
    ls_listener_close(&server->listeners[i]->listener);
  for (struct ls_list *link = server->connections.next; link != &server->connections; link = link->next)
    ls_http1_drain(ls_container_of(link, struct ls_http1, link));
}

void ls_server_close(struct ls_server *server, uint64_t grace_ms) {
  if (!server->closing)
    begin_close(server);
  if (server->connection_count > 0) {
    uint64_t due = uv_hrtime() + grace_ms * NS_PER_MS;
    bool sooner = !ls_timer_is_armed(&server->grace) || due < server->grace.due;
    if (grace_ms == 0 || (sooner && ls_timer_start_at(server->loop, &server->grace, due) != 0))
      drop_all(server); /* without memory for a timer there is no grace */
  }
  ls_server_settle(server);
}

void ls_server_free(struct ls_server *server) {
  struct ls_list *link;
  while ((link = ls_list_shift(&server->idle_requests)) != NULL)
    ls_request_free(ls_container_of(link, struct ls_request, link));
  while ((link = ls_list_shift(&server->idle_connections)) != NULL)
    free(ls_container_of(link, struct ls_http1, link));
  for (unsigned i = 0; i < server->listener_count; i++)
    free(server->listeners[i]);
  ls_encode_pool_dispose(&server->encodes);
  ls_buf_pool_dispose(&server->bufs);
  free(server);
}
