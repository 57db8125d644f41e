/* SPDX-License-Identifier: MIT */
#include "server/routes.h"

#include <errno.h>
#include <stdlib.h>

#include "http/url.h"
#include "server/constraint.h"

#define SLOTS_LEAST 4
#define PATH_MAX_BYTES 2048 /* where there is no memory but the stack */

/* The routes of the paths that end at a node. */
struct ending {
  struct ls_route **list;
  unsigned count;
};

struct node {
  char *text; /* a literal, or the source of the constraint */
  size_t len;
  uint32_t hash;
  struct ls_constraint *constraint;
  struct node **slots; /* of the literals below, by hash: open addressing, at most half full */
  unsigned slot_count, literal_count;
  struct node **constrained; /* sorted, so that their order does not depend on that of registration */
  unsigned constrained_count;
  struct node *param, *rest;
  struct ending plain, slash;
};

struct ls_routes {
  struct node root;
  unsigned refs;
  bool strict, ignore_case;
  bool has_limits; /* some route has a body_limit */
};

/* ---- memory ---- */

static void free_ending(struct ending *ending) {
  for (unsigned i = 0; i < ending->count; i++) {
    free(ending->list[i]->where);
    free(ending->list[i]);
  }
  free(ending->list);
}

static void free_node(struct node *node);

static void dispose_node(struct node *node) {
  for (unsigned i = 0; i < node->slot_count; i++)
    free_node(node->slots[i]);
  for (unsigned i = 0; i < node->constrained_count; i++)
    free_node(node->constrained[i]);
  free_node(node->param);
  free_node(node->rest);
  free_ending(&node->plain);
  free_ending(&node->slash);
  free(node->slots);
  free(node->constrained);
  free(node->constraint);
  free(node->text);
}

/* As deep as a pattern is long. */
static void free_node(struct node *node) {
  if (node == NULL)
    return;
  dispose_node(node);
  free(node);
}

static struct node *new_node(struct ls_slice text) {
  struct node *node = calloc(1, sizeof *node);
  if (node == NULL)
    return NULL;
  node->text = malloc(text.len + 1);
  if (node->text == NULL) {
    free(node);
    return NULL;
  }
  memcpy(node->text, text.ptr, text.len);
  node->len = text.len;
  return node;
}

struct ls_routes *ls_routes_new(bool strict, bool ignore_case) {
  struct ls_routes *routes = calloc(1, sizeof *routes);
  if (routes == NULL)
    return NULL;
  routes->refs = 1;
  routes->strict = strict;
  routes->ignore_case = ignore_case;
  return routes;
}

struct ls_routes *ls_routes_ref(struct ls_routes *routes) {
  routes->refs++;
  return routes;
}

void ls_routes_unref(struct ls_routes *routes) {
  if (routes == NULL || --routes->refs > 0)
    return;
  dispose_node(&routes->root);
  free(routes);
}

/* ---- literals ---- */

static unsigned char fold(const struct ls_routes *routes, char c) {
  return routes->ignore_case && c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : (unsigned char)c;
}

/* FNV-1a. The keys of a table come from the program, so nobody can make many fall together. */
static uint32_t hash_of(const struct ls_routes *routes, struct ls_slice text) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < text.len; i++)
    hash = (hash ^ fold(routes, text.ptr[i])) * 16777619u;
  return hash;
}

static bool equal(const struct ls_routes *routes, struct ls_slice a, struct ls_slice b) {
  if (a.len != b.len || !routes->ignore_case)
    return ls_slice_equal(a, b);
  for (size_t i = 0; i < a.len; i++)
    if (fold(routes, a.ptr[i]) != fold(routes, b.ptr[i]))
      return false;
  return true;
}

static struct node *find_literal(const struct ls_routes *routes, const struct node *node, struct ls_slice text) {
  if (node->literal_count == 0)
    return NULL;
  uint32_t hash = hash_of(routes, text);
  for (unsigned at = hash;; at++) {
    struct node *child = node->slots[at & (node->slot_count - 1)];
    if (child == NULL || (child->hash == hash && equal(routes, ls_slice(child->text, child->len), text)))
      return child;
  }
}

