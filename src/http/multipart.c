/* SPDX-License-Identifier: MIT */
/* multipart: one pass, and each byte of content is looked at once: a delimiter begins with CR and has no other, so that
 * memchr finds where one can begin, and what turns out to be none needs no second look. */
#include "http/multipart.h"

#include <errno.h>

#include "base/error.h"
#include "http/octet.h"

enum { PREAMBLE, CONTENT, AFTER_DELIMITER, AFTER_DASH, PADDING, LINE_FEED, HEAD, DONE };

bool ls_multipart_is_boundary(struct ls_slice boundary) {
  if (boundary.len == 0 || boundary.len > LS_MULTIPART_BOUNDARY_MAX || boundary.ptr[boundary.len - 1] == ' ')
    return false;
  for (size_t i = 0; i < boundary.len; i++)
    if (boundary.ptr[i] < ' ' || boundary.ptr[i] > '~')
      return false;
  return true;
}

/* At a place where the CRLF of a delimiter has been already: before the first line, and behind an empty one. */
static void begin_line(struct ls_multipart *parser, int state) {
  parser->state = state;
  parser->matched = parser->implied = 2;
}

void ls_multipart_init(struct ls_multipart *parser, struct ls_slice boundary, size_t head_max) {
  *parser = (struct ls_multipart){.head_max = head_max, .delimiter_len = 4 + boundary.len};
  memcpy(parser->delimiter, "\r\n--", 4);
  memcpy(parser->delimiter + 4, boundary.ptr, boundary.len);
  begin_line(parser, PREAMBLE);
}

void ls_multipart_dispose(struct ls_multipart *parser) {
  ls_buf_dispose(&parser->head);
}

bool ls_multipart_is_complete(const struct ls_multipart *parser) {
  return parser->state == DONE;
}

static void take(struct ls_slice *input, size_t n) {
  input->ptr += n;
  input->len -= n;
}

/* How many bytes of text the delimiter begins with. */
static size_t match(const struct ls_multipart *parser, const char *text, size_t len) {
  size_t n = 0;
  while (n < len && n < parser->delimiter_len && text[n] == parser->delimiter[n])
    n++;
  return n;
}

/* Goes on with a match that the last input ended in. False: it was none, and data is what it held back. */
static bool resume_match(struct ls_multipart *parser, struct ls_slice *input, struct ls_slice *data) {
  while (parser->matched < parser->delimiter_len && input->len != 0) {
    if (input->ptr[0] != parser->delimiter[parser->matched]) {
      *data = ls_slice(parser->delimiter + parser->implied, parser->matched - parser->implied);
      parser->matched = parser->implied = 0;
      return false;
    }
    take(input, 1);
    parser->matched++;
  }
  return true;
}

/* Takes content up to a delimiter, or to what may become one at the end of the input. */
static void find_delimiter(struct ls_multipart *parser, struct ls_slice *input, struct ls_slice *data) {
  const char *start = input->ptr, *end = start + input->len, *at = start;
  size_t matched = 0;
  while (at < end) {
    const char *cr = memchr(at, '\r', (size_t)(end - at));
    if (cr == NULL) {
      at = end;
      break;
    }
    matched = match(parser, cr, (size_t)(end - cr));
    if (matched == parser->delimiter_len || cr + matched == end) {
      at = cr;
      break;
    }
    at = cr + matched;
    matched = 0;
  }
  *data = ls_slice(start, (size_t)(at - start));
  take(input, data->len + matched);
  parser->matched = matched;
}

/* Content up to the next delimiter. DATA, MORE, or PART_END: it has been found. */
static int next_content(struct ls_multipart *parser, struct ls_slice *input, struct ls_slice *data) {
  for (;;) {
    *data = ls_slice(NULL, 0);
    if (parser->matched != 0) {
      if (!resume_match(parser, input, data) && data->len != 0)
        return LS_MULTIPART_DATA;
      if (parser->matched == parser->delimiter_len)
        return LS_MULTIPART_PART_END;
    }
    if (input->len == 0)
      return LS_MULTIPART_MORE;
    find_delimiter(parser, input, data);
    if (data->len != 0)
      return LS_MULTIPART_DATA;
  }
}

