/* SPDX-License-Identifier: MIT */
/* field: looking up names and judging them. */
#include "http/field.h"

#include <ctype.h>

#include "check.h"

static void finds_every_common_name(void) {
  for (int id = LS_FIELD_OTHER + 1; id < LS_FIELDS; id++) {
    struct ls_slice name = ls_field_name((enum ls_field_id)id);
    char upper[64], wrong[64];
    CHECK(name.len != 0 && name.len < sizeof(upper));
    CHECK_INT(ls_field_lookup(name), id);
    for (size_t i = 0; i < name.len; i++)
      upper[i] = (char)toupper((unsigned char)name.ptr[i]);
    CHECK_INT(ls_field_lookup(ls_slice(upper, name.len)), id);
    for (size_t i = 0; i < name.len; i++) {
      static const char others[] = {'_', '\r', '\0', (char)0xff, '!'};
      for (size_t k = 0; k < sizeof(others); k++) {
        memcpy(wrong, upper, name.len);
        wrong[i] = others[k];
        CHECK_INT(ls_field_lookup(ls_slice(wrong, name.len)), LS_FIELD_OTHER);
      }
    }
  }
}

static void leaves_other_names_alone(void) {
  static const char *const others[] = {"",
                                       "x",
                                       "te2",
                                       "hosts",
                                       "hxst",
                                       "x-request-id",
                                       "content-lengths",
                                       "sec-websocket-key",
                                       "accept-languagf",
                                       "a-very-long-name-that-nobody-knows"};
  for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
    CHECK_INT(ls_field_lookup(ls_slice_of(others[i])), LS_FIELD_OTHER);
}

static void judges_names(void) {
  CHECK(ls_field_name_is_valid(ls_slice_of("X-Foo_1!#$%&'*+.^`|~")));
  CHECK(!ls_field_name_is_valid(ls_slice_of("")));
  for (int c = 0; c < 256; c++) {
    char byte = (char)c;
    bool expected = c < 128 && c != 0 && (isalnum(c) || strchr("!#$%&'*+-.^_`|~", c) != NULL);
    CHECK_INT(ls_field_name_is_valid(ls_slice(&byte, 1)), expected);
  }
}

static void judges_values(void) {
  for (int c = 0; c < 256; c++) {
    char text[3] = {'a', (char)c, 'b'};
    CHECK_INT(ls_field_value_is_valid(ls_slice(text, 3)), c == '\t' || (c >= 32 && c != 127));
  }
  CHECK(ls_field_value_is_valid(ls_slice(NULL, 0)));
  for (size_t at = 0; at < 20; at++) { /* wherever it stands among words of eight bytes */
    for (int c = 0; c < 256; c++) {
      char text[20];
      memset(text, c == 0x80 ? 0x7e : 0x80, sizeof text);
      text[at] = (char)c;
      CHECK_INT(ls_field_value_is_valid(ls_slice(text, sizeof text)), c == 9 || (c >= 32 && c != 127));
    }
  }
}

static void compares_names(void) {
  CHECK(ls_field_name_equal(ls_slice_of("X-Foo"), ls_slice_of("x-fOO")));
  CHECK(!ls_field_name_equal(ls_slice_of("X-Foo"), ls_slice_of("x-fo")));
  CHECK(!ls_field_name_equal(ls_slice_of("@"), ls_slice_of("`")));
}

static void finds_words_in_lists(void) {
  struct ls_slice close = ls_slice_of("close");
  CHECK(ls_field_list_has(ls_slice_of("Close"), close));
  CHECK(ls_field_list_has(ls_slice_of("te ,\tclose"), close));
  CHECK(ls_field_list_has(ls_slice_of(",close,"), close));
  CHECK(!ls_field_list_has(ls_slice_of("closed, clos"), close));
  CHECK(!ls_field_list_has(ls_slice(NULL, 0), close));
}

int main(void) {
  RUN(finds_every_common_name);
  RUN(leaves_other_names_alone);
  RUN(judges_names);
  RUN(judges_values);
  RUN(compares_names);
  RUN(finds_words_in_lists);
  return 0;
}
