/* SPDX-License-Identifier: MIT */
/* dict: the hash against its publication, and threads that use one dictionary at once. */
#include "base/dict.h"

#include <pthread.h>
#include <stdio.h>

#include "base/error.h"
#include "base/siphash.h"
#include "check.h"

/* The vectors of the reference implementation: key 00 to 0f, input 00, 01, 02 ... */
static void hashes_as_published(void) {
  const struct ls_siphash_key key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
  unsigned char input[15];
  for (unsigned i = 0; i < sizeof input; i++)
    input[i] = (unsigned char)i;
  CHECK(ls_siphash(&key, input, 0) == 0x726fdb47dd0e0e31u);
  CHECK(ls_siphash(&key, input, 1) == 0x74f839c593dc67fdu);
  CHECK(ls_siphash(&key, input, 8) == 0x93f5f5799a932462u);
  CHECK(ls_siphash(&key, input, 15) == 0xa129ca6149be45e5u);
}

enum { THREADS = 4, ROUNDS = 20000 };

static struct ls_dict *dict;

/* Each counts on the same key, and sets, reads and removes keys that others do too, in a dictionary that is always full. */
static void *hammer(void *arg) {
  struct ls_dict_value one = {.type = LS_DICT_INTEGER, .integer = 1}, zero = {.type = LS_DICT_INTEGER}, value;
  struct ls_buf copy = {0};
  char key[32], text[200];
  unsigned seed = (unsigned)(uintptr_t)arg;
  for (int i = 0; i < ROUNDS; i++) {
    seed = seed * 1103515245u + 12345u;
    CHECK_INT(ls_dict_add(dict, ls_slice_of("count"), &one, &zero, 0, &value), 1);
    int len = snprintf(key, sizeof key, "key %u", seed >> 16 & 1023);
    memset(text, 'a' + (int)(seed >> 16 & 15), sizeof text);
    value = (struct ls_dict_value){.type = LS_DICT_STRING, .bytes = ls_slice(text, seed >> 20 & 127)};
    CHECK(ls_dict_set(dict, ls_slice(key, (size_t)len), &value, seed & 1 ? 1000 : 0, LS_DICT_ALWAYS) == 1);
    if (ls_dict_get(dict, ls_slice(key, (size_t)len), &value, &copy) == 1)
      for (size_t k = 1; k < value.bytes.len; k++)
        CHECK(value.bytes.ptr[k] == value.bytes.ptr[0]);
    if (seed & 2)
      ls_dict_delete(dict, ls_slice(key, (size_t)len));
  }
  ls_buf_dispose(&copy);
  return NULL;
}

static void is_shared_by_threads(void) {
  struct ls_dicts *dicts = ls_dicts_new();
  size_t has;
  int error;
  dict = ls_dicts_open(dicts, ls_slice_of("d"), 2 * 1024 * 1024, &has, &error);
  CHECK(dict != NULL && ls_dicts_open(dicts, ls_slice_of("d"), 0, &has, &error) == dict);
  pthread_t threads[THREADS];
  for (uintptr_t i = 0; i < THREADS; i++)
    CHECK_INT(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)), 0);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  struct ls_dict_value value;
  struct ls_buf copy = {0};
  CHECK_INT(ls_dict_get(dict, ls_slice_of("count"), &value, &copy), 1);
  CHECK_INT(value.integer, THREADS * ROUNDS);
  struct ls_dict_stats stats;
  ls_dict_stats(dict, &stats);
  CHECK(stats.bytes <= stats.max_bytes);
  ls_dict_clear(dict);
  ls_dict_stats(dict, &stats);
  CHECK_INT(stats.count, 0);
  CHECK_INT(stats.bytes, 0);
  ls_buf_dispose(&copy);
  ls_dicts_free(dicts);
}

int main(void) {
  RUN(hashes_as_published);
  RUN(is_shared_by_threads);
  return 0;
}
