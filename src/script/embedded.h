/* SPDX-License-Identifier: MIT */
/* embedded: the files of lua/luaserve, compiled into the program by the Makefile. */
#ifndef LS_SCRIPT_EMBEDDED_H
#define LS_SCRIPT_EMBEDDED_H

#include <stddef.h>

struct ls_embedded {
  const char *name;   /* what require is given: "luaserve.app"; lua/luaserve/init.lua is "luaserve" */
  const char *source; /* the file as it is; a NUL that size does not count follows it */
  size_t size;
  const char *chunk; /* the chunk name for luaL_loadbuffer, and with it for tracebacks: "@luaserve/app.lua" */
};

/* Ordered by file name; one entry with a NULL name, which the count leaves out, ends it. */
extern const struct ls_embedded ls_embedded_modules[];
extern const size_t ls_embedded_count;

#endif
