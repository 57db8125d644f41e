/* SPDX-License-Identifier: MIT */
#include "loop/dns_answer.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define HEADER_SIZE 12
#define CLASS_IN 1
#define NAME_MAX_OCTETS 255
#define POINTER 0xc0 /* the two high bits of a length byte */

static uint32_t number_at(const unsigned char *bytes, size_t count) {
  uint32_t number = 0;
  for (size_t i = 0; i < count; i++)
    number = number << 8 | bytes[i];
  return number;
}

int ls_dns_answer_rcode(const unsigned char *bytes, size_t len) {
  return len < HEADER_SIZE ? -1 : bytes[3] & 0x0f;
}

bool ls_dns_answer_is_lame(const unsigned char *bytes, size_t len) {
  bool authoritative = len >= HEADER_SIZE && (bytes[2] & 0x04) != 0;
  bool recursive = len >= HEADER_SIZE && (bytes[3] & 0x80) != 0;
  return ls_dns_answer_rcode(bytes, len) == 0 && number_at(bytes + 6, 2) == 0 && !authoritative && !recursive;
}

/* ---- names ---- */

/* Text under construction; it cannot overflow, because a name has at most NAME_MAX_OCTETS. */
struct text {
  char *bytes;
  size_t len;
};

static void add_label(struct text *text, const unsigned char *label, size_t len) {
  if (text->len > 0)
    text->bytes[text->len++] = '.';
  for (size_t i = 0; i < len; i++) {
    unsigned char c = label[i];
    if (c <= ' ' || c >= 0x7f) {
      text->len += (size_t)sprintf(text->bytes + text->len, "\\%03u", c);
    } else {
      if (c == '.' || c == '\\')
        text->bytes[text->len++] = '\\';
      text->bytes[text->len++] = (char)c;
    }
  }
}

/* A pointer at here, which may only lead to before lowest, where the last one led to. */
static int follow_pointer(const struct ls_dns_answer *answer, size_t here, size_t end, size_t lowest, size_t *target) {
  if (end - here < 2)
    return LS_EBADRESP;
  *target = number_at(answer->bytes + here, 2) & 0x3fff;
  return *target < lowest ? 0 : LS_EBADRESP;
}

/* Reads a name at *at, or skips it where text is NULL, and moves *at behind it. The part of it that is not pointed at
 * lies before end. */
static int read_name(const struct ls_dns_answer *answer, size_t *at, size_t end, struct text *text) {
  size_t here = *at, lowest = *at, octets = 0;
  bool jumped = false;
  for (;;) {
    if (here >= end)
      return LS_EBADRESP;
    size_t length = answer->bytes[here];
    if (length >= POINTER) {
      size_t after = here + 2;
      if (follow_pointer(answer, here, end, lowest, &lowest) != 0)
        return LS_EBADRESP;
      if (!jumped)
        *at = after;
      jumped = true;
      here = lowest;
      end = answer->len;
      continue;
    }
    octets += length + 1;
    if (length > 63 || length >= end - here || octets > NAME_MAX_OCTETS)
      return LS_EBADRESP;
    here++;
    if (length == 0)
      break;
    if (text != NULL)
      add_label(text, answer->bytes + here, length);
    here += length;
  }
  if (!jumped)
    *at = here;
  return 0;
}

int ls_dns_read_name(struct ls_dns_record *record, char name[LS_DNS_NAME_SIZE]) {
  struct text text = {name, 0};
  int status = read_name(record->answer, &record->at, record->end, &text);
  if (text.len == 0)
    name[text.len++] = '.';
  name[text.len] = '\0';
  return status;
}

/* ---- records ---- */

int ls_dns_answer_init(struct ls_dns_answer *answer, const unsigned char *bytes, size_t len) {
  if (len < HEADER_SIZE)
    return LS_EBADRESP;
  *answer = (struct ls_dns_answer){.bytes = bytes, .len = len, .at = HEADER_SIZE, .left = number_at(bytes + 6, 2)};
  for (unsigned questions = number_at(bytes + 4, 2); questions > 0; questions--) {
    if (read_name(answer, &answer->at, len, NULL) != 0 || len - answer->at < 4)
      return LS_EBADRESP;
    answer->at += 4;
  }
  return 0;
}

static int read_record(struct ls_dns_answer *answer, struct ls_dns_record *record, uint32_t *class) {
  if (read_name(answer, &answer->at, answer->len, NULL) != 0 || answer->len - answer->at < 10)
    return LS_EBADRESP;
  const unsigned char *fixed = answer->bytes + answer->at;
  size_t len = number_at(fixed + 8, 2);
  answer->at += 10;
  if (len > answer->len - answer->at)
    return LS_EBADRESP;
  *record = (struct ls_dns_record){.answer = answer, .type = (int)number_at(fixed, 2), .ttl = number_at(fixed + 4, 4)};
  if (record->ttl > INT32_MAX)
    record->ttl = 0; /* as RFC 2181, section 8, has it */
  record->at = answer->at;
  record->end = answer->at += len;
  *class = number_at(fixed + 2, 2);
  return 0;
}

int ls_dns_answer_next(struct ls_dns_answer *answer, struct ls_dns_record *record) {
  while (answer->left > 0) {
    uint32_t class;
    answer->left--;
    if (read_record(answer, record, &class) != 0)
      return LS_EBADRESP;
    if (class == CLASS_IN)
      return 1;
  }
  return 0;
}

int ls_dns_read_bytes(struct ls_dns_record *record, size_t len, const unsigned char **bytes) {
  if (len > record->end - record->at)
    return LS_EBADRESP;
  *bytes = record->answer->bytes + record->at;
  record->at += len;
  return 0;
}

int ls_dns_read_number(struct ls_dns_record *record, size_t bytes, uint32_t *number) {
  const unsigned char *start;
  *number = 0;
  if (ls_dns_read_bytes(record, bytes, &start) != 0)
    return LS_EBADRESP;
  *number = number_at(start, bytes);
  return 0;
}
