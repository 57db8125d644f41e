/* SPDX-License-Identifier: MIT */
/* negotiate: what a client prefers (RFC 9110 12.4, 12.5): lists of values with weights, how precisely they name what can
 * be had, and the choice. The work is in proportion to the bytes of the field times what is offered. */
#ifndef LS_HTTP_NEGOTIATE_H
#define LS_HTTP_NEGOTIATE_H

#include <stdbool.h>

#include "base/slice.h"
#include "http/coding.h"
#include "http/head.h"

struct ls_weighted {
  struct ls_slice value;      /* "gzip", "text/html": up to its parameters */
  struct ls_slice parameters; /* "level=1;q=0.4" */
  unsigned weight;            /* 0 to 1000 */
};

/* Cuts the next member off the list; false: there is none. Members that are malformed, or whose weight is, are skipped. */
bool ls_weighted_next(struct ls_slice *list, struct ls_weighted *member);

/* How precisely a member of the list names an offer; 0: not at all. */
typedef unsigned (*ls_match)(const struct ls_weighted *member, struct ls_slice offer);

/* Of Accept: offers are media types, with parameters or without: all that the member has must be theirs. Precise in the
 * order of RFC 9110 12.5.1: wildcard, type and wildcard, both, both with parameters. */
unsigned ls_match_media(const struct ls_weighted *member, struct ls_slice offer);
/* Of Accept-Encoding: by name, in any case; "x-gzip" is gzip. */
unsigned ls_match_coding(const struct ls_weighted *member, struct ls_slice offer);
/* Of Accept-Language: "de" names "de-CH" (RFC 4647 3.3.1), the longer the range the more precisely; "de-CH" names "de" less
 * so (3.4), and not when it refuses. */
unsigned ls_match_language(const struct ls_weighted *member, struct ls_slice offer);

struct ls_offer {
  struct ls_slice name;
  unsigned precision; /* of the member that counts: the most precise one, of such the one that likes it most */
  int weight;         /* 0 to 1000; -1: no member names it */
};

/* Sets precision and weight of the offers by all fields of this name. false: they have no member. */
bool ls_weigh(const struct ls_head *head, enum ls_field_id field, ls_match match, struct ls_offer *offers,
              unsigned count);

/* The offer with the most weight, of such the first; -1: none has more than 0. */
int ls_best_offer(const struct ls_offer *offers, unsigned count);

/* The coding, of those offered (without identity, each once), that the request's Accept-Encoding likes best; of equals the one offered first. IDENTITY
 * where it likes that better, names none of them or sends no such field; also where it refuses everything, because an
 * answer that may be of use is better than none (RFC 9110 12.5.3). */
enum ls_coding ls_negotiate_coding(const struct ls_head *head, const enum ls_coding *offered, unsigned count);

#endif
