/* SPDX-License-Identifier: MIT */
#include "script/pattern.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "base/class.h"

enum {
  STEPS = 1000,         /* between two pauses */
  BYTES_OF_A_STEP = 16, /* passing over so many counts as one */
  LONG_SET = 64,        /* what is worth a table */
};

enum kind { MOST, LEAST, OPTIONAL, OPENED, CLOSED };

enum next { ANY = -1, UNKNOWN = -2, END = -3 /* nothing: the subject ends there */ };

/* Where the match has got: a copy of m->s, m->p and m->budget that stays in registers. */
struct cursor {
  const char *s, *p;
  ptrdiff_t budget;
};

static inline int byte(const char *p) {
  return (unsigned char)*p;
}

static inline void charge(struct cursor *c, ptrdiff_t bytes) {
  c->budget -= bytes / BYTES_OF_A_STEP;
}

static bool fail(struct ls_pattern *m, const char *error) {
  m->error = error;
  return false;
}

static bool fail_at_capture(struct ls_pattern *m, int index) {
  m->error_index = index;
  return fail(m, "invalid capture index %%%d");
}

/* ---- items that stand for one byte ---- */

/* set is what stands between the brackets. */
static bool in_set(int c, const char *set, const char *set_end) {
  bool listed = true;
  if (*set == '^') {
    listed = false;
    set++;
  }
  for (; set < set_end; set++) {
    if (*set == '%') {
      set++;
      if (ls_in_class(c, byte(set)))
        return listed;
    } else if (set[1] == '-' && set + 2 < set_end) {
      if (byte(set) <= c && c <= byte(set + 2))
        return listed;
      set += 2;
    } else if (byte(set) == c) {
      return listed;
    }
  }
  return !listed;
}

/* Its first byte is never the end of a set. NULL: it has none. */
static const char *set_end(const struct ls_pattern *m, const char *p) {
  if (*p == '^')
    p++;
  do {
    if (p == m->pattern_end)
      return NULL;
    if (*p++ == '%' && p < m->pattern_end)
      p++;
  } while (*p != ']');
  return p;
}

/* Where the item at p, without what says how often, ends. NULL: with an error. */
static inline const char *item_end(struct ls_pattern *m, const char *p) {
  const char *end;
  switch (*p) {
  case '%':
    if (p + 1 < m->pattern_end)
      return p + 2;
    fail(m, "malformed pattern (ends with '%%')");
    return NULL;
  case '[':
    end = set_end(m, p + 1);
    if (end != NULL)
      return end + 1;
    fail(m, "malformed pattern (missing ']')");
    return NULL;
  default:
    return p + 1;
  }
}

static inline bool matches(const struct ls_pattern *m, const char *s, const char *item, const char *end) {
  if (s >= m->end)
    return false;
  switch (*item) {
  case '.':
    return true;
  case '%':
    return ls_in_class(byte(s), byte(item + 1));
  case '[':
    return in_set(byte(s), item + 1, end - 1);
  default:
    return *s == *item;
  }
}

static const char *find_byte(const char *s, int c, const char *end) {
  const char *found = memchr(s, c, (size_t)(end - s));
  return found != NULL ? found : end;
}

/* [^c] */
static bool is_all_but_one(const char *set, const char *end) {
  return end - set == 2 && *set == '^' && set[1] != '%';
}

/* Asks a long set about each byte once, not about each place in the subject. */
__attribute__((noinline)) static const char *long_set_run_end(const struct ls_pattern *m, const char *s,
                                                              const char *set, const char *end) {
  bool in[UCHAR_MAX + 1] = {false};
  for (int c = 0; c <= UCHAR_MAX; c++)
    in[c] = in_set(c, set, end);
  while (s < m->end && in[byte(s)])
    s++;
  return s;
}

static const char *set_run_end(const struct ls_pattern *m, const char *s, const char *set, const char *end) {
  if (is_all_but_one(set, end))
    return find_byte(s, byte(set + 1), m->end);
  if (end - set > LONG_SET && m->end - s > UCHAR_MAX)
    return long_set_run_end(m, s, set, end);
  while (s < m->end && in_set(byte(s), set, end))
    s++;
  return s;
}

