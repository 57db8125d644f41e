/* SPDX-License-Identifier: MIT */
/* resolver: questions to name servers, by c-ares on the loop: a uv_poll for each of its sockets, a timer for its
 * retries. Unlike lookup it needs no thread, and it sees neither /etc/hosts nor search domains.
 *
 * c-ares keeps servers, timeout and tries in a channel, for all its queries, so there is a channel for each combination
 * in use. A server that cannot say (SERVFAIL, REFUSED, NOTIMP, FORMERR, or a lame one, which neither knows nor asks
 * others) is passed over as the C library does it: the others are asked one after the other. Only when none of them
 * can say, the first failure is told. */
#ifndef LS_LOOP_RESOLVER_H
#define LS_LOOP_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct ls_loop;
struct ls_resolver_query;

#define LS_RESOLVER_SERVERS 16 /* more are refused */

struct ls_resolver_server {
  int family; /* AF_INET or AF_INET6 */
  unsigned char address[16];
  int port; /* UDP and TCP */
};

struct ls_resolver {
  struct ls_loop *loop;
  struct ls_list channels;
  unsigned channel_count;
  struct ls_list retired; /* channels that ask servers of before, until their last query has ended */
  bool loaded;            /* servers is known */
  bool custom;            /* servers was set; else it is what the system's configuration says */
  struct ls_resolver_server servers[LS_RESOLVER_SERVERS];
  int server_count;
};

/* Needs no memory and opens nothing: that is done at the first use. */
void ls_resolver_init(struct ls_resolver *resolver, struct ls_loop *loop);

/* One question, embedded by its owner, who may free it once done was called or after a cancel. */
struct ls_question {
  const char *name;    /* only needed by ask */
  int type;            /* of record: 1 is A */
  unsigned timeout_ms; /* of the first try with a server; each further round of tries takes twice as long */
  unsigned tries;      /* with each server */
  /* Once. May be called from within ask; calls nothing of the resolver's. The loop drains after it. */
  void (*done)(struct ls_question *question);
  int status;            /* 0, or a negative code */
  unsigned char *answer; /* with status 0: the message that has the answer (loop/dns_answer.h) */
  size_t answer_len;
  struct ls_resolver_query *pending; /* NULL: not asked, or done */
};

/* Asks. 0: done comes, or has come; or a negative code: it does not come. */
int ls_resolver_ask(struct ls_resolver *resolver, struct ls_question *question);

/* Nobody wants to know any more: done is not called. Harmless when done was called. */
void ls_resolver_cancel(struct ls_question *question);

/* Frees the answer; the question itself is its owner's. */
void ls_question_dispose(struct ls_question *question);

/* The servers for questions from now on; those that are pending keep theirs. NULL: those of the system's configuration,
 * read again at the next use. count is at most LS_RESOLVER_SERVERS. */
void ls_resolver_set_servers(struct ls_resolver *resolver, const struct ls_resolver_server *servers, int count);

/* Fills in servers and server_count where the system's configuration has not been read yet. 0 or a negative code. */
int ls_resolver_load_servers(struct ls_resolver *resolver);

/* Gives up every question (done is not called) and closes everything; the resolver's memory may go at once. */
void ls_resolver_dispose(struct ls_resolver *resolver);

#endif
