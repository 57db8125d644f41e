/* SPDX-License-Identifier: MIT */
/* lookup: the addresses of a host name, by getaddrinfo(3), and the names of an address, by gethostbyaddr_r(3), on the
 * pool's DNS lane. */
#ifndef LS_LOOP_LOOKUP_H
#define LS_LOOP_LOOKUP_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "loop/work.h"

struct ls_loop;

/* Embedded by its owner, who may not free it between start and done (or a cancel that returned true). */
struct ls_lookup {
  struct ls_work work;
  char *host;                             /* own copy */
  int family;                             /* AF_UNSPEC, AF_INET or AF_INET6 */
  int flags;                              /* AI_ADDRCONFIG and the like: set by the owner before start; 0 at first */
  int status;                             /* once it has ended: 0, or a negative code (UV_EAI_NONAME, ...) */
  struct addrinfo *found;                 /* with status 0: one entry an address, ports 0, in getaddrinfo's order */
  void (*done)(struct ls_lookup *lookup); /* on the loop's thread; may dispose and free. The loop drains after it. */
};

/* 0 or -ENOMEM. */
int ls_lookup_init(struct ls_lookup *lookup, const char *host, int family, void (*done)(struct ls_lookup *lookup));

/* Answers at once, without done, if the host is a numeric address; false otherwise: then start. */
bool ls_lookup_numeric(struct ls_lookup *lookup);

/* 0, or a negative code: then done is not called. */
int ls_lookup_start(struct ls_loop *loop, struct ls_lookup *lookup);

/* True: it has not begun, and done will not be called. False: done comes (or it was never started). */
bool ls_lookup_cancel(struct ls_lookup *lookup);

void ls_lookup_dispose(struct ls_lookup *lookup);

/* The address of an entry as text, with its scope where it has one ("fe80::1%eth0"). 0 or a negative code. */
int ls_lookup_text(const struct addrinfo *entry, char *text, size_t size);

/* Embedded by its owner under the same rules. */
struct ls_reverse {
  struct ls_work work;
  struct sockaddr_storage address;
  int status;                               /* once it has ended: 0, or a negative code (UV_EAI_NONAME, ...) */
  struct hostent entry;                     /* with status 0: h_name, and h_aliases up to a NULL */
  char *buffer;                             /* what entry points into */
  void (*done)(struct ls_reverse *reverse); /* as ls_lookup's */
};

/* 0, or UV_EINVAL: the text is not an address. */
int ls_reverse_init(struct ls_reverse *reverse, const char *address, void (*done)(struct ls_reverse *reverse));
int ls_reverse_start(struct ls_loop *loop, struct ls_reverse *reverse);
bool ls_reverse_cancel(struct ls_reverse *reverse);
void ls_reverse_dispose(struct ls_reverse *reverse);

#endif
