/* SPDX-License-Identifier: MIT */
/* check: the assertions of the C specs. A spec is one program, spec/c/<room>/<file>_test.c beside src/<room>/<file>.c:
 * static functions that CHECK, and a main that RUNs them. The first failed check ends the program with status 1. */
#ifndef LS_SPEC_CHECK_H
#define LS_SPEC_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                      \
  do {                                                                                        \
    if (!(condition)) {                                                                       \
      fprintf(stderr, "%s:%d: %s: not true: %s\n", __FILE__, __LINE__, __func__, #condition); \
      exit(1);                                                                                \
    }                                                                                         \
  } while (0)

#define CHECK_INT(actual, expected)                                                                                    \
  do {                                                                                                                 \
    long long actual_ = (long long)(actual), expected_ = (long long)(expected);                                        \
    if (actual_ != expected_) {                                                                                        \
      fprintf(stderr, "%s:%d: %s: %s is %lld, not %lld\n", __FILE__, __LINE__, __func__, #actual, actual_, expected_); \
      exit(1);                                                                                                         \
    }                                                                                                                  \
  } while (0)

/* Bytes against a C string. */
#define CHECK_BYTES(ptr, len, expected)                                                                   \
  do {                                                                                                    \
    const char *ptr_ = (ptr), *expected_ = (expected);                                                    \
    size_t len_ = (len);                                                                                  \
    if (len_ != strlen(expected_) || (len_ != 0 && memcmp(ptr_, expected_, len_) != 0)) {                 \
      fprintf(stderr, "%s:%d: %s: %s is\n%.*s\nnot\n%s\n", __FILE__, __LINE__, __func__, #ptr, (int)len_, \
              len_ != 0 ? ptr_ : "", expected_);                                                          \
      exit(1);                                                                                            \
    }                                                                                                     \
  } while (0)

#define RUN(test)             \
  do {                        \
    test();                   \
    printf("ok %s\n", #test); \
  } while (0)

#endif
