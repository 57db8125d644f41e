/* SPDX-License-Identifier: MIT */
/* buf_test: bytes that come at the back and leave at the front. */
#include "base/buf.h"

#include <errno.h>
#include <stdint.h>

#include "check.h"

static void append_and_consume(void) {
  struct ls_buf buf;
  ls_buf_init(&buf);
  CHECK_INT(ls_buf_append(&buf, "", 0), 0);
  CHECK(buf.data == NULL);
  CHECK_INT(ls_buf_append(&buf, "hello ", 6), 0);
  CHECK_INT(ls_buf_append(&buf, "world", 5), 0);
  CHECK_BYTES(ls_buf_bytes(&buf), buf.len, "hello world");
  CHECK_INT(buf.cap, 256);
  ls_buf_consume(&buf, 6);
  CHECK_BYTES(ls_buf_bytes(&buf), buf.len, "world");
  CHECK_INT(buf.start, 6);
  ls_buf_consume(&buf, 5);
  CHECK_INT(buf.len, 0);
  CHECK_INT(buf.start, 0);
  ls_buf_dispose(&buf);
  CHECK(buf.data == NULL && buf.cap == 0);
  CHECK_INT(ls_buf_append(&buf, "again", 5), 0);
  CHECK_BYTES(ls_buf_bytes(&buf), buf.len, "again");
  ls_buf_clear(&buf);
  CHECK_INT(buf.len, 0);
  CHECK(buf.data != NULL);
  ls_buf_dispose(&buf);
}

static void memory_doubles(void) {
  struct ls_buf buf = {0};
  CHECK_INT(ls_buf_reserve(&buf, 256), 0);
  CHECK_INT(buf.cap, 256);
  CHECK_INT(ls_buf_reserve(&buf, 257), 0);
  CHECK_INT(buf.cap, 512);
  CHECK_INT(ls_buf_reserve(&buf, 5000), 0);
  CHECK_INT(buf.cap, 8192);
  CHECK_INT(buf.len, 0);
  ls_buf_dispose(&buf);
}

static void reserve_keeps_the_bytes_when_memory_runs_out(void) {
  struct ls_buf buf = {0};
  CHECK_INT(ls_buf_append(&buf, "kept", 4), 0);
  CHECK_INT(ls_buf_reserve(&buf, SIZE_MAX), -ENOMEM);
  CHECK_INT(ls_buf_reserve(&buf, SIZE_MAX - 4), -ENOMEM);
  CHECK_INT(ls_buf_reserve(&buf, (size_t)PTRDIFF_MAX), -ENOMEM);
  CHECK_BYTES(ls_buf_bytes(&buf), buf.len, "kept");
  ls_buf_dispose(&buf);
}

static void consumed_front_is_used_again(void) {
  struct ls_buf buf = {0};
  char block[200];
  memset(block, 'a', sizeof block);
  CHECK_INT(ls_buf_append(&buf, block, sizeof block), 0);
  ls_buf_consume(&buf, 150);
  memset(block, 'b', sizeof block);
  CHECK_INT(ls_buf_append(&buf, block, sizeof block), 0);
  CHECK_INT(buf.cap, 256);
  CHECK_INT(buf.start, 0);
  CHECK_INT(buf.len, 250);
  CHECK(ls_buf_bytes(&buf)[49] == 'a' && ls_buf_bytes(&buf)[50] == 'b');
  ls_buf_dispose(&buf);
}

/* One byte out, one byte in, on a full buffer: a move for each would copy everything each time. */
static void nearly_full_buffer_grows_instead_of_moving(void) {
  struct ls_buf buf = {0};
  char block[256];
  memset(block, 'a', sizeof block);
  CHECK_INT(ls_buf_append(&buf, block, sizeof block), 0);
  ls_buf_consume(&buf, 1);
  CHECK_INT(ls_buf_append(&buf, "z", 1), 0);
  CHECK_INT(buf.cap, 512);
  CHECK_INT(buf.len, 256);
  CHECK(ls_buf_bytes(&buf)[0] == 'a' && ls_buf_bytes(&buf)[255] == 'z');
  for (int i = 0; i < 100000; i++) {
    ls_buf_consume(&buf, 1);
    CHECK_INT(ls_buf_append(&buf, "y", 1), 0);
  }
  CHECK_INT(buf.len, 256);
  CHECK(buf.cap <= 1024);
  ls_buf_dispose(&buf);
}

/* Against a plain array that is shifted: any order of appends and consumes gives the same bytes. */
static void any_mix_gives_the_bytes_in_order(void) {
  struct ls_buf buf = {0};
  unsigned seed = 7;
  unsigned char in = 0, out = 0;
  for (int round = 0; round < 3000; round++) {
    seed = seed * 1103515245u + 12345u;
    size_t n = (seed >> 16) % 700;
    for (size_t i = 0; i < n; i++, in++)
      CHECK_INT(ls_buf_append(&buf, &in, 1), 0);
    seed = seed * 1103515245u + 12345u;
    size_t take = (seed >> 16) % (buf.len + 1);
    for (size_t i = 0; i < take; i++, out++)
      CHECK_INT((unsigned char)ls_buf_bytes(&buf)[i], out);
    ls_buf_consume(&buf, take);
  }
  ls_buf_dispose(&buf);
}

static void pool_keeps_memory_warm(void) {
  struct ls_buf_pool pool;
  ls_buf_pool_init(&pool);
  struct ls_buf buf = {0};
  ls_buf_pool_take(&pool, &buf);
  CHECK(buf.data == NULL);
  CHECK_INT(ls_buf_append(&buf, "bytes", 5), 0);
  ls_buf_consume(&buf, 2);
  char *memory = buf.data;
  ls_buf_pool_give(&pool, &buf);
  CHECK(buf.data == NULL && buf.cap == 0 && buf.len == 0);
  ls_buf_pool_take(&pool, &buf);
  CHECK(buf.data == memory);
  CHECK(buf.start == 0 && buf.len == 0 && buf.cap == 256);
  ls_buf_dispose(&buf);

  struct ls_buf many[20] = {{0}};
  for (int i = 0; i < 20; i++)
    CHECK_INT(ls_buf_reserve(&many[i], 1), 0);
  for (int i = 0; i < 20; i++)
    ls_buf_pool_give(&pool, &many[i]);
  CHECK_INT(pool.count, 16);
  ls_buf_pool_dispose(&pool);
  CHECK_INT(pool.count, 0);
}

static void pool_frees_what_grew_large(void) {
  struct ls_buf_pool pool;
  ls_buf_pool_init(&pool);
  struct ls_buf buf = {0};
  CHECK_INT(ls_buf_reserve(&buf, 64 * 1024), 0);
  ls_buf_pool_give(&pool, &buf);
  CHECK_INT(pool.count, 1);
  CHECK_INT(ls_buf_reserve(&buf, 64 * 1024 + 1), 0);
  ls_buf_pool_give(&pool, &buf);
  CHECK_INT(pool.count, 1);
  CHECK(buf.data == NULL);
  ls_buf_pool_give(&pool, &buf); /* nothing to take back */
  CHECK_INT(pool.count, 1);
  ls_buf_pool_dispose(&pool);
}

int main(void) {
  RUN(append_and_consume);
  RUN(memory_doubles);
  RUN(reserve_keeps_the_bytes_when_memory_runs_out);
  RUN(consumed_front_is_used_again);
  RUN(nearly_full_buffer_grows_instead_of_moving);
  RUN(any_mix_gives_the_bytes_in_order);
  RUN(pool_keeps_memory_warm);
  RUN(pool_frees_what_grew_large);
  return 0;
}
