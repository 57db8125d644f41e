/* SPDX-License-Identifier: MIT */
/* cookie: pairs of a Cookie field, and what clients send in their place. */
#include "http/cookie.h"

#include <stdio.h>

#include "check.h"

/* expected: "name=value|" for each pair. In memory of its own, so that a read beyond it is found. */
static void check_pairs(const char *text, const char *expected) {
  char found[256] = "";
  size_t len = strlen(text);
  char *own = malloc(len + 1);
  CHECK(own != NULL);
  memcpy(own, text, len);
  struct ls_slice rest = ls_slice(own, len), name, value;
  for (size_t at = 0; ls_cookie_next(&rest, &name, &value);)
    at += (size_t)snprintf(found + at, sizeof found - at, "%.*s=%.*s|", (int)name.len, name.ptr, (int)value.len,
                           value.ptr);
  CHECK_INT(rest.len, 0);
  CHECK_BYTES(found, strlen(found), expected);
  free(own);
}

static void takes_pairs_apart(void) {
  check_pairs("SID=31d4d96e407aad42; lang=en-US", "SID=31d4d96e407aad42|lang=en-US|");
  check_pairs("a=1;b=2; a=3", "a=1|b=2|a=3|");
  check_pairs("a=b=c; d==", "a=b=c|d==|");
  check_pairs("a=", "a=|");
}

static void takes_quotes_and_blanks_away(void) {
  check_pairs(" a = 1 ;\tb\t=\t2\t", "a=1|b=2|");
  check_pairs("a=\"b\"; b=\"; c=x\"y; d=\"\"; e= \" f \" ", "a=b|b=\"|c=x\"y|d=|e= f |");
}

static void skips_what_is_no_pair(void) {
  check_pairs("", "");
  check_pairs(";;;", "");
  check_pairs("=", "");
  check_pairs("a; b=1;; =x; \t=y; ;c=2; ", "b=1|c=2|");
  check_pairs("a;", "");
}

int main(void) {
  RUN(takes_pairs_apart);
  RUN(takes_quotes_and_blanks_away);
  RUN(skips_what_is_no_pair);
  return 0;
}
