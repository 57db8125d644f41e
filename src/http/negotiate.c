/* SPDX-License-Identifier: MIT */
/* negotiate: member = value *( OWS ";" OWS parameter ), where the parameter q is the weight (RFC 9110 12.4.2):
 *
 *   weight = "q=" ( "0" [ "." 0*3DIGIT ] / "1" [ "." 0*3("0") ] ) */
#include "http/negotiate.h"

#include "http/field.h"

enum { FULL = 1000 };

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
  struct ls_slice part = ls_field_trim(ls_slice(rest->ptr, i));
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

static bool is_weight(struct ls_slice parameter) {
  return parameter.len >= 2 && (parameter.ptr[0] | 0x20) == 'q' && parameter.ptr[1] == '=';
}

/* Takes the weight from the parameters. */
static bool read_weight(struct ls_weighted *member) {
  for (struct ls_slice rest = member->parameters; rest.len != 0;) {
    struct ls_slice parameter = cut(&rest, ';');
    if (!is_weight(parameter))
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
    *member = (struct ls_weighted){.weight = FULL};
    member->value = cut(&parameters, ';');
    member->parameters = parameters;
    if (member->value.len != 0 && read_weight(member))
      return true;
  }
  return false;
}

/* ---- how precisely a member names an offer ---- */

enum { NOT_AT_ALL, BY_WILDCARD, BY_TYPE, BY_NAME };

static bool is_wildcard(struct ls_slice value) {
  return value.len == 1 && value.ptr[0] == '*';
}

/* "name=value" in its two parts; the value without the quotes around it. */
static struct ls_slice cut_name(struct ls_slice *parameter) {
  struct ls_slice name = cut(parameter, '=');
  if (parameter->len >= 2 && parameter->ptr[0] == '"' && parameter->ptr[parameter->len - 1] == '"')
    *parameter = ls_slice(parameter->ptr + 1, parameter->len - 2);
  return name;
}

/* Values in any case: those of charset are so, and for others it does no harm. */
static bool has_parameter(struct ls_slice parameters, struct ls_slice wanted) {
  struct ls_slice wanted_name = cut_name(&wanted);
  while (parameters.len != 0) {
    struct ls_slice parameter = cut(&parameters, ';');
    struct ls_slice name = cut_name(&parameter);
    if (ls_field_name_equal(name, wanted_name) && ls_field_name_equal(parameter, wanted))
      return true;
  }
  return false;
}

unsigned ls_match_media(const struct ls_weighted *member, struct ls_slice offer) {
  struct ls_slice subtype = member->value, type = cut(&subtype, '/');
  bool any_type = is_wildcard(type), any_subtype = is_wildcard(subtype) || (any_type && subtype.len == 0);
  if (!any_type && (subtype.len == 0 || offer.len <= type.len || offer.ptr[type.len] != '/'))
    return NOT_AT_ALL; /* at once: lists can be long */
  struct ls_slice offered = cut(&offer, ';'), offered_type = cut(&offered, '/');
  unsigned precision = any_type ? BY_WILDCARD : any_subtype ? BY_TYPE : BY_NAME;
  if ((any_type && !any_subtype) || (!any_type && !ls_field_name_equal(type, offered_type)) ||
      (!any_subtype && !ls_field_name_equal(subtype, offered)))
    return NOT_AT_ALL;
  for (struct ls_slice rest = member->parameters; rest.len != 0;) {
    struct ls_slice parameter = cut(&rest, ';');
    if (parameter.len == 0 || is_weight(parameter))
      continue;
    if (!has_parameter(offer, parameter))
      return NOT_AT_ALL;
    precision++;
  }
  return precision;
}

unsigned ls_match_coding(const struct ls_weighted *member, struct ls_slice offer) {
  enum ls_coding coding;
  if (is_wildcard(member->value))
    return BY_WILDCARD;
  bool same = ls_field_name_equal(member->value, offer) ||
              (ls_coding_find(member->value, &coding) && ls_field_name_equal(ls_coding_name(coding), offer));
  return same ? BY_NAME : NOT_AT_ALL;
}

/* Whether tag is range, or a kind of it: it goes on with another subtag. */
static bool is_within(struct ls_slice range, struct ls_slice tag) {
  return tag.len >= range.len && (tag.len == range.len || tag.ptr[range.len] == '-') &&
         ls_field_name_equal(range, ls_slice(tag.ptr, range.len));
}

unsigned ls_match_language(const struct ls_weighted *member, struct ls_slice offer) {
  if (is_wildcard(member->value))
    return BY_WILDCARD;
  if (is_within(member->value, offer))
    return BY_NAME + (unsigned)member->value.len;
  return member->weight != 0 && is_within(offer, member->value) ? BY_TYPE : NOT_AT_ALL;
}

/* ---- the choice ---- */

static void weigh_member(const struct ls_weighted *member, ls_match match, struct ls_offer *offer) {
  unsigned precision = match(member, offer->name);
  bool counts = precision > offer->precision || (precision == offer->precision && (int)member->weight > offer->weight);
  if (precision == NOT_AT_ALL || !counts)
    return;
  offer->precision = precision;
  offer->weight = (int)member->weight;
}

bool ls_weigh(const struct ls_head *head, enum ls_field_id field, ls_match match, struct ls_offer *offers,
              unsigned count) {
  bool any = false;
  for (unsigned i = 0; i < count; i++)
    offers[i] = (struct ls_offer){.name = offers[i].name, .weight = -1};
  for (uint32_t i = 0; i < head->count; i++) {
    struct ls_slice list = ls_head_value(head, i);
    struct ls_weighted member;
    while (head->fields[i].id == field && ls_weighted_next(&list, &member)) {
      any = true;
      for (unsigned j = 0; j < count; j++)
        weigh_member(&member, match, &offers[j]);
    }
  }
  return any;
}

int ls_best_offer(const struct ls_offer *offers, unsigned count) {
  int best = -1;
  for (unsigned i = 0; i < count; i++)
    if (offers[i].weight > (best < 0 ? 0 : offers[best].weight))
      best = (int)i;
  return best;
}

enum ls_coding ls_negotiate_coding(const struct ls_head *head, const enum ls_coding *offered, unsigned count) {
  struct ls_offer offers[LS_CODINGS]; /* those that are offered, and identity */
  for (unsigned i = 0; i < count; i++)
    offers[i].name = ls_coding_name(offered[i]);
  offers[count].name = ls_coding_name(LS_CODING_IDENTITY); /* last: of equals it is not the best */
  ls_weigh(head, LS_FIELD_ACCEPT_ENCODING, ls_match_coding, offers, count + 1);
  int best = ls_best_offer(offers, count + 1);
  return best < 0 || best == (int)count ? LS_CODING_IDENTITY : offered[best];
}
