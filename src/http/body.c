/* SPDX-License-Identifier: MIT */
/* body: the framing of request content, a byte-driven state machine that hands content out in runs. */
#include "http/body.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "http/field.h"
#include "http/octet.h"

enum state {
  COUNTED,       /* content of a Content-Length */
  SIZE_FIRST,    /* the first digit of a chunk size */
  SIZE,          /* more digits, ';' or CR */
  SIZE_BLANK,    /* white space that only ';' may end (RFC 9112 7.1.1: BWS) */
  EXTENSION,     /* up to CR */
  SIZE_LF,       /* after CR */
  CHUNK,         /* content of a chunk */
  CHUNK_CR,      /* after it */
  CHUNK_LF,      /* after that */
  LAST_LF,       /* as SIZE_LF, after a size of 0 */
  TRAILER_FIRST, /* a trailer field begins, or the last CR */
  TRAILER_NAME,  /* up to ':' */
  TRAILER_VALUE, /* up to CR */
  TRAILER_LF,    /* after it */
  END_LF,        /* after the last CR */
  ENDED
};

void ls_body_begin(struct ls_body *body, int64_t length, uint32_t spare) {
  body->spare = spare;
  body->left = length > 0 ? (uint64_t)length : 0;
  body->state = length < 0 ? SIZE_FIRST : length == 0 ? ENDED : COUNTED;
}

static int hex_of(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/* A byte of an extension or a trailer, or a zero in front of a size. */
static int spend(struct ls_body *body, char c) {
  if (!ls_field_value_is_valid(ls_slice(&c, 1)))
    return LS_EPROTO;
  if (body->spare == 0)
    return LS_ETOOBIG;
  body->spare--;
  return 0;
}

/* Zeros in front cost what an extension costs: there may be any number of them. */
static int on_size(struct ls_body *body, char c) {
  int digit = hex_of(c);
  if (digit >= 0) {
    if (body->left > UINT64_MAX >> 4)
      return LS_EPROTO;
    if (body->left == 0 && body->state == SIZE && spend(body, c) != 0)
      return LS_ETOOBIG;
    body->left = body->left << 4 | (unsigned)digit;
    body->state = SIZE;
    return 0;
  }
  if (body->state == SIZE && ls_octet_is_blank(c)) {
    body->state = SIZE_BLANK;
    return spend(body, c);
  }
  if (body->state == SIZE_FIRST || (c != ';' && c != '\r'))
    return LS_EPROTO;
  body->state = c == ';' ? EXTENSION : body->left == 0 ? LAST_LF : SIZE_LF;
  return 0;
}

static int on_blank(struct ls_body *body, char c) {
  if (c == ';')
    body->state = EXTENSION;
  else if (!ls_octet_is_blank(c))
    return LS_EPROTO;
  return spend(body, c);
}

static int on_extension(struct ls_body *body, char c) {
  if (c != '\r')
    return spend(body, c);
  body->state = body->left == 0 ? LAST_LF : SIZE_LF;
  return 0;
}

static int on_trailer(struct ls_body *body, char c) {
  if (body->state == TRAILER_VALUE) {
    if (c != '\r')
      return spend(body, c);
    body->state = TRAILER_LF;
    return 0;
  }
  if (body->state == TRAILER_FIRST && c == '\r') {
    body->state = END_LF;
    return 0;
  }
  if (body->state == TRAILER_NAME && c == ':')
    body->state = TRAILER_VALUE;
  else if (ls_field_name_is_valid(ls_slice(&c, 1)))
    body->state = TRAILER_NAME;
  else
    return LS_EPROTO;
  return spend(body, c);
}

static int expect(struct ls_body *body, char c, char expected, enum state next) {
  body->state = (uint8_t)next;
  return c == expected ? 0 : LS_EPROTO;
}

static int on_byte(struct ls_body *body, char c) {
  switch ((enum state)body->state) {
  case SIZE_FIRST:
  case SIZE:
    return on_size(body, c);
  case SIZE_BLANK:
    return on_blank(body, c);
  case EXTENSION:
    return on_extension(body, c);
  case SIZE_LF:
    return expect(body, c, '\n', CHUNK);
  case CHUNK_CR:
    return expect(body, c, '\r', CHUNK_LF);
  case CHUNK_LF:
    return expect(body, c, '\n', SIZE_FIRST);
  case LAST_LF:
  case TRAILER_LF:
    return expect(body, c, '\n', TRAILER_FIRST);
  case TRAILER_FIRST:
  case TRAILER_NAME:
  case TRAILER_VALUE:
    return on_trailer(body, c);
  case END_LF:
    return expect(body, c, '\n', ENDED);
  case COUNTED:
  case CHUNK:
  case ENDED:
    break;
  }
  return LS_EPROTO;
}

static bool is_content(const struct ls_body *body) {
  return body->state == COUNTED || body->state == CHUNK;
}

static int take_content(struct ls_body *body, const char *bytes, size_t len, struct ls_slice *content) {
  size_t n = len < body->left ? len : (size_t)body->left;
  *content = ls_slice(bytes, n);
  body->left -= n;
  if (body->left == 0)
    body->state = body->state == CHUNK ? CHUNK_CR : ENDED;
  return LS_BODY_CONTENT;
}

int ls_body_next(struct ls_body *body, const char *bytes, size_t len, size_t *used, struct ls_slice *content) {
  size_t i = 0;
  while (body->state != ENDED && i < len) {
    if (is_content(body)) {
      int step = take_content(body, bytes + i, len - i, content);
      *used = i + content->len;
      return step;
    }
    int err = on_byte(body, bytes[i++]);
    if (err != 0) {
      *used = i;
      return err;
    }
  }
  *used = i;
  return body->state == ENDED ? LS_BODY_END : LS_BODY_MORE;
}
