/* SPDX-License-Identifier: MIT */
#include "http/event.h"

bool ls_event_is_line(struct ls_slice value) {
  for (size_t i = 0; i < value.len; i++)
    if (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == '\0')
      return false;
  return true;
}

static size_t line_length(struct ls_slice text) {
  size_t len = 0;
  while (len < text.len && text.ptr[len] != '\r' && text.ptr[len] != '\n')
    len++;
  return len;
}

/* The space is always there: a reader drops one, and the value may begin with another. */
static int append_line(struct ls_buf *out, const char *name, struct ls_slice line) {
  size_t name_len = strlen(name);
  int err = ls_buf_reserve(out, name_len + line.len + 3);
  if (err != 0)
    return err;
  ls_buf_append(out, name, name_len);
  ls_buf_append(out, ": ", 2);
  ls_buf_append(out, line.ptr, line.len);
  ls_buf_append(out, "\n", 1);
  return 0;
}

int ls_event_append(struct ls_buf *out, const char *name, struct ls_slice value) {
  for (;;) {
    size_t len = line_length(value);
    int err = append_line(out, name, ls_slice(value.ptr, len));
    if (err != 0 || len == value.len)
      return err;
    len += value.ptr[len] == '\r' && len + 1 < value.len && value.ptr[len + 1] == '\n' ? 2 : 1;
    value = ls_slice(value.ptr + len, value.len - len);
  }
}
