/* SPDX-License-Identifier: MIT */
/* slice: a view of bytes that somebody else owns. Not terminated by NUL. */
#ifndef LS_BASE_SLICE_H
#define LS_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct ls_slice {
  const char *ptr;
  size_t len;
};

static inline struct ls_slice ls_slice(const char *ptr, size_t len) {
  return (struct ls_slice){ptr, len};
}

static inline struct ls_slice ls_slice_of(const char *text) {
  return (struct ls_slice){text, strlen(text)};
}

static inline bool ls_slice_equal(struct ls_slice a, struct ls_slice b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

#endif
