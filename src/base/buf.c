/* SPDX-License-Identifier: MIT */
/* buf: a growable run of bytes with a cheap front, and a few of them kept warm.
 *
 * Room at the back is made in the cheapest way that works: the consumed front is reused by moving the bytes down when
 * it is at least as large as what has to be moved (so that a byte is moved a bounded number of times), else the memory
 * doubles. The memory stays with the buffer until it is disposed of or given to a pool. */
#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
  FIRST_SIZE = 256,
  KEPT_SIZE_MAX = 64 * 1024,
};

void ls_buf_dispose(struct ls_buf *buf) {
  free(buf->data);
  ls_buf_init(buf);
}

static void move_to_front(struct ls_buf *buf) {
  if (buf->start == 0)
    return;
  if (buf->len != 0)
    memmove(buf->data, buf->data + buf->start, buf->len);
  buf->start = 0;
}

/* The size to grow to: twice what there is, as often as it takes. 0 where that does not fit into a size_t. */
static size_t grown_size(size_t cap, size_t need) {
  size_t size = cap < FIRST_SIZE ? FIRST_SIZE : cap;
  while (size < need) {
    if (size > SIZE_MAX / 2)
      return 0;
    size *= 2;
  }
  return size;
}

/* New memory rather than realloc where a front was consumed: realloc would copy the consumed bytes as well. */
static int grow(struct ls_buf *buf, size_t need) {
  size_t size = grown_size(buf->cap, need);
  if (size == 0 || size > PTRDIFF_MAX)
    return -ENOMEM;
  char *data;
  if (buf->start == 0) {
    data = realloc(buf->data, size);
    if (data == NULL)
      return -ENOMEM;
  } else {
    data = malloc(size);
    if (data == NULL)
      return -ENOMEM;
    if (buf->len != 0)
      memcpy(data, buf->data + buf->start, buf->len);
    free(buf->data);
  }
  buf->data = data;
  buf->start = 0;
  buf->cap = size;
  return 0;
}

int ls_buf_reserve(struct ls_buf *buf, size_t extra) {
  if (extra <= buf->cap - buf->start - buf->len)
    return 0;
  if (extra > SIZE_MAX - buf->len)
    return -ENOMEM;
  if (buf->len + extra > buf->cap)
    return grow(buf, buf->len + extra);
  /* It fits after a move. When most bytes would have to move, memory that doubles costs the same copy, once. */
  if (buf->start < buf->len && grow(buf, buf->cap + 1) == 0)
    return 0;
  move_to_front(buf);
  return 0;
}

int ls_buf_append_slow(struct ls_buf *buf, const void *bytes, size_t n) {
  int rc = ls_buf_reserve(buf, n);
  if (rc != 0)
    return rc;
  memcpy(buf->data + buf->start + buf->len, bytes, n);
  buf->len += n;
  return 0;
}

void ls_buf_consume(struct ls_buf *buf, size_t n) {
  assert(n <= buf->len);
  buf->start += n;
  buf->len -= n;
  if (buf->len == 0)
    buf->start = 0;
}

void ls_buf_pool_init(struct ls_buf_pool *pool) {
  *pool = (struct ls_buf_pool){0};
}

void ls_buf_pool_dispose(struct ls_buf_pool *pool) {
  while (pool->count > 0)
    ls_buf_dispose(&pool->kept[--pool->count]);
}

void ls_buf_pool_take(struct ls_buf_pool *pool, struct ls_buf *buf) {
  if (buf->data != NULL || pool->count == 0)
    return;
  *buf = pool->kept[--pool->count];
}

void ls_buf_pool_give(struct ls_buf_pool *pool, struct ls_buf *buf) {
  const unsigned room = sizeof pool->kept / sizeof pool->kept[0];
  if (buf->data == NULL || buf->cap > KEPT_SIZE_MAX || pool->count == room) {
    ls_buf_dispose(buf);
    return;
  }
  ls_buf_clear(buf);
  pool->kept[pool->count++] = *buf;
  ls_buf_init(buf);
}
