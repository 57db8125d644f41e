/* SPDX-License-Identifier: MIT */
/* parser: llhttp, made to fill a struct ls_head. It reads heads only: it stops llhttp behind the empty line, and bodies
 * are body.h's. No lenient flag is ever set, and what llhttp lets pass in its loose mode is refused here: bare LF,
 * several spaces, obs-fold, other protocols' request lines, odd bytes in the target. */
#ifndef LS_HTTP_PARSER_H
#define LS_HTTP_PARSER_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/head.h"
#include "http/limits.h"

struct ls_parser {
  llhttp_t llhttp;
  const struct ls_http_limits *limits;
  struct ls_head *head; /* being filled; only during ls_parser_head */
  const char *bytes;    /* of this call */
  uint32_t before;      /* bytes of the head that came in earlier calls */
  bool in_value;        /* the last field has (the start of) its value */
  int failure;          /* what a callback has to say: a status or -ENOMEM; 0: nothing */
  const char *reason;   /* of the failure: a constant text */
};

void ls_parser_init(struct ls_parser *parser, const struct ls_http_limits *limits);

/* Makes ready for the next head. */
void ls_parser_reset(struct ls_parser *parser);

enum { LS_PARSER_MORE = 0, LS_PARSER_DONE = 1 };

/* Parses on in a head that begins with the first byte given after a reset. MORE: all bytes belong to the head (and are
 * copied to head->kept), it goes on. DONE: *used bytes did, and head is filled and valid; where it came in one call its
 * base points into bytes. Otherwise the status of the refusal with parser->reason, and nothing of head but the beginning of
 * its line is kept; or -ENOMEM. */
int ls_parser_head(struct ls_parser *parser, struct ls_head *head, const char *bytes, size_t len, size_t *used);

#endif
