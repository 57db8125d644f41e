/* SPDX-License-Identifier: MIT */
/* fuzz/head: request heads. An input is a byte that says how much it is split, then what a client sends. Whether it is a
 * head, which, and where it ends must not depend on the split; a head that is taken keeps to the rules. */
#include "http/head.h"

#include "expect.h"
#include "http/parser.h"
#include "http/url.h"

static const struct ls_http_limits limits = {.max_url = 200, .max_header_bytes = 1000, .max_headers = 20};

struct outcome {
  struct ls_head head;
  char *bytes; /* of a head that came in one piece */
  size_t used;
  int result;
};

static struct outcome run(const uint8_t *bytes, size_t len, size_t piece) {
  struct outcome outcome = {.result = LS_PARSER_MORE};
  struct ls_parser parser;
  ls_parser_init(&parser, &limits);
  for (size_t at = 0; at < len && outcome.result == LS_PARSER_MORE; at += piece) {
    size_t n = piece < len - at ? piece : len - at, used = 0;
    char *copy = copy_of(bytes + at, n);
    outcome.result = ls_parser_head(&parser, &outcome.head, copy, n, &used);
    outcome.used += used;
    EXPECT(used <= n);
    if (outcome.result == LS_PARSER_DONE && outcome.head.base == copy)
      outcome.bytes = copy;
    else
      free(copy);
  }
  return outcome;
}

static void dispose(struct outcome *outcome) {
  ls_head_dispose(&outcome->head);
  free(outcome->bytes);
}

/* Of heads in one piece, which split.c may have taken, and in pieces, which llhttp has: the same all through. */
static void compare(const struct ls_head *a, const struct ls_head *b) {
  EXPECT(a->size == b->size && memcmp(a->base, b->base, a->size) == 0);
  EXPECT(a->method == b->method && a->major == b->major && a->minor == b->minor);
  EXPECT(a->url == b->url && a->url_len == b->url_len && a->count == b->count);
  EXPECT(a->content_length == b->content_length && a->has_body == b->has_body && a->keep_alive == b->keep_alive);
  EXPECT(a->expect_continue == b->expect_continue);
  for (uint32_t i = 0; i < a->count; i++) {
    const struct ls_head_field *x = &a->fields[i], *y = &b->fields[i];
    EXPECT(x->name == y->name && x->name_len == y->name_len && x->id == y->id);
    EXPECT(x->value == y->value && x->value_len == y->value_len);
  }
}

static void check_head(const struct ls_head *head) {
  struct ls_slice target = ls_head_url(head);
  struct ls_url url;
  EXPECT(ls_head_method(head).len != 0 && target.len != 0 && target.len <= limits.max_url);
  EXPECT(ls_url_split(target, &url) == 0);
  EXPECT(head->major == 1 && head->minor <= 1 && head->count <= limits.max_headers);
  EXPECT(memcmp(head->base + head->size - 4, "\r\n\r\n", 4) == 0);
  EXPECT(head->minor == 0 || ls_head_get(head, LS_FIELD_HOST).ptr != NULL);
  for (uint32_t i = 0; i < head->count; i++) {
    struct ls_slice name = ls_head_name(head, i), value = ls_head_value(head, i);
    EXPECT(ls_field_name_is_valid(name) && ls_field_value_is_valid(value));
    EXPECT(name.ptr[name.len] == ':');
    EXPECT(value.len == 0 ||
           (value.ptr[0] > ' ' && value.ptr[value.len - 1] != ' ' && value.ptr[value.len - 1] != '\t') ||
           (unsigned char)value.ptr[0] >= 0x80);
  }
  EXPECT(head->content_length < 0 || ls_head_get(head, LS_FIELD_TRANSFER_ENCODING).ptr == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (len < 2)
    return 0;
  struct outcome whole = run(bytes + 1, len - 1, len), parts = run(bytes + 1, len - 1, 1 + bytes[0] % 16);
  EXPECT((whole.result == LS_PARSER_DONE) == (parts.result == LS_PARSER_DONE));
  EXPECT((whole.result == LS_PARSER_MORE) == (parts.result == LS_PARSER_MORE));
  if (whole.result == LS_PARSER_DONE) {
    EXPECT(whole.used == parts.used);
    compare(&whole.head, &parts.head);
    check_head(&whole.head);
  }
  dispose(&whole);
  dispose(&parts);
  return 0;
}