/* Everything before the first delimiter is thrown away. */
static int skip_preamble(struct ls_multipart *parser, struct ls_slice *input, struct ls_slice *data) {
  int event;
  do
    event = next_content(parser, input, data);
  while (event == LS_MULTIPART_DATA);
  return event;
}

/* The byte c of the line that a delimiter begins; the next state. */
static int after_delimiter(int state, char c) {
  if (state == LINE_FEED)
    return c == '\n' ? HEAD : LS_EPROTO;
  if (state == AFTER_DASH)
    return c == '-' ? DONE : LS_EPROTO;
  if (c == '-' && state == AFTER_DELIMITER)
    return AFTER_DASH;
  if (ls_octet_is_blank(c))
    return PADDING;
  return c == '\r' ? LINE_FEED : LS_EPROTO;
}

/* No line that ends otherwise, and none that another reader takes for a delimiter. */
static bool is_header_line(const struct ls_multipart *parser, struct ls_slice line) {
  size_t dashed = parser->delimiter_len - 2;
  return line.len >= 2 && line.ptr[line.len - 2] == '\r' && memchr(line.ptr, '\0', line.len) == NULL &&
         memchr(line.ptr, '\r', line.len - 2) == NULL &&
         (line.len < dashed || memcmp(line.ptr, parser->delimiter + 2, dashed) != 0);
}

/* Collects header lines up to the empty one. */
static int next_head(struct ls_multipart *parser, struct ls_slice *input, struct ls_slice *data) {
  struct ls_buf *head = &parser->head;
  while (input->len != 0) {
    const char *lf = memchr(input->ptr, '\n', input->len);
    size_t n = lf == NULL ? input->len : (size_t)(lf - input->ptr) + 1;
    if (n > parser->head_max + 2 - head->len) /* the empty line does not count */
      return LS_ETOOBIG;
    if (ls_buf_append(head, input->ptr, n) != 0)
      return -ENOMEM;
    take(input, n);
    if (lf == NULL)
      break;
    struct ls_slice line = ls_slice(ls_buf_bytes(head) + parser->line, head->len - parser->line);
    if (!is_header_line(parser, line))
      return LS_EPROTO;
    if (line.len == 2) {
      *data = ls_slice(ls_buf_bytes(head), parser->line);
      begin_line(parser, CONTENT);
      return LS_MULTIPART_PART;
    }
    parser->line = head->len;
  }
  return LS_MULTIPART_MORE;
}

/* MORE also where there may be more events, in another state. */
static int step(struct ls_multipart *parser, struct ls_slice *input, struct ls_slice *data) {
  int event;
  switch (parser->state) {
  case PREAMBLE:
  case CONTENT:
    event = parser->state == CONTENT ? next_content(parser, input, data) : skip_preamble(parser, input, data);
    if (event != LS_MULTIPART_PART_END)
      return event;
    event = parser->state == CONTENT ? LS_MULTIPART_PART_END : LS_MULTIPART_MORE;
    parser->state = AFTER_DELIMITER;
    parser->matched = 0;
    return event;
  case HEAD:
    return next_head(parser, input, data);
  case DONE:
    take(input, input->len);
    return LS_MULTIPART_MORE;
  default:
    parser->state = after_delimiter(parser->state, input->ptr[0]);
    take(input, 1);
    ls_buf_clear(&parser->head);
    parser->line = 0;
    return parser->state < 0 ? parser->state : parser->state == DONE ? LS_MULTIPART_END : LS_MULTIPART_MORE;
  }
}

int ls_multipart_next(struct ls_multipart *parser, struct ls_slice *input, struct ls_slice *data) {
  *data = ls_slice(NULL, 0);
  if (parser->state < 0)
    return parser->state;
  int event = LS_MULTIPART_MORE;
  while (event == LS_MULTIPART_MORE && (input->len != 0 || parser->matched == parser->delimiter_len))
    event = step(parser, input, data);
  if (event < 0)
    parser->state = event;
  return event;
}