static void put(struct node **slots, unsigned slot_count, struct node *child) {
  unsigned at = child->hash;
  while (slots[at & (slot_count - 1)] != NULL)
    at++;
  slots[at & (slot_count - 1)] = child;
}

static int make_room(struct node *node) {
  if ((node->literal_count + 1) * 2 <= node->slot_count)
    return 0;
  unsigned slot_count = node->slot_count == 0 ? SLOTS_LEAST : node->slot_count * 2;
  struct node **slots = calloc(slot_count, sizeof(struct node *));
  if (slots == NULL)
    return -ENOMEM;
  for (unsigned i = 0; i < node->slot_count; i++)
    if (node->slots[i] != NULL)
      put(slots, slot_count, node->slots[i]);
  free(node->slots);
  node->slots = slots;
  node->slot_count = slot_count;
  return 0;
}

static int add_literal(const struct ls_routes *routes, struct node *node, struct ls_slice text, struct node **child) {
  *child = find_literal(routes, node, text);
  if (*child != NULL)
    return 0;
  if (make_room(node) != 0 || (*child = new_node(text)) == NULL)
    return -ENOMEM;
  (*child)->hash = hash_of(routes, text);
  put(node->slots, node->slot_count, *child);
  node->literal_count++;
  return 0;
}

/* ---- adding ---- */

/* The longer pattern first, then the alphabet: any order will do that is always the same. */
static int compare(const struct node *a, struct ls_slice text) {
  if (a->len != text.len)
    return a->len > text.len ? -1 : 1;
  return memcmp(a->text, text.ptr, text.len);
}

static int add_constrained(struct node *node, struct ls_slice text, struct node **child, const char **problem) {
  unsigned at = 0;
  int order = 1;
  while (at < node->constrained_count && (order = compare(node->constrained[at], text)) < 0)
    at++;
  if (at < node->constrained_count && order == 0) {
    *child = node->constrained[at];
    return 0;
  }
  struct node **list = realloc(node->constrained, (node->constrained_count + 1) * sizeof(struct node *));
  if (list == NULL)
    return -ENOMEM;
  node->constrained = list;
  struct node *made = new_node(text);
  if (made == NULL || (made->constraint = malloc(sizeof *made->constraint)) == NULL) {
    free_node(made);
    return -ENOMEM;
  }
  *problem = ls_constraint_compile(made->constraint, text);
  if (*problem != NULL) {
    free_node(made);
    return -EINVAL;
  }
  memmove(list + at + 1, list + at, (node->constrained_count - at) * sizeof(struct node *));
  list[at] = *child = made;
  node->constrained_count++;
  return 0;
}

static int add_single(struct node **place, struct node **child) {
  if (*place == NULL)
    *place = new_node(ls_slice_of(""));
  *child = *place;
  return *child == NULL ? -ENOMEM : 0;
}

static struct ls_route *route_for(const struct ending *ending, const char *method) {
  for (unsigned i = 0; i < ending->count; i++)
    if (strcmp(ending->list[i]->method, method) == 0)
      return ending->list[i];
  return NULL;
}

static int add_route(struct ending *ending, const struct ls_route *route, const struct ls_route **other) {
  *other = route_for(ending, route->method);
  if (*other != NULL)
    return -EEXIST;
  struct ls_route **list = realloc(ending->list, (ending->count + 1) * sizeof(struct ls_route *));
  if (list == NULL)
    return -ENOMEM;
  ending->list = list;
  struct ls_route *copy = malloc(sizeof *copy);
  if (copy == NULL)
    return -ENOMEM;
  *copy = *route;
  copy->where = strdup(route->where);
  if (copy->where == NULL) {
    free(copy);
    return -ENOMEM;
  }
  list[ending->count++] = copy;
  return 0;
}

