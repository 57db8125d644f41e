/* SPDX-License-Identifier: MIT */
/* parser: split.c or llhttp finds the parts of a head; what is stricter than llhttp, or means something to the connection,
 * is checked once over the finished head. */
#include "http/parser.h"

#include "base/error.h"
#include "base/list.h"
#include "http/octet.h"
#include "http/split.h"
#include "http/url.h"

enum {
  VERSION_LEN = 11,        /* " HTTP/1.1\r\n" */
  LINE_SLACK = 64,         /* bytes of a request line beside its target, before they are checked */
  MAX_CONTENT_DIGITS = 18, /* of a Content-Length that surely fits */
  BEGINNING = 1024         /* bytes of a refused head that are kept */
};

static struct ls_parser *parser_of(llhttp_t *llhttp) {
  return ls_container_of(llhttp, struct ls_parser, llhttp);
}

static int fail(struct ls_parser *parser, int failure, const char *reason) {
  parser->failure = failure;
  parser->reason = reason;
  return -1;
}

static uint32_t offset_of(const struct ls_parser *parser, const char *at) {
  return parser->before + (uint32_t)(at - parser->bytes);
}

/* Whether the field lines up to this offset are more than may be. */
static bool is_over(const struct ls_parser *parser, uint32_t end) {
  uint32_t first = parser->head->url + parser->head->url_len + VERSION_LEN;
  return end > first && end - first > parser->limits->max_header_bytes;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len) {
  struct ls_parser *parser = parser_of(llhttp);
  struct ls_head *head = parser->head;
  if (head->url_len == 0)
    head->url = offset_of(parser, at);
  if (head->url > LINE_SLACK) /* as keep_all would say, had the bytes come one by one */
    return fail(parser, 400, "malformed request line");
  head->url_len += (uint32_t)len;
  if (head->url_len > parser->limits->max_url)
    return fail(parser, 414, "the request target is too long");
  return 0;
}

static int begin_field(struct ls_parser *parser, uint32_t name) {
  struct ls_head *head = parser->head;
  if (head->count >= parser->limits->max_headers)
    return fail(parser, 431, "too many header fields");
  struct ls_head_field *field = ls_head_add(head);
  if (field == NULL)
    return fail(parser, -ENOMEM, NULL);
  field->name = name;
  parser->in_value = false;
  return 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len) {
  struct ls_parser *parser = parser_of(llhttp);
  uint32_t start = offset_of(parser, at), end = start + (uint32_t)len;
  if (parser->in_value && begin_field(parser, start) != 0)
    return -1;
  struct ls_head_field *field = &parser->head->fields[parser->head->count - 1];
  if (is_over(parser, end) || end - field->name > UINT16_MAX)
    return fail(parser, 431, "the header fields are too long");
  field->name_len = (uint16_t)(end - field->name);
  return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len) {
  struct ls_parser *parser = parser_of(llhttp);
  struct ls_head_field *field = &parser->head->fields[parser->head->count - 1];
  uint32_t start = offset_of(parser, at), end = start + (uint32_t)len;
  if (!parser->in_value)
    field->value = start;
  else if (start != field->value + field->value_len)
    return fail(parser, 400, "a header field goes on in another line");
  parser->in_value = true;
  if (is_over(parser, end))
    return fail(parser, 431, "the header fields are too long");
  field->value_len = end - field->value;
  return 0;
}

/* Stops llhttp: what follows is not its business. */
static int on_headers_complete(llhttp_t *llhttp) {
  (void)llhttp;
  return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
};

void ls_parser_init(struct ls_parser *parser, const struct ls_http_limits *limits) {
  *parser = (struct ls_parser){.limits = limits};
  ls_parser_reset(parser);
}

void ls_parser_reset(struct ls_parser *parser) {
  parser->head = NULL;
  parser->bytes = NULL;
  parser->before = 0;
  parser->in_value = true; /* so that a name begins a field */
  parser->failure = 0;
  parser->reason = "";
}

/* Below: checks of a finished head. They return 0, or -1 by fail. */

