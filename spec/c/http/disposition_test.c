/* SPDX-License-Identifier: MIT */
/* disposition: names in quotes, and in the form of RFC 8187 where they need it. */
#include "http/disposition.h"

#include "check.h"

static void check_value(const char *name, const char *expected) {
  size_t max = ls_disposition_max(strlen(name));
  char *text = malloc(max);
  CHECK(text != NULL);
  size_t len = ls_disposition_format(ls_slice_of(name), text);
  CHECK(len <= max);
  CHECK_BYTES(text, len, expected);
  free(text);
}

static void plain_names_are_quoted(void) {
  check_value("report.pdf", "attachment; filename=\"report.pdf\"");
  check_value("a \"b\"\\.txt", "attachment; filename=\"a \\\"b\\\"\\\\.txt\"");
  check_value("", "attachment; filename=\"\"");
}

static void others_are_there_twice(void) {
  check_value("\xe2\x82\xac rates", "attachment; filename=\"_ rates\"; filename*=UTF-8''%E2%82%AC%20rates");
  check_value("50%.txt", "attachment; filename=\"50_.txt\"; filename*=UTF-8''50%25.txt");
  check_value("a\r\nb", "attachment; filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab");
}

int main(void) {
  RUN(plain_names_are_quoted);
  RUN(others_are_there_twice);
  return 0;
}
