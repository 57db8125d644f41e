/* SPDX-License-Identifier: MIT */
/* resolver: c-ares may call back from inside any call of it, so while one is under way its channel is busy: channels go
 * only when the outermost call has returned (leave). c-ares cannot cancel one query; one that nobody waits for runs on
 * until it ends or nobody waits for any of its channel, which then drops them all and so keeps nothing alive. */
#include "loop/resolver.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define CARES_NO_DEPRECATED /* newer ones would rather have what Debian 12's does not have */
#include <ares.h>

#include "base/error.h"
#include "loop/dns_answer.h"
#include "loop/loop.h"

#define MAX_CHANNELS 8 /* beyond them one that rests is closed for a new one; each has about 100 KB */
#define ALL_SERVERS (-1)
#define CLASS_IN 1
#define NS_PER_S UINT64_C(1000000000)

struct channel {
  struct ls_list link; /* in the resolver's channels or retired */
  struct ls_resolver *resolver;
  struct ls_loop *loop;
  ares_channel ares;
  unsigned timeout_ms, tries;
  int server;       /* index of the only one it asks, or ALL_SERVERS */
  unsigned queries; /* that c-ares has */
  unsigned waited;  /* those of them that somebody waits for */
  unsigned busy;    /* calls of c-ares under way */
  bool retired;     /* goes when its last query has ended */
  struct ls_timer timer;
  struct ls_list sockets;
};

/* A socket of c-ares. The memory is the poll handle's until its close callback. */
struct watch {
  uv_poll_t poll;
  struct ls_list link;
  struct channel *channel;
  ares_socket_t fd;
  int events;
};

struct ls_resolver_query {
  struct ls_question *question; /* NULL: nobody waits */
  struct channel *channel;
  int type;
  int failure;     /* of the first server that could not say; 0: none yet */
  int next_server; /* the one to ask then */
  char name[];
};

static void settle(struct channel *channel);

static void enter(struct channel *channel) {
  channel->busy++;
}

static void leave(struct channel *channel) {
  if (--channel->busy == 0)
    settle(channel);
}

/* ---- sockets ---- */

static void on_watch_closed(uv_handle_t *handle) {
  free(ls_container_of(handle, struct watch, poll));
}

static void close_watch(struct watch *watch) {
  ls_list_remove(&watch->link);
  uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

/* After an error libuv has stopped the handle; c-ares, which is told that both are possible, finds the error itself. */
static void on_poll(uv_poll_t *poll, int status, int events) {
  struct watch *watch = ls_container_of(poll, struct watch, poll);
  struct channel *channel = watch->channel;
  struct ls_loop *loop = channel->loop;
  bool readable = status < 0 || (events & UV_READABLE) != 0;
  bool writable = status < 0 || (events & UV_WRITABLE) != 0;
  enter(channel);
  ares_process_fd(channel->ares, readable ? watch->fd : ARES_SOCKET_BAD, writable ? watch->fd : ARES_SOCKET_BAD);
  leave(channel);
  if (status < 0 && !uv_is_closing((uv_handle_t *)poll))
    uv_poll_start(poll, watch->events, on_poll);
  ls_loop_drain(loop);
}

static struct watch *find_watch(struct channel *channel, ares_socket_t fd) {
  for (struct ls_list *link = channel->sockets.next; link != &channel->sockets; link = link->next) {
    struct watch *watch = ls_container_of(link, struct watch, link);
    if (watch->fd == fd)
      return watch;
  }
  return NULL;
}

static struct watch *add_watch(struct channel *channel, ares_socket_t fd) {
  struct watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL)
    return NULL;
  if (uv_poll_init(&channel->loop->uv, &watch->poll, fd) != 0) {
    free(watch);
    return NULL;
  }
  watch->channel = channel;
  watch->fd = fd;
  ls_list_push(&channel->sockets, &watch->link);
  return watch;
}

/* c-ares tells what it waits for; nothing: it is about to close the socket. One that cannot be watched (no memory) is as
 * good as one that never answers: its queries time out. */
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable) {
  struct channel *channel = data;
  struct watch *watch = find_watch(channel, fd);
  if (!readable && !writable) {
    if (watch != NULL)
      close_watch(watch);
    return;
  }
  if (watch == NULL)
    watch = add_watch(channel, fd);
  if (watch == NULL)
    return;
  watch->events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
  uv_poll_start(&watch->poll, watch->events, on_poll);
}

