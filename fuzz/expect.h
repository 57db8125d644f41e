/* SPDX-License-Identifier: MIT */
/* expect: what must hold of every input; and bytes in memory of their own, so that a read behind their end is seen. */
#ifndef LS_FUZZ_EXPECT_H
#define LS_FUZZ_EXPECT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                             \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                        \
    }                                                                 \
  } while (0)

/* The caller frees it. */
static inline char *copy_of(const void *bytes, size_t len) {
  char *copy = malloc(len == 0 ? 1 : len);
  EXPECT(copy != NULL);
  if (len != 0)
    memcpy(copy, bytes, len);
  return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#endif
