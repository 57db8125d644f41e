/* SPDX-License-Identifier: MIT */
/* pattern: Lua's patterns (manual, 6.4.1) against a subject, without Lua: an iterative matcher that pauses every thousand
 * steps, so that its caller can look whether to go on. What matches, what is an error, and which comes first, is as in
 * Lua 5.4; so are the limits: 32 captures, and 200 places at a time that a match may have to come back to.
 *
 * A step is at most one pass over the rest of the subject. Nothing is allocated and nothing is owned: subject and pattern
 * must outlive the struct, and each is followed by a zero byte, as Lua's strings are. */
#ifndef LS_SCRIPT_PATTERN_H
#define LS_SCRIPT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

enum { LS_PATTERN_CAPTURES = 32, LS_PATTERN_CHOICES = 199 /* the match itself is the 200th */ };

enum ls_pattern_result {
  LS_PATTERN_NONE,
  LS_PATTERN_FOUND,
  LS_PATTERN_PAUSED, /* ls_pattern_resume goes on */
  LS_PATTERN_WRONG,  /* error says what is wrong with the pattern */
};

enum { LS_CAPTURE_OPEN = -1, LS_CAPTURE_POSITION = -2 }; /* instead of a length */

struct ls_capture {
  const char *start;
  ptrdiff_t len;
};

/* What the match comes back to when it fails further on: another way to take an item, or a capture to be undone. */
struct ls_pattern_choice {
  const char *at;   /* in the subject: where what follows was tried last */
  const char *rest; /* what follows, in the pattern */
  union {
    const char *lowest; /* in the subject: where what follows can be tried last */
    const char *item;   /* in the pattern: what is repeated */
    int capture;
  };
  short kind; /* enum kind, pattern.c */
  short next; /* the byte that what follows begins with, or one of enum next */
};

struct ls_pattern {
  const char *subject, *end;
  const char *pattern, *pattern_end;
  const char *start, *stop; /* of the match; stop once it is found */
  int level;                /* captures that it has; the match itself is none of them */
  struct ls_capture captures[LS_PATTERN_CAPTURES];
  const char *error; /* a printf format for error_index, which is there where the message tells a capture's */
  int error_index;
  /* for pattern.c */
  bool anchored;
  const char *head, *head_end; /* the item that every match begins with; NULL: there is none */
  int head_byte;               /* what it stands for; -1: several */
  ptrdiff_t budget;            /* steps up to the next pause */
  const char *s, *p;           /* where the match has got */
  int depth;                   /* choices that it has */
  struct ls_pattern_choice choices[LS_PATTERN_CHOICES];
};

/* anchored: a match begins where the search does, or not at all. A ^ at the beginning of a pattern is the caller's. */
void ls_pattern_init(struct ls_pattern *m, struct ls_slice subject, struct ls_slice pattern, bool anchored);

/* The first match that begins at from, which is in the subject or its end, or behind it. */
enum ls_pattern_result ls_pattern_search(struct ls_pattern *m, const char *from);
enum ls_pattern_result ls_pattern_resume(struct ls_pattern *m);

#endif
