/* SPDX-License-Identifier: MIT */
#include "server/constraint.h"

#include <ctype.h>

#include "base/class.h"

static void add_range(uint64_t *set, int first, int last) {
  for (int c = first; c <= last; c++)
    set[c >> 6] |= UINT64_C(1) << (c & 63);
}

/* %a, %A, or %- for a character that means something else without it. NULL, or what is wrong. */
static const char *add_escape(uint64_t *set, unsigned char letter) {
  if (!isalnum(letter)) {
    add_range(set, letter, letter);
    return NULL;
  }
  if (strchr("acdglpsuwx", tolower(letter)) == NULL)
    return "%b, %f, back-references and unknown classes have no place in it";
  for (int c = 0; c < 256; c++)
    if (ls_in_class(c, letter))
      add_range(set, c, c);
  return NULL;
}

static void complement(uint64_t *set) {
  for (int i = 0; i < 4; i++)
    set[i] = ~set[i];
}

struct reader {
  const unsigned char *at, *end;
};

/* What stands between [ and ]. */
static const char *read_set(struct reader *reader, uint64_t *set) {
  bool inverted = reader->at < reader->end && *reader->at == '^';
  reader->at += inverted;
  bool first = true; /* where a ] is itself */
  for (; reader->at < reader->end && (*reader->at != ']' || first); first = false) {
    unsigned char c = *reader->at++;
    if (c == '%') {
      const char *problem = reader->at < reader->end ? add_escape(set, *reader->at++) : "it ends with a %";
      if (problem != NULL)
        return problem;
    } else if (reader->end - reader->at >= 2 && reader->at[0] == '-' && reader->at[1] != ']') {
      add_range(set, c, reader->at[1]);
      reader->at += 2;
    } else {
      add_range(set, c, c);
    }
  }
  if (reader->at == reader->end)
    return "a [ without its ]";
  reader->at++;
  if (inverted)
    complement(set);
  return NULL;
}

static const char *read_class(struct reader *reader, uint64_t *set) {
  unsigned char c = *reader->at++;
  switch (c) {
  case '.':
    complement(set);
    return NULL;
  case '%':
    return reader->at < reader->end ? add_escape(set, *reader->at++) : "it ends with a %";
  case '[':
    return read_set(reader, set);
  case '(':
  case ')':
    return "captures have no place in it";
  default:
    add_range(set, c, c);
    return NULL;
  }
}

/* ---- the whole ---- */

static const char *add_item(struct ls_constraint *constraint, const struct ls_constraint_item *item, bool skippable) {
  if (constraint->count == LS_CONSTRAINT_ITEMS)
    return "it is too long";
  constraint->skippable |= (uint64_t)skippable << constraint->count;
  constraint->items[constraint->count++] = *item;
  return NULL;
}

/* x+ is x and x*; and x- fits what x* does, where all has to fit. */
static const char *add_repeated(struct ls_constraint *constraint, struct ls_constraint_item *item, char quantifier) {
  const char *problem = quantifier == '+' ? add_item(constraint, item, false) : NULL;
  item->repeats = quantifier != '?';
  return problem != NULL ? problem : add_item(constraint, item, true);
}

/* The whole segment has to fit anyway. */
static void strip_anchors(struct reader *reader) {
  if (reader->at < reader->end && *reader->at == '^')
    reader->at++;
  ptrdiff_t len = reader->end - reader->at;
  if (len >= 1 && reader->end[-1] == '$' && (len == 1 || reader->end[-2] != '%'))
    reader->end--;
}

const char *ls_constraint_compile(struct ls_constraint *constraint, struct ls_slice pattern) {
  const unsigned char *bytes = (const unsigned char *)pattern.ptr;
  struct reader reader = {.at = bytes, .end = bytes + pattern.len};
  *constraint = (struct ls_constraint){.count = 0};
  strip_anchors(&reader);
  if (reader.at == reader.end)
    return "it is empty";
  const char *problem = NULL;
  while (problem == NULL && reader.at < reader.end) {
    struct ls_constraint_item item = {.repeats = false};
    problem = read_class(&reader, item.set);
    if (problem != NULL)
      break;
    if (reader.at < reader.end && memchr("*+-?", *reader.at, 4) != NULL)
      problem = add_repeated(constraint, &item, (char)*reader.at++);
    else
      problem = add_item(constraint, &item, false);
  }
  return problem;
}

/* The states that are reached without a further character. */
static uint64_t settle(const struct ls_constraint *constraint, uint64_t states) {
  for (;;) {
    uint64_t more = states | (states & constraint->skippable) << 1;
    if (more == states)
      return states;
    states = more;
  }
}

bool ls_constraint_fits(const struct ls_constraint *constraint, struct ls_slice text) {
  const uint64_t accepted = UINT64_C(1) << constraint->count;
  uint64_t states = settle(constraint, 1);
  for (size_t i = 0; i < text.len && states != 0; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    uint64_t next = 0;
    for (uint64_t left = states & (accepted - 1); left != 0; left &= left - 1) {
      unsigned at = (unsigned)__builtin_ctzll(left);
      const struct ls_constraint_item *item = &constraint->items[at];
      if (item->set[c >> 6] >> (c & 63) & 1)
        next |= UINT64_C(1) << (at + !item->repeats);
    }
    states = settle(constraint, next);
  }
  return (states & accepted) != 0;
}
