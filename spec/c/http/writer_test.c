/* SPDX-License-Identifier: MIT */
/* writer: heads and chunks, byte by byte. */
#include "http/writer.h"

#include "check.h"
#include "http/status.h"

static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";

static void check_head(const struct ls_writer_head *head, const char *expected) {
  struct ls_buf out = {0};
  CHECK_INT(ls_writer_head(&out, head), 0);
  CHECK_BYTES(ls_buf_bytes(&out), out.len, expected);
  ls_buf_dispose(&out);
}

static void writes_status_lines(void) {
  check_head(&(struct ls_writer_head){.status = 200, .length = -1}, "HTTP/1.1 200 OK\r\n\r\n");
  check_head(&(struct ls_writer_head){.status = 404, .length = -1}, "HTTP/1.1 404 Not Found\r\n\r\n");
  check_head(&(struct ls_writer_head){.status = 299, .length = -1}, "HTTP/1.1 299 \r\n\r\n");
  struct ls_slice reason = ls_status_reason(413);
  CHECK_BYTES(reason.ptr, reason.len, "Content Too Large");
  CHECK_INT(ls_status_reason(999).len, 0);
}

static void adds_its_own_fields(void) {
  check_head(&(struct ls_writer_head){.status = 200, .date = date, .length = 0, .close = true},
             "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n"
             "Connection: close\r\n\r\n");
  check_head(&(struct ls_writer_head){.status = 200, .length = INT64_MAX, .keep_alive = true},
             "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\nConnection: keep-alive\r\n\r\n");
  check_head(&(struct ls_writer_head){.status = 200, .length = -1, .chunked = true},
             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

static void leaves_out_what_it_is_told(void) {
  struct ls_headers h = {0};
  ls_headers_add(&h, ls_slice_of("X-A"), ls_slice_of("1"));
  struct ls_writer_head head = {.status = 200, .headers = &h, .date = date, .length = -1};
  check_head(&head, "HTTP/1.1 200 OK\r\nX-A: 1\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
  ls_headers_add(&h, ls_slice_of("date"), ls_slice_of("now"));
  ls_headers_add(&h, ls_slice_of("transfer-encoding"), ls_slice_of("gzip"));
  ls_headers_add(&h, ls_slice_of("Content-Length"), ls_slice_of("7"));
  ls_headers_add(&h, ls_slice_of("Connection"), ls_slice_of("x"));
  check_head(&head, "HTTP/1.1 200 OK\r\nX-A: 1\r\ndate: now\r\n\r\n");
  head.own_length = head.own_connection = true;
  check_head(&head, "HTTP/1.1 200 OK\r\nX-A: 1\r\ndate: now\r\nContent-Length: 7\r\nConnection: x\r\n\r\n");
  ls_headers_dispose(&h);
}

static void writes_chunks(void) {
  struct ls_buf out = {0};
  char text[300];
  memset(text, 'x', sizeof(text));
  CHECK_INT(ls_writer_chunk(&out, "hello", 5), 0);
  CHECK_INT(ls_writer_chunk(&out, "", 0), 0);
  CHECK_INT(ls_writer_last_chunk(&out, NULL), 0);
  CHECK_BYTES(ls_buf_bytes(&out), out.len, "5\r\nhello\r\n0\r\n\r\n");
  ls_buf_clear(&out);
  struct ls_headers trailers = {0};
  ls_headers_add(&trailers, ls_slice_of("X-Sum"), ls_slice_of("7"));
  CHECK_INT(ls_writer_last_chunk(&out, &trailers), 0);
  CHECK_BYTES(ls_buf_bytes(&out), out.len, "0\r\nX-Sum: 7\r\n\r\n");
  ls_headers_dispose(&trailers);
  ls_buf_clear(&out);
  CHECK_INT(ls_writer_chunk(&out, text, sizeof(text)), 0);
  CHECK_INT(out.len, 300 + 7);
  CHECK_BYTES(ls_buf_bytes(&out), 5, "12c\r\n");
  ls_buf_dispose(&out);
}

int main(void) {
  RUN(writes_status_lines);
  RUN(adds_its_own_fields);
  RUN(leaves_out_what_it_is_told);
  RUN(writes_chunks);
  return 0;
}
