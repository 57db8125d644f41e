/* SPDX-License-Identifier: MIT */
/* fuzz/negotiate: lists with weights, and what is chosen for an Accept, Accept-Encoding or Accept-Language of arbitrary
 * bytes. */
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

static void check_choice(const struct ls_head *head, ls_match match) {
  struct ls_offer offers[] = {{.name = {"text/html;charset=utf-8", 23}}, {.name = {"de-CH", 5}}, {.name = {"gzip", 4}}};
  bool any = ls_weigh(head, LS_FIELD_ACCEPT_ENCODING, match, offers, 3);
  int best = ls_best_offer(offers, 3);
  EXPECT(best >= -1 && best < 3 && (any || best == -1));
  for (int i = 0; i < 3; i++) {
    EXPECT(offers[i].weight >= -1 && offers[i].weight <= 1000 && (offers[i].weight < 0) == (offers[i].precision == 0));
    EXPECT(offers[i].weight <= 0 || (best >= 0 && offers[best].weight >= offers[i].weight));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  static const enum ls_coding offered[] = {LS_CODING_BROTLI, LS_CODING_GZIP};
  char *copy = copy_of(bytes, len);
  struct ls_head_field field = {.value_len = (uint32_t)len, .id = LS_FIELD_ACCEPT_ENCODING};
  struct ls_head head = {.base = copy, .fields = &field, .count = 1};
  check_list(ls_slice(copy, len));
  enum ls_coding coding = ls_negotiate_coding(&head, offered, 2);
  check_choice(&head, ls_match_media);
  check_choice(&head, ls_match_coding);
  check_choice(&head, ls_match_language);
  EXPECT(coding == LS_CODING_IDENTITY || coding == LS_CODING_BROTLI || coding == LS_CODING_GZIP);
  free(copy);
  return 0;
}
