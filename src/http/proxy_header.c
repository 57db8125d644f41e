/* SPDX-License-Identifier: MIT */
#include "http/proxy_header.h"

#include "base/error.h"

/* The address block of version 2 begins behind these. */
#define FIXED_BYTES 16

enum { COMMAND_LOCAL, COMMAND_PROXY, COMMANDS };
enum { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX, FAMILIES };
enum { TRANSPORT_UNSPEC, TRANSPORT_STREAM, TRANSPORT_DGRAM, TRANSPORTS };
enum { TLV_CRC32C = 0x03, TLV_SSL = 0x20 };

#define CLIENT_SSL 0x01
#define SSL_BYTES 5 /* of an SSL value at least: client, verify */
#define SUM_BYTES 4

void ls_proxy_header_init(struct ls_proxy_header *header, uint8_t allowed) {
  *header = (struct ls_proxy_header){.allowed = allowed, .sum = UINT32_MAX};
}

/* ---- version 1 ---- */

/* The next word of the line; words are one space apart. */
static bool take_word(struct ls_slice *line, struct ls_slice *word) {
  const char *space = line->len == 0 ? NULL : memchr(line->ptr, ' ', line->len);
  *word = ls_slice(line->ptr, space == NULL ? line->len : (size_t)(space - line->ptr));
  size_t taken = word->len + (space != NULL);
  *line = ls_slice(line->ptr + taken, line->len - taken);
  return word->len != 0;
}

static bool take_address(struct ls_slice *line, bool is_six, struct ls_ip *ip) {
  struct ls_slice word;
  return take_word(line, &word) && (memchr(word.ptr, ':', word.len) != NULL) == is_six && ls_ip_parse(word, ip);
}

/* Decimal, at most 65535, no leading zero. */
static bool take_port(struct ls_slice *line, uint16_t *port) {
  struct ls_slice word;
  uint32_t value = 0;
  if (!take_word(line, &word) || word.len > 5 || (word.ptr[0] == '0' && word.len > 1))
    return false;
  for (size_t i = 0; i < word.len; i++) {
    if (word.ptr[i] < '0' || word.ptr[i] > '9')
      return false;
    value = value * 10 + (uint32_t)(word.ptr[i] - '0');
  }
  *port = (uint16_t)value;
  return value <= UINT16_MAX;
}

/* The line without "PROXY " and CR LF. */
static int parse_line(struct ls_proxy_header *header, struct ls_slice line) {
  struct ls_slice word;
  struct ls_ip destination;
  uint16_t destination_port;
  if (!take_word(&line, &word))
    return LS_EPROTO;
  if (ls_slice_equal(word, ls_slice_of("UNKNOWN")))
    return LS_PROXY_DONE;
  bool is_six = ls_slice_equal(word, ls_slice_of("TCP6"));
  if (!is_six && !ls_slice_equal(word, ls_slice_of("TCP4")))
    return LS_EPROTO;
  if (!take_address(&line, is_six, &header->source) || !take_address(&line, is_six, &destination) ||
      !take_port(&line, &header->port))
    return LS_EPROTO;
  bool has_tail = line.len != 0 && line.ptr[line.len - 1] == ' ';
  if (has_tail || !take_port(&line, &destination_port) || line.len != 0)
    return LS_EPROTO;
  header->told = true;
  return LS_PROXY_DONE;
}

static int feed_line(struct ls_proxy_header *header, uint8_t byte) {
  static const char start[] = "PROXY ";
  const uint8_t *bytes = header->bytes;
  uint16_t at = header->have;
  bool after_cr = at > 0 && bytes[at - 1] == '\r';
  if (at < sizeof start - 1 && byte != (uint8_t)start[at])
    return LS_EPROTO;
  if (after_cr != (byte == '\n'))
    return LS_EPROTO;
  header->bytes[header->have++] = byte;
  if (byte != '\n')
    return header->have < LS_PROXY_LINE_MAX ? LS_PROXY_MORE : LS_EPROTO;
  return parse_line(header, ls_slice((const char *)bytes + sizeof start - 1, at - sizeof start));
}

/* ---- version 2 ---- */

/* CRC32c (RFC 9260 appendix A), a bit at a time: headers are short. */
static void sum_byte(struct ls_proxy_header *header, uint8_t byte) {
  header->sum ^= byte;
  for (unsigned bit = 0; bit < 8; bit++)
    header->sum = header->sum >> 1 ^ ((header->sum & 1) != 0 ? 0x82f63b78u : 0);
}

