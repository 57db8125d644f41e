/* SPDX-License-Identifier: MIT */
#include "server/body_rules.h"

#include <errno.h>
#include <stdlib.h>

#include "http/url.h"

/* Of a path that has to be normalised first; a longer one gets no rule. */
#define PATH_MAX_BYTES 2048

struct ls_body_rule {
  char *text;             /* the memory of the two slices */
  struct ls_slice method; /* empty: any */
  struct ls_slice path;   /* without the '*' */
  bool is_prefix;
  uint64_t limit;
};

void ls_body_rules_dispose(struct ls_body_rules *rules) {
  for (unsigned i = 0; i < rules->count; i++)
    free(rules->list[i].text);
  free(rules->list);
  *rules = (struct ls_body_rules){0};
}

/* Whether a is to be looked at before b. */
static bool precedes(const struct ls_body_rule *a, const struct ls_body_rule *b) {
  if (a->is_prefix != b->is_prefix)
    return !a->is_prefix;
  if (a->path.len != b->path.len)
    return a->path.len > b->path.len;
  return a->method.len != 0 && b->method.len == 0;
}

static int parse(struct ls_body_rule *rule, struct ls_slice pattern) {
  const char *space = memchr(pattern.ptr, ' ', pattern.len);
  size_t method_len = space == NULL ? 0 : (size_t)(space - pattern.ptr), skipped = space == NULL ? 0 : method_len + 1;
  rule->method = ls_slice(pattern.ptr, method_len);
  rule->path = ls_slice(pattern.ptr + skipped, pattern.len - skipped);
  if ((space != NULL && !ls_field_name_is_valid(rule->method)) || rule->path.len == 0 || rule->path.ptr[0] != '/')
    return -EINVAL;
  rule->is_prefix = rule->path.ptr[rule->path.len - 1] == '*';
  if (rule->is_prefix)
    rule->path.len--;
  return memchr(rule->path.ptr, '*', rule->path.len) == NULL ? 0 : -EINVAL;
}

int ls_body_rules_add(struct ls_body_rules *rules, struct ls_slice pattern, uint64_t limit) {
  struct ls_body_rule rule = {.limit = limit, .text = malloc(pattern.len + 1)};
  struct ls_body_rule *list = realloc(rules->list, (rules->count + 1) * sizeof *list);
  int err = rule.text == NULL || list == NULL ? -ENOMEM : 0;
  if (list != NULL)
    rules->list = list;
  if (err == 0) {
    memcpy(rule.text, pattern.ptr, pattern.len);
    err = parse(&rule, ls_slice(rule.text, pattern.len));
  }
  if (err != 0) {
    free(rule.text);
    return err;
  }
  unsigned at = rules->count++;
  for (; at > 0 && precedes(&rule, &list[at - 1]); at--)
    list[at] = list[at - 1];
  list[at] = rule;
  return 0;
}

static bool fits(const struct ls_body_rule *rule, struct ls_slice method, struct ls_slice path) {
  if (rule->method.len != 0 && !ls_slice_equal(rule->method, method))
    return false;
  if (!rule->is_prefix)
    return ls_slice_equal(rule->path, path);
  return path.len >= rule->path.len && memcmp(path.ptr, rule->path.ptr, rule->path.len) == 0;
}

uint64_t ls_body_rules_find(const struct ls_body_rules *rules, const struct ls_head *head, uint64_t fallback) {
  char room[PATH_MAX_BYTES];
  struct ls_slice path;
  if (rules->count == 0 || !ls_url_path(ls_head_url(head), room, sizeof room, &path))
    return fallback;
  struct ls_slice method = ls_head_method(head);
  for (unsigned i = 0; i < rules->count; i++)
    if (fits(&rules->list[i], method, path))
      return rules->list[i].limit;
  return fallback;
}
