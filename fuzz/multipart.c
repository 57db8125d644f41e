/* SPDX-License-Identifier: MIT */
/* fuzz/multipart: bodies of several parts. An input is a byte that says how it is cut, then the body, whose boundary is
 * "b". However it is cut the same events come with the same bytes, in an order that makes sense, and no content has a
 * delimiter in it. */
#include "http/multipart.h"

#include "base/buf.h"
#include "expect.h"

#define HEAD_MAX 64

/* Events and bytes one after the other; a run of DATA is one. */
struct outcome {
  struct ls_buf events;
  int last; /* event, or code */
};

static void note(struct outcome *outcome, int event, struct ls_slice data) {
  char mark = (char)('0' + event);
  bool goes_on = event == LS_MULTIPART_DATA && outcome->last == LS_MULTIPART_DATA;
  EXPECT(goes_on || ls_buf_append(&outcome->events, &mark, 1) == 0);
  EXPECT(ls_buf_append(&outcome->events, data.ptr, data.len) == 0);
}

static void check_order(int last, int event) {
  if (event == LS_MULTIPART_PART || event == LS_MULTIPART_END)
    EXPECT(last == LS_MULTIPART_MORE || last == LS_MULTIPART_PART_END);
  if (event == LS_MULTIPART_DATA || event == LS_MULTIPART_PART_END)
    EXPECT(last == LS_MULTIPART_PART || last == LS_MULTIPART_DATA);
}

static struct outcome parse(const uint8_t *bytes, size_t len, size_t piece) {
  struct outcome outcome = {.last = LS_MULTIPART_MORE};
  struct ls_multipart parser;
  ls_multipart_init(&parser, ls_slice_of("b"), HEAD_MAX);
  for (size_t at = 0; at < len && outcome.last >= 0; at += piece) {
    size_t n = piece < len - at ? piece : len - at;
    char *copy = copy_of(bytes + at, n);
    struct ls_slice input = ls_slice(copy, n), data;
    int event;
    while ((event = ls_multipart_next(&parser, &input, &data)) > 0) {
      check_order(outcome.last, event);
      EXPECT(event != LS_MULTIPART_DATA || data.len != 0);
      EXPECT(event != LS_MULTIPART_PART || data.len <= HEAD_MAX);
      note(&outcome, event, data);
      outcome.last = event;
    }
    EXPECT(event < 0 || input.len == 0);
    if (event < 0)
      outcome.last = event;
    free(copy);
  }
  EXPECT(ls_multipart_is_complete(&parser) == (outcome.last == LS_MULTIPART_END));
  ls_multipart_dispose(&parser);
  return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  if (len < 1)
    return 0;
  struct outcome whole = parse(bytes + 1, len - 1, len), parts = parse(bytes + 1, len - 1, 1 + bytes[0] % 16);
  EXPECT(whole.last == parts.last && whole.events.len == parts.events.len);
  EXPECT(whole.events.len == 0 ||
         memcmp(ls_buf_bytes(&whole.events), ls_buf_bytes(&parts.events), whole.events.len) == 0);
  EXPECT(whole.events.len < 5 || memmem(ls_buf_bytes(&whole.events), whole.events.len, "\r\n--b", 5) == NULL);
  ls_buf_dispose(&whole.events);
  ls_buf_dispose(&parts.events);
  return 0;
}
