/* SPDX-License-Identifier: MIT */
#include "script/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define GRAIN ((size_t)16)
#define SMALL_MAX ((size_t)512)
#define CLASSES (SMALL_MAX / GRAIN)
#define CHUNK_BYTES ((size_t)32 * 1024)

struct free_block {
  struct free_block *next;
};

/* Small blocks are cut from chunks; a chunk begins with the link to the one before it. */
struct chunk {
  struct chunk *previous;
  char bytes[] __attribute__((aligned(16)));
};

struct ls_alloc {
  size_t used;
  size_t limit;
  bool refused;
  struct free_block *free[CLASSES];
  char *cut; /* where the newest chunk is still whole */
  size_t cut_left;
  struct chunk *chunks;
};

struct ls_alloc *ls_alloc_new(void) {
  struct ls_alloc *alloc = calloc(1, sizeof *alloc);
  if (alloc != NULL)
    alloc->limit = SIZE_MAX;
  return alloc;
}

void ls_alloc_free(struct ls_alloc *alloc) {
  if (alloc == NULL)
    return;
  struct chunk *chunk = alloc->chunks;
  while (chunk != NULL) {
    struct chunk *previous = chunk->previous;
    free(chunk);
    chunk = previous;
  }
  free(alloc);
}

void ls_alloc_limit(struct ls_alloc *alloc, size_t bytes) {
  alloc->limit = bytes != 0 ? bytes : SIZE_MAX;
  alloc->refused = false;
}

bool ls_alloc_has_refused(const struct ls_alloc *alloc) {
  return alloc->refused;
}

size_t ls_alloc_used(const struct ls_alloc *alloc) {
  return alloc->used;
}

#ifdef LS_SANITIZE

static bool is_small(size_t size) {
  (void)size;
  return false;
}

#else

static bool is_small(size_t size) {
  return size <= SMALL_MAX;
}

#endif

static size_t class_of(size_t size) {
  return (size - 1) / GRAIN;
}

static void release_small(struct ls_alloc *alloc, void *block, size_t class) {
  struct free_block *freed = block;
  freed->next = alloc->free[class];
  alloc->free[class] = freed;
}

/* The rest of the old chunk becomes blocks of the classes it still fills. */
static bool add_chunk(struct ls_alloc *alloc) {
  struct chunk *chunk = malloc(sizeof *chunk + CHUNK_BYTES);
  if (chunk == NULL)
    return false;
  if (alloc->cut_left >= GRAIN)
    release_small(alloc, alloc->cut, class_of(alloc->cut_left));
  chunk->previous = alloc->chunks;
  alloc->chunks = chunk;
  alloc->cut = chunk->bytes;
  alloc->cut_left = CHUNK_BYTES;
  return true;
}

static void *take_small(struct ls_alloc *alloc, size_t class) {
  struct free_block *block = alloc->free[class];
  if (block != NULL) {
    alloc->free[class] = block->next;
    return block;
  }
  size_t size = (class + 1) * GRAIN;
  if (alloc->cut_left < size && !add_chunk(alloc))
    return NULL;
  void *cut = alloc->cut;
  alloc->cut += size;
  alloc->cut_left -= size;
  return cut;
}

static void *take(struct ls_alloc *alloc, size_t size) {
  return is_small(size) ? take_small(alloc, class_of(size)) : malloc(size);
}

static void release(struct ls_alloc *alloc, void *block, size_t size) {
  if (is_small(size))
    release_small(alloc, block, class_of(size));
  else
    free(block);
}

static void *resize(struct ls_alloc *alloc, void *block, size_t old_size, size_t new_size) {
  if (is_small(old_size) && is_small(new_size) && class_of(old_size) == class_of(new_size))
    return block;
  if (!is_small(old_size) && !is_small(new_size))
    return realloc(block, new_size);
  void *moved = take(alloc, new_size);
  if (moved == NULL)
    return NULL;
  memcpy(moved, block, old_size < new_size ? old_size : new_size);
  release(alloc, block, old_size);
  return moved;
}

void *ls_alloc_block(void *ud, void *block, size_t old_size, size_t new_size) {
  struct ls_alloc *alloc = ud;
  if (block == NULL)
    old_size = 0; /* it is a type tag then */
  if (new_size == 0) {
    if (block != NULL && old_size != 0)
      release(alloc, block, old_size);
    alloc->used -= old_size;
    return NULL;
  }
  if (new_size > old_size && alloc->used + (new_size - old_size) > alloc->limit) {
    alloc->refused = true;
    return NULL; /* to make a block smaller never fails */
  }
  void *result = old_size == 0 ? take(alloc, new_size) : resize(alloc, block, old_size, new_size);
  if (result != NULL)
    alloc->used += new_size - old_size;
  return result;
}
