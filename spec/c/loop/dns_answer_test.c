/* SPDX-License-Identifier: MIT */
/* dns_answer_test: messages as name servers send them, and as strangers might. */
#include "loop/dns_answer.h"

#include "base/error.h"
#include "check.h"

#define HEADER "\x12\x34\x81\x80\0\1\0\1\0\0\0\0"               /* a question, a record */
#define QUESTION "\3www\4test\0\0\1\0\1"                        /* at 12; "test" at 16 */
#define FIXED(type, len) "\xc0\x0c\0" type "\0\1\0\0\0\5\0" len /* at 26; its data at 38 */

/* In memory of its own size, so that a sanitizer sees what is read beyond it. */
struct message {
  unsigned char *bytes;
  size_t len;
  struct ls_dns_answer answer;
};

static struct message make(const char *bytes, size_t len) {
  struct message message = {malloc(len > 0 ? len : 1), len, {0}};
  CHECK(message.bytes != NULL);
  memcpy(message.bytes, bytes, len);
  return message;
}

#define MAKE(text) make(text, sizeof(text) - 1)

static void reads_records(void) {
  struct message message = MAKE(HEADER QUESTION FIXED("\x0f", "\7") "\0\1\2mx\xc0\x10");
  struct ls_dns_record record;
  char name[LS_DNS_NAME_SIZE];
  uint32_t number;
  CHECK_INT(ls_dns_answer_rcode(message.bytes, message.len), 0);
  CHECK(!ls_dns_answer_is_lame(message.bytes, message.len));
  CHECK_INT(ls_dns_answer_init(&message.answer, message.bytes, message.len), 0);
  CHECK_INT(ls_dns_answer_next(&message.answer, &record), 1);
  CHECK_INT(record.type, LS_DNS_MX);
  CHECK_INT(record.ttl, 5);
  CHECK_INT(ls_dns_read_number(&record, 2, &number), 0);
  CHECK_INT(number, 1);
  CHECK_INT(ls_dns_read_name(&record, name), 0);
  CHECK_BYTES(name, strlen(name), "mx.test");
  CHECK(ls_dns_record_is_read(&record));
  CHECK_INT(ls_dns_answer_next(&message.answer, &record), 0);
  free(message.bytes);
}

/* Every prefix of it is malformed, and none is read beyond its end. */
static void prefixes_are_malformed(void) {
  static const char whole[] = HEADER QUESTION FIXED("\x02", "\5") "\2ns\xc0\x10";
  struct ls_dns_record record;
  char name[LS_DNS_NAME_SIZE];
  for (size_t len = 0; len < sizeof whole; len++) {
    struct message message = make(whole, len);
    bool complete = len == sizeof whole - 1;
    int status = ls_dns_answer_init(&message.answer, message.bytes, message.len);
    if (status == 0)
      status = ls_dns_answer_next(&message.answer, &record);
    if (status == 1)
      status = ls_dns_read_name(&record, name);
    CHECK_INT(status, complete ? 0 : LS_EBADRESP);
    free(message.bytes);
  }
}

static int name_status(const char *data, size_t len) {
  static const char before[] = HEADER QUESTION "\xc0\x0c\0\2\0\1\0\0\0\5";
  char bytes[600], name[LS_DNS_NAME_SIZE];
  struct ls_dns_record record;
  memcpy(bytes, before, sizeof before - 1);
  bytes[sizeof before - 1] = (char)(len >> 8);
  bytes[sizeof before] = (char)len;
  memcpy(bytes + sizeof before + 1, data, len);
  struct message message = make(bytes, sizeof before + 1 + len);
  CHECK_INT(ls_dns_answer_init(&message.answer, message.bytes, message.len), 0);
  CHECK_INT(ls_dns_answer_next(&message.answer, &record), 1);
  int status = ls_dns_read_name(&record, name);
  free(message.bytes);
  return status;
}

#define NAME_STATUS(data) name_status(data, sizeof(data) - 1)

static void pointers_only_go_back(void) {
  CHECK_INT(NAME_STATUS("\xc0\x0c"), 0);
  CHECK_INT(NAME_STATUS("\1a\xc0\x0c"), 0);
  CHECK_INT(NAME_STATUS("\xc0\x26"), LS_EBADRESP);            /* to itself */
  CHECK_INT(NAME_STATUS("\1a\xc0\x26"), LS_EBADRESP);         /* round and round */
  CHECK_INT(NAME_STATUS("\1a\xc0\x28"), LS_EBADRESP);         /* to a pointer to itself */
  CHECK_INT(NAME_STATUS("\xc0\x28\1a\xc0\x26"), LS_EBADRESP); /* forward, and back */
  CHECK_INT(NAME_STATUS("\xff\xff"), LS_EBADRESP);
  CHECK_INT(NAME_STATUS("\x40"
                        "a"),
            LS_EBADRESP);
  CHECK_INT(NAME_STATUS("\xc0"), LS_EBADRESP);
  CHECK_INT(NAME_STATUS(""), LS_EBADRESP);
}

static void long_name_fits(void) {
  char data[300];
  struct ls_dns_record record;
  char name[LS_DNS_NAME_SIZE];
  memset(data, 0xff, sizeof data);
  data[0] = data[64] = data[128] = 63;
  data[192] = 61;
  data[254] = '\0';
  CHECK_INT(name_status(data, 255), 0); /* the longest, each of its bytes written as four */
  data[192] = 62;
  data[255] = '\0';
  CHECK_INT(name_status(data, 256), LS_EBADRESP);
  struct message message = MAKE(HEADER QUESTION FIXED("\2", "\7") "\3a.\\\1\x7f\0");
  CHECK_INT(ls_dns_answer_init(&message.answer, message.bytes, message.len), 0);
  CHECK_INT(ls_dns_answer_next(&message.answer, &record), 1);
  CHECK_INT(ls_dns_read_name(&record, name), 0);
  CHECK_BYTES(name, strlen(name), "a\\.\\\\.\\127");
  free(message.bytes);
}

static void lame_is_told(void) {
  struct message message = MAKE("\x12\x34\x80\0\0\0\0\0\0\0\0\0");
  CHECK(ls_dns_answer_is_lame(message.bytes, message.len));
  CHECK(!ls_dns_answer_is_lame(message.bytes, 11));
  CHECK_INT(ls_dns_answer_rcode(message.bytes, 11), -1);
  message.bytes[2] = 0x84; /* authoritative */
  CHECK(!ls_dns_answer_is_lame(message.bytes, message.len));
  message.bytes[2] = 0x80;
  message.bytes[3] = 0x80; /* asks others */
  CHECK(!ls_dns_answer_is_lame(message.bytes, message.len));
  message.bytes[3] = 0x03;
  CHECK(!ls_dns_answer_is_lame(message.bytes, message.len));
  CHECK_INT(ls_dns_answer_rcode(message.bytes, message.len), 3);
  free(message.bytes);
}

int main(void) {
  RUN(reads_records);
  RUN(prefixes_are_malformed);
  RUN(pointers_only_go_back);
  RUN(long_name_fits);
  RUN(lame_is_told);
  return 0;
}
