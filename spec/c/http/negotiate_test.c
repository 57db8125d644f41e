/* SPDX-License-Identifier: MIT */
#include "http/negotiate.h"

#include "check.h"

/* "value=weight" of all members. */
static void check_members(const char *list, const char *expected) {
  char text[256] = "";
  struct ls_slice rest = ls_slice_of(list);
  struct ls_weighted member;
  while (ls_weighted_next(&rest, &member))
    sprintf(text + strlen(text), "%.*s=%u ", (int)member.value.len, member.value.ptr, member.weight);
  CHECK_BYTES(text, strlen(text), expected);
}

static void cuts_lists(void) {
  check_members("", "");
  check_members(" , ,", "");
  check_members("a", "a=1000 ");
  check_members("a,b ,\tc", "a=1000 b=1000 c=1000 ");
  check_members("text/html;level=1;q=0.4, */*;q=0.1", "text/html=400 */*=100 ");
  check_members("a;x=\"1,2;q=0\";q=0.5,b", "a=500 b=1000 ");
  check_members("a;x=\"\\\"\",b", "a=1000 b=1000 ");
  check_members("a;x=\"open,b", "a=1000 ");
  check_members(";q=1,a", "a=1000 ");
}

static void reads_weights(void) {
  check_members("a;q=0,b;q=1,c;q=0.5,d;q=0.05,e;q=0.005,f;q=0.999,g;q=1.000",
                "a=0 b=1000 c=500 d=50 e=5 f=999 g=1000 ");
  check_members("a;Q=0.5,b ; q=0.5", "a=500 b=500 ");
  check_members("a;q=0.,b;q=1.", "a=0 b=1000 "); /* the digits may be missing: RFC 9110 12.4.2 */
  check_members("a;q=,b;q=2,c;q=1.001,d;q=-0,e;q=.5,f;q=0.0001,g;q=01,h;q=0x1,i;q=\"1\",j", "j=1000 ");
}

/* How precisely a list's only member names the offer. */
static unsigned precision(ls_match match, const char *list, const char *offer) {
  struct ls_slice rest = ls_slice_of(list);
  struct ls_weighted member;
  CHECK(ls_weighted_next(&rest, &member));
  return match(&member, ls_slice_of(offer));
}

static void matches_media(void) {
  unsigned wildcard = precision(ls_match_media, "*/*;q=0.5", "a/b"), type = precision(ls_match_media, "A/*", "a/b");
  unsigned name = precision(ls_match_media, "a/B", "a/b;c=d"),
           more = precision(ls_match_media, "a/b;c=d", "a/b;C=\"D\"");
  CHECK(0 < wildcard && wildcard < type && type < name && name < more);
  CHECK_INT(precision(ls_match_media, "*", "a/b"), wildcard);
  CHECK_INT(precision(ls_match_media, "a/b;q=1;", "a/b"), name);
  CHECK_INT(precision(ls_match_media, "a/b;c=d", "a/b"), 0);
  CHECK_INT(precision(ls_match_media, "a/b;c=d", "a/b;c=e"), 0);
  CHECK_INT(precision(ls_match_media, "a", "a/b"), 0);
  CHECK_INT(precision(ls_match_media, "*/b", "a/b"), 0);
  CHECK_INT(precision(ls_match_media, "/", "a/b"), 0);
  CHECK_INT(precision(ls_match_media, "a/", "a/b"), 0);
}

static void matches_languages(void) {
  unsigned wildcard = precision(ls_match_language, "*", "de"), wider = precision(ls_match_language, "de-CH", "de");
  unsigned kind = precision(ls_match_language, "de", "de-CH"), exact = precision(ls_match_language, "de-ch", "de-CH");
  CHECK(0 < wildcard && wildcard < wider && wider < kind && kind < exact);
  CHECK_INT(precision(ls_match_language, "de-CH;q=0", "de"), 0);
  CHECK_INT(precision(ls_match_language, "de", "den"), 0);
  CHECK_INT(precision(ls_match_language, "den", "de"), 0);
}

static void matches_codings(void) {
  CHECK(precision(ls_match_coding, "*", "gzip") < precision(ls_match_coding, "GZIP", "gzip"));
  CHECK_INT(precision(ls_match_coding, "x-gzip", "gzip"), precision(ls_match_coding, "gzip", "gzip"));
  CHECK_INT(precision(ls_match_coding, "zstd", "zstd"), precision(ls_match_coding, "gzip", "gzip"));
  CHECK_INT(precision(ls_match_coding, "gzip", "br"), 0);
}

static enum ls_coding choose(const char *value) {
  static const enum ls_coding offered[] = {LS_CODING_BROTLI, LS_CODING_GZIP};
  struct ls_head_field fields[2] = {{.id = LS_FIELD_ACCEPT}, {.id = LS_FIELD_ACCEPT_ENCODING}};
  struct ls_head head = {.base = value, .fields = fields, .count = value == NULL ? 1 : 2};
  fields[1].value_len = value == NULL ? 0 : (uint32_t)strlen(value);
  return ls_negotiate_coding(&head, offered, 2);
}

static void chooses(void) {
  CHECK_INT(choose(NULL), LS_CODING_IDENTITY);
  CHECK_INT(choose(""), LS_CODING_IDENTITY);
  CHECK_INT(choose("*"), LS_CODING_BROTLI);
  CHECK_INT(choose("gzip"), LS_CODING_GZIP);
  CHECK_INT(choose("gzip, br"), LS_CODING_BROTLI);
  CHECK_INT(choose("gzip, br;q=0.9"), LS_CODING_GZIP);
  CHECK_INT(choose("deflate"), LS_CODING_IDENTITY); /* not offered */
  CHECK_INT(choose("identity, gzip;q=0.9"), LS_CODING_IDENTITY);
  CHECK_INT(choose("*;q=0"), LS_CODING_IDENTITY);
  CHECK_INT(choose("identity;q=0, *;q=0"), LS_CODING_IDENTITY);
  CHECK_INT(choose("gzip;q=0.1, *;q=0.5, br;q=0"), LS_CODING_IDENTITY); /* '*' is identity too */
}

int main(void) {
  RUN(cuts_lists);
  RUN(reads_weights);
  RUN(matches_media);
  RUN(matches_languages);
  RUN(matches_codings);
  RUN(chooses);
  return 0;
}
