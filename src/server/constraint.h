/* SPDX-License-Identifier: MIT */
/* constraint: what a segment of a path has to look like: a Lua pattern for the whole of it, without captures, %b, %f and
 * back-references. What is left is a regular language, so the match runs over all states at once: its time is linear in
 * the segment, whatever a client sends. */
#ifndef LS_SERVER_CONSTRAINT_H
#define LS_SERVER_CONSTRAINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define LS_CONSTRAINT_ITEMS 63 /* a state for each, and one for the end */

/* One character of the text, or many. */
struct ls_constraint_item {
  uint64_t set[4]; /* a bit for each byte that fits */
  bool repeats;    /* any number of them, also none */
};

struct ls_constraint {
  struct ls_constraint_item items[LS_CONSTRAINT_ITEMS];
  unsigned count;
  uint64_t skippable; /* a bit for each item that may be absent */
};

/* NULL, or what is wrong with the pattern. */
const char *ls_constraint_compile(struct ls_constraint *constraint, struct ls_slice pattern);

bool ls_constraint_fits(const struct ls_constraint *constraint, struct ls_slice text);

#endif
