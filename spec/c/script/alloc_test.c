/* SPDX-License-Identifier: MIT */
/* alloc_test: blocks are aligned, keep their bytes when they shrink and grow, do not overlap, and are counted. */
#include "script/alloc.h"

#include <limits.h>
#include <lua.h>
#include <stdint.h>

#include "check.h"

#define SMALL_MAX 512
#define GRAIN 16
#define BLOCKS 2000

static void *take(struct ls_alloc *alloc, size_t size) {
  return ls_alloc_block(alloc, NULL, LUA_TTABLE, size); /* for a new block Lua says what it is for */
}

static void give(struct ls_alloc *alloc, void *block, size_t size) {
  CHECK(ls_alloc_block(alloc, block, size, 0) == NULL);
}

/* Every byte tells where it is and in which block. */
static void fill(void *block, size_t size, unsigned seed) {
  for (size_t i = 0; i < size; i++)
    ((unsigned char *)block)[i] = (unsigned char)(seed * 31 + i);
}

static void check_filled(const void *block, size_t size, unsigned seed) {
  for (size_t i = 0; i < size; i++)
    CHECK_INT(((const unsigned char *)block)[i], (unsigned char)(seed * 31 + i));
}

static void blocks_of_every_size_are_aligned_and_usable(void) {
  struct ls_alloc *alloc = ls_alloc_new();
  void *blocks[2 * SMALL_MAX + 1];
  size_t used = 0;
  for (size_t size = 1; size <= 2 * SMALL_MAX; size++) {
    blocks[size] = take(alloc, size);
    CHECK(blocks[size] != NULL);
    CHECK_INT((uintptr_t)blocks[size] % GRAIN, 0);
    fill(blocks[size], size, (unsigned)size);
    used += size;
    CHECK_INT(ls_alloc_used(alloc), used);
  }
  for (size_t size = 1; size <= 2 * SMALL_MAX; size++) {
    check_filled(blocks[size], size, (unsigned)size);
    give(alloc, blocks[size], size);
    used -= size;
    CHECK_INT(ls_alloc_used(alloc), used);
  }
  CHECK_INT(used, 0);
  ls_alloc_free(alloc);
}

static void nothing_is_taken_and_given_for_nothing(void) {
  struct ls_alloc *alloc = ls_alloc_new();
  CHECK(ls_alloc_block(alloc, NULL, 0, 0) == NULL);
  CHECK(ls_alloc_block(alloc, NULL, LUA_TSTRING, 0) == NULL); /* a type is not a size */
  CHECK_INT(ls_alloc_used(alloc), 0);
  ls_alloc_free(alloc);
  ls_alloc_free(NULL);
}

/* From every size near the borders of classes to every other one. */
static void resizing_keeps_the_bytes(void) {
  static const size_t sizes[] = {1, 15, 16, 17, 31, 32, 33, 100, 496, 497, 511, 512, 513, 1000, 70000};
  enum { SIZES = sizeof sizes / sizeof *sizes };
  struct ls_alloc *alloc = ls_alloc_new();
  for (unsigned i = 0; i < SIZES; i++) {
    for (unsigned j = 0; j < SIZES; j++) {
      size_t old_size = sizes[i], new_size = sizes[j], kept = old_size < new_size ? old_size : new_size;
      void *block = take(alloc, old_size);
      fill(block, old_size, i);
      void *moved = ls_alloc_block(alloc, block, old_size, new_size);
      CHECK(moved != NULL);
      CHECK_INT((uintptr_t)moved % GRAIN, 0);
      CHECK_INT(ls_alloc_used(alloc), new_size);
      check_filled(moved, kept, i);
      fill(moved, new_size, j);
      give(alloc, moved, new_size);
      CHECK_INT(ls_alloc_used(alloc), 0);
    }
  }
  ls_alloc_free(alloc);
}

static size_t next_size(unsigned *state) {
  *state = *state * 1103515245u + 12345u;
  return 1 + (*state >> 16) % 600;
}