/* What was added of the pattern before a failure stays, and leads nowhere. */
int ls_routes_add(struct ls_routes *routes, const struct ls_slice *steps, unsigned count, const struct ls_route *route,
                  const struct ls_route **other, const char **problem) {
  struct node *node = &routes->root;
  struct ls_route copy = *route;
  bool slash = false;
  int err = 0;
  copy.params = 0;
  for (unsigned i = 0; i < count && err == 0; i++) {
    struct ls_slice text = ls_slice(steps[i].ptr + 1, steps[i].len - 1);
    char kind = steps[i].ptr[0];
    copy.params += kind == ':' || kind == '*' || kind == '(';
    if (kind == '=')
      err = add_literal(routes, node, text, &node);
    else if (kind == '(')
      err = add_constrained(node, text, &node, problem);
    else if (kind == '/')
      slash = routes->strict;
    else
      err = add_single(kind == '*' ? &node->rest : &node->param, &node);
  }
  if (err == 0)
    err = add_route(slash ? &node->slash : &node->plain, &copy, other);
  if (err == 0)
    routes->has_limits |= copy.has_body_limit;
  return err;
}

/* ---- finding ---- */

struct walk {
  const struct ls_routes *routes;
  const char *method; /* NULL: visit them all */
  struct ls_slice path;
  char *room;
  struct ls_slice *params;
  void (*visit)(void *user, const struct ls_route *route);
  void *user;
};

static struct ls_slice decode(struct ls_slice text, char *room) {
  if (text.len == 0 || memchr(text.ptr, '%', text.len) == NULL)
    return text;
  return ls_slice(room, ls_url_decode(text, false, room));
}

/* The segment behind the slash at index at; *next: the index behind it. Each decoded segment has a place of its own in the
 * room: that of its path. */
static struct ls_slice segment_at(const struct walk *walk, size_t at, size_t *next) {
  const char *start = walk->path.ptr + at + 1, *end = walk->path.ptr + walk->path.len;
  const char *slash = memchr(start, '/', (size_t)(end - start));
  if (slash != NULL)
    end = slash;
  *next = (size_t)(end - walk->path.ptr);
  return decode(ls_slice(start, (size_t)(end - start)), walk->room + at);
}

static const struct ls_route *choose(const struct walk *walk, const struct ending *ending) {
  if (walk->method == NULL) {
    for (unsigned i = 0; i < ending->count; i++)
      walk->visit(walk->user, ending->list[i]);
    return NULL;
  }
  const struct ls_route *route = ending->count == 0 ? NULL : route_for(ending, walk->method);
  if (route == NULL && ending->count != 0 && strcmp(walk->method, "HEAD") == 0)
    route = route_for(ending, "GET");
  return route != NULL || ending->count == 0 ? route : route_for(ending, "");
}

/* A slash in a segment that is part of the rest could not be told from those between them, and what is kept behind a
 * prefix could be reached around it. */
static bool has_encoded_slash(struct ls_slice text) {
  const char *at = text.ptr, *end = text.ptr + text.len;
  while ((at = memchr(at, '%', (size_t)(end - at))) != NULL) {
    if (end - at >= 3 && at[1] == '2' && (at[2] == 'F' || at[2] == 'f'))
      return true;
    at++;
  }
  return false;
}

/* at: the index behind the slash where the rest begins. */
static const struct ls_route *choose_rest(const struct walk *walk, const struct node *node, size_t at, unsigned count) {
  if (node->rest == NULL)
    return NULL;
  struct ls_slice rest = ls_slice(walk->path.ptr + at, walk->path.len - at);
  if (has_encoded_slash(rest))
    return NULL;
  if (walk->params != NULL)
    walk->params[count] = decode(rest, walk->room + at);
  return choose(walk, &node->rest->plain);
}

static const struct ls_route *step(const struct walk *walk, const struct node *node, size_t at, unsigned count);

static const struct ls_route *step_into(const struct walk *walk, const struct node *node, struct ls_slice segment,
                                        size_t next, unsigned count) {
  if (walk->params != NULL)
    walk->params[count] = segment;
  return step(walk, node, next, count + 1);
}

