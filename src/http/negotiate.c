/* SPDX-License-Identifier: MIT */
/* negotiate: member = value *( OWS ";" OWS parameter ), where the parameter q is the weight (RFC 9110 12.4.2):
 *
 *   weight = "q=" ( "0" [ "." 0*3DIGIT ] / "1" [ "." 0*3("0") ] ) */
#include "http/negotiate.h"

#include "http/field.h"

enum { FULL = 1000 };

static struct ls_slice trim(struct ls_slice text) {
  while (text.len != 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
    text = ls_slice(text.ptr + 1, text.len - 1);
  while (text.len != 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
    text.len--;
  return text;
}

/* Cuts off what is before the separator, which may not be inside a quoted string. */
static struct ls_slice cut(struct ls_slice *rest, char separator) {
  bool quoted = false;
  size_t i = 0;
  for (; i < rest->len && (quoted || rest->ptr[i] != separator); i++) {
    if (rest->ptr[i] == '"')
      quoted = !quoted;
    else if (quoted && rest->ptr[i] == '\\' && i + 1 < rest->len)
      i++;
  }
  struct ls_slice part = trim(ls_slice(rest->ptr, i));
  i += i < rest->len;
  *rest = ls_slice(rest->ptr + i, rest->len - i);
  return part;
}

/* -1: malformed. */
static int parse_weight(struct ls_slice text) {
  if (text.len == 0 || text.len > 5 || (text.ptr[0] != '0' && text.ptr[0] != '1') ||
      (text.len > 1 && text.ptr[1] != '.'))
    return -1;
  int weight = (text.ptr[0] - '0') * FULL;
  for (size_t i = 2, unit = FULL / 10; i < text.len; i++, unit /= 10) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9')
      return -1;
    weight += (text.ptr[i] - '0') * (int)unit;
  }
  return weight <= FULL ? weight : -1;
}

/* The parameters: takes the weight from them. */
static bool read_parameters(struct ls_slice parameters, struct ls_weighted *member) {
  while (parameters.len != 0) {
    struct ls_slice parameter = cut(&parameters, ';');
    if (parameter.len < 2 || (parameter.ptr[0] | 0x20) != 'q' || parameter.ptr[1] != '=')
      continue;
    int weight = parse_weight(ls_slice(parameter.ptr + 2, parameter.len - 2));
    if (weight < 0)
      return false;
    member->weight = (unsigned)weight;
  }
  return true;
}

bool ls_weighted_next(struct ls_slice *list, struct ls_weighted *member) {
  while (list->len != 0) {
    struct ls_slice parameters = cut(list, ',');
    *member = (struct ls_weighted){.value = cut(&parameters, ';'), .weight = FULL};
    if (member->value.len != 0 && read_parameters(parameters, member))
      return true;
  }
  return false;
}

struct wishes {
  int weights[LS_CODINGS]; /* -1: not named */
  int others;              /* of "*"; -1: not named */
};

static void read_wishes(struct ls_slice list, struct wishes *wishes) {
  struct ls_weighted member;
  while (ls_weighted_next(&list, &member)) {
    enum ls_coding coding;
    if (member.value.len == 1 && member.value.ptr[0] == '*')
      wishes->others = (int)member.weight;
    else if (ls_coding_find(member.value, &coding))
      wishes->weights[coding] = (int)member.weight;
  }
}

static int weight_of(const struct wishes *wishes, enum ls_coding coding) {
  return wishes->weights[coding] >= 0 ? wishes->weights[coding] : wishes->others;
}

enum ls_coding ls_negotiate_coding(const struct ls_head *head, const enum ls_coding *offered, unsigned count) {
  struct wishes wishes = {.weights = {-1, -1, -1, -1}, .others = -1};
  bool any = false;
  for (uint32_t i = 0; i < head->count; i++) {
    if (head->fields[i].id != LS_FIELD_ACCEPT_ENCODING)
      continue;
    any = true;
    read_wishes(ls_head_value(head, i), &wishes);
  }
  enum ls_coding best = LS_CODING_IDENTITY;
  int best_weight = 0;
  for (unsigned i = 0; any && i < count; i++) {
    int weight = weight_of(&wishes, offered[i]);
    if (weight > best_weight) {
      best = offered[i];
      best_weight = weight;
    }
  }
  return wishes.weights[LS_CODING_IDENTITY] > best_weight ? LS_CODING_IDENTITY : best;
}
