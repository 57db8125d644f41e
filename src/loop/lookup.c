/* SPDX-License-Identifier: MIT */
/* lookup: the C library called directly in a job: libuv's own would bypass the lanes of its pool. Only its names for the
 * resolver's codes are used. */
#include "loop/lookup.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/list.h"

#define REVERSE_SIZE 1024       /* for the names of an address, doubled while they do not fit */
#define REVERSE_MAX_SIZE 131072 /* an answer has at most 64 KB */

/* The resolver's codes are small negative numbers that collide with those of errno. */
static int translate(int code) {
  static const struct {
    int ours, resolvers;
  } codes[] = {
      {UV_EAI_ADDRFAMILY, EAI_ADDRFAMILY}, {UV_EAI_AGAIN, EAI_AGAIN},     {UV_EAI_BADFLAGS, EAI_BADFLAGS},
      {UV_EAI_CANCELED, EAI_CANCELED},     {UV_EAI_FAIL, EAI_FAIL},       {UV_EAI_FAMILY, EAI_FAMILY},
      {UV_EAI_MEMORY, EAI_MEMORY},         {UV_EAI_NODATA, EAI_NODATA},   {UV_EAI_NONAME, EAI_NONAME},
      {UV_EAI_OVERFLOW, EAI_OVERFLOW},     {UV_EAI_SERVICE, EAI_SERVICE}, {UV_EAI_SOCKTYPE, EAI_SOCKTYPE},
  };
  if (code == 0)
    return 0;
  if (code == EAI_SYSTEM && errno != 0)
    return -errno;
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    if (codes[i].resolvers == code)
      return codes[i].ours;
  }
  return UV_EAI_FAIL;
}

static int look_up(struct ls_lookup *lookup, int flags) {
  /* One socket type, or each address would come once for every type. */
  struct addrinfo hints = {.ai_family = lookup->family, .ai_socktype = SOCK_STREAM, .ai_flags = lookup->flags | flags};
  errno = 0;
  return translate(getaddrinfo(lookup->host, NULL, &hints, &lookup->found));
}

static void run(struct ls_work *work) {
  struct ls_lookup *lookup = ls_container_of(work, struct ls_lookup, work);
  lookup->status = look_up(lookup, 0);
}

static void on_done(struct ls_work *work) {
  struct ls_lookup *lookup = ls_container_of(work, struct ls_lookup, work);
  lookup->done(lookup);
}

int ls_lookup_init(struct ls_lookup *lookup, const char *host, int family, void (*done)(struct ls_lookup *lookup)) {
  *lookup = (struct ls_lookup){.family = family, .done = done};
  lookup->work.run = run;
  lookup->work.done = on_done;
  ls_list_init(&lookup->work.link);
  lookup->host = strdup(host);
  return lookup->host != NULL ? 0 : -ENOMEM;
}

bool ls_lookup_numeric(struct ls_lookup *lookup) {
  lookup->status = look_up(lookup, AI_NUMERICHOST);
  return lookup->status == 0;
}

int ls_lookup_start(struct ls_loop *loop, struct ls_lookup *lookup) {
  return ls_work_submit(loop, &lookup->work, LS_LANE_DNS);
}

bool ls_lookup_cancel(struct ls_lookup *lookup) {
  return ls_work_cancel(&lookup->work);
}

void ls_lookup_dispose(struct ls_lookup *lookup) {
  if (lookup->found != NULL)
    freeaddrinfo(lookup->found);
  free(lookup->host);
  lookup->found = NULL;
  lookup->host = NULL;
}

int ls_lookup_text(const struct addrinfo *entry, char *text, size_t size) {
  errno = 0;
  return translate(getnameinfo(entry->ai_addr, entry->ai_addrlen, text, (socklen_t)size, NULL, 0, NI_NUMERICHOST));
}

/* ---- the names of an address ---- */

static int translate_host_error(int host_error, int error) {
  switch (host_error) {
  case HOST_NOT_FOUND:
  case NO_DATA:
    return UV_EAI_NONAME;
  case TRY_AGAIN:
    return UV_EAI_AGAIN;
  case NETDB_INTERNAL:
    return error != 0 ? -error : UV_EAI_FAIL;
  default:
    return UV_EAI_FAIL;
  }
}

static const void *raw_address(const struct sockaddr_storage *address, socklen_t *len) {
  if (address->ss_family == AF_INET) {
    *len = sizeof(struct in_addr);
    return &((const struct sockaddr_in *)address)->sin_addr;
  }
  *len = sizeof(struct in6_addr);
  return &((const struct sockaddr_in6 *)address)->sin6_addr;
}

/* ERANGE: the buffer is too small. */
static int find_names(struct ls_reverse *reverse, size_t size) {
  struct hostent *found = NULL;
  int host_error = NETDB_INTERNAL;
  socklen_t len;
  const void *raw = raw_address(&reverse->address, &len);
  int error = gethostbyaddr_r(raw, len, reverse->address.ss_family, &reverse->entry, reverse->buffer, size, &found,
                              &host_error);
  if (error == ERANGE && host_error == NETDB_INTERNAL)
    return -ERANGE;
  return found != NULL ? 0 : translate_host_error(host_error, error);
}

static void run_reverse(struct ls_work *work) {
  struct ls_reverse *reverse = ls_container_of(work, struct ls_reverse, work);
  reverse->status = -ERANGE;
  for (size_t size = REVERSE_SIZE; reverse->status == -ERANGE && size <= REVERSE_MAX_SIZE; size *= 2) {
    free(reverse->buffer);
    reverse->buffer = malloc(size);
    reverse->status = reverse->buffer != NULL ? find_names(reverse, size) : -ENOMEM;
  }
}

static void on_reverse_done(struct ls_work *work) {
  struct ls_reverse *reverse = ls_container_of(work, struct ls_reverse, work);
  reverse->done(reverse);
}

int ls_reverse_init(struct ls_reverse *reverse, const char *address, void (*done)(struct ls_reverse *reverse)) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
  struct addrinfo *found;
  *reverse = (struct ls_reverse){.done = done};
  reverse->work.run = run_reverse;
  reverse->work.done = on_reverse_done;
  ls_list_init(&reverse->work.link);
  if (getaddrinfo(address, NULL, &hints, &found) != 0)
    return UV_EINVAL;
  memcpy(&reverse->address, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return 0;
}

int ls_reverse_start(struct ls_loop *loop, struct ls_reverse *reverse) {
  return ls_work_submit(loop, &reverse->work, LS_LANE_DNS);
}

bool ls_reverse_cancel(struct ls_reverse *reverse) {
  return ls_work_cancel(&reverse->work);
}

void ls_reverse_dispose(struct ls_reverse *reverse) {
  free(reverse->buffer);
  reverse->buffer = NULL;
}
