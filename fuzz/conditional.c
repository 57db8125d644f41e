/* SPDX-License-Identifier: MIT */
/* fuzz/conditional: preconditions. An input is a byte that chooses method, field and representation, then the field's
 * value. The answer is one of three, a list that names the tag does so after more members too, and what compares strongly
 * compares weakly. */
#include "http/conditional.h"

#include "expect.h"
#include "http/parser.h"

static const struct ls_http_limits limits = {.max_url = 64, .max_header_bytes = 8192, .max_headers = 8};
static const char *const methods[] = {"GET", "PUT"};
static const char *const fields[] = {"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
                                     "If-Range"};

static int answer(const char *method, const char *field, struct ls_slice value, const char *front,
                  const struct ls_validators *validators, bool *holds) {
  char *bytes = malloc(value.len + 512);
  struct ls_head head = {0};
  struct ls_parser parser;
  size_t used;
  int at = sprintf(bytes, "%s / HTTP/1.1\r\nHost: x\r\n%s: %s", method, field, front), result = -1;
  if (value.len != 0)
    memcpy(bytes + at, value.ptr, value.len);
  memcpy(bytes + at + value.len, "\r\n\r\n", 4);
  ls_parser_init(&parser, &limits);
  if (ls_parser_head(&parser, &head, bytes, (size_t)at + value.len + 4, &used) == LS_PARSER_DONE) {
    result = ls_conditional_check(&head, validators, 1764000000);
    *holds = ls_conditional_range_holds(&head, validators, 1764000000);
    EXPECT(result == 0 || result == 304 || result == 412);
  }
  ls_head_dispose(&head);
  free(bytes);
  return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (len == 0 || len > 4096)
    return 0;
  const char *method = methods[bytes[0] & 1], *field = fields[(bytes[0] >> 1) % 5];
  struct ls_validators validators = {.exists = true, .etag = ls_slice_of("\"a\""), .modified = 784111777};
  char *copy = copy_of(bytes + 1, len - 1);
  struct ls_slice value = ls_slice(copy, len - 1);
  bool holds = true, ignored;
  int first = answer(method, field, value, "", &validators, &holds);
  bool is_list = (bytes[0] >> 1) % 5 < 2;
  if (first >= 0 && is_list)
    EXPECT(answer(method, field, value, "\"b\", ,W/\"c\" , ", &validators, &ignored) == first);
  if (first >= 0 && is_list) /* there is no such thing: nothing but "*" can be met, and that only by what is there */
    validators.exists = false;
  validators.etag = ls_slice("", 0);
  int second = answer(method, field, value, "", &validators, &ignored);
  if (first >= 0 && is_list)
    EXPECT(second == ((bytes[0] >> 1) % 5 == 0 ? 412 : 0));
  if (ls_etag_is_valid(value))
    EXPECT(ls_etag_equal_weak(value, value) && (ls_etag_equal_strong(value, value) || copy[0] == 'W'));
  free(copy);
  return 0;
}
