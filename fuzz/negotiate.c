/* SPDX-License-Identifier: MIT */
/* fuzz/negotiate: lists with weights, and the coding chosen for an Accept-Encoding of arbitrary bytes. */
#include "http/negotiate.h"

#include "expect.h"

static void check_list(struct ls_slice list) {
  struct ls_slice rest = list;
  struct ls_weighted member;
  while (ls_weighted_next(&rest, &member)) {
    EXPECT(member.weight <= 1000 && member.value.len != 0);
    EXPECT(member.value.ptr >= list.ptr && member.value.ptr + member.value.len <= list.ptr + list.len);
  }
  EXPECT(rest.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  static const enum ls_coding offered[] = {LS_CODING_BROTLI, LS_CODING_GZIP};
  char *copy = copy_of(bytes, len);
  struct ls_head_field field = {.value_len = (uint32_t)len, .id = LS_FIELD_ACCEPT_ENCODING};
  struct ls_head head = {.base = copy, .fields = &field, .count = 1};
  check_list(ls_slice(copy, len));
  enum ls_coding coding = ls_negotiate_coding(&head, offered, 2);
  EXPECT(coding == LS_CODING_IDENTITY || coding == LS_CODING_BROTLI || coding == LS_CODING_GZIP);
  free(copy);
  return 0;
}
