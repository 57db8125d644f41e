/* SPDX-License-Identifier: MIT */
/* routes: which pattern a path fits. A tree with a level for each segment; at each level a literal segment is tried
 * before a constrained parameter, that before a plain one, that before the rest of the path, whatever came first.
 *
 * It is looked at twice: when a head arrives, for the limit of the body, and by the handler. So it belongs to both, and
 * is counted. */
#ifndef LS_SERVER_ROUTES_H
#define LS_SERVER_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "http/head.h"

#define LS_ROUTES_DEPTH 64  /* segments of a pattern */
#define LS_ROUTES_METHOD 24 /* bytes of a method */

struct ls_routes;

struct ls_route {
  char method[LS_ROUTES_METHOD]; /* "": any */
  char *where;                   /* of the handler's definition, for the log: "app.lua:12" */
  uintptr_t id;                  /* the owner's */
  uint64_t body_limit;
  uint64_t timeout; /* ms; 0: none */
  bool has_body_limit;
  bool has_timeout;
  bool cancel_on_close;
  unsigned params; /* how many */
};

/* strict: a path with a slash at its end fits only patterns with one. NULL: out of memory. */
struct ls_routes *ls_routes_new(bool strict, bool ignore_case);
struct ls_routes *ls_routes_ref(struct ls_routes *routes);
void ls_routes_unref(struct ls_routes *routes);

/* Adds a route (copied, where too) under a pattern. Each step is one segment: "=text", "(constraint", ":", "*" (the last
 * one); "/" as the last one: there has to be a slash behind. 0; -EEXIST: there is one for this pattern and method, *other;
 * -EINVAL: *problem says what is wrong with a constraint; -ENOMEM. */
int ls_routes_add(struct ls_routes *routes, const struct ls_slice *steps, unsigned count, const struct ls_route *route,
                  const struct ls_route **other, const char **problem);

struct ls_route_match {
  const struct ls_route *route; /* NULL: none */
  struct ls_slice params[LS_ROUTES_DEPTH];
};

/* Looks for the route of a path without dot segments, percent-encodings as sent. room has path.len bytes; params are
 * decoded, and point into it or into path. HEAD is also answered by a route for GET. */
void ls_routes_find(const struct ls_routes *routes, struct ls_slice method, struct ls_slice path, char *room,
                    struct ls_route_match *match);

/* All routes whose pattern fits the path, whatever their method. */
void ls_routes_visit(const struct ls_routes *routes, struct ls_slice path, char *room,
                     void (*visit)(void *user, const struct ls_route *route), void *user);

/* The limit for the body of the request, or fallback. */
uint64_t ls_routes_body_limit(const struct ls_routes *routes, const struct ls_head *head, uint64_t fallback);

/* Whether a path begins with the segments of prefix ("/a/:/b", where ':' is any segment; "" and "/": every path does), as
 * patterns of these options compare them, but for empty segments, which are passed over. */
bool ls_routes_is_under(const struct ls_routes *routes, struct ls_slice path, struct ls_slice prefix, char *room);

#endif