/* Only the path is looked at: percent signs in a query are the handler's. */
static int check_target_parts(struct ls_parser *parser, const struct ls_head *head, struct ls_slice target) {
  struct ls_url url;
  bool malformed = ls_url_split(target, &url) != 0 || !ls_url_is_host(url.authority);
  if (url.authority.len != 0 && url.authority.ptr[0] == ':') /* RFC 9110 4.2.1: never without a host */
    malformed = true;
  if (malformed || (target.ptr[0] == '*' && head->method != HTTP_OPTIONS))
    return fail(parser, 400, "malformed request target");
  if (!ls_url_escapes_are_valid(url.path))
    return fail(parser, 400, "malformed percent-encoding in the path");
  return 0;
}

static int check_target(struct ls_parser *parser, const struct ls_head *head) {
  struct ls_slice target = ls_head_url(head);
  bool simple = target.ptr[0] == '/';
  for (size_t i = 0; i < target.len; i++) {
    if (!ls_octet_is(target.ptr[i], LS_OCTET_TARGET))
      return fail(parser, 400, "a character in the request target that must be percent-encoded");
    simple &= target.ptr[i] != '%';
  }
  return simple ? 0 : check_target_parts(parser, head, target);
}

/* method SP target SP HTTP/d.d CR LF, and not a byte more. */
static int check_line(struct ls_parser *parser, const struct ls_head *head) {
  struct ls_slice method = ls_head_method(head);
  uint32_t end = head->url + head->url_len;
  const char *version = head->base + end;
  if (head->url_len == 0 || head->url != method.len + 1 || head->size < end + VERSION_LEN + 2 ||
      memcmp(version, " HTTP/", 6) != 0 || memcmp(version + 9, "\r\n", 2) != 0)
    return fail(parser, 400, "malformed request line");
  if (head->major != 1 || head->minor > 1)
    return fail(parser, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  if (head->method == HTTP_CONNECT)
    return fail(parser, 501, "CONNECT is not supported");
  if (head->method == HTTP_TRACE && !parser->limits->allow_trace)
    return fail(parser, 501, "TRACE is not allowed");
  return 0;
}

/* The field's line begins at pos. Trims the value, returns the offset behind the line; 0: malformed. */
static uint32_t check_field_line(const struct ls_head *head, struct ls_head_field *field, uint32_t pos) {
  const char *base = head->base;
  uint32_t colon = field->name + field->name_len;
  if (field->name != pos || base[colon] != ':')
    return 0;
  uint32_t at = colon + 1;
  while (ls_octet_is_blank(base[at]))
    at++;
  if (field->value_len == 0)
    field->value = at;
  uint32_t end = field->value + field->value_len;
  if (field->value != at || base[end] != '\r' || base[end + 1] != '\n')
    return 0;
  while (field->value_len != 0 && ls_octet_is_blank(base[field->value + field->value_len - 1]))
    field->value_len--;
  return end + 2;
}

/* What llhttp has found: whether it is what stands there, and no more. */
static int check_lines(struct ls_parser *parser, const struct ls_head *head) {
  if (check_line(parser, head) != 0)
    return -1;
  uint32_t pos = head->url + head->url_len + VERSION_LEN;
  for (uint32_t i = 0; i < head->count; i++) {
    pos = check_field_line(head, &head->fields[i], pos);
    if (pos == 0)
      return fail(parser, 400, "malformed header field");
  }
  if (pos + 2 != head->size || memcmp(head->base + pos, "\r\n", 2) != 0)
    return fail(parser, 400, "malformed end of the header fields");
  return 0;
}

struct semantics {
  uint32_t hosts, lengths, codings;
  bool closes, stays;
};

static int check_length(struct ls_parser *parser, struct ls_head *head, struct ls_slice value) {
  int64_t length = 0;
  for (size_t i = 0; i < value.len; i++) {
    if (value.ptr[i] < '0' || value.ptr[i] > '9')
      return fail(parser, 400, "malformed Content-Length");
    if (i >= MAX_CONTENT_DIGITS)
      return fail(parser, 413, "the request body is too large");
    length = length * 10 + (value.ptr[i] - '0');
  }
  if (value.len == 0)
    return fail(parser, 400, "malformed Content-Length");
  head->content_length = length;
  return 0;
}

static void note_connection(struct ls_slice value, struct semantics *seen) {
  seen->closes |= ls_field_list_has(value, ls_slice_of("close"));
  seen->stays |= ls_field_list_has(value, ls_slice_of("keep-alive"));
}

static bool equals_word(struct ls_slice value, const char *lower) {
  return ls_field_name_equal(value, ls_slice_of(lower));
}

/* Only "chunked" is known. Others before it: 501; but a body without chunked at its end has no end: 400. */
static int check_coding(struct ls_parser *parser, struct ls_slice value) {
  if (equals_word(value, "chunked"))
    return 0;
  size_t last = value.len;
  while (last > 0 && value.ptr[last - 1] != ',' && !ls_octet_is_blank(value.ptr[last - 1]))
    last--;
  if (equals_word(ls_slice(value.ptr + last, value.len - last), "chunked"))
    return fail(parser, 501, "a transfer coding that is not supported");
  return fail(parser, 400, "Transfer-Encoding does not end in chunked");
}

static int check_expect(struct ls_parser *parser, struct ls_head *head, struct ls_slice value) {
  if (head->minor == 0) /* RFC 9110 10.1.1 */
    return 0;
  if (!equals_word(value, "100-continue"))
    return fail(parser, 417, "an expectation that cannot be met");
  head->expect_continue = true;
  return 0;
}

static int check_meaning(struct ls_parser *parser, struct ls_head *head, const struct ls_head_field *field,
                         struct semantics *seen) {
  struct ls_slice value = ls_slice(head->base + field->value, field->value_len);
  switch (field->id) {
  case LS_FIELD_HOST:
    if (seen->hosts++ != 0 || !ls_url_is_host(value))
      return fail(parser, 400, seen->hosts > 1 ? "more than one Host" : "malformed Host");
    return 0;
  case LS_FIELD_CONNECTION:
    note_connection(value, seen);
    return 0;
  case LS_FIELD_CONTENT_LENGTH:
    if (seen->lengths++ != 0)
      return fail(parser, 400, "more than one Content-Length");
    return check_length(parser, head, value);
  case LS_FIELD_TRANSFER_ENCODING:
    if (head->minor == 0)
      return fail(parser, 400, "Transfer-Encoding in HTTP/1.0");
    if (seen->codings++ != 0)
      return fail(parser, 400, "more than one Transfer-Encoding");
    return check_coding(parser, value);
  case LS_FIELD_EXPECT:
    return check_expect(parser, head, value);
  default:
    return 0;
  }
}

/* Finds the ids, and what the fields say. */
static int check_fields(struct ls_parser *parser, struct ls_head *head) {
  struct semantics seen = {0};
  for (uint32_t i = 0; i < head->count; i++) {
    struct ls_slice name = ls_head_name(head, i);
    enum ls_field_id id = ls_field_lookup(name);
    if (id == LS_FIELD_OTHER && !ls_field_name_is_valid(name))
      return fail(parser, 400, "malformed header field");
    head->fields[i].id = (uint16_t)id;
    if (check_meaning(parser, head, &head->fields[i], &seen) != 0)
      return -1;
  }
  if (seen.hosts == 0 && head->minor == 1)
    return fail(parser, 400, "no Host");
  if (seen.codings != 0 && seen.lengths != 0)
    return fail(parser, 400, "both Content-Length and Transfer-Encoding");
  head->has_body = seen.codings != 0 || head->content_length > 0;
  head->keep_alive = !seen.closes && (head->minor != 0 || seen.stays);
  return 0;
}

static int complete(struct ls_parser *parser, struct ls_head *head) {
  head->content_length = -1;
  if (check_target(parser, head) == 0 && check_fields(parser, head) == 0)
    return LS_PARSER_DONE;
  return parser->failure;
}

/* 501 for a method that could be one, up to the byte that llhttp stumbled over; 400 for what is none. */
static int method_failure(const struct ls_parser *parser, const struct ls_head *head, size_t used) {
  size_t len = 0;
  for (size_t i = 0; i < head->kept.len + used; i++, len++) {
    const char *c = i < head->kept.len ? ls_buf_bytes(&head->kept) + i : parser->bytes + i - head->kept.len;
    if (*c == ' ')
      break;
    if (!ls_field_name_is_valid(ls_slice(c, 1)))
      return 400;
  }
  return len == 0 ? 400 : 501;
}

/* The status for what llhttp itself refused after that many bytes. */
static int refused(struct ls_parser *parser, const struct ls_head *head, llhttp_errno_t err, size_t len) {
  const char *at = llhttp_get_error_pos(&parser->llhttp);
  size_t used = at == NULL ? 0 : (size_t)(at - parser->bytes) + 1;
  parser->reason = llhttp_get_error_reason(&parser->llhttp);
  if (parser->reason == NULL)
    parser->reason = "malformed request";
  switch (err) {
  case HPE_INVALID_METHOD:
    return method_failure(parser, head, used < len ? used : len);
  case HPE_INVALID_VERSION:
    return strcmp(parser->reason, "Invalid HTTP version") == 0 ? 505 : 400;
  case HPE_PAUSED_H2_UPGRADE:
    parser->reason = "only HTTP/1.0 and HTTP/1.1 are spoken here";
    return 505;
  case HPE_INVALID_CONSTANT:
    return parser->llhttp.method > HTTP_SOURCE ? 501 : 400;
  default:
    return 400;
  }
}

/* All bytes belong to the head. Bounds what the callbacks do not see: runs of spaces. */
static int keep_all(struct ls_parser *parser, struct ls_head *head, size_t len) {
  uint32_t total = parser->before + (uint32_t)len, end = head->url + head->url_len;
  if (head->url_len == 0 && total > LINE_SLACK)
    return fail(parser, 400, "malformed request line");
  if (head->url_len != 0 && total - end > LINE_SLACK && is_over(parser, total - LINE_SLACK))
    return fail(parser, 431, "the header fields are too long");
  if (ls_buf_append(&head->kept, parser->bytes, len) != 0)
    return fail(parser, -ENOMEM, NULL);
  parser->before = total;
  return 0;
}

/* The head ends with the first used of the bytes. */
static int find_base(struct ls_parser *parser, struct ls_head *head, size_t used) {
  head->size = parser->before + (uint32_t)used;
  head->base = parser->bytes;
  if (parser->before == 0)
    return 0;
  if (ls_buf_append(&head->kept, parser->bytes, used) != 0)
    return fail(parser, -ENOMEM, NULL);
  head->base = ls_buf_bytes(&head->kept);
  return 0;
}

/* False: it is llhttp's to say what it is. */
static bool is_plain(struct ls_parser *parser, struct ls_head *head, const char *bytes, size_t len, size_t *used) {
  size_t size = ls_split_head(head, parser->limits, bytes, len);
  head->base = bytes;
  head->size = (uint32_t)size;
  if (size != 0 && complete(parser, head) == LS_PARSER_DONE) {
    *used = size;
    return true;
  }
  ls_head_clear(head);
  parser->failure = 0;
  return false;
}

static int parse(struct ls_parser *parser, struct ls_head *head, const char *bytes, size_t len, size_t *used) {
  if (parser->before == 0) {
    if (is_plain(parser, head, bytes, len, used))
      return LS_PARSER_DONE;
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
  }
  parser->head = head;
  parser->bytes = bytes;
  llhttp_errno_t err = llhttp_execute(&parser->llhttp, bytes, len);
  if (parser->failure != 0)
    return parser->failure;
  if (err == HPE_OK)
    return keep_all(parser, head, len) == 0 ? LS_PARSER_MORE : parser->failure;
  if (err != HPE_PAUSED)
    return refused(parser, head, err, len);
  *used = (size_t)(llhttp_get_error_pos(&parser->llhttp) - bytes);
  head->method = parser->llhttp.method;
  head->major = parser->llhttp.http_major;
  head->minor = parser->llhttp.http_minor;
  if (find_base(parser, head, *used) != 0)
    return parser->failure;
  return check_lines(parser, head) == 0 ? complete(parser, head) : parser->failure;
}

/* Of a head that is refused only the beginning is of interest, to who logs it (ls_head_line). Without memory there is less
 * of it. */
static void keep_beginning(struct ls_head *head, const char *bytes, size_t len) {
  size_t room = head->kept.len < BEGINNING ? BEGINNING - head->kept.len : 0;
  ls_buf_append(&head->kept, bytes, len < room ? len : room);
}

int ls_parser_head(struct ls_parser *parser, struct ls_head *head, const char *bytes, size_t len, size_t *used) {
  *used = len;
  if (len > INT32_MAX)
    return -ENOMEM;
  int result = parse(parser, head, bytes, len, used);
  if (result > 0 && result != LS_PARSER_MORE && result != LS_PARSER_DONE) {
    ls_head_give_up(head);
    keep_beginning(head, bytes, len);
  }
  return result;
}
