/* SPDX-License-Identifier: MIT */
#include "server/constraint.h"

#include "check.h"

static bool fits(const char *pattern, const char *text) {
  struct ls_constraint constraint;
  CHECK(ls_constraint_compile(&constraint, ls_slice_of(pattern)) == NULL);
  return ls_constraint_fits(&constraint, ls_slice_of(text));
}

static void test_one_character(void) {
  CHECK(fits("a", "a") && !fits("a", "b") && !fits("a", "") && !fits("a", "aa"));
  CHECK(fits("%d", "7") && !fits("%D", "7") && fits("%.", ".") && !fits("%.", "x"));
  CHECK(fits("[a-c%d_]", "b") && fits("[a-c%d_]", "5") && fits("[a-c%d_]", "_") && !fits("[a-c%d_]", "d"));
  CHECK(fits("[^a-c]", "d") && !fits("[^a-c]", "a") && fits("[]]", "]") && fits("[^]]", "x") && fits("[a-]", "-"));
  CHECK(fits(".", "\377"));
}

static void test_many(void) {
  CHECK(fits("a*", "") && fits("a*", "aaa") && !fits("a*", "aab"));
  CHECK(!fits("a+", "") && fits("a+", "aaa") && fits("a-b", "aab") && fits("ab?c", "ac") && fits("ab?c", "abc"));
  CHECK(fits(".*%d.*", "ab7cd") && !fits(".*%d.*", "abcd") && fits("^%d+$", "12"));
  CHECK(!fits("%d+%$", "12") && fits("%d+%$", "12$"));
}

static void test_longest(void) {
  char pattern[LS_CONSTRAINT_ITEMS + 2] = {0}, text[LS_CONSTRAINT_ITEMS + 2] = {0};
  memset(pattern, 'a', LS_CONSTRAINT_ITEMS);
  memset(text, 'a', LS_CONSTRAINT_ITEMS);
  CHECK(fits(pattern, text));
  text[LS_CONSTRAINT_ITEMS - 1] = '\0';
  CHECK(!fits(pattern, text));
  struct ls_constraint constraint;
  pattern[LS_CONSTRAINT_ITEMS] = 'a';
  CHECK(ls_constraint_compile(&constraint, ls_slice_of(pattern)) != NULL);
  pattern[LS_CONSTRAINT_ITEMS - 1] = '+';
  CHECK(ls_constraint_compile(&constraint, ls_slice_of(pattern)) != NULL);
}

static void test_refused(void) {
  static const char *const patterns[] = {"",   "^",  "$",   "%",  "a%",   "[",     "[a",
                                         "[^", "[%", "(a)", "%1", "%b()", "%f[a]", "%y"};
  struct ls_constraint constraint;
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
    CHECK(ls_constraint_compile(&constraint, ls_slice_of(patterns[i])) != NULL);
}

int main(void) {
  RUN(test_one_character);
  RUN(test_many);
  RUN(test_longest);
  RUN(test_refused);
  return 0;
}
