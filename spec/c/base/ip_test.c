/* SPDX-License-Identifier: MIT */
/* ip: text to bytes and back. */
#include "base/ip.h"

#include "check.h"

static void check_ip(const char *text, unsigned len, const char *canonical) {
  struct ls_ip ip;
  char out[LS_IP_TEXT_SIZE];
  CHECK(ls_ip_parse(ls_slice_of(text), &ip));
  CHECK_INT(ip.len, len);
  ls_ip_text(&ip, out);
  CHECK_BYTES(out, strlen(out), canonical);
}

static void reads_and_writes(void) {
  check_ip("192.0.2.1", 4, "192.0.2.1");
  check_ip("0.0.0.0", 4, "0.0.0.0");
  check_ip("2001:DB8:0:0:0:0:0:1", 16, "2001:db8::1");
  check_ip("::", 16, "::");
  check_ip("::ffff:192.0.2.1", 4, "192.0.2.1");
  check_ip("::ffff:c000:201", 4, "192.0.2.1");
  check_ip("::192.0.2.1", 16, "::192.0.2.1");
  check_ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 16, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void refuses_what_is_none(void) {
  static const char *const bad[] = {"",
                                    "1",
                                    "1.2.3",
                                    "1.2.3.4.5",
                                    "01.2.3.4",
                                    "1.2.3.256",
                                    " 1.2.3.4",
                                    "1.2.3.4 ",
                                    "[::1]",
                                    "fe80::1%lo",
                                    ":::",
                                    "::1::",
                                    "12345::",
                                    "0x7f.1",
                                    "unknown",
                                    "1.2.3.4:80",
                                    "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"};
  struct ls_ip ip;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK(!ls_ip_parse(ls_slice_of(bad[i]), &ip));
  CHECK(!ls_ip_parse(ls_slice("1.2.3.4\0", 8), &ip));
}

static void compares(void) {
  struct ls_ip a, b, none = {0};
  CHECK(ls_ip_parse(ls_slice_of("::ffff:10.0.0.1"), &a) && ls_ip_parse(ls_slice_of("10.0.0.1"), &b));
  CHECK(ls_ip_equal(&a, &b));
  CHECK(!ls_ip_equal(&a, &none));
  CHECK(ls_ip_parse(ls_slice_of("a00:1::"), &b)); /* the same first four bytes */
  CHECK(!ls_ip_equal(&a, &b));
  char out[LS_IP_TEXT_SIZE] = "?";
  ls_ip_text(&none, out);
  CHECK_BYTES(out, strlen(out), "");
}

int main(void) {
  RUN(reads_and_writes);
  RUN(refuses_what_is_none);
  RUN(compares);
  return 0;
}
