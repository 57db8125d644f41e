/* SPDX-License-Identifier: MIT */
/* dialer: each attempt has memory of its own, because its handle closes later than the dialer is done with it. */
#include "loop/dialer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "loop/connector.h"
#include "loop/loop.h"

struct attempt {
  struct ls_connector connector;
  struct ls_dialer *dialer; /* NULL: given up, or it has answered */
  struct ls_list link;
  size_t index; /* of its address */
};

int ls_dialer_add(struct ls_dialer *dialer, const struct sockaddr *address, socklen_t len) {
  if (dialer->count == dialer->cap) {
    size_t cap = dialer->cap > 0 ? dialer->cap * 2 : 4;
    struct ls_dialer_address *addresses = realloc(dialer->addresses, cap * sizeof *addresses);
    if (addresses == NULL)
      return -ENOMEM;
    dialer->addresses = addresses;
    dialer->cap = cap;
  }
  struct ls_dialer_address *added = &dialer->addresses[dialer->count++];
  memcpy(&added->address, address, len);
  added->len = len;
  return 0;
}

static void give_up(struct ls_dialer *dialer) {
  if (dialer->loop == NULL)
    return; /* never started */
  ls_timer_stop(dialer->loop, &dialer->timer);
  for (struct ls_list *link; (link = ls_list_shift(&dialer->attempts)) != NULL;) {
    struct attempt *attempt = ls_container_of(link, struct attempt, link);
    attempt->dialer = NULL;
    ls_connector_cancel(&attempt->connector);
  }
}

void ls_dialer_dispose(struct ls_dialer *dialer) {
  give_up(dialer);
  free(dialer->addresses);
  dialer->addresses = NULL;
  dialer->count = dialer->cap = dialer->next = 0;
}

static void finish(struct ls_dialer *dialer, int fd, int status) {
  give_up(dialer);
  dialer->on_done(dialer, fd, status);
}

/* Whether a failure says nothing about the other end: this machine has no such family, address or route. */
static bool is_local(int status) {
  return status == -ENETUNREACH || status == -EADDRNOTAVAIL || status == -EAFNOSUPPORT;
}

static void note_failure(struct ls_dialer *dialer, size_t index, int status) {
  bool is_first = dialer->status == 0;
  bool is_earlier = index < dialer->told && is_local(status) == is_local(dialer->status);
  if (is_first || is_earlier || (is_local(dialer->status) && !is_local(status))) {
    dialer->status = status;
    dialer->told = index;
  }
}

static void go_on(struct ls_dialer *dialer);

static void on_connected(struct ls_connector *connector, int fd, int status) {
  struct attempt *attempt = ls_container_of(connector, struct attempt, connector);
  struct ls_dialer *dialer = attempt->dialer;
  attempt->dialer = NULL;
  ls_list_remove(&attempt->link);
  if (status != 0) {
    note_failure(dialer, attempt->index, status);
    go_on(dialer);
    return;
  }
  dialer->told = attempt->index;
  finish(dialer, fd, 0);
}

static void on_attempt_closed(struct ls_connector *connector) {
  free(ls_container_of(connector, struct attempt, connector));
}

/* 0 or a negative code. */
static int start_attempt(struct ls_dialer *dialer, size_t index) {
  const struct ls_dialer_address *to = &dialer->addresses[index];
  struct attempt *attempt = calloc(1, sizeof *attempt);
  if (attempt == NULL)
    return -ENOMEM;
  attempt->dialer = dialer;
  attempt->index = index;
  attempt->connector.on_connected = on_connected;
  attempt->connector.on_closed = on_attempt_closed;
  int status = ls_connector_start(dialer->loop, &attempt->connector, (const struct sockaddr *)&to->address, to->len);
  if (status != 0) {
    free(attempt);
    return status;
  }
  ls_list_push(&dialer->attempts, &attempt->link);
  return 0;
}

/* Starts with the next address; when there is none and none runs, that was it. */
static void go_on(struct ls_dialer *dialer) {
  while (dialer->next < dialer->count) {
    size_t index = dialer->next++;
    int status = start_attempt(dialer, index);
    if (status == 0) {
      /* Without a timer (no memory) the next one starts when this one has failed. */
      if (dialer->delay_ns > 0 && dialer->next < dialer->count)
        ls_timer_start(dialer->loop, &dialer->timer, dialer->delay_ns);
      else
        ls_timer_stop(dialer->loop, &dialer->timer);
      return;
    }
    note_failure(dialer, index, status);
  }
  if (ls_list_is_empty(&dialer->attempts))
    finish(dialer, -1, dialer->status);
}

static void on_head_start_over(struct ls_timer *timer) {
  go_on(ls_container_of(timer, struct ls_dialer, timer));
}

/* The next address of another family than the one before it; count when there is none. */
static size_t find_other(const struct ls_dialer *dialer, size_t i) {
  int family = dialer->addresses[i - 1].address.ss_family;
  while (i < dialer->count && dialer->addresses[i].address.ss_family == family)
    i++;
  return i;
}

/* Families take turns, beginning with that of the first address; in each of them the order stays. */
static void interleave(struct ls_dialer *dialer) {
  struct ls_dialer_address *addresses = dialer->addresses;
  for (size_t i = 1; i < dialer->count; i++) {
    size_t other = find_other(dialer, i);
    if (other == dialer->count)
      return;
    struct ls_dialer_address moved = addresses[other];
    memmove(&addresses[i + 1], &addresses[i], (other - i) * sizeof *addresses);
    addresses[i] = moved;
  }
}

void ls_dialer_start(struct ls_loop *loop, struct ls_dialer *dialer) {
  dialer->loop = loop;
  dialer->next = dialer->told = 0;
  dialer->status = 0;
  dialer->timer.fire = on_head_start_over;
  ls_list_init(&dialer->attempts);
  interleave(dialer);
  go_on(dialer);
}
