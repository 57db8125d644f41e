/* SPDX-License-Identifier: MIT */
/* proxy_header: both versions, in pieces of every size; borders, values and checksums. The sections are those of the
 * specification of the PROXY protocol. */
#include "http/proxy_header.h"

#include "base/error.h"
#include "check.h"

#define BOTH (LS_PROXY_V1 | LS_PROXY_V2)
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* Feeds the bytes and, behind them, an HTTP request that must stay untouched. */
static int feed_in_pieces(struct ls_proxy_header *header, const char *bytes, size_t len, size_t piece, size_t *total) {
  int status = LS_PROXY_MORE;
  *total = 0;
  while (*total < len && status == LS_PROXY_MORE) {
    size_t n = len - *total < piece ? len - *total : piece, used;
    char *copy = malloc(n); /* its own memory, so that a read behind its end is seen */
    memcpy(copy, bytes + *total, n);
    status = ls_proxy_header_feed(header, copy, n, &used);
    free(copy);
    CHECK(used <= n && (used == n || status != LS_PROXY_MORE));
    *total += used;
  }
  return status;
}

/* What is told, "address port secure", "-" where nothing is; "more" or "bad" where the header is not complete. */
static const char *read_header(uint8_t allowed, const char *bytes, size_t len) {
  static char text[100];
  char all[6000];
  memcpy(all, bytes, len);
  memcpy(all + len, "GET /", 5);
  for (size_t piece = 1; piece <= len + 5; piece++) {
    struct ls_proxy_header header;
    char address[LS_IP_TEXT_SIZE], now[100];
    size_t used;
    ls_proxy_header_init(&header, allowed);
    CHECK(!ls_proxy_header_began(&header));
    int status = feed_in_pieces(&header, all, len + 5, piece, &used);
    CHECK(ls_proxy_header_began(&header));
    if (status == LS_PROXY_DONE)
      CHECK_INT(used, len);
    ls_ip_text(&header.source, address);
    if (status != LS_PROXY_DONE)
      strcpy(now, status == LS_PROXY_MORE ? "more" : "bad");
    else if (!header.told)
      strcpy(now, "-");
    else
      snprintf(now, sizeof now, "%s %u%s", address, header.port, header.secure ? " secure" : "");
    CHECK(piece == 1 || strcmp(now, text) == 0);
    strcpy(text, now);
  }
  return text;
}

static void check_line(const char *line, const char *expected) {
  const char *text = read_header(BOTH, line, strlen(line));
  CHECK_BYTES(text, strlen(text), expected);
}

/* ---- 2.1: version 1 ---- */

static void reads_lines(void) {
  check_line("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1 56324");
  check_line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255 65535");
  check_line("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0 0");
  check_line("PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", "2001:db8::1 1");
  check_line("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n", "192.0.2.1 1");
  check_line(
      "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535");
  check_line("PROXY UNKNOWN\r\n", "-");
  check_line("PROXY UNKNOWN \r\n", "-");
  check_line(
      "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
      "-");
}

