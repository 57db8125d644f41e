/* SPDX-License-Identifier: MIT */
/* dns_answer: reads the answer section of a DNS message (RFC 1035, section 4), which a stranger may have written: every
 * length is checked, and the pointers of compressed names only go backwards, so each name ends.
 *
 *   header    id, flags, then how many questions, answers, authorities and additionals there are: 12 bytes
 *   question  name, type, class
 *   record    name, type, class, ttl, length, data */
#ifndef LS_LOOP_DNS_ANSWER_H
#define LS_LOOP_DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LS_DNS_NAME_SIZE 1025 /* 255 bytes, each of them perhaps as \DDD, and the NUL */

enum ls_dns_type {
  LS_DNS_A = 1,
  LS_DNS_NS = 2,
  LS_DNS_CNAME = 5,
  LS_DNS_SOA = 6,
  LS_DNS_PTR = 12,
  LS_DNS_MX = 15,
  LS_DNS_TXT = 16,
  LS_DNS_AAAA = 28,
  LS_DNS_SRV = 33,
  LS_DNS_CAA = 257,
};

struct ls_dns_answer {
  const unsigned char *bytes;
  size_t len;
  size_t at;
  unsigned left; /* records */
};

/* The data of a record, read from at on; reading past end is malformed. */
struct ls_dns_record {
  const struct ls_dns_answer *answer;
  int type;
  uint32_t ttl; /* seconds */
  size_t at, end;
};

/* Of any message: the response code, 0 to 15; -1 for one that is too short to have one. */
int ls_dns_answer_rcode(const unsigned char *bytes, size_t len);

/* Whether its server neither knows the name (it is not authoritative) nor asks others for us, and found nothing. */
bool ls_dns_answer_is_lame(const unsigned char *bytes, size_t len);

/* 0 or LS_EBADRESP. The bytes must stay. */
int ls_dns_answer_init(struct ls_dns_answer *answer, const unsigned char *bytes, size_t len);

/* 1: the next record of the Internet class, whatever its type. 0: no more. LS_EBADRESP. */
int ls_dns_answer_next(struct ls_dns_answer *answer, struct ls_dns_record *record);

/* Each 0 or LS_EBADRESP. */
int ls_dns_read_number(struct ls_dns_record *record, size_t bytes, uint32_t *number);
int ls_dns_read_bytes(struct ls_dns_record *record, size_t len, const unsigned char **bytes);

/* As zone files write it, without the last dot: "www.example.com"; the root is ".". */
int ls_dns_read_name(struct ls_dns_record *record, char name[LS_DNS_NAME_SIZE]);

static inline bool ls_dns_record_is_read(const struct ls_dns_record *record) {
  return record->at == record->end;
}

#endif