/* ---- channels ---- */

static void destroy(struct channel *channel) {
  channel->busy++; /* its queries end in here */
  if (!channel->retired)
    channel->resolver->channel_count--;
  ls_list_remove(&channel->link);
  ls_timer_stop(channel->loop, &channel->timer);
  ares_destroy(channel->ares);
  while (!ls_list_is_empty(&channel->sockets))
    close_watch(ls_container_of(channel->sockets.next, struct watch, link));
  free(channel);
}

/* Without memory for the timer the time-outs come late, with the next event. */
static void arm(struct channel *channel) {
  struct timeval left;
  if (ares_timeout(channel->ares, NULL, &left) == NULL)
    ls_timer_stop(channel->loop, &channel->timer);
  else
    ls_timer_start(channel->loop, &channel->timer, (uint64_t)left.tv_sec * NS_PER_S + (uint64_t)left.tv_usec * 1000);
}

/* After each call of c-ares. The channel may be gone when this returns. */
static void settle(struct channel *channel) {
  if (channel->queries > 0 && channel->waited == 0) {
    channel->busy++;
    ares_cancel(channel->ares);
    channel->busy--;
  }
  if (channel->retired && channel->queries == 0)
    destroy(channel);
  else
    arm(channel);
}

static void on_timer(struct ls_timer *timer) {
  struct channel *channel = ls_container_of(timer, struct channel, timer);
  enter(channel);
  ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  leave(channel);
}

static int translate(int status) {
  static const struct {
    int ares, ours;
  } codes[] = {
      {ARES_ENODATA, LS_ENODATA},     {ARES_EFORMERR, LS_EFORMERR}, {ARES_ESERVFAIL, LS_ESERVFAIL},
      {ARES_ENOTFOUND, LS_ENOTFOUND}, {ARES_ENOTIMP, LS_ENOTIMP},   {ARES_EREFUSED, LS_EREFUSED},
      {ARES_EBADNAME, LS_EBADNAME},   {ARES_EBADRESP, LS_EBADRESP}, {ARES_ECONNREFUSED, -ECONNREFUSED},
      {ARES_ETIMEOUT, -ETIMEDOUT},    {ARES_ENOMEM, -ENOMEM},       {ARES_EDESTRUCTION, -ECANCELED},
      {ARES_ECANCELLED, -ECANCELED},
  };
  if (status == ARES_SUCCESS)
    return 0;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    if (codes[i].ares == status)
      return codes[i].ours;
  }
  return -EIO;
}

/* NOCHECKRESP: c-ares says "connection refused" for SERVFAIL and its like unless they are left to us. Everything is
 * given explicitly, because the defaults have changed between its versions. */
static int open_ares(ares_channel *ares, unsigned timeout_ms, unsigned tries, struct channel *channel) {
  struct ares_options options = {
      .flags = ARES_FLAG_NOCHECKRESP,
      .timeout = (int)timeout_ms,
      .tries = (int)tries,
      .sock_state_cb = on_socket_state,
      .sock_state_cb_data = channel,
  };
  int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_NOROTATE;
#ifdef ARES_OPT_QUERY_CACHE
  mask |= ARES_OPT_QUERY_CACHE; /* and no seconds to cache for */
#endif
  return translate(ares_init_options(ares, &options, mask));
}

static int use_servers(ares_channel ares, const struct ls_resolver_server *servers, int count) {
  struct ares_addr_port_node nodes[LS_RESOLVER_SERVERS] = {0};
  for (int i = 0; i < count; i++) {
    nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
    nodes[i].family = servers[i].family;
    nodes[i].udp_port = nodes[i].tcp_port = servers[i].port;
    memcpy(&nodes[i].addr, servers[i].address, servers[i].family == AF_INET ? 4 : 16);
  }
  return translate(ares_set_servers_ports(ares, nodes));
}

