/* SPDX-License-Identifier: MIT */
/* buf: a growable run of bytes with a cheap front.
 *
 *   data            start               start + len        cap
 *    |  consumed      |   the bytes        |   free         |
 */
#ifndef LS_BASE_BUF_H
#define LS_BASE_BUF_H

#include <stddef.h>
#include <string.h>

struct ls_buf {
  char *data;   /* malloc'ed, or NULL while cap is 0 */
  size_t start; /* bytes already consumed */
  size_t len;   /* bytes held */
  size_t cap;   /* bytes allocated */
};

/* An empty buffer owns nothing; zeroed memory is one too. */
static inline void ls_buf_init(struct ls_buf *buf) {
  *buf = (struct ls_buf){0};
}

/* Frees the memory; the buffer is empty and usable afterwards. */
void ls_buf_dispose(struct ls_buf *buf);

static inline char *ls_buf_bytes(const struct ls_buf *buf) {
  return buf->data + buf->start;
}

/* Makes room for extra more bytes after the held ones. 0, or -ENOMEM with the buffer unchanged. */
int ls_buf_reserve(struct ls_buf *buf, size_t extra);

/* The part of ls_buf_append that makes room first. */
int ls_buf_append_slow(struct ls_buf *buf, const void *bytes, size_t n);

/* Appends n bytes, which are not the buffer's own. 0, or -ENOMEM with the buffer unchanged. */
static inline int ls_buf_append(struct ls_buf *buf, const void *bytes, size_t n) {
  if (n == 0)
    return 0;
  if (n > buf->cap - buf->start - buf->len)
    return ls_buf_append_slow(buf, bytes, n);
  memcpy(buf->data + buf->start + buf->len, bytes, n);
  buf->len += n;
  return 0;
}

/* Drops n bytes (at most len) from the front without moving the rest. */
void ls_buf_consume(struct ls_buf *buf, size_t n);

/* Forgets the bytes and keeps the memory. */
static inline void ls_buf_clear(struct ls_buf *buf) {
  buf->start = 0;
  buf->len = 0;
}

/* A few buffers kept warm, so that a connection holds memory only while it has bytes to hold. */
struct ls_buf_pool {
  struct ls_buf kept[16];
  unsigned count;
};

void ls_buf_pool_init(struct ls_buf_pool *pool);
void ls_buf_pool_dispose(struct ls_buf_pool *pool);

/* Fills the empty buf with warm memory if there is some (else it stays empty: reserve still works). */
void ls_buf_pool_take(struct ls_buf_pool *pool, struct ls_buf *buf);

/* Takes the memory of buf back (frees it where the pool is full or it grew over 64 KiB); buf is empty afterwards. */
void ls_buf_pool_give(struct ls_buf_pool *pool, struct ls_buf *buf);

#endif
