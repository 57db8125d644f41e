/* SPDX-License-Identifier: MIT */
/* path: how an error names a place inside a value: args[2].headers["content-type"]. Long keys are cut, and of a long path
 * the two ends are shown, so that the text always fits. */
#ifndef LS_SCRIPT_PATH_H
#define LS_SCRIPT_PATH_H

#include <lua.h>
#include <stddef.h>

enum {
  LS_PATH_EDGE = 10, /* steps of a long path that are shown at either end */
  LS_PATH_SIZE = 1280,
};

struct ls_path {
  int steps; /* in all */
  int step;  /* the next one */
  size_t len;
  char text[LS_PATH_SIZE]; /* ends with a NUL */
};

/* Begins with name (at most 64 bytes of it); steps will be added. */
void ls_path_init(struct ls_path *path, const char *name, int steps);

/* Steps: a key of a table, at index of L's stack; an index in an array; the key itself is the place, and not its value. */
void ls_path_add_key(struct ls_path *path, lua_State *L, int index);
void ls_path_add_index(struct ls_path *path, lua_Integer index);
void ls_path_add_key_itself(struct ls_path *path, lua_State *L, int index);

#endif
