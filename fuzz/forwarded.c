/* SPDX-License-Identifier: MIT */
/* fuzz/forwarded: what proxies tell. An input is a byte that says which fields count, then field lines with LF at their
 * ends. What is told points into the head and is well-formed, and nothing that a client puts in front of what a trusted
 * proxy has written changes it. */
#include "http/forwarded.h"

#include "expect.h"
#include "http/parser.h"
#include "http/url.h"

enum { ALL_MAX = 8192 };

static const struct ls_http_limits limits = {.max_url = 200, .max_header_bytes = ALL_MAX, .max_headers = 200};

struct input {
  enum ls_forwarded_fields fields;
  struct ls_cidr_set trusted;
  struct ls_ip peer;
};

/* The text as one value of an honest proxy's field: the client's bytes in front, then what the proxy has added. */
static size_t make_line(char *out, const char *name, const char *front, size_t len, const char *added) {
  size_t at = (size_t)sprintf(out, "GET / HTTP/1.1\r\nHost: h\r\n%s: ", name);
  for (size_t i = 0; i < len; i++)
    if (ls_field_value_is_valid(ls_slice(front + i, 1)))
      out[at++] = front[i];
  return at + (size_t)sprintf(out + at, ", %s\r\n\r\n", added);
}

/* The lines as they are, but for the ends. */
static size_t make_lines(char *out, const char *lines, size_t len) {
  size_t at = (size_t)sprintf(out, "GET / HTTP/1.1\r\nHost: h\r\n");
  for (size_t i = 0; i < len; i++) {
    if (lines[i] == '\n')
      out[at++] = '\r';
    out[at++] = lines[i];
  }
  return at + (size_t)sprintf(out + at, "\r\n\r\n");
}

static bool is_within(struct ls_slice part, const struct ls_head *head) {
  return part.ptr >= head->base && part.ptr + part.len <= head->base + head->size;
}

static void check(const struct ls_forwarded *told, const struct ls_head *head) {
  EXPECT((told->client == LS_CLIENT_KNOWN) == (told->ip.len != 0));
  EXPECT(told->port == 0 || told->client == LS_CLIENT_KNOWN);
  EXPECT(told->host_port == 0 || told->host.len != 0);
  if (told->host.len != 0)
    EXPECT(is_within(told->host, head) && ls_url_is_host(told->host));
}

static bool read_bytes(const struct input *input, const char *bytes, size_t len, struct ls_forwarded *told) {
  struct ls_parser parser;
  struct ls_head head = {0};
  size_t used;
  char *copy = copy_of(bytes, len);
  ls_parser_init(&parser, &limits);
  bool is_head = ls_parser_head(&parser, &head, copy, len, &used) == LS_PARSER_DONE;
  if (is_head) {
    *told = ls_forwarded_read(&head, input->fields, &input->peer, &input->trusted);
    check(told, &head);
  }
  ls_head_dispose(&head);
  free(copy);
  return is_head;
}

static void check_fronts(const struct input *input, const char *front, size_t len) {
  static char bytes[ALL_MAX];
  struct ls_forwarded told;
  size_t size = make_line(bytes, "Forwarded", front, len, "for=\"[2001:db8::9]:80\";proto=https;host=\"a\"");
  if (input->fields != LS_FORWARDED_X && read_bytes(input, bytes, size, &told))
    EXPECT(told.client == LS_CLIENT_KNOWN && told.port == 80 && told.scheme == LS_SCHEME_HTTPS && told.host.len == 1);
  size = make_line(bytes, "X-Forwarded-For", front, len, "2001:db8::9");
  if (input->fields != LS_FORWARDED_RFC7239 && read_bytes(input, bytes, size, &told))
    EXPECT(told.client == LS_CLIENT_KNOWN && told.ip.len == 16 && told.port == 0 && told.host.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
  static char lines[2 * ALL_MAX];
  if (len < 1 || len > 3000)
    return 0;
  struct input input = {.fields = bytes[0] % 3};
  struct ls_forwarded told;
  EXPECT(ls_cidr_set_add(&input.trusted, ls_slice_of("10.0.0.0/8")) == 0);
  EXPECT(ls_cidr_set_add(&input.trusted, ls_slice_of("loopback")) == 0);
  EXPECT(ls_ip_parse(ls_slice_of("127.0.0.1"), &input.peer));
  read_bytes(&input, lines, make_lines(lines, (const char *)bytes + 1, len - 1), &told);
  check_fronts(&input, (const char *)bytes + 1, len - 1);
  ls_cidr_set_dispose(&input.trusted);
  return 0;
}
