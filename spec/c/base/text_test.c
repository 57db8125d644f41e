/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static void check_base64(const char *bytes, const char *text, const char *url) {
  char out[64];
  unsigned char back[64];
  size_t n = strlen(bytes);
  CHECK_BYTES(out, ls_base64_encode(bytes, n, false, out), text);
  CHECK_BYTES(out, ls_base64_encode(bytes, n, true, out), url);
  CHECK_INT(ls_base64_decode(text, strlen(text), false, back), n);
  CHECK(memcmp(back, bytes, n) == 0);
  CHECK_INT(ls_base64_decode(url, strlen(url), true, back), n);
  CHECK(memcmp(back, bytes, n) == 0);
}

/* RFC 4648 10. */
static void keeps_the_vectors_of_the_rfc(void) {
  check_base64("", "", "");
  check_base64("f", "Zg==", "Zg");
  check_base64("fo", "Zm8=", "Zm8");
  check_base64("foo", "Zm9v", "Zm9v");
  check_base64("foob", "Zm9vYg==", "Zm9vYg");
  check_base64("fooba", "Zm9vYmE=", "Zm9vYmE");
  check_base64("foobar", "Zm9vYmFy", "Zm9vYmFy");
  check_base64("\xfb\xff\xbf", "+/+/", "-_-_");
}

static void check_wrong(const char *text, bool url, int at) {
  unsigned char back[64];
  int64_t result = ls_base64_decode(text, strlen(text), url, back);
  if (result != -1 - at)
    printf("%s\n", text);
  CHECK_INT(result, -1 - at);
}

static void refuses_what_is_no_base64(void) {
  check_wrong("Zg", false, 2);
  check_wrong("Zg=", false, 2);
  check_wrong("Z", false, 1);
  check_wrong("Zg===", false, 2);
  check_wrong("Zm9v=", false, 4);
  check_wrong("Z===", false, 1);
  check_wrong("====", false, 0);
  check_wrong("Zm9v====", false, 4);
  check_wrong("Zh==", false, 1);
  check_wrong("Zm9=", false, 2);
  check_wrong("Zm9v\nZm9v", false, 4);
  check_wrong(" Zm9v", false, 0);
  check_wrong("-_-_", false, 0);
  check_wrong("+/+/", true, 0);
  check_wrong("Zh", true, 1);
  check_wrong("Z", true, 1);
}

static void takes_padding_in_urls(void) {
  unsigned char back[8];
  CHECK_INT(ls_base64_decode("Zg==", 4, true, back), 1);
  check_wrong("Zg=", true, 2);
}

static void decodes_what_it_encodes(void) {
  unsigned char bytes[300], back[302];
  char text[400];
  srand(7);
  for (size_t n = 0; n < sizeof bytes; n++) {
    for (size_t i = 0; i < n; i++)
      bytes[i] = (unsigned char)rand();
    for (int url = 0; url < 2; url++) {
      size_t len = ls_base64_encode(bytes, n, url, text);
      CHECK(len <= ls_base64_size(n));
      CHECK_INT(ls_base64_decode(text, len, url, back), n);
      CHECK(memcmp(back, bytes, n) == 0);
    }
  }
}

static void knows_hex(void) {
  char text[16];
  unsigned char back[8];
  ls_hex_encode("\x00\x1f\xab\xff", 4, text);
  CHECK_BYTES(text, 8, "001fabff");
  CHECK_INT(ls_hex_decode("001FabfF", 8, back), 4);
  CHECK(memcmp(back, "\x00\x1f\xab\xff", 4) == 0);
  CHECK_INT(ls_hex_decode("", 0, back), 0);
  CHECK_INT(ls_hex_decode("0", 1, back), -2);
  CHECK_INT(ls_hex_decode("00g0", 4, back), -3);
}

int main(void) {
  RUN(keeps_the_vectors_of_the_rfc);
  RUN(refuses_what_is_no_base64);
  RUN(takes_padding_in_urls);
  RUN(decodes_what_it_encodes);
  RUN(knows_hex);
  return 0;
}
