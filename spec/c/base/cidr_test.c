/* SPDX-License-Identifier: MIT */
/* cidr: ranges, their borders, and sets. */
#include "base/cidr.h"

#include <errno.h>

#include "check.h"

static struct ls_ip ip_of(const char *text) {
  struct ls_ip ip = {0};
  CHECK(*text == '\0' || ls_ip_parse(ls_slice_of(text), &ip));
  return ip;
}

static bool has(const char *range, const char *address) {
  struct ls_cidr cidr;
  struct ls_ip ip = ip_of(address);
  CHECK(ls_cidr_parse(ls_slice_of(range), &cidr));
  return ls_cidr_has(&cidr, &ip);
}

static void knows_its_borders(void) {
  CHECK(has("10.0.0.0/8", "10.255.255.255"));
  CHECK(!has("10.0.0.0/8", "11.0.0.0"));
  CHECK(!has("10.0.0.0/8", "9.255.255.255"));
  CHECK(has("192.0.2.128/25", "192.0.2.128"));
  CHECK(!has("192.0.2.128/25", "192.0.2.127"));
  CHECK(has("172.16.0.0/12", "172.31.255.255"));
  CHECK(!has("172.16.0.0/12", "172.32.0.0"));
  CHECK(has("192.0.2.1", "192.0.2.1"));
  CHECK(!has("192.0.2.1/32", "192.0.2.0"));
  CHECK(has("0.0.0.0/0", "203.0.113.9"));
  CHECK(has("fd00::/8", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
  CHECK(!has("fd00::/8", "fe00::"));
  CHECK(has("2001:db8::/33", "2001:db8:7fff::1"));
  CHECK(!has("2001:db8::/33", "2001:db8:8000::"));
  CHECK(has("::1", "::1"));
  CHECK(!has("::1/128", "::2"));
}

static void keeps_the_families_apart(void) {
  CHECK(!has("::/0", "127.0.0.1"));
  CHECK(!has("0.0.0.0/0", "::1"));
  CHECK(has("10.0.0.0/8", "::ffff:10.1.2.3"));
  CHECK(has("::ffff:10.0.0.0/104", "10.1.2.3"));
  CHECK(!has("::ffff:10.0.0.0/104", "11.1.2.3"));
  CHECK(has("::ffff:10.1.2.3", "10.1.2.3"));
  CHECK(!has("0.0.0.0/0", ""));
}

static void refuses_what_is_none(void) {
  static const char *const bad[] = {"",
                                    "/",
                                    "/8",
                                    "10.0.0.0/",
                                    "10.0.0.0/33",
                                    "10.0.0.0/-1",
                                    "10.0.0.0/8/",
                                    "10.0.0.0/08",
                                    "10.0.0.1/8",
                                    "10.0.0.0/ 8",
                                    "10/8",
                                    "::/129",
                                    "::1/64",
                                    "fd00::/x",
                                    "[::1]",
                                    "::ffff:0:0/90",
                                    "localhost",
                                    "10.0.0.0/1000"};
  struct ls_cidr cidr;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK(!ls_cidr_parse(ls_slice_of(bad[i]), &cidr));
}

static bool set_has(const struct ls_cidr_set *set, const char *address) {
  struct ls_ip ip = ip_of(address);
  return ls_cidr_set_has(set, &ip);
}

static void makes_sets(void) {
  struct ls_cidr_set set = {0};
  CHECK(ls_cidr_set_is_empty(&set));
  CHECK(!set_has(&set, "127.0.0.1") && !set_has(&set, ""));
  CHECK_INT(ls_cidr_set_add(&set, ls_slice_of("203.0.113.0/24")), 0);
  CHECK_INT(ls_cidr_set_add(&set, ls_slice_of("loopback")), 0);
  CHECK_INT(ls_cidr_set_add(&set, ls_slice_of("Loopback")), -EINVAL);
  CHECK(set_has(&set, "203.0.113.200") && set_has(&set, "127.9.9.9") && set_has(&set, "::1"));
  CHECK(!set_has(&set, "10.0.0.1") && !set_has(&set, "::2") && !set_has(&set, ""));
  CHECK_INT(ls_cidr_set_add(&set, ls_slice_of("private")), 0);
  CHECK(set_has(&set, "10.0.0.1") && set_has(&set, "172.20.0.1") && set_has(&set, "192.168.255.1"));
  CHECK(set_has(&set, "fd12::1") && set_has(&set, "fc00::") && !set_has(&set, "fe80::1"));
  CHECK_INT(ls_cidr_set_add(&set, ls_slice_of("unix")), 0);
  CHECK(set_has(&set, ""));
  ls_cidr_set_dispose(&set);
  CHECK(ls_cidr_set_is_empty(&set));
}

int main(void) {
  RUN(knows_its_borders);
  RUN(keeps_the_families_apart);
  RUN(refuses_what_is_none);
  RUN(makes_sets);
  return 0;
}