/* Takes, resizes and gives back in no order, over many chunks: no two blocks share a byte. */
static void blocks_do_not_overlap(void) {
  struct ls_alloc *alloc = ls_alloc_new();
  static void *blocks[BLOCKS];
  static size_t sizes[BLOCKS];
  unsigned state = 1;
  size_t used = 0;
  for (unsigned round = 0; round < 4; round++) {
    for (unsigned i = round % 2; i < BLOCKS; i += 1 + round % 2) {
      size_t size = next_size(&state);
      void *block = ls_alloc_block(alloc, blocks[i], sizes[i], size);
      CHECK(block != NULL);
      used += size - sizes[i];
      blocks[i] = block;
      sizes[i] = size;
      fill(block, size, i);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
      check_filled(blocks[i], sizes[i], i);
    for (unsigned i = round; i < BLOCKS; i += 5) {
      give(alloc, blocks[i], sizes[i]);
      used -= sizes[i];
      blocks[i] = NULL;
      sizes[i] = 0;
    }
    CHECK_INT(ls_alloc_used(alloc), used);
  }
  for (unsigned i = 0; i < BLOCKS; i++)
    if (blocks[i] != NULL)
      give(alloc, blocks[i], sizes[i]);
  CHECK_INT(ls_alloc_used(alloc), 0);
  ls_alloc_free(alloc);
}

#ifndef LS_SANITIZE

static void a_small_block_is_taken_again_by_its_class(void) {
  struct ls_alloc *alloc = ls_alloc_new();
  void *first = take(alloc, 33), *second = take(alloc, 48);
  give(alloc, first, 33);
  CHECK(take(alloc, 49) != first);
  CHECK(take(alloc, 48) == first);
  give(alloc, second, 48);
  give(alloc, first, 48);
  CHECK(take(alloc, 40) == first); /* what was given back last, its memory is warm */
  CHECK(take(alloc, 40) == second);
  ls_alloc_free(alloc); /* small blocks that are still out go with it */
}

static void a_small_block_stays_where_it_is_within_its_class(void) {
  struct ls_alloc *alloc = ls_alloc_new();
  void *block = take(alloc, 17);
  CHECK(ls_alloc_block(alloc, block, 17, 32) == block);
  CHECK(ls_alloc_block(alloc, block, 32, 17) == block);
  CHECK(ls_alloc_block(alloc, block, 17, 33) != block);
  CHECK_INT(ls_alloc_used(alloc), 33);
  ls_alloc_free(alloc);
}

#endif

/* Volatile, because the compiler knows that no block can be so large. */
static volatile size_t too_much = PTRDIFF_MAX - 4096;

#ifdef LS_SANITIZE
/* Where a sanitizer would end the program instead: it is told not to, before anything runs. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

__attribute__((visibility("default"))) const char *__asan_default_options(void) {
  return "allocator_may_return_null=1";
}

__attribute__((visibility("default"))) const char *__tsan_default_options(void) {
  return "allocator_may_return_null=1";
}
#endif

static void without_memory_the_old_block_stays_as_it_was(void) {
  struct ls_alloc *alloc = ls_alloc_new();
  size_t sizes[] = {100, 1000};
  for (unsigned i = 0; i < 2; i++) {
    void *block = take(alloc, sizes[i]);
    fill(block, sizes[i], 7);
    CHECK(take(alloc, too_much) == NULL);
    CHECK(ls_alloc_block(alloc, block, sizes[i], too_much) == NULL);
    check_filled(block, sizes[i], 7);
    CHECK_INT(ls_alloc_used(alloc), sizes[i]);
    give(alloc, block, sizes[i]);
  }
  CHECK_INT(ls_alloc_used(alloc), 0);
  ls_alloc_free(alloc);
}

int main(void) {
  RUN(blocks_of_every_size_are_aligned_and_usable);
  RUN(nothing_is_taken_and_given_for_nothing);
  RUN(resizing_keeps_the_bytes);
  RUN(blocks_do_not_overlap);
#ifndef LS_SANITIZE
  RUN(a_small_block_is_taken_again_by_its_class);
  RUN(a_small_block_stays_where_it_is_within_its_class);
#endif
  RUN(without_memory_the_old_block_stays_as_it_was);
  return 0;
}