/* The path has ended at node, with or without a slash. */
static const struct ls_route *finish(const struct walk *walk, const struct node *node, size_t at, unsigned count) {
  bool slash = at < walk->path.len, root = node == &walk->routes->root;
  const struct ls_route *route = choose(walk, slash && walk->routes->strict && !root ? &node->slash : &node->plain);
  if (route == NULL && (slash || !walk->routes->strict))
    route = choose_rest(walk, node, walk->path.len, count);
  return route;
}

/* at: the index of the slash before the next segment. Each node is reached in one way, so that a walk takes no more steps
 * than there are nodes. */
static const struct ls_route *step(const struct walk *walk, const struct node *node, size_t at, unsigned count) {
  if (at + 1 >= walk->path.len)
    return finish(walk, node, at, count);
  size_t next;
  struct ls_slice segment = segment_at(walk, at, &next);
  const struct node *child = find_literal(walk->routes, node, segment);
  const struct ls_route *route = child != NULL ? step(walk, child, next, count) : NULL;
  for (unsigned i = 0; i < node->constrained_count && route == NULL; i++)
    if (ls_constraint_fits(node->constrained[i]->constraint, segment))
      route = step_into(walk, node->constrained[i], segment, next, count);
  if (route == NULL && node->param != NULL && segment.len > 0)
    route = step_into(walk, node->param, segment, next, count);
  return route != NULL ? route : choose_rest(walk, node, at + 1, count);
}

static const struct ls_route *start(const struct walk *walk) {
  bool is_path = walk->path.len > 0 && walk->path.ptr[0] == '/';
  return is_path ? step(walk, &walk->routes->root, 0, 0) : NULL;
}

void ls_routes_find(const struct ls_routes *routes, struct ls_slice method, struct ls_slice path, char *room,
                    struct ls_route_match *match) {
  char name[LS_ROUTES_METHOD];
  match->route = NULL;
  if (method.len >= sizeof name)
    return;
  memcpy(name, method.ptr, method.len);
  name[method.len] = '\0';
  struct walk walk = {.routes = routes, .method = name, .path = path, .room = room, .params = match->params};
  match->route = start(&walk);
}

void ls_routes_visit(const struct ls_routes *routes, struct ls_slice path, char *room,
                     void (*visit)(void *user, const struct ls_route *route), void *user) {
  struct walk walk = {.routes = routes, .path = path, .room = room, .visit = visit, .user = user};
  start(&walk);
}

uint64_t ls_routes_body_limit(const struct ls_routes *routes, const struct ls_head *head, uint64_t fallback) {
  char room[PATH_MAX_BYTES], decoded[PATH_MAX_BYTES];
  struct ls_slice path;
  if (!routes->has_limits || !head->has_body || !ls_url_path(ls_head_url(head), room, sizeof room, &path) ||
      path.len > sizeof decoded)
    return fallback;
  struct ls_route_match match;
  ls_routes_find(routes, ls_head_method(head), path, decoded, &match);
  return match.route != NULL && match.route->has_body_limit ? match.route->body_limit : fallback;
}

bool ls_routes_is_under(const struct ls_routes *routes, struct ls_slice path, struct ls_slice prefix, char *room) {
  struct walk walk = {.routes = routes, .path = path, .room = room};
  size_t at = 0;
  while (prefix.len > 1) {
    const char *slash = memchr(prefix.ptr + 1, '/', prefix.len - 1);
    size_t len = slash != NULL ? (size_t)(slash - prefix.ptr) : prefix.len;
    if (at >= path.len || path.ptr[at] != '/')
      return false;
    struct ls_slice segment = segment_at(&walk, at, &at), wanted = ls_slice(prefix.ptr + 1, len - 1);
    if (segment.len == 0) /* most file systems do not see it either */
      continue;
    bool is_param = wanted.len == 1 && *wanted.ptr == ':';
    if (!is_param && !equal(routes, segment, wanted))
      return false;
    prefix = ls_slice(prefix.ptr + len, prefix.len - len);
  }
  return true;
}