static int check_fixed(struct ls_proxy_header *header) {
  static const uint16_t sizes[FAMILIES] = {0, 12, 36, 216};
  const uint8_t *bytes = header->bytes;
  unsigned family = bytes[13] >> 4, transport = bytes[13] & 15;
  bool is_local = (bytes[12] & 15) == COMMAND_LOCAL;
  header->left = (uint16_t)(bytes[14] << 8 | bytes[15]);
  if (header->left > LS_PROXY_REST_MAX)
    return LS_EPROTO;
  /* Of another transport than this one, or an unknown one, nothing is to be known. */
  header->told = !is_local && family != FAMILY_UNSPEC && transport == TRANSPORT_STREAM;
  header->address = header->told ? sizes[family] : header->left;
  if (header->left < header->address)
    return LS_EPROTO;
  return header->left == 0 ? LS_PROXY_DONE : LS_PROXY_MORE;
}

static int feed_fixed(struct ls_proxy_header *header, uint8_t byte) {
  static const uint8_t signature[] = {'\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};
  uint16_t at = header->have;
  header->bytes[header->have++] = byte;
  sum_byte(header, byte);
  if (at < sizeof signature)
    return byte == signature[at] ? LS_PROXY_MORE : LS_EPROTO;
  bool is_local = (header->bytes[sizeof signature] & 15) == COMMAND_LOCAL;
  if (at == 12 && (byte >> 4 != 2 || (byte & 15) >= COMMANDS))
    return LS_EPROTO;
  if (at == 13 && !is_local && (byte >> 4 >= FAMILIES || (byte & 15) >= TRANSPORTS))
    return LS_EPROTO;
  return at == FIXED_BYTES - 1 ? check_fixed(header) : LS_PROXY_MORE;
}

static void feed_address(struct ls_proxy_header *header, uint8_t byte) {
  if (header->have < sizeof header->bytes)
    header->bytes[header->have++] = byte;
  sum_byte(header, byte);
  if (--header->address != 0 || !header->told)
    return;
  const uint8_t *address = header->bytes + FIXED_BYTES;
  unsigned family = header->bytes[13] >> 4;
  if (family == FAMILY_UNIX)
    return;
  uint8_t len = family == FAMILY_INET ? 4 : 16;
  header->source = ls_ip_of(address, len);
  header->port = (uint16_t)(address[2 * len] << 8 | address[2 * len + 1]);
}

/* The type or a byte of the length of a value. */
static int begin_tlv(struct ls_proxy_header *header, uint8_t byte) {
  if (header->tlv_have++ == 0) {
    header->tlv_type = byte;
    header->tlv_left = 0;
    return 0;
  }
  header->tlv_left = (uint16_t)(header->tlv_left << 8 | byte);
  if (header->tlv_have < 3)
    return 0;
  bool is_sum = header->tlv_type == TLV_CRC32C;
  if (header->tlv_left >= header->left || (is_sum && (header->summed || header->tlv_left != SUM_BYTES)) ||
      (header->tlv_type == TLV_SSL && header->tlv_left < SSL_BYTES))
    return LS_EPROTO;
  header->summed |= is_sum;
  header->tlv_at = 0;
  if (header->tlv_left == 0)
    header->tlv_have = 0;
  return 0;
}

/* The checksum was made as if it were 0 itself. */
static int feed_tlv(struct ls_proxy_header *header, uint8_t byte) {
  bool in_value = header->tlv_have == 3;
  bool in_sum = in_value && header->tlv_type == TLV_CRC32C;
  sum_byte(header, in_sum ? 0 : byte);
  if (!in_value)
    return begin_tlv(header, byte);
  if (in_sum)
    header->expected = header->expected << 8 | byte;
  if (header->tlv_type == TLV_SSL && header->tlv_at == 0)
    header->secure = (byte & CLIENT_SSL) != 0;
  header->tlv_at++;
  if (--header->tlv_left == 0)
    header->tlv_have = 0;
  return 0;
}

static int feed_rest(struct ls_proxy_header *header, uint8_t byte) {
  if (header->address != 0)
    feed_address(header, byte);
  else if (feed_tlv(header, byte) != 0)
    return LS_EPROTO;
  if (--header->left != 0)
    return LS_PROXY_MORE;
  bool is_right = !header->summed || header->expected == ~header->sum;
  return header->tlv_have == 0 && is_right ? LS_PROXY_DONE : LS_EPROTO;
}

/* ---- both ---- */

static int begin(struct ls_proxy_header *header, uint8_t byte) {
  header->version = byte == 'P' ? LS_PROXY_V1 : LS_PROXY_V2;
  return (header->version & header->allowed) != 0 ? 0 : LS_EPROTO;
}

static int feed_byte(struct ls_proxy_header *header, uint8_t byte) {
  if (header->version == 0 && begin(header, byte) != 0)
    return LS_EPROTO;
  if (header->version == LS_PROXY_V1)
    return feed_line(header, byte);
  return header->have < FIXED_BYTES ? feed_fixed(header, byte) : feed_rest(header, byte);
}

int ls_proxy_header_feed(struct ls_proxy_header *header, const char *bytes, size_t len, size_t *used) {
  int status = LS_PROXY_MORE;
  for (*used = 0; *used < len && status == LS_PROXY_MORE; ++*used)
    status = feed_byte(header, (uint8_t)bytes[*used]);
  return status;
}
