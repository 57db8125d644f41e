/* SPDX-License-Identifier: MIT */
/* error_test: every code has a name and a text, also one that nobody knows. */
#include "loop/error.h"

#include "base/error.h"
#include "check.h"

static void check_code(int code, const char *name, const char *text) {
  char buf[128];
  CHECK(ls_error_name(code, buf, sizeof buf) == buf);
  CHECK_BYTES(buf, strlen(buf), name);
  CHECK(ls_error_text(code, buf, sizeof buf) == buf);
  CHECK_BYTES(buf, strlen(buf), text);
}

static void system_codes(void) {
  check_code(-ENOENT, "ENOENT", "no such file or directory");
  check_code(-ECANCELED, "ECANCELED", "operation canceled");
  check_code(-ENOMEM, "ENOMEM", "not enough memory");
  check_code(-3008, "EAI_NONAME", "unknown node or service");
  check_code(-4095, "EOF", "end of file");
  check_code(-EDQUOT, "EDQUOT", "disk quota exceeded");
}

static void check_known(int first, int last) {
  char name[32], text[128];
  for (int code = last; code <= first; code++) {
    CHECK(strcmp(ls_error_name(code, name, sizeof name), "EUNKNOWN") != 0);
    CHECK(strncmp(ls_error_text(code, text, sizeof text), "unknown", 7) != 0);
  }
}

static void own_codes(void) {
  check_known(LS_ECLOSED, LS_EHEADER);
  check_known(LS_ENOTFOUND, LS_EBADNAME);
  check_code(LS_ENOTFOUND, "ENOTFOUND", "no such domain name");
  check_code(LS_ECLOSED, "ECLOSED", "closed");
}

static void unknown_codes(void) {
  check_code(-123456, "EUNKNOWN", "unknown error -123456");
  check_code(0, "EUNKNOWN", "unknown error 0");
  check_code(5, "EUNKNOWN", "unknown error 5");
}

static void short_room_cuts(void) {
  char name[4];
  ls_error_name(LS_ECLOSED, name, sizeof name);
  CHECK_BYTES(name, strlen(name), "ECL");
  ls_error_name(-ENOENT, name, sizeof name);
  CHECK_BYTES(name, strlen(name), "ENO");
}

int main(void) {
  RUN(system_codes);
  RUN(own_codes);
  RUN(unknown_codes);
  RUN(short_room_cuts);
  return 0;
}
