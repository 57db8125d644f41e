/* SPDX-License-Identifier: MIT */
/* head: a parsed request head: offsets into one run of bytes, which is the shared read buffer while the read lasts and
 * a copy of the request's own when the request outlives it (ls_head_keep). */
#ifndef LS_HTTP_HEAD_H
#define LS_HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "http/field.h"

struct ls_head_field {
  uint32_t name, value; /* offsets from base */
  uint32_t value_len;
  uint16_t name_len;
  uint16_t id; /* enum ls_field_id; LS_FIELD_OTHER: compare the name */
};

struct ls_head {
  /* Memory, that stays between requests: */
  struct ls_buf kept;           /* own copy; base points into it once there is one */
  struct ls_head_field *fields; /* count of them */
  uint32_t cap;
  /* From here on all is zero between them: */
  uint32_t count;
  const char *base; /* start of the head's bytes */
  uint32_t size;    /* how many they are; 0: the head is not whole, or was refused */
  uint8_t method;   /* llhttp's number */
  uint8_t major, minor;
  bool keep_alive;
  bool expect_continue;
  bool has_body;          /* a length over 0 or chunked */
  int64_t content_length; /* -1: none given (no body, or chunked) */
  uint32_t url, url_len;
};

/* Zeroed memory is an empty head. clear keeps modest memory for the next request, dispose frees all. */
void ls_head_clear(struct ls_head *head);
void ls_head_dispose(struct ls_head *head);

/* Copies the bytes, so that the read buffer may go; harmless when done already. 0 or -ENOMEM. */
int ls_head_keep(struct ls_head *head);

/* It is refused before it is whole, or because it is wrong: from now on it is empty, but for ls_head_line. */
void ls_head_give_up(struct ls_head *head);

/* A field behind the others, empty. NULL: out of memory. */
struct ls_head_field *ls_head_add(struct ls_head *head);

struct ls_slice ls_head_method(const struct ls_head *head); /* "GET" */
struct ls_slice ls_head_url(const struct ls_head *head);    /* as sent */
/* The first line as it came, without its end: the request line; of a head that was refused whatever has come of it. */
struct ls_slice ls_head_line(const struct ls_head *head);
struct ls_slice ls_head_name(const struct ls_head *head, uint32_t index);
struct ls_slice ls_head_value(const struct ls_head *head, uint32_t index);

/* Index of the next field with this name (any case), from index from on; -1: none. */
int ls_head_find(const struct ls_head *head, struct ls_slice name, uint32_t from);
/* The same of a common field. */
static inline int ls_head_find_common(const struct ls_head *head, enum ls_field_id id, uint32_t from) {
  for (uint32_t i = from; i < head->count; i++)
    if (head->fields[i].id == id)
      return (int)i;
  return -1;
}

/* The first value of a common field; ptr NULL: absent. */
struct ls_slice ls_head_get(const struct ls_head *head, enum ls_field_id id);

#endif