/* A link-local server of the system's keeps its scope only in the channel that reads the configuration itself. */
static int open_channel(struct channel *channel) {
  const struct ls_resolver *resolver = channel->resolver;
  int status = open_ares(&channel->ares, channel->timeout_ms, channel->tries, channel);
  if (status != 0)
    return status;
  if (channel->server != ALL_SERVERS)
    status = use_servers(channel->ares, &resolver->servers[channel->server], 1);
  else if (resolver->custom)
    status = use_servers(channel->ares, resolver->servers, resolver->server_count);
  if (status != 0)
    ares_destroy(channel->ares);
  return status;
}

static int new_channel(struct ls_resolver *resolver, unsigned timeout_ms, unsigned tries, int server,
                       struct channel **made) {
  struct channel *channel = calloc(1, sizeof *channel);
  if (channel == NULL)
    return -ENOMEM;
  channel->resolver = resolver;
  channel->loop = resolver->loop;
  channel->timeout_ms = timeout_ms;
  channel->tries = tries;
  channel->server = server;
  channel->timer.fire = on_timer;
  ls_list_init(&channel->sockets);
  ls_list_init(&channel->link);
  int status = open_channel(channel);
  if (status != 0) {
    free(channel);
    return status;
  }
  ls_list_push(&resolver->channels, &channel->link);
  resolver->channel_count++;
  *made = channel;
  return 0;
}

static void close_resting(struct ls_resolver *resolver) {
  struct ls_list *link = resolver->channels.next;
  while (resolver->channel_count >= MAX_CHANNELS && link != &resolver->channels) {
    struct channel *channel = ls_container_of(link, struct channel, link);
    link = link->next;
    if (channel->queries == 0 && channel->busy == 0)
      destroy(channel);
  }
}

static int get_channel(struct ls_resolver *resolver, unsigned timeout_ms, unsigned tries, int server,
                       struct channel **channel) {
  for (struct ls_list *link = resolver->channels.next; link != &resolver->channels; link = link->next) {
    *channel = ls_container_of(link, struct channel, link);
    if ((*channel)->timeout_ms == timeout_ms && (*channel)->tries == tries && (*channel)->server == server)
      return 0;
  }
  close_resting(resolver);
  return new_channel(resolver, timeout_ms, tries, server, channel);
}

/* ---- questions ---- */

static void finish(struct ls_resolver_query *query, int status, const unsigned char *answer, int len) {
  struct ls_question *question = query->question;
  free(query);
  question->pending = NULL;
  if (status == 0) {
    question->answer = malloc((size_t)len);
    if (question->answer == NULL)
      status = -ENOMEM;
    else
      memcpy(question->answer, answer, question->answer_len = (size_t)len);
  }
  question->status = status;
  question->done(question);
}

/* What the answer says. c-ares takes an rcode that it does not know for success. */
static int judge(int status, const unsigned char *answer, int len) {
  int code = translate(status);
  bool lame = answer != NULL && ls_dns_answer_is_lame(answer, (size_t)len);
  if (lame || (code == 0 && ls_dns_answer_rcode(answer, (size_t)len) != 0))
    return LS_ESERVFAIL;
  return code;
}

static bool cannot_say(int code) {
  return code == LS_ESERVFAIL || code == LS_EREFUSED || code == LS_ENOTIMP || code == LS_EFORMERR;
}

static void send_query(struct ls_resolver_query *query, struct channel *channel);

/* The others after the first: it is the one that most probably has answered. */
static bool ask_next_server(struct ls_resolver_query *query) {
  struct channel *last = query->channel;
  struct ls_resolver *resolver = last->resolver;
  struct channel *channel;
  /* Retired: the resolver has other servers now. */
  if (last->retired || query->next_server >= resolver->server_count)
    return false;
  if (get_channel(resolver, last->timeout_ms, last->tries, query->next_server, &channel) != 0)
    return false;
  query->next_server++;
  send_query(query, channel);
  return true;
}