static void refuses_other_lines(void) {
  static const char *const bad[] = {
      "GET / HTTP/1.1\r\n",
      "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
      "PROXY\r\n",
      "PROXY \r\n",
      "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
      "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
      "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
      "PROXY UNKNOWNS\r\n",
      "PROXY TCP4\r\n",
      "PROXY TCP4 1.2.3.4\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
      "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
      "PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n",
      "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.256 1 2\r\n",
      "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
      "PROXY TCP4 ::1 ::1 1 2\r\n",
      "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
      "PROXY TCP6 ::1 1.2.3.4 1 2\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 1 02\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n",
      "PROXY UNKNOWN a\rb\r\n",
      "PROXY UNKNOWN a\nb\r\n",
      "PROXY UNKNOWN 12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012\r\n",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    check_line(bad[i], "bad");
  CHECK(strcmp(read_header(BOTH, "PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n", 34), "bad") == 0);
}

/* ---- 2.2: version 2 ---- */

struct binary {
  char bytes[5600];
  size_t len;
};

static void add(struct binary *binary, const char *bytes, size_t len) {
  memcpy(binary->bytes + binary->len, bytes, len);
  binary->len += len;
  size_t rest = binary->len < 16 ? 0 : binary->len - 16;
  binary->bytes[14] = (char)(rest >> 8);
  binary->bytes[15] = (char)rest;
}

/* A header with that command and family, and a rest. */
static struct binary make(uint8_t command, uint8_t family, const char *rest, size_t len) {
  struct binary binary = {.len = 0};
  memcpy(binary.bytes, SIGNATURE, 12);
  binary.bytes[12] = (char)command;
  binary.bytes[13] = (char)family;
  binary.len = 16;
  add(&binary, rest, len);
  return binary;
}

static void check_binary(const struct binary *binary, const char *expected) {
  const char *text = read_header(BOTH, binary->bytes, binary->len);
  CHECK_BYTES(text, strlen(text), expected);
}

static void check_made(uint8_t command, uint8_t family, const char *rest, size_t len, const char *expected) {
  struct binary binary = make(command, family, rest, len);
  check_binary(&binary, expected);
}

static const char four[12] = {(char)192, 0, 2, 1, (char)203, 0, 113, 9, (char)0xdc, 4, 1, (char)0xbb};
static const char six[36] = {0x20, 1, 0x0d, (char)0xb8, [15] = 1, [31] = 1, [32] = 0x12, 0x34, 0, 80};
static const char paths[216] = "/run/client.sock";

static void reads_binary_headers(void) {
  check_made(0x21, 0x11, four, sizeof four, "192.0.2.1 56324");
  check_made(0x21, 0x21, six, sizeof six, "2001:db8::1 4660");
  check_made(0x21, 0x31, paths, sizeof paths, " 0");
  char mapped[36] = {[10] = (char)0xff, (char)0xff, 10, 1, 2, 3};
  check_made(0x21, 0x21, mapped, sizeof mapped, "10.1.2.3 0");
}

static void leaves_the_endpoints_where_nothing_is_told(void) {
  check_made(0x20, 0x00, "", 0, "-");
  check_made(0x20, 0x11, four, sizeof four, "-");
  check_made(0x20, 0xff, "abc", 3, "-"); /* LOCAL: the family is ignored, the length is not */
  check_made(0x21, 0x00, "", 0, "-");
  check_made(0x21, 0x00, "abcdefg", 7, "-");
  check_made(0x21, 0x12, four, sizeof four, "-");
  check_made(0x21, 0x10, four, sizeof four, "-");
  check_made(0x21, 0x01, "", 0, "-");
}

static void refuses_other_binary_headers(void) {
  check_made(0x11, 0x11, four, sizeof four, "bad");
  check_made(0x31, 0x11, four, sizeof four, "bad");
  check_made(0x22, 0x11, four, sizeof four, "bad");
  check_made(0x21, 0x41, four, sizeof four, "bad");
  check_made(0x21, 0x13, four, sizeof four, "bad");
  check_made(0x21, 0x11, four, sizeof four - 1, "bad");
  check_made(0x21, 0x21, six, sizeof six - 1, "bad");
  check_made(0x21, 0x31, paths, sizeof paths - 1, "bad");
  CHECK(strcmp(read_header(BOTH, "\r\n\r\n\0\r\nQUIT\r", 12), "bad") == 0);
  CHECK(strcmp(read_header(BOTH, "\r\nGET / HTTP/1.1\r\n", 18), "bad") == 0);
}

static void bounds_the_rest(void) {
  static const char noop[3] = {4, (LS_PROXY_REST_MAX - 15) >> 8, (char)((LS_PROXY_REST_MAX - 15) & 255)};
  static const char zeros[LS_PROXY_REST_MAX];
  struct binary binary = make(0x21, 0x11, four, sizeof four);
  add(&binary, noop, sizeof noop);
  add(&binary, zeros, LS_PROXY_REST_MAX - 15);
  struct ls_proxy_header header;
  size_t used;
  ls_proxy_header_init(&header, BOTH);
  CHECK_INT(ls_proxy_header_feed(&header, binary.bytes, binary.len, &used), LS_PROXY_DONE);
  CHECK_INT(used, binary.len);
  add(&binary, "", 1);
  ls_proxy_header_init(&header, BOTH);
  CHECK_INT(ls_proxy_header_feed(&header, binary.bytes, binary.len, &used), LS_EPROTO);
  CHECK_INT(used, 16);
}

/* ---- the values of version 2 ---- */

static void check_values(const char *values, size_t len, const char *expected) {
  struct binary binary = make(0x21, 0x11, four, sizeof four);
  add(&binary, values, len);
  check_binary(&binary, expected);
}

#define VALUES(text) text, sizeof(text) - 1

static void passes_over_values(void) {
  check_values(VALUES("\x01\0\x02h2\x04\0\0\x02\0\x01"
                      "a"),
               "192.0.2.1 56324");
  check_values(VALUES("\xea\0\x05\x20\0\x05\x01\0"), "192.0.2.1 56324");
  check_values(VALUES("\x04"), "bad");
  check_values(VALUES("\x04\0"), "bad");
  check_values(VALUES("\x04\0\x01"), "bad");
  check_values(VALUES("\x04\xff\xff"
                      "ab"),
               "bad");
}

static void learns_of_tls(void) {
  check_values(VALUES("\x20\0\x05\x01\0\0\0\0"), "192.0.2.1 56324 secure");
  check_values(VALUES("\x20\0\x0f\x07\0\0\0\1\x21\0\x07TLSv1.3"), "192.0.2.1 56324 secure");
  check_values(VALUES("\x20\0\x05\x06\0\0\0\0"), "192.0.2.1 56324");
  check_values(VALUES("\x20\0\x04\x01\0\0\0"), "bad");
  check_values(VALUES("\x20\0\0"), "bad");
}

static uint32_t crc32c(const char *bytes, size_t len) {
  uint32_t sum = UINT32_MAX;
  for (size_t i = 0; i < len * 8; i++) {
    unsigned bit = (unsigned char)bytes[i / 8] >> i % 8 & 1;
    sum = sum >> 1 ^ (((sum & 1) ^ bit) != 0 ? 0x82f63b78u : 0);
  }
  return ~sum;
}

/* With the sum in the middle, and a bit turned in each byte in turn. */
static void checks_the_sum(void) {
  CHECK_INT(crc32c("123456789", 9), 0xe3069283); /* the well-known check value of CRC-32C */
  struct binary binary = make(0x21, 0x11, four, sizeof four);
  add(&binary, VALUES("\x04\0\x01x\x03\0\x04\0\0\0\0\x20\0\x05\x01\0\0\0\0"));
  uint32_t sum = crc32c(binary.bytes, binary.len);
  size_t at = 16 + sizeof four + 4 + 3;
  for (unsigned i = 0; i < 4; i++)
    binary.bytes[at + i] = (char)(sum >> (24 - 8 * i));
  check_binary(&binary, "192.0.2.1 56324 secure");
  for (size_t i = 16; i < binary.len; i++) {
    binary.bytes[i] ^= 1;
    if (i != at - 3) /* its type: then it is no sum */
      CHECK(strcmp(read_header(BOTH, binary.bytes, binary.len), "bad") == 0);
    binary.bytes[i] ^= 1;
  }
  check_values(VALUES("\x03\0\x03\0\0\0"), "bad");
  check_values(VALUES("\x03\0\x04\0\0\0\0"), "bad");
  check_values(VALUES("\x03\0\x04\0\0\0\0\x03\0\x04\0\0\0\0"), "bad");
}

static void takes_only_what_is_allowed(void) {
  const char *line = "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n";
  struct binary binary = make(0x21, 0x11, four, sizeof four);
  CHECK(strcmp(read_header(LS_PROXY_V1, line, strlen(line)), "1.2.3.4 1") == 0);
  CHECK(strcmp(read_header(LS_PROXY_V2, line, strlen(line)), "bad") == 0);
  CHECK(strcmp(read_header(LS_PROXY_V2, binary.bytes, binary.len), "192.0.2.1 56324") == 0);
  CHECK(strcmp(read_header(LS_PROXY_V1, binary.bytes, binary.len), "bad") == 0);
}

int main(void) {
  RUN(reads_lines);
  RUN(refuses_other_lines);
  RUN(reads_binary_headers);
  RUN(leaves_the_endpoints_where_nothing_is_told);
  RUN(refuses_other_binary_headers);
  RUN(bounds_the_rest);
  RUN(passes_over_values);
  RUN(learns_of_tls);
  RUN(checks_the_sum);
  RUN(takes_only_what_is_allowed);
  return 0;
}