/* Where the bytes that match an item end. */
static const char *run_end(const struct ls_pattern *m, const char *s, const char *item, const char *end) {
  switch (*item) {
  case '.':
    return m->end;
  case '%':
    while (s < m->end && ls_in_class(byte(s), byte(item + 1)))
      s++;
    return s;
  case '[':
    return set_run_end(m, s, item + 1, end - 1);
  default:
    while (s < m->end && *s == *item)
      s++;
    return s;
  }
}

/* The only byte that an item matches, or ANY. */
static int byte_of(const char *item) {
  int c = byte(item);
  if (c == '.' || c == '[')
    return ANY;
  if (c != '%')
    return c;
  c = byte(item + 1);
  return isalnum(c) ? ANY : c;
}

static bool can_be_nothing(char suffix) {
  return suffix == '*' || suffix == '?' || suffix == '-';
}

/* ---- choices ---- */

/* NULL: with an error, there would be too many. */
static inline struct ls_pattern_choice *push(struct ls_pattern *m, enum kind kind) {
  if (m->depth == LS_PATTERN_CHOICES) {
    fail(m, "pattern too complex");
    return NULL;
  }
  struct ls_pattern_choice *choice = &m->choices[m->depth++];
  choice->kind = (short)kind;
  return choice;
}

/* The byte with which what stands at p must begin, or ANY or END. Only for where p has been tried and was no error. */
static int next_byte(const struct ls_pattern *m, const char *p) {
  while (p < m->pattern_end && (*p == '(' || *p == ')'))
    p++;
  if (p == m->pattern_end)
    return ANY;
  if (*p == '$' && p + 1 == m->pattern_end)
    return END;
  int c = byte_of(p);
  return c == ANY || can_be_nothing(p[*p == '%' ? 2 : 1]) ? ANY : c;
}

/* One byte less of the run, and on to where what follows can match. */
static inline bool take_less(struct ls_pattern *m, struct cursor *c, struct ls_pattern_choice *choice) {
  if (choice->at == choice->lowest)
    return false;
  choice->at--;
  if (choice->next == UNKNOWN)
    choice->next = (short)next_byte(m, choice->rest);
  if (choice->next == END)
    return false;
  if (choice->next == ANY || *choice->at == (char)choice->next)
    return true;
  const char *at = memrchr(choice->lowest, choice->next, (size_t)(choice->at - choice->lowest));
  charge(c, choice->at - (at != NULL ? at : choice->lowest));
  choice->at = at;
  return at != NULL;
}

/* One byte more, and on to where what follows can match, or it is time for a pause. */
static inline bool take_more(struct ls_pattern *m, struct cursor *c, struct ls_pattern_choice *choice) {
  const char *item = choice->item, *end = choice->rest - 1, *at = choice->at;
  if (!matches(m, at, item, end))
    return false;
  if (choice->next == UNKNOWN)
    choice->next = (short)next_byte(m, choice->rest);
  choice->at = ++at;
  if (choice->next == ANY || choice->next == END)
    return true;
  if (*item == '.')
    at = find_byte(at, choice->next, m->end);
  while (*at != (char)choice->next && c->budget > 0 && matches(m, at, item, end)) {
    charge(c, end - item + BYTES_OF_A_STEP / 2);
    at++;
  }
  charge(c, at - choice->at);
  choice->at = at;
  return at < m->end && (*at == (char)choice->next || c->budget <= 0);
}

/* Goes back to the last choice that has another way. false: none has. */
static bool backtrack(struct ls_pattern *m, struct cursor *c) {
  for (; m->depth > 0; m->depth--) {
    struct ls_pattern_choice *choice = &m->choices[m->depth - 1];
    switch ((enum kind)choice->kind) {
    case OPENED:
      m->level--;
      continue;
    case CLOSED:
      m->captures[choice->capture].len = LS_CAPTURE_OPEN;
      continue;
    case OPTIONAL:
      m->depth--;
      break;
    case MOST:
      if (!take_less(m, c, choice))
        continue;
      break;
    case LEAST:
      if (!take_more(m, c, choice))
        continue;
      break;
    }
    c->s = choice->at;
    c->p = choice->rest;
    return true;
  }
  return false;
}

/* ---- one step; false: it does not match, or with an error ---- */

