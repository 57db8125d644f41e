/* SPDX-License-Identifier: MIT */
/* Counts the calls of malloc, calloc, realloc and free of a program: a library for LD_PRELOAD that writes the four
 * counts to standard error at each SIGUSR2.
 *
 *   cc -shared -fPIC -O2 -o build/mallocs.so bench/mallocs.c */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

static atomic_ulong mallocs, callocs, reallocs, frees;

void *malloc(size_t size) {
  mallocs++;
  return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
  callocs++;
  return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
  reallocs++;
  return __libc_realloc(block, size);
}

void free(void *block) {
  frees += block != NULL;
  __libc_free(block);
}

static void report(int number) {
  char line[160];
  (void)number;
  int len =
      snprintf(line, sizeof line, "malloc %lu calloc %lu realloc %lu free %lu\n", mallocs, callocs, reallocs, frees);
  if (write(STDERR_FILENO, line, (size_t)len) < 0)
    _exit(1);
}

__attribute__((constructor)) static void watch(void) {
  signal(SIGUSR2, report);
}
