/* SPDX-License-Identifier: MIT */
#include "http/conditional.h"

#include "http/date.h"
#include "http/octet.h"
#include "http/parser.h"

/* ---- entity tags ---- */

static bool is_opaque_byte(char c) {
  unsigned char u = (unsigned char)c;
  return u == 0x21 || (u >= 0x23 && u != 0x7f);
}

bool ls_etag_is_opaque(struct ls_slice text) {
  for (size_t i = 0; i < text.len; i++)
    if (!is_opaque_byte(text.ptr[i]))
      return false;
  return true;
}

static bool is_weak(struct ls_slice tag) {
  return tag.len != 0 && tag.ptr[0] == 'W';
}

static struct ls_slice opaque_of(struct ls_slice tag) {
  return is_weak(tag) ? ls_slice(tag.ptr + 2, tag.len - 2) : tag;
}

/* The length of the tag at the front; 0: there is none. */
static size_t measure_tag(struct ls_slice text) {
  size_t n = text.len >= 2 && text.ptr[0] == 'W' && text.ptr[1] == '/' ? 2 : 0;
  if (n == text.len || text.ptr[n] != '"')
    return 0;
  n++;
  while (n < text.len && is_opaque_byte(text.ptr[n]))
    n++;
  return n < text.len && text.ptr[n] == '"' ? n + 1 : 0;
}

bool ls_etag_is_valid(struct ls_slice text) {
  return text.len != 0 && measure_tag(text) == text.len;
}

bool ls_etag_equal_strong(struct ls_slice a, struct ls_slice b) {
  return a.len != 0 && !is_weak(a) && ls_slice_equal(a, b);
}

bool ls_etag_equal_weak(struct ls_slice a, struct ls_slice b) {
  return a.len != 0 && ls_slice_equal(opaque_of(a), opaque_of(b));
}

/* ---- lists of them ---- */

typedef bool (*compare_fn)(struct ls_slice a, struct ls_slice b);

/* Takes the next member off the front of list: a tag or "*". False at the end, and at what is neither. */
static bool next_member(struct ls_slice *list, struct ls_slice *member) {
  size_t at = 0;
  while (at < list->len && (ls_octet_is_blank(list->ptr[at]) || list->ptr[at] == ',')) /* empty members too (5.6.1.2) */
    at++;
  struct ls_slice rest = ls_slice(list->ptr + at, list->len - at);
  size_t len = rest.len != 0 && rest.ptr[0] == '*' ? 1 : measure_tag(rest);
  size_t end = len;
  while (end < rest.len && ls_octet_is_blank(rest.ptr[end]))
    end++;
  if (len == 0 || (end < rest.len && rest.ptr[end] != ','))
    return false;
  *member = ls_slice(rest.ptr, len);
  *list = ls_slice(rest.ptr + end, rest.len - end);
  return true;
}

static bool names(struct ls_slice list, const struct ls_validators *validators, compare_fn equal) {
  struct ls_slice member;
  while (next_member(&list, &member)) {
    bool any = member.len == 1;
    if (any ? validators->exists : equal(validators->etag, member))
      return true;
  }
  return false;
}

/* Whether one of the fields with this id names the current representation. */
static bool fields_name(const struct ls_head *head, enum ls_field_id id, const struct ls_validators *validators,
                        compare_fn equal) {
  for (int i = ls_head_find_common(head, id, 0); i >= 0; i = ls_head_find_common(head, id, (uint32_t)i + 1))
    if (names(ls_head_value(head, (uint32_t)i), validators, equal))
      return true;
  return false;
}

/* ---- the order of 13.2.2 ---- */

static bool has(const struct ls_head *head, enum ls_field_id id) {
  return ls_head_get(head, id).ptr != NULL;
}

/* The only field with this id, if it is a date. */
static bool get_date(const struct ls_head *head, enum ls_field_id id, int64_t now, int64_t *date) {
  int index = ls_head_find_common(head, id, 0);
  return index >= 0 && ls_head_find_common(head, id, (uint32_t)index + 1) < 0 &&
         ls_date_parse(ls_head_value(head, (uint32_t)index), now, date);
}

/* Steps 1 and 2. */
static bool may_be_performed(const struct ls_head *head, const struct ls_validators *validators, int64_t now) {
  int64_t date;
  if (has(head, LS_FIELD_IF_MATCH))
    return fields_name(head, LS_FIELD_IF_MATCH, validators, ls_etag_equal_strong);
  if (validators->modified != LS_NO_DATE && get_date(head, LS_FIELD_IF_UNMODIFIED_SINCE, now, &date))
    return validators->modified <= date;
  return true;
}

/* Steps 3 and 4. */
static bool is_news(const struct ls_head *head, const struct ls_validators *validators, bool reads, int64_t now) {
  int64_t date;
  if (has(head, LS_FIELD_IF_NONE_MATCH))
    return !fields_name(head, LS_FIELD_IF_NONE_MATCH, validators, ls_etag_equal_weak);
  if (reads && validators->modified != LS_NO_DATE && get_date(head, LS_FIELD_IF_MODIFIED_SINCE, now, &date))
    return validators->modified > date;
  return true;
}

int ls_conditional_check(const struct ls_head *head, const struct ls_validators *validators, int64_t now) {
  bool reads = head->method == HTTP_GET || head->method == HTTP_HEAD;
  if (head->method == HTTP_CONNECT || head->method == HTTP_OPTIONS || head->method == HTTP_TRACE)
    return 0;
  if (!may_be_performed(head, validators, now))
    return 412;
  if (!is_news(head, validators, reads, now))
    return reads ? 304 : 412;
  return 0;
}

/* Step 5. */
bool ls_conditional_range_holds(const struct ls_head *head, const struct ls_validators *validators, int64_t now) {
  int index = ls_head_find_common(head, LS_FIELD_IF_RANGE, 0);
  if (index < 0)
    return true;
  if (ls_head_find_common(head, LS_FIELD_IF_RANGE, (uint32_t)index + 1) >= 0)
    return false;
  struct ls_slice value = ls_head_value(head, (uint32_t)index);
  int64_t date;
  if (ls_etag_is_valid(value))
    return ls_etag_equal_strong(validators->etag, value);
  return ls_date_parse(value, now, &date) && date == validators->modified && date < now;
}
