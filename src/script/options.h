/* SPDX-License-Identifier: MIT */
/* options: reading a table of options, where an unknown or mistyped one is an error that names it and the one probably
 * meant.
 *
 *   static const char *const known[] = {"host", "port", NULL};
 *   ls_options_check(L, 2, "listen", known);
 *   port = ls_option_integer(L, 2, "port", 0, 65535, 8080);
 *
 * index may hold nil or nothing: then every option has its default. All raise at the caller's line. */
#ifndef LS_SCRIPT_OPTIONS_H
#define LS_SCRIPT_OPTIONS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define LS_NAME_SIZE 48

/* Raises unless index is none, nil or a table whose keys are all known. */
void ls_options_check(lua_State *L, int index, const char *what, const char *const *known);

/* The known name nearest to name, if it is near; NULL. The first in the alphabet of several. For the command line too. */
const char *ls_options_nearest(const char *name, const char *const *known);

/* A name of other systems as it would be spelt here: "readFileSync" as "read_file". False: it is longer than any. */
bool ls_options_snake_case(const char *name, char snake[LS_NAME_SIZE]);

bool ls_option_boolean(lua_State *L, int index, const char *name, bool fallback);
lua_Integer ls_option_integer(lua_State *L, int index, const char *name, lua_Integer min, lua_Integer max,
                              lua_Integer fallback);
/* Seconds (fractions allowed) as milliseconds, rounded up; false is 0: none. */
uint64_t ls_option_seconds(lua_State *L, int index, const char *name, uint64_t fallback_ms);
/* The string, which lives as long as the table holds it; NULL when absent. Raises for one with a NUL in it. */
const char *ls_option_string(lua_State *L, int index, const char *name, const char *fallback);
/* The same of any bytes. ptr NULL when absent. */
struct ls_slice ls_option_bytes(lua_State *L, int index, const char *name);

/* Seconds at stack index as nanoseconds. Raises for NaN, negative or over 2^31-1 ms (24.8 days). At least min_ns. */
uint64_t ls_check_seconds(lua_State *L, int index, uint64_t min_ns);

#endif
