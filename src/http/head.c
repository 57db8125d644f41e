/* SPDX-License-Identifier: MIT */
/* head: reading a parsed head, and keeping its bytes. */
#include "http/head.h"

#include <llhttp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* What a cleared head may keep. */
enum { KEPT_BYTES = 16 * 1024, KEPT_FIELDS = 128 };

#define METHOD(number, name, string) [number] = {#string, sizeof(#string) - 1},
static const struct ls_slice methods[] = {HTTP_METHOD_MAP(METHOD)};
#undef METHOD

void ls_head_clear(struct ls_head *head) {
  if (head->kept.cap > KEPT_BYTES)
    ls_buf_dispose(&head->kept);
  if (head->cap > KEPT_FIELDS) {
    free(head->fields);
    head->fields = NULL;
    head->cap = 0;
  }
  ls_buf_clear(&head->kept);
  size_t kept = offsetof(struct ls_head, count);
  memset((char *)head + kept, 0, sizeof *head - kept);
}

void ls_head_dispose(struct ls_head *head) {
  ls_buf_dispose(&head->kept);
  free(head->fields);
  *head = (struct ls_head){0};
}

int ls_head_keep(struct ls_head *head) {
  if (head->size == 0 || head->kept.len != 0)
    return 0;
  int err = ls_buf_append(&head->kept, head->base, head->size);
  if (err != 0)
    return err;
  head->base = ls_buf_bytes(&head->kept);
  return 0;
}

void ls_head_give_up(struct ls_head *head) {
  head->base = NULL;
  head->size = head->url_len = head->count = 0;
}

struct ls_head_field *ls_head_add(struct ls_head *head) {
  if (head->count == head->cap) {
    uint32_t cap = head->cap == 0 ? 16 : head->cap * 2;
    struct ls_head_field *fields = realloc(head->fields, cap * sizeof(*fields));
    if (fields == NULL)
      return NULL;
    head->fields = fields;
    head->cap = cap;
  }
  struct ls_head_field *field = &head->fields[head->count++];
  *field = (struct ls_head_field){0};
  return field;
}

struct ls_slice ls_head_method(const struct ls_head *head) {
  if (head->method >= sizeof(methods) / sizeof(methods[0]))
    return ls_slice("", 0);
  return methods[head->method];
}

struct ls_slice ls_head_url(const struct ls_head *head) {
  return ls_slice(head->base + head->url, head->url_len);
}

struct ls_slice ls_head_line(const struct ls_head *head) {
  struct ls_slice bytes = ls_slice(head->base, head->size);
  if (head->size == 0)
    bytes = ls_slice(ls_buf_bytes(&head->kept), head->kept.len);
  size_t len = 0;
  while (len < bytes.len && bytes.ptr[len] != '\r' && bytes.ptr[len] != '\n')
    len++;
  return ls_slice(bytes.ptr, len);
}

struct ls_slice ls_head_name(const struct ls_head *head, uint32_t index) {
  const struct ls_head_field *field = &head->fields[index];
  return ls_slice(head->base + field->name, field->name_len);
}

struct ls_slice ls_head_value(const struct ls_head *head, uint32_t index) {
  const struct ls_head_field *field = &head->fields[index];
  return ls_slice(head->base + field->value, field->value_len);
}

int ls_head_find(const struct ls_head *head, struct ls_slice name, uint32_t from) {
  enum ls_field_id id = ls_field_lookup(name);
  if (id != LS_FIELD_OTHER)
    return ls_head_find_common(head, id, from);
  for (uint32_t i = from; i < head->count; i++)
    if (head->fields[i].id == LS_FIELD_OTHER && ls_field_name_equal(ls_head_name(head, i), name))
      return (int)i;
  return -1;
}

struct ls_slice ls_head_get(const struct ls_head *head, enum ls_field_id id) {
  int index = ls_head_find_common(head, id, 0);
  return index < 0 ? ls_slice(NULL, 0) : ls_head_value(head, (uint32_t)index);
}