static inline bool step_open(struct ls_pattern *m, struct cursor *c) {
  bool is_position = c->p[1] == ')';
  if (m->level == LS_PATTERN_CAPTURES)
    return fail(m, "too many captures");
  if (push(m, OPENED) == NULL)
    return false;
  m->captures[m->level++] = (struct ls_capture){c->s, is_position ? LS_CAPTURE_POSITION : LS_CAPTURE_OPEN};
  c->p += is_position ? 2 : 1;
  return true;
}

static inline bool step_close(struct ls_pattern *m, struct cursor *c) {
  int i = m->level - 1;
  while (i >= 0 && m->captures[i].len != LS_CAPTURE_OPEN)
    i--;
  if (i < 0)
    return fail(m, "invalid pattern capture");
  struct ls_pattern_choice *choice = push(m, CLOSED);
  if (choice == NULL)
    return false;
  choice->capture = i;
  m->captures[i].len = c->s - m->captures[i].start;
  c->p++;
  return true;
}

/* %bxy */
static bool step_balanced(struct ls_pattern *m, struct cursor *c) {
  if (m->pattern_end - c->p < 4)
    return fail(m, "malformed pattern (missing arguments to '%%b')");
  char opening = c->p[2], closing = c->p[3];
  if (c->s == m->end || *c->s != opening)
    return false;
  const char *s = c->s + 1;
  for (size_t open = 1; s < m->end; s++) {
    if (*s == closing) {
      if (--open == 0)
        break;
    } else if (*s == opening) {
      open++;
    }
  }
  charge(c, s - c->s);
  if (s == m->end)
    return false;
  c->s = s + 1;
  c->p += 4;
  return true;
}

/* %f[set] */
static bool step_frontier(struct ls_pattern *m, struct cursor *c) {
  const char *set = c->p + 2;
  if (*set != '[')
    return fail(m, "missing '[' after '%%f' in pattern");
  const char *end = item_end(m, set);
  if (end == NULL)
    return false;
  int before = c->s == m->subject ? 0 : byte(c->s - 1);
  int after = c->s == m->end ? 0 : byte(c->s);
  c->p = end;
  return !in_set(before, set + 1, end - 1) && in_set(after, set + 1, end - 1);
}

/* %1: what the capture has matched, once more. */
static bool step_back_reference(struct ls_pattern *m, struct cursor *c) {
  int i = c->p[1] - '1';
  if (i < 0 || i >= m->level || m->captures[i].len == LS_CAPTURE_OPEN)
    return fail_at_capture(m, i + 1);
  const struct ls_capture *capture = &m->captures[i];
  if (capture->len < 0 || m->end - c->s < capture->len)
    return false;
  charge(c, capture->len);
  if (memcmp(capture->start, c->s, (size_t)capture->len) != 0)
    return false;
  c->s += capture->len;
  c->p += 2;
  return true;
}

static inline bool step_most(struct ls_pattern *m, struct cursor *c, const char *end, const char *lowest) {
  const char *stop = run_end(m, c->s + 1, c->p, end);
  struct ls_pattern_choice *choice = push(m, MOST);
  if (choice == NULL)
    return false;
  choice->at = stop;
  choice->lowest = lowest;
  choice->rest = end + 1;
  choice->next = UNKNOWN;
  charge(c, stop - c->s + (end - c->p > LONG_SET ? (end - c->p) * UCHAR_MAX : 0));
  c->s = stop;
  c->p = end + 1;
  return true;
}

static inline bool step_least(struct ls_pattern *m, struct cursor *c, const char *end) {
  struct ls_pattern_choice *choice = push(m, LEAST);
  if (choice == NULL)
    return false;
  choice->at = c->s;
  choice->item = c->p;
  choice->rest = end + 1;
  choice->next = UNKNOWN;
  c->p = end + 1;
  return true;
}

static inline bool step_optional(struct ls_pattern *m, struct cursor *c, const char *end) {
  struct ls_pattern_choice *choice = push(m, OPTIONAL);
  if (choice == NULL)
    return false;
  choice->at = c->s++;
  choice->rest = c->p = end + 1;
  return true;
}

/* An item that stands for one byte, and the suffix that says how often. */
static inline bool step_item(struct ls_pattern *m, struct cursor *c) {
  const char *end = item_end(m, c->p);
  if (end == NULL)
    return false;
  if (end - c->p > BYTES_OF_A_STEP)
    charge(c, end - c->p);
  if (!matches(m, c->s, c->p, end)) {
    c->p = end + 1;
    return can_be_nothing(*end);
  }
  switch (*end) {
  case '*':
    return step_most(m, c, end, c->s);
  case '+':
    return step_most(m, c, end, c->s + 1);
  case '-':
    return step_least(m, c, end);
  case '?':
    return step_optional(m, c, end);
  default:
    c->s++;
    c->p = end;
    return true;
  }
}

