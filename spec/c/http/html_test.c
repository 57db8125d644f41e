/* SPDX-License-Identifier: MIT */
#include "http/html.h"

#include "check.h"

static void check_escaped(const char *text, const char *expected) {
  char out[256] = "";
  struct ls_slice rest = ls_slice_of(text);
  for (;;) {
    size_t plain = ls_html_plain_length(rest);
    strncat(out, rest.ptr, plain);
    if (plain == rest.len)
      break;
    strcat(out, ls_html_entity(rest.ptr[plain]).ptr);
    rest = ls_slice(rest.ptr + plain + 1, rest.len - plain - 1);
  }
  CHECK_BYTES(out, strlen(out), expected);
}

static void escapes(void) {
  check_escaped("", "");
  check_escaped("plain \xc3\xa9 \x7f", "plain \xc3\xa9 \x7f");
  check_escaped("<a href='b' c=\"&\">", "&lt;a href=&#39;b&#39; c=&quot;&amp;&quot;&gt;");
}

static bool is_special(int byte) {
  return byte == '&' || byte == '<' || byte == '>' || byte == '"' || byte == '\'';
}

/* It is in the block that is copied last, or nothing behind it has been looked at. */
static void check_copied(struct ls_slice text, size_t at) {
  char out[64];
  memset(out, '#', sizeof out);
  size_t plain = ls_html_copy_plain(text, out);
  CHECK(is_special((unsigned char)text.ptr[at]) ? plain <= at && at - plain < 16 : plain == text.len);
  CHECK(memcmp(out, text.ptr, plain) == 0);
  CHECK(out[text.len] == '#');
}

static void copies_until_there_is_something_to_escape(void) {
  for (size_t len = 1; len <= 50; len++)
    for (size_t at = 0; at < len; at++)
      for (int byte = 0; byte < 256; byte++) {
        char text[50];
        memset(text, 'a', len);
        text[at] = (char)byte;
        check_copied(ls_slice(text, len), at);
      }
}

static bool is_safe(const char *url) {
  return ls_html_url_is_safe(ls_slice_of(url));
}

static void judges_urls(void) {
  CHECK(is_safe("") && is_safe("/a:b") && is_safe("a/b:c") && is_safe("?a:b") && is_safe("#:") && is_safe("page"));
  CHECK(is_safe("https://x") && is_safe("HtTp:x") && is_safe(" mailto:x") && is_safe("te\tl:1"));
  CHECK(!is_safe("javascript:x") && !is_safe(" \n\x01JAVASCRIPT:x") && !is_safe("java\r\n\tscript:x"));
  CHECK(!is_safe("data:x") && !is_safe(":") && !is_safe("https\x01:x") && !is_safe("httpsx:") && !is_safe("blob:x"));
  CHECK(!ls_html_url_is_safe(ls_slice("http\0:", 6)));
}

int main(void) {
  RUN(escapes);
  RUN(copies_until_there_is_something_to_escape);
  RUN(judges_urls);
  return 0;
}
