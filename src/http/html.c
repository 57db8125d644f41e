/* SPDX-License-Identifier: MIT */
#include "http/html.h"

#include "base/block.h"
#include "http/field.h"

enum { SCHEME_MAX = 8 }; /* longer ones are not on the list */

static const bool is_special[256] = {['&'] = true, ['<'] = true, ['>'] = true, ['"'] = true, ['\''] = true};

/* Of the five, two pairs differ in one bit. */
static inline bool is_plain_block(ls_block block) {
  ls_block quote_or_amp = (ls_block)((block & (unsigned char)~4) == '"');
  ls_block less_or_greater = (ls_block)((block & (unsigned char)~2) == '<');
  return ls_block_is_clear(quote_or_amp | less_or_greater, (ls_block)(block == '\''));
}

size_t ls_html_plain_length(struct ls_slice text) {
  size_t i = 0;
  while (i < text.len && !is_special[(unsigned char)text.ptr[i]])
    i++;
  return i;
}

size_t ls_html_copy_plain(struct ls_slice text, char *out) {
  return ls_block_copy(out, text.ptr, text.len, is_plain_block);
}

struct ls_slice ls_html_entity(char c) {
  switch (c) {
  case '&':
    return ls_slice("&amp;", 5);
  case '<':
    return ls_slice("&lt;", 4);
  case '>':
    return ls_slice("&gt;", 4);
  case '"':
    return ls_slice("&quot;", 6);
  default:
    return ls_slice("&#39;", 5);
  }
}

static bool is_dropped(char c) {
  return c == '\t' || c == '\n' || c == '\r';
}

static bool is_listed(struct ls_slice scheme) {
  static const struct ls_slice listed[] = {{"http", 4}, {"https", 5}, {"mailto", 6},
                                           {"tel", 3},  {"sms", 3},   {"ftp", 3}};
  for (size_t i = 0; i < sizeof listed / sizeof *listed; i++)
    if (ls_field_name_equal(scheme, listed[i]))
      return true;
  return false;
}

bool ls_html_url_is_safe(struct ls_slice url) {
  char scheme[SCHEME_MAX];
  size_t len = 0, i = 0;
  while (i < url.len && (unsigned char)url.ptr[i] <= ' ')
    i++;
  for (; i < url.len; i++) {
    char c = url.ptr[i];
    if (c == ':')
      return is_listed(ls_slice(scheme, len < SCHEME_MAX ? len : 0));
    if (c == '/' || c == '?' || c == '#')
      return true;
    if (!is_dropped(c) && len++ < SCHEME_MAX)
      scheme[len - 1] = c;
  }
  return true;
}
