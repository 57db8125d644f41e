/* SPDX-License-Identifier: MIT */
#include "loop/link.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "loop/loop.h"

struct message {
  struct ls_list link;
  struct ls_buf body;
};

static void init_end(struct ls_link *link, int index) {
  struct ls_link_end *end = &link->ends[index];
  *end = (struct ls_link_end){.link = link, .peer = &link->ends[1 - index]};
  ls_list_init(&end->inbox);
}

int ls_link_init(struct ls_link *link) {
  init_end(link, 0);
  init_end(link, 1);
  return -pthread_mutex_init(&link->mutex, NULL);
}

static void free_message(struct message *message) {
  ls_buf_dispose(&message->body);
  free(message);
}

void ls_link_dispose(struct ls_link *link) {
  for (int i = 0; i < 2; i++) {
    struct ls_list *first;
    while ((first = ls_list_shift(&link->ends[i].inbox)) != NULL)
      free_message(ls_container_of(first, struct message, link));
  }
  pthread_mutex_destroy(&link->mutex);
}

/* ---- under the mutex ---- */

static void wake(struct ls_link_end *end) {
  if (end->open)
    uv_async_send(&end->async);
}

static size_t cost_of(const struct ls_buf *body) {
  return sizeof(struct message) + body->cap;
}

static bool has_room(const struct ls_link_end *end, const struct ls_buf *body) {
  return end->count == 0 || (end->count < LS_LINK_COUNT && end->bytes + cost_of(body) <= LS_LINK_BYTES);
}

static bool is_half_empty(const struct ls_link_end *end) {
  return end->count <= LS_LINK_COUNT / 2 && end->bytes <= LS_LINK_BYTES / 2;
}

static int put(struct ls_link_end *to, struct message *message) {
  if (to->closed)
    return LS_ECLOSED;
  if (!has_room(to, &message->body)) {
    to->wanted = true;
    return -EAGAIN;
  }
  ls_list_push(&to->inbox, &message->link);
  to->bytes += cost_of(&message->body);
  to->count++;
  wake(to);
  return 0;
}

static struct message *take(struct ls_link_end *end) {
  struct ls_list *first = ls_list_shift(&end->inbox);
  if (first == NULL)
    return NULL;
  struct message *message = ls_container_of(first, struct message, link);
  end->bytes -= cost_of(&message->body);
  end->count--;
  if (end->wanted && is_half_empty(end)) {
    end->wanted = false;
    wake(end->peer);
  }
  return message;
}

/* ---- the ends ---- */

static void on_async(uv_async_t *async) {
  struct ls_link_end *end = ls_container_of(async, struct ls_link_end, async);
  struct ls_loop *loop = ls_loop_of((uv_handle_t *)async);
  end->on_event(end);
  ls_loop_drain(loop);
}

int ls_link_open(struct ls_link_end *end, struct ls_loop *loop, void (*on_event)(struct ls_link_end *end)) {
  int status = uv_async_init(&loop->uv, &end->async, on_async);
  if (status != 0)
    return status;
  uv_unref((uv_handle_t *)&end->async);
  end->on_event = on_event;
  pthread_mutex_lock(&end->link->mutex);
  end->open = true;
  pthread_mutex_unlock(&end->link->mutex);
  return 0;
}

void ls_link_close(struct ls_link_end *end, uv_close_cb on_closed) {
  pthread_mutex_lock(&end->link->mutex);
  bool open = end->open;
  end->open = false;
  end->closed = true;
  wake(end->peer);
  pthread_mutex_unlock(&end->link->mutex);
  if (open)
    uv_close((uv_handle_t *)&end->async, on_closed);
}

int ls_link_put(struct ls_link_end *end, struct ls_buf *body) {
  struct message *message = malloc(sizeof *message);
  if (message == NULL)
    return -ENOMEM;
  ls_list_init(&message->link);
  message->body = *body;
  pthread_mutex_lock(&end->link->mutex);
  int status = put(end->peer, message);
  pthread_mutex_unlock(&end->link->mutex);
  if (status == 0)
    ls_buf_init(body);
  else
    free(message);
  return status;
}

unsigned ls_link_count(struct ls_link_end *end, bool *closed) {
  pthread_mutex_lock(&end->link->mutex);
  unsigned count = end->count;
  *closed = end->peer->closed;
  pthread_mutex_unlock(&end->link->mutex);
  return count;
}

bool ls_link_take(struct ls_link_end *end, struct ls_buf *body) {
  pthread_mutex_lock(&end->link->mutex);
  struct message *message = take(end);
  pthread_mutex_unlock(&end->link->mutex);
  if (message == NULL)
    return false;
  *body = message->body;
  free(message);
  return true;
}

void ls_link_wake(struct ls_link_end *end) {
  pthread_mutex_lock(&end->link->mutex);
  wake(end);
  pthread_mutex_unlock(&end->link->mutex);
}
