/* SPDX-License-Identifier: MIT */
/* lookup: getaddrinfo called directly in a job: libuv's own would bypass the lanes of its pool. Only its names for the
 * resolver's codes are used. */
#include "loop/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/list.h"

/* The resolver's codes are small negative numbers that collide with those of errno. */
static int translate(int code) {
  switch (code) {
  case 0:
    return 0;
  case EAI_ADDRFAMILY:
    return UV_EAI_ADDRFAMILY;
  case EAI_AGAIN:
    return UV_EAI_AGAIN;
  case EAI_BADFLAGS:
    return UV_EAI_BADFLAGS;
  case EAI_CANCELED:
    return UV_EAI_CANCELED;
  case EAI_FAIL:
    return UV_EAI_FAIL;
  case EAI_FAMILY:
    return UV_EAI_FAMILY;
  case EAI_MEMORY:
    return UV_EAI_MEMORY;
  case EAI_NODATA:
    return UV_EAI_NODATA;
  case EAI_NONAME:
    return UV_EAI_NONAME;
  case EAI_OVERFLOW:
    return UV_EAI_OVERFLOW;
  case EAI_SERVICE:
    return UV_EAI_SERVICE;
  case EAI_SOCKTYPE:
    return UV_EAI_SOCKTYPE;
  case EAI_SYSTEM:
    return errno != 0 ? -errno : UV_EAI_FAIL;
  default:
    return UV_EAI_FAIL;
  }
}

static int look_up(struct ls_lookup *lookup, int flags) {
  /* One socket type, or each address would come once for every type. */
  struct addrinfo hints = {.ai_family = lookup->family, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
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
