/* SPDX-License-Identifier: MIT */
/* forwarded: the walk over trusted hops, the grammar of RFC 7239, and what clients might put in front. */
#include "http/forwarded.h"

#include "check.h"
#include "http/parser.h"

static const struct ls_http_limits limits = {.max_url = 100, .max_header_bytes = 4000, .max_headers = 20};

/* What comes of the field lines (each with its CR LF) of a request from peer, where 127.0.0.1, 10.0.0.0/8 and unix
 * sockets are trusted: "address port scheme host", "-" for what is not told. */
static const char *read_fields(enum ls_forwarded_fields fields, const char *peer, const char *lines) {
  static char text[300];
  struct ls_cidr_set trusted = {0};
  CHECK_INT(ls_cidr_set_add(&trusted, ls_slice_of("127.0.0.1")), 0);
  CHECK_INT(ls_cidr_set_add(&trusted, ls_slice_of("10.0.0.0/8")), 0);
  CHECK_INT(ls_cidr_set_add(&trusted, ls_slice_of("unix")), 0);
  char bytes[1024];
  snprintf(bytes, sizeof bytes, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", lines);
  struct ls_parser parser;
  struct ls_head head = {0};
  size_t used;
  ls_parser_init(&parser, &limits);
  CHECK_INT(ls_parser_head(&parser, &head, bytes, strlen(bytes), &used), LS_PARSER_DONE);
  struct ls_ip ip = {0};
  CHECK(*peer == '\0' || ls_ip_parse(ls_slice_of(peer), &ip));
  struct ls_forwarded forwarded = ls_forwarded_read(&head, fields, &ip, &trusted);
  static const char *const schemes[] = {"-", "http", "https"};
  char address[LS_IP_TEXT_SIZE] = "peer", port[20] = "-", host[100] = "-";
  if (forwarded.client == LS_CLIENT_KNOWN)
    ls_ip_text(&forwarded.ip, address);
  else if (forwarded.client == LS_CLIENT_UNKNOWN)
    strcpy(address, "unknown");
  if (forwarded.port != 0)
    snprintf(port, sizeof port, "%u", forwarded.port);
  if (forwarded.host.len != 0)
    snprintf(host, sizeof host, "%.*s", (int)forwarded.host.len, forwarded.host.ptr);
  if (forwarded.host_port != 0)
    snprintf(host + strlen(host), sizeof host - strlen(host), " +%u", forwarded.host_port);
  snprintf(text, sizeof text, "%s %s %s %s", address, port, schemes[forwarded.scheme], host);
  ls_head_dispose(&head);
  ls_cidr_set_dispose(&trusted);
  return text;
}

static void check(const char *lines, const char *expected) {
  const char *text = read_fields(LS_FORWARDED_EITHER, "127.0.0.1", lines);
  CHECK_BYTES(text, strlen(text), expected);
}

static void check_forwarded(const char *value, const char *expected) {
  char line[500];
  snprintf(line, sizeof line, "Forwarded: %s\r\n", value);
  check(line, expected);
}

static void check_for(const char *value, const char *expected) {
  char line[500];
  snprintf(line, sizeof line, "X-Forwarded-For: %s\r\n", value);
  check(line, expected);
}

static void believes_only_whom_it_trusts(void) {
  static const char *const lines = "Forwarded: for=192.0.2.1;proto=https;host=a\r\n";
  static const char *const told = "192.0.2.1 - https a";
  CHECK(strcmp(read_fields(LS_FORWARDED_EITHER, "127.0.0.1", lines), told) == 0);
  CHECK(strcmp(read_fields(LS_FORWARDED_EITHER, "10.9.9.9", lines), told) == 0);
  CHECK(strcmp(read_fields(LS_FORWARDED_EITHER, "", lines), told) == 0);
  CHECK(strcmp(read_fields(LS_FORWARDED_EITHER, "127.0.0.2", lines), "peer - - -") == 0);
  CHECK(strcmp(read_fields(LS_FORWARDED_EITHER, "::1", lines), "peer - - -") == 0);
  CHECK(strcmp(read_fields(LS_FORWARDED_EITHER, "127.0.0.1", ""), "peer - - -") == 0);
}

static void reads_the_grammar(void) {
  check_forwarded("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60 - http -"); /* RFC 7239 section 4 */
  check_forwarded("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17 4711 - -");
  check_forwarded("for=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17 - - -");
  check_forwarded("for=\"192.0.2.43:47011\"", "192.0.2.43 47011 - -");
  check_forwarded("for=\"192.0.2.43:_p1\"", "192.0.2.43 - - -");
  check_forwarded("for=\"[::ffff:192.0.2.43]\"", "192.0.2.43 - - -");
  check_forwarded("FOR=192.0.2.1;PROTO=HTTPS;Host=\"a:8080\"", "192.0.2.1 - https a:8080");
  check_forwarded("for=192.0.2.1 ; proto=https", "192.0.2.1 - https -");
  check_forwarded(";;for=192.0.2.1;;host=a;", "192.0.2.1 - - a");
  check_forwarded("for=192.0.2.1;secret=\"a\\\"b;,\\\\\"", "192.0.2.1 - - -");
  check_forwarded("for=192.0.2.1;proto=gopher", "192.0.2.1 - - -");
  check_forwarded("proto=https", "unknown - https -");
  check_forwarded("", "peer - - -");
  check_forwarded(" , ,", "peer - - -");
}

static void takes_hidden_clients_for_unknown(void) {
  check_forwarded("for=unknown;proto=https", "unknown - https -");
  check_forwarded("for=\"_gazonk\"", "unknown - - -");
  check_forwarded("for=\"_a.b-C_9:_x\"", "unknown - - -");
  check_forwarded("for=192.0.2.1, for=_hidden", "unknown - - -");
  check_for("unknown", "unknown - - -");
  check_for("_hidden:81", "unknown - - -");
  check_forwarded("for=\"unknown:81\"", "unknown - - -");
}

static void refuses_what_is_malformed(void) {
  static const char *const bad[] = {"for",
                                    "for=",
                                    "=192.0.2.1",
                                    "for=192.0.2.1:80",
                                    "for=[::1]",
                                    "for=\"::1\"",
                                    "for=\"[1.2.3.4]\"",
                                    "for=\"[::1\"",
                                    "for=\"[::1]x\"",
                                    "for=\"1.2.3.4:\"",
                                    "for=\"1.2.3.4:123456\"",
                                    "for=\"1.2.3.4:70000\"",
                                    "for=1.2.3",
                                    "for=_",
                                    "for=\"_a b\"",
                                    "for=\"\"",
                                    "for=\"1.2.3.4\\\"\"",
                                    "for=1.2.3.4;for=1.2.3.4",
                                    "for=1.2.3.4;host=a;host=b",
                                    "for=1.2.3.4;host=\"\"",
                                    "for=1.2.3.4;host=\"a/b\"",
                                    "for=1.2.3.4;host=\"a:x\"",
                                    "for=1.2.3.4;host=\":80\"",
                                    "for=1.2.3.4 proto=https",
                                    "for = 1.2.3.4",
                                    "for=\"1.2.3.4",
                                    "for=1.2.3.4\"",
                                    "for=\"1.2.3.4\"x",
                                    "f()=a;for=1.2.3.4",
                                    "for=fe80::1%lo",
                                    "for=\"1.2.3.4\\",
                                    "for=localhost"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    check_forwarded(bad[i], "unknown - - -");
}

static void walks_from_the_right(void) {
  check_forwarded("for=192.0.2.1, for=10.0.0.1, for=10.0.0.2", "192.0.2.1 - - -");
  check_forwarded("for=192.0.2.1, for=198.51.100.7, for=10.0.0.2", "198.51.100.7 - - -");
  check_forwarded("for=10.0.0.9, for=10.0.0.1", "10.0.0.9 - - -"); /* all are trusted: the leftmost */
  check_forwarded("for=192.0.2.1;proto=https;host=a, for=10.0.0.1;proto=http;host=b", "192.0.2.1 - https a");
  check_forwarded("for=192.0.2.1;proto=https, for=10.0.0.1;proto=http;host=b", "192.0.2.1 - https b");
  check("Forwarded: for=192.0.2.1\r\nX: y\r\nForwarded: for=10.0.0.1\r\n", "192.0.2.1 - - -");
  check("Forwarded: for=192.0.2.1, for=198.51.100.7\r\nForwarded: for=10.0.0.1, for=10.0.0.2\r\n",
        "198.51.100.7 - - -");
}

static void never_looks_at_what_a_client_puts_in_front(void) {
  static const char *const fronts[] = {"for=10.0.0.1",
                                       "for=127.0.0.1;proto=https;host=evil",
                                       "for=\"",
                                       "\"",
                                       "for=\"\\",
                                       "\\",
                                       ";=,=;",
                                       "for=unknown",
                                       "for=\"a, for=10.0.0.1",
                                       "x=\"",
                                       "\"\"\"",
                                       "a=\"\\\""};
  char value[200];
  for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++) {
    snprintf(value, sizeof value, "%s, for=192.0.2.1", fronts[i]);
    check_forwarded(value, "192.0.2.1 - - -");
    snprintf(value, sizeof value, "%s, for=\"[2001:db8::1]:80\";host=\"a\"", fronts[i]);
    check_forwarded(value, "2001:db8::1 80 - a");
    snprintf(value, sizeof value, "%s, 192.0.2.1", fronts[i]);
    check_for(value, "192.0.2.1 - - -");
  }
}

static void reads_the_elders(void) {
  check_for("192.0.2.1", "192.0.2.1 - - -");
  check_for("192.0.2.1, 10.0.0.1 ,, 10.0.0.2,", "192.0.2.1 - - -");
  check_for("192.0.2.1:5000", "192.0.2.1 5000 - -");
  check_for("2001:db8::1", "2001:db8::1 - - -");
  check_for("[2001:db8::1]", "2001:db8::1 - - -");
  check_for("[2001:db8::1]:5000", "2001:db8::1 5000 - -");
  check_for("::ffff:10.0.0.1", "10.0.0.1 - - -");
  check_for("192.0.2.1, \"10.0.0.1\"", "unknown - - -");
  check_for("192.0.2.1, localhost", "unknown - - -");
  check("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.1\r\n", "192.0.2.1 - - -");
  check("X-Forwarded-Proto: https\r\n", "peer - https -");
  check("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: ftp, HTTP\r\n", "peer - http -");
  check("X-Forwarded-Host: evil, a:8080\r\n", "peer - - a:8080");
  check("X-Forwarded-Host: a, b/c\r\n", "peer - - -");
  check("X-Forwarded-Host: a\r\nX-Forwarded-Port: 8443\r\n", "peer - - a +8443");
  check("X-Forwarded-Host: [::1]\r\nX-Forwarded-Port: 80, 8443\r\n", "peer - - [::1] +8443");
  check("X-Forwarded-Host: [::1]:90\r\nX-Forwarded-Port: 8443\r\n", "peer - - [::1]:90");
  check("X-Forwarded-Host: a\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Proto: https\r\n", "peer - https a");
  check("X-Forwarded-Host: a\r\nX-Forwarded-Port: 80\r\nX-Forwarded-Proto: https\r\n", "peer - https a +80");
  check("X-Forwarded-Host: a\r\nX-Forwarded-Port: 99999\r\n", "peer - - a");
  check("X-Forwarded-Port: 8443\r\n", "peer - - -");
}

static void believes_no_contradictions(void) {
  check("Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1 - - -");
  check(
      "Forwarded: for=192.0.2.1;proto=https;host=a\r\n"
      "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\n",
      "192.0.2.1 - https a");
  check("Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n", "unknown - - -");
  check("Forwarded: for=192.0.2.1;proto=https\r\nX-Forwarded-For: 192.0.2.1\r\n", "unknown - - -");
  check("Forwarded: for=192.0.2.1;host=a\r\nX-Forwarded-For: 192.0.2.1\r\n", "unknown - - -");
  check("Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "unknown - - -");
  check("Forwarded: for=192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "unknown - - -");
}

static void reads_one_kind_where_told_so(void) {
  static const char *const lines = "Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n";
  CHECK(strcmp(read_fields(LS_FORWARDED_RFC7239, "127.0.0.1", lines), "192.0.2.1 - - -") == 0);
  CHECK(strcmp(read_fields(LS_FORWARDED_X, "127.0.0.1", lines), "192.0.2.2 - - -") == 0);
  CHECK(strcmp(read_fields(LS_FORWARDED_RFC7239, "127.0.0.1", "X-Forwarded-For: 192.0.2.2\r\n"), "peer - - -") == 0);
  CHECK(strcmp(read_fields(LS_FORWARDED_X, "127.0.0.1", "Forwarded: for=192.0.2.2\r\n"), "peer - - -") == 0);
}

int main(void) {
  RUN(believes_only_whom_it_trusts);
  RUN(reads_the_grammar);
  RUN(takes_hidden_clients_for_unknown);
  RUN(refuses_what_is_malformed);
  RUN(walks_from_the_right);
  RUN(never_looks_at_what_a_client_puts_in_front);
  RUN(reads_the_elders);
  RUN(believes_no_contradictions);
  RUN(reads_one_kind_where_told_so);
  return 0;
}