static inline bool step(struct ls_pattern *m, struct cursor *c) {
  switch (*c->p) {
  case '(':
    return step_open(m, c);
  case ')':
    return step_close(m, c);
  case '$':
    if (c->p + 1 < m->pattern_end)
      break;
    c->p++;
    return c->s == m->end;
  case '%':
    if (c->p[1] == 'b')
      return step_balanced(m, c);
    if (c->p[1] == 'f')
      return step_frontier(m, c);
    if (c->p[1] >= '0' && c->p[1] <= '9')
      return step_back_reference(m, c);
    break;
  }
  return step_item(m, c);
}

/* ---- a match ---- */

static void begin(struct ls_pattern *m) {
  m->s = m->start;
  m->p = m->pattern;
  m->level = 0;
  m->depth = 0;
}

/* Whether there is a match at m->start, from m->s and m->p on. */
static enum ls_pattern_result run(struct ls_pattern *m) {
  struct cursor c = {m->s, m->p, m->budget};
  enum ls_pattern_result result = LS_PATTERN_PAUSED;
  while (c.budget-- > 0) {
    if (c.p == m->pattern_end) {
      result = LS_PATTERN_FOUND;
      break;
    }
    if (!step(m, &c) && (m->error != NULL || !backtrack(m, &c))) {
      result = m->error != NULL ? LS_PATTERN_WRONG : LS_PATTERN_NONE;
      break;
    }
  }
  m->s = m->stop = c.s;
  m->p = c.p;
  m->budget = c.budget;
  return result;
}

/* ---- the search ---- */

/* Moves start to where a match can begin. false: nowhere. */
static inline bool seek(struct ls_pattern *m) {
  if (m->head == NULL)
    return true;
  if (m->head_byte != ANY)
    m->start = find_byte(m->start, m->head_byte, m->end);
  else
    while (m->start < m->end && !matches(m, m->start, m->head, m->head_end))
      m->start++;
  return m->start < m->end;
}

static enum ls_pattern_result search(struct ls_pattern *m) {
  for (;;) {
    enum ls_pattern_result result = run(m);
    if (result != LS_PATTERN_NONE || m->anchored || m->start == m->end)
      return result;
    m->start++;
    if (!seek(m))
      return LS_PATTERN_NONE;
    begin(m);
  }
}

enum ls_pattern_result ls_pattern_search(struct ls_pattern *m, const char *from) {
  if (from > m->end)
    return LS_PATTERN_NONE;
  m->start = from;
  if (!seek(m))
    return LS_PATTERN_NONE;
  begin(m);
  return search(m);
}

enum ls_pattern_result ls_pattern_resume(struct ls_pattern *m) {
  m->budget = STEPS;
  return search(m);
}

/* Looks through captures that begin there, but not so far that one of them could be an error. */
static void find_head(struct ls_pattern *m) {
  const char *p = m->pattern;
  while (p - m->pattern < LS_PATTERN_CAPTURES && *p == '(')
    p += p[1] == ')' ? 2 : 1;
  if (p >= m->pattern_end || *p == '(' || *p == ')' || (*p == '$' && p + 1 == m->pattern_end) ||
      (*p == '%' && (p[1] == 'b' || p[1] == 'f' || isdigit(byte(p + 1)))))
    return;
  const char *end = item_end(m, p);
  m->error = NULL; /* the match finds it again */
  if (end == NULL || can_be_nothing(*end))
    return;
  m->head = p;
  m->head_end = end;
  m->head_byte = byte_of(p);
}

void ls_pattern_init(struct ls_pattern *m, struct ls_slice subject, struct ls_slice pattern, bool anchored) {
  m->subject = subject.ptr;
  m->end = subject.ptr + subject.len;
  m->pattern = pattern.ptr;
  m->pattern_end = pattern.ptr + pattern.len;
  m->error = NULL;
  m->error_index = 0;
  m->anchored = anchored;
  m->head = NULL;
  m->budget = STEPS;
  if (!anchored)
    find_head(m);
}
