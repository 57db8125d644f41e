/* SPDX-License-Identifier: MIT */
/* writer: heads are written into room that is reserved once, by pointers that move on. */
#include "http/writer.h"

#include <string.h>

#include "base/digits.h"
#include "http/date.h"
#include "http/status.h"

/* More than the status line of an unnamed status and the fields added here can take. */
enum { OWN_BYTES = 256 };

static char *put(char *p, const char *bytes, size_t len) {
  memcpy(p, bytes, len);
  return p + len;
}

#define PUT(p, text) put((p), (text), sizeof(text) - 1)

static char *put_hex(char *p, uint64_t n) {
  char digits[16], *first = digits + sizeof(digits);
  do {
    *--first = "0123456789abcdef"[n & 15];
    n >>= 4;
  } while (n != 0);
  return put(p, first, (size_t)(digits + sizeof(digits) - first));
}

static char *put_status(char *p, int status) {
  struct ls_slice line = ls_status_line(status);
  if (line.ptr != NULL)
    return put(p, line.ptr, line.len);
  p = PUT(p, "HTTP/1.1 ");
  p = ls_digits_write(p, (uint64_t)status);
  return PUT(p, " \r\n"); /* the space stays without a reason too */
}

static bool is_left_out(const struct ls_writer_head *head, unsigned id) {
  return id == LS_FIELD_TRANSFER_ENCODING || (id == LS_FIELD_CONTENT_LENGTH && !head->own_length) ||
         (id == LS_FIELD_CONNECTION && !head->own_connection);
}

static char *put_headers(char *p, const struct ls_writer_head *head) {
  const struct ls_headers *headers = head->headers;
  const char *text = ls_buf_bytes(&headers->text);
  const uint64_t framing = UINT64_C(1) << LS_FIELD_TRANSFER_ENCODING | UINT64_C(1) << LS_FIELD_CONTENT_LENGTH |
                           UINT64_C(1) << LS_FIELD_CONNECTION;
  if ((headers->present & framing) == 0)
    return headers->text.len == 0 ? p : put(p, text, headers->text.len);
  for (uint32_t i = 0; i < headers->count; i++) {
    const struct ls_headers_entry *entry = &headers->entries[i];
    if (!is_left_out(head, entry->id))
      p = put(p, text + entry->name, entry->name_len + 2u + entry->value_len + 2u);
  }
  return p;
}

static char *put_own(char *p, const struct ls_writer_head *head) {
  if (head->date != NULL && (head->headers == NULL || !ls_headers_has(head->headers, LS_FIELD_DATE))) {
    p = PUT(p, "Date: ");
    p = put(p, head->date, LS_DATE_LEN);
    p = PUT(p, "\r\n");
  }
  if (head->length >= 0) {
    p = PUT(p, "Content-Length: ");
    p = ls_digits_write(p, (uint64_t)head->length);
    p = PUT(p, "\r\n");
  }
  if (head->chunked)
    p = PUT(p, "Transfer-Encoding: chunked\r\n");
  if (head->close)
    p = PUT(p, "Connection: close\r\n");
  else if (head->keep_alive)
    p = PUT(p, "Connection: keep-alive\r\n");
  return PUT(p, "\r\n");
}

static void end_at(struct ls_buf *out, const char *p) {
  out->len = (size_t)(p - ls_buf_bytes(out));
}

int ls_writer_head(struct ls_buf *out, const struct ls_writer_head *head) {
  size_t fields = head->headers == NULL ? 0 : head->headers->text.len;
  int err = ls_buf_reserve(out, OWN_BYTES + fields);
  if (err != 0)
    return err;
  char *p = ls_buf_bytes(out) + out->len;
  p = put_status(p, head->status);
  if (fields != 0)
    p = put_headers(p, head);
  end_at(out, put_own(p, head));
  return 0;
}

int ls_writer_chunk(struct ls_buf *out, const char *bytes, size_t len) {
  if (len == 0)
    return 0;
  int err = ls_buf_reserve(out, len + 20);
  if (err != 0)
    return err;
  char *p = put_hex(ls_buf_bytes(out) + out->len, len);
  p = PUT(p, "\r\n");
  p = put(p, bytes, len);
  end_at(out, PUT(p, "\r\n"));
  return 0;
}

struct ls_slice ls_writer_chunk_head(struct ls_writer_chunk *chunk, size_t len) {
  char *end = PUT(put_hex(chunk->line, len), "\r\n");
  return ls_slice(chunk->line, (size_t)(end - chunk->line));
}

int ls_writer_last_chunk(struct ls_buf *out, const struct ls_headers *trailers) {
  size_t fields = trailers == NULL ? 0 : trailers->text.len;
  int err = ls_buf_reserve(out, fields + 5);
  if (err != 0)
    return err;
  char *p = PUT(ls_buf_bytes(out) + out->len, "0\r\n");
  if (fields != 0)
    p = put(p, ls_buf_bytes(&trailers->text), fields);
  end_at(out, PUT(p, "\r\n"));
  return 0;
}