/* From c-ares. */
static void on_answer(void *data, int status, int timeouts, unsigned char *answer, int len) {
  struct ls_resolver_query *query = data;
  (void)timeouts;
  query->channel->queries--;
  if (query->question == NULL) {
    free(query);
    return;
  }
  query->channel->waited--;
  int code = judge(status, answer, len);
  if (code == -ECANCELED) {
    query->question->pending = NULL; /* the resolver goes */
    free(query);
    return;
  }
  if (cannot_say(code) && query->failure == 0)
    query->failure = code;
  bool answered = code == 0 || code == LS_ENOTFOUND || code == LS_ENODATA;
  if (answered || query->failure == 0)
    finish(query, code, answer, len);
  else if (!ask_next_server(query))
    finish(query, query->failure, NULL, 0);
}

static void send_query(struct ls_resolver_query *query, struct channel *channel) {
  query->channel = channel;
  channel->queries++;
  channel->waited++;
  enter(channel);
  ares_query(channel->ares, query->name, CLASS_IN, query->type, on_answer, query);
  leave(channel);
}

int ls_resolver_ask(struct ls_resolver *resolver, struct ls_question *question) {
  struct channel *channel;
  int status = ls_resolver_load_servers(resolver);
  if (status == 0)
    status = get_channel(resolver, question->timeout_ms, question->tries, ALL_SERVERS, &channel);
  if (status != 0)
    return status;
  size_t size = strlen(question->name) + 1;
  struct ls_resolver_query *query = calloc(1, sizeof *query + size);
  if (query == NULL)
    return -ENOMEM;
  query->question = question;
  query->type = question->type;
  query->next_server = 1;
  memcpy(query->name, question->name, size);
  question->pending = query;
  send_query(query, channel);
  return 0;
}

void ls_resolver_cancel(struct ls_question *question) {
  struct ls_resolver_query *query = question->pending;
  if (query == NULL)
    return;
  question->pending = NULL;
  question->status = -ECANCELED;
  query->question = NULL;
  struct channel *channel = query->channel;
  channel->waited--;
  enter(channel);
  leave(channel);
}

void ls_question_dispose(struct ls_question *question) {
  free(question->answer);
  question->answer = NULL;
}

/* ---- servers, and the end ---- */

void ls_resolver_init(struct ls_resolver *resolver, struct ls_loop *loop) {
  *resolver = (struct ls_resolver){.loop = loop};
  ls_list_init(&resolver->channels);
  ls_list_init(&resolver->retired);
}

static void retire_all(struct ls_resolver *resolver) {
  struct ls_list *link;
  while ((link = ls_list_shift(&resolver->channels)) != NULL) {
    struct channel *channel = ls_container_of(link, struct channel, link);
    channel->retired = true;
    ls_list_push(&resolver->retired, &channel->link);
    enter(channel);
    leave(channel);
  }
  resolver->channel_count = 0;
}

void ls_resolver_set_servers(struct ls_resolver *resolver, const struct ls_resolver_server *servers, int count) {
  retire_all(resolver);
  resolver->custom = resolver->loaded = servers != NULL;
  resolver->server_count = count;
  if (servers != NULL)
    memcpy(resolver->servers, servers, (size_t)count * sizeof *servers);
}

static void copy_servers(struct ls_resolver *resolver, const struct ares_addr_port_node *node) {
  for (resolver->server_count = 0; node != NULL && resolver->server_count < LS_RESOLVER_SERVERS; node = node->next) {
    struct ls_resolver_server *server = &resolver->servers[resolver->server_count++];
    *server = (struct ls_resolver_server){.family = node->family, .port = node->udp_port};
    if (server->port == 0)
      server->port = 53;
    memcpy(server->address, &node->addr, node->family == AF_INET ? 4 : 16);
  }
}

int ls_resolver_load_servers(struct ls_resolver *resolver) {
  struct ares_addr_port_node *nodes;
  ares_channel ares;
  if (resolver->loaded)
    return 0;
  int status = open_ares(&ares, 1000, 1, NULL); /* asks nothing, so no socket has a state */
  if (status != 0)
    return status;
  status = translate(ares_get_servers_ports(ares, &nodes));
  if (status == 0) {
    copy_servers(resolver, nodes);
    ares_free_data(nodes);
    resolver->loaded = true;
  }
  ares_destroy(ares);
  return status;
}

void ls_resolver_dispose(struct ls_resolver *resolver) {
  retire_all(resolver);
  while (!ls_list_is_empty(&resolver->retired))
    destroy(ls_container_of(resolver->retired.next, struct channel, link));
}
