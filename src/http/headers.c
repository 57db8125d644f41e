/* SPDX-License-Identifier: MIT */
/* headers: lines of text and where in them the names and values are. */
#include "http/headers.h"

#include <stdlib.h>

#include "base/error.h"

_Static_assert(LS_FIELDS <= 64, "present has a bit for each common field");

/* What cleared headers may keep, and how long a line may be at all (offsets have 32 bits). */
enum { KEPT_BYTES = 8 * 1024, KEPT_ENTRIES = 64, MAX_TEXT = 1 << 28 };

void ls_headers_clear(struct ls_headers *headers) {
  if (headers->text.cap > KEPT_BYTES || headers->cap > KEPT_ENTRIES) {
    ls_headers_dispose(headers);
    return;
  }
  ls_buf_clear(&headers->text);
  headers->count = 0;
  headers->present = 0;
}

void ls_headers_dispose(struct ls_headers *headers) {
  ls_buf_dispose(&headers->text);
  free(headers->entries);
  *headers = (struct ls_headers){0};
}

static int reserve_entry(struct ls_headers *headers) {
  if (headers->count < headers->cap)
    return 0;
  uint32_t cap = headers->cap == 0 ? 8 : headers->cap * 2;
  struct ls_headers_entry *entries = realloc(headers->entries, cap * sizeof(*entries));
  if (entries == NULL)
    return -ENOMEM;
  headers->entries = entries;
  headers->cap = cap;
  return 0;
}

static char *put(char *p, const char *bytes, size_t len) {
  if (len != 0)
    memcpy(p, bytes, len);
  return p + len;
}

/* Whether it may be a line; a common name is a valid one. */
static bool is_valid(enum ls_field_id id, struct ls_slice name, struct ls_slice value) {
  if (name.len > UINT16_MAX || value.len > MAX_TEXT)
    return false;
  return (id != LS_FIELD_OTHER || ls_field_name_is_valid(name)) && ls_field_value_is_valid(value);
}

/* A line that is_valid. */
static int add_line(struct ls_headers *headers, enum ls_field_id id, struct ls_slice name, struct ls_slice value) {
  size_t line = name.len + value.len + 4;
  if (headers->text.len + line > MAX_TEXT)
    return -ENOMEM;
  int err = reserve_entry(headers);
  if (err == 0)
    err = ls_buf_reserve(&headers->text, line);
  if (err != 0)
    return err;

  struct ls_headers_entry *entry = &headers->entries[headers->count++];
  entry->name = (uint32_t)headers->text.len;
  entry->name_len = (uint16_t)name.len;
  entry->value = entry->name + (uint32_t)name.len + 2;
  entry->value_len = (uint32_t)value.len;
  entry->id = (uint16_t)id;
  headers->present |= UINT64_C(1) << entry->id;

  char *p = ls_buf_bytes(&headers->text) + headers->text.len;
  p = put(p, name.ptr, name.len);
  p = put(p, ": ", 2);
  p = put(p, value.ptr, value.len);
  put(p, "\r\n", 2);
  headers->text.len += line;
  return 0;
}

static int add(struct ls_headers *headers, enum ls_field_id id, struct ls_slice name, struct ls_slice value) {
  return is_valid(id, name, value) ? add_line(headers, id, name, value) : LS_EHEADER;
}

int ls_headers_default(struct ls_headers *headers, enum ls_field_id id, struct ls_slice value) {
  return ls_headers_has(headers, id) ? 0 : add_line(headers, id, ls_field_name(id), value);
}

int ls_headers_add(struct ls_headers *headers, struct ls_slice name, struct ls_slice value) {
  return add(headers, ls_field_lookup(name), name, value);
}

static void remove_entry(struct ls_headers *headers, uint32_t index) {
  struct ls_headers_entry *entry = &headers->entries[index];
  uint32_t start = entry->name, end = entry->value + entry->value_len + 2, line = end - start;
  char *text = ls_buf_bytes(&headers->text);
  memmove(text + start, text + end, headers->text.len - end);
  headers->text.len -= line;
  headers->count--;
  for (uint32_t i = index; i < headers->count; i++) {
    headers->entries[i] = headers->entries[i + 1];
    headers->entries[i].name -= line;
    headers->entries[i].value -= line;
  }
}

static int find(const struct ls_headers *headers, enum ls_field_id id, struct ls_slice name, uint32_t from) {
  if (id != LS_FIELD_OTHER && !ls_headers_has(headers, id))
    return -1;
  for (uint32_t i = from; i < headers->count; i++) {
    if (headers->entries[i].id != id)
      continue;
    if (id != LS_FIELD_OTHER || ls_field_name_equal(ls_headers_name(headers, i), name))
      return (int)i;
  }
  return -1;
}

int ls_headers_find(const struct ls_headers *headers, struct ls_slice name, uint32_t from) {
  return find(headers, ls_field_lookup(name), name, from);
}

void ls_headers_remove(struct ls_headers *headers, struct ls_slice name) {
  enum ls_field_id id = ls_field_lookup(name);
  for (int i = find(headers, id, name, 0); i >= 0; i = find(headers, id, name, (uint32_t)i))
    remove_entry(headers, (uint32_t)i);
  if (id != LS_FIELD_OTHER)
    headers->present &= ~(UINT64_C(1) << id);
}

/* Adds before it removes, so that a failure changes nothing; name and value may not point into headers. */
int ls_headers_set(struct ls_headers *headers, struct ls_slice name, struct ls_slice value) {
  enum ls_field_id id = ls_field_lookup(name);
  int first = find(headers, id, name, 0);
  int err = add(headers, id, name, value);
  if (err != 0)
    return err;
  while (first >= 0 && (uint32_t)first + 1 < headers->count) {
    remove_entry(headers, (uint32_t)first);
    first = find(headers, id, name, (uint32_t)first);
  }
  return 0;
}

struct ls_slice ls_headers_name(const struct ls_headers *headers, uint32_t index) {
  const struct ls_headers_entry *entry = &headers->entries[index];
  return ls_slice(ls_buf_bytes(&headers->text) + entry->name, entry->name_len);
}

struct ls_slice ls_headers_value(const struct ls_headers *headers, uint32_t index) {
  const struct ls_headers_entry *entry = &headers->entries[index];
  return ls_slice(ls_buf_bytes(&headers->text) + entry->value, entry->value_len);
}
