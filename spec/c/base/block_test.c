/* SPDX-License-Identifier: MIT */
/* block_test: every length beside memory that cannot be touched, on either side. */
#include "base/block.h"

#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

enum { LONGEST = 70 };

/* A page of its own between two that nobody may read or write. */
static char *new_page(size_t size) {
  /* cppcheck-suppress invalidFunctionArg ; what is in no file has the descriptor -1 (mmap(2)) */
  char *pages = mmap(NULL, 3 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(pages != MAP_FAILED);
  CHECK_INT(mprotect(pages + size, size, PROT_READ | PROT_WRITE), 0);
  return pages + size;
}

static bool has_no_x(ls_block block) {
  return ls_block_is_clear((ls_block)(block == 'x'), block);
}

/* 'x' and what is beyond ASCII is not plain; the first such byte is at this place, or there is none. */
static void check_copy(char *out, const char *text, size_t len, size_t at) {
  memset(out, '#', len);
  size_t plain = ls_block_copy(out, text, len, has_no_x);
  CHECK(at == len ? plain == len : plain <= at && at - plain < 16);
  CHECK(memcmp(out, text, plain) == 0);
}

static void check_places(char *out, char *text, size_t len) {
  memset(text, 'a', len);
  check_copy(out, text, len, len);
  for (size_t at = 0; at < len; at++) {
    text[at] = at % 2 == 0 ? 'x' : '\x80';
    check_copy(out, text, len, at);
    text[at] = 'a';
  }
}

static void copies_and_touches_nothing_beside(void) {
  size_t size = (size_t)sysconf(_SC_PAGESIZE);
  char *from = new_page(size), *to = new_page(size);
  for (size_t len = 0; len <= LONGEST; len++) {
    check_places(to, from, len);
    check_places(to + size - len, from + size - len, len);
  }
  munmap(from - size, 3 * size);
  munmap(to - size, 3 * size);
}

static void a_block_of_few_has_them_all(void) {
  for (size_t len = 1; len < 16; len++)
    for (size_t at = 0; at < len; at++)
      for (int byte = 0; byte < 256; byte++) {
        char text[16], out[16];
        memset(text, ' ', len);
        text[at] = (char)byte;
        ls_block block = ls_block_copy_few(out, text, len), is_byte = (ls_block)(block == (unsigned char)byte);
        CHECK(!ls_block_is_clear(is_byte, is_byte));
        CHECK(memcmp(out, text, len) == 0);
      }
}

int main(void) {
  RUN(copies_and_touches_nothing_beside);
  RUN(a_block_of_few_has_them_all);
  return 0;
}
