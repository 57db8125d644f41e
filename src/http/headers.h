/* SPDX-License-Identifier: MIT */
/* headers: the fields of a response, while it is being put together. Order is kept. text is already as it goes to the
 * client, "name: value\r\n" line by line without gaps, so that a head is one copy. */
#ifndef LS_HTTP_HEADERS_H
#define LS_HTTP_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "http/field.h"

struct ls_headers_entry {
  uint32_t name, value; /* offsets into text */
  uint32_t value_len;
  uint16_t name_len;
  uint16_t id; /* LS_FIELD_OTHER: compare the name */
};

struct ls_headers {
  struct ls_buf text;
  struct ls_headers_entry *entries;
  uint32_t count, cap;
  uint64_t present; /* bit id is set where a common field is among the entries */
};

static inline bool ls_headers_has(const struct ls_headers *headers, enum ls_field_id id) {
  return (headers->present >> id & 1) != 0;
}

void ls_headers_clear(struct ls_headers *headers); /* keeps modest memory */
void ls_headers_dispose(struct ls_headers *headers);

/* Appends. 0, -ENOMEM, or LS_EHEADER for a name or value that must not be sent. */
int ls_headers_add(struct ls_headers *headers, struct ls_slice name, struct ls_slice value);
/* Replaces all fields of that name. Same results. */
int ls_headers_set(struct ls_headers *headers, struct ls_slice name, struct ls_slice value);
/* Appends a common field where there is none of it yet; the value is known to be valid: a constant. 0, or -ENOMEM. */
int ls_headers_default(struct ls_headers *headers, enum ls_field_id id, struct ls_slice value);
void ls_headers_remove(struct ls_headers *headers, struct ls_slice name);

/* Index of the next field with this name from index from on; -1: none. */
int ls_headers_find(const struct ls_headers *headers, struct ls_slice name, uint32_t from);
struct ls_slice ls_headers_name(const struct ls_headers *headers, uint32_t index);
struct ls_slice ls_headers_value(const struct ls_headers *headers, uint32_t index);

#endif
