/* SPDX-License-Identifier: MIT */
#include "server/routes.h"

#include <errno.h>
#include <stdio.h>

#include "check.h"

/* Adds "=users :" (steps between spaces) for a method. What ls_routes_add returns. */
static int add(struct ls_routes *routes, const char *method, const char *pattern, uintptr_t id) {
  char text[256], *rest;
  struct ls_slice steps[16];
  unsigned count = 0;
  snprintf(text, sizeof text, "%s", pattern);
  for (char *step = strtok_r(text, " ", &rest); step != NULL; step = strtok_r(NULL, " ", &rest))
    steps[count++] = ls_slice_of(step);
  struct ls_route route = {.id = id, .where = (char *)(uintptr_t) "here"};
  snprintf(route.method, sizeof route.method, "%s", method);
  const struct ls_route *other = NULL;
  const char *problem = NULL;
  int err = ls_routes_add(routes, steps, count, &route, &other, &problem);
  CHECK((err == -EEXIST) == (other != NULL) && (err == -EINVAL) == (problem != NULL));
  return err;
}

static struct ls_route_match match;
static char room[4096];

/* The id of the route that is found, or 0. */
static uintptr_t find(const struct ls_routes *routes, const char *method, const char *path) {
  ls_routes_find(routes, ls_slice_of(method), ls_slice_of(path), room, &match);
  return match.route != NULL ? match.route->id : 0;
}

static void test_precedence(void) {
  struct ls_routes *routes = ls_routes_new(false, false);
  CHECK_INT(add(routes, "GET", "*", 1), 0);
  CHECK_INT(add(routes, "GET", ":", 2), 0);
  CHECK_INT(add(routes, "GET", "(%d+", 3), 0);
  CHECK_INT(add(routes, "GET", "=me", 4), 0);
  CHECK_INT(add(routes, "GET", "=me =x", 5), 0);
  CHECK_INT(add(routes, "GET", ": =y", 6), 0);
  CHECK_INT(find(routes, "GET", "/me"), 4);
  CHECK_INT(find(routes, "GET", "/12"), 3);
  CHECK_INT(find(routes, "GET", "/12a"), 2);
  CHECK_INT(find(routes, "GET", "/me/y"), 6);
  CHECK_BYTES(match.params[0].ptr, match.params[0].len, "me");
  CHECK_INT(find(routes, "GET", "/me/z/a%20b"), 1);
  CHECK_BYTES(match.params[0].ptr, match.params[0].len, "me/z/a b");
  CHECK_INT(find(routes, "GET", "/me/%2F"), 0);
  CHECK_INT(find(routes, "GET", ""), 0);
  CHECK_INT(find(routes, "GET", "*"), 0);
  CHECK_INT(find(routes, "POST", "/me"), 0);
  CHECK_INT(find(routes, "A-METHOD-OF-MORE-THAN-23-BYTES", "/me"), 0);
  ls_routes_unref(routes);
}

static void test_conflicts(void) {
  struct ls_routes *routes = ls_routes_new(false, false);
  CHECK_INT(add(routes, "GET", "=a :", 1), 0);
  CHECK_INT(add(routes, "GET", "=a :", 2), -EEXIST);
  CHECK_INT(add(routes, "GET", "=a : /", 2), -EEXIST);
  CHECK_INT(add(routes, "", "=a :", 3), 0);
  CHECK_INT(add(routes, "GET", "=a (%d", 4), 0);
  CHECK_INT(add(routes, "GET", "=a (%d", 5), -EEXIST);
  CHECK_INT(add(routes, "GET", "=a (%", 6), -EINVAL);
  CHECK_INT(find(routes, "PUT", "/a/b"), 3);
  CHECK_INT(find(routes, "HEAD", "/a/b"), 1);
  CHECK_INT(find(routes, "GET", "/a/1"), 4);
  ls_routes_unref(routes);
}

static void test_many_literals(void) {
  struct ls_routes *routes = ls_routes_new(false, true);
  char text[32];
  for (int i = 1; i <= 3000; i++) {
    snprintf(text, sizeof text, "=Segment%d", i);
    CHECK_INT(add(routes, "GET", text, (uintptr_t)i), 0);
  }
  for (int i = 1; i <= 3000; i++) {
    snprintf(text, sizeof text, "/sEGMENT%d/", i);
    CHECK_INT(find(routes, "GET", text), i);
  }
  CHECK_INT(find(routes, "GET", "/Segment3001"), 0);
  ls_routes_unref(routes);
}

static void test_prefixes(void) {
  struct ls_routes *routes = ls_routes_new(false, false);
  static const struct {
    const char *path, *prefix;
    bool is_under;
  } cases[] = {
      {"/a/b", "/a", true},  {"/ab", "/a", false},    {"/a", "/a/b", false},       {"/%61/b", "/a", true},
      {"//a/b", "/a", true}, {"/x//a", "/x/a", true}, {"/x/a%2Fb", "/x/a", false}, {"/x/7/a", "/x/:/a", true},
      {"/x", "/x/:", false}, {"/x/", "/x/:", false},  {"/anything", "/", true},    {"/anything", "", true},
      {"*", "/a", false},    {"/a%", "/a", false},    {"/a%2", "/a", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    CHECK_INT(ls_routes_is_under(routes, ls_slice_of(cases[i].path), ls_slice_of(cases[i].prefix), room),
              cases[i].is_under);
  ls_routes_unref(routes);
}

static void count_visit(void *user, const struct ls_route *route) {
  (void)route;
  ++*(int *)user;
}

/* Whatever a client sends: no byte outside of the path and the room is touched (sanitizer builds see that), and a route
 * that is found is visited too. */
static void test_any_bytes(void) {
  static const char alphabet[] = "//%%2F2fa1:.*";
  struct ls_routes *routes = ls_routes_new(true, false);
  add(routes, "GET", "=a : =a *", 1);
  add(routes, "GET", ": (%d- =a", 2);
  add(routes, "GET", "(a?%d* /", 3);
  unsigned seed = 1, found = 0;
  for (int round = 0; round < 200000; round++) {
    size_t len = 1 + (seed >> 8) % 15;
    char *path = malloc(len), *space = malloc(len);
    path[0] = '/';
    for (size_t i = 1; i < len; i++) {
      seed = seed * 1103515245 + 12345;
      path[i] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
    }
    int visits = 0;
    ls_routes_find(routes, ls_slice_of("GET"), ls_slice(path, len), space, &match);
    ls_routes_visit(routes, ls_slice(path, len), space, count_visit, &visits);
    CHECK((match.route != NULL) == (visits > 0));
    found += match.route != NULL;
    seed = seed * 1103515245 + 12345;
    free(path);
    free(space);
  }
  CHECK(found > 100);
  ls_routes_unref(routes);
}

int main(void) {
  RUN(test_precedence);
  RUN(test_conflicts);
  RUN(test_many_literals);
  RUN(test_prefixes);
  RUN(test_any_bytes);
  return 0;
}
