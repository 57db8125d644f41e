/* SPDX-License-Identifier: MIT */
/* hints: what somebody who is new here, or comes from elsewhere, has probably meant. They are added to messages, and change
 * nothing else. */
#ifndef LS_BIND_HTTP_HINTS_H
#define LS_BIND_HTTP_HINTS_H

#include <lua.h>

/* What to write for a name, in snake_case, that req or res (type: its name) does not have but others do; NULL: nothing is known. */
const char *ls_http_hint_for_name(const char *type, const char *name);

/* For the text of an error, of which the first line is looked at: where a field was called, or a method was used as a field.
 * NULL: nothing is known. */
const char *ls_http_hint_for_text(const char *text);

/* For the value at index, which a handler has raised: a number, a table that has no text, or a string as above. Pushes one
 * value, which keeps the text that is returned; NULL: nothing is known. Raises nothing. */
const char *ls_http_push_hint(lua_State *L, int index);

#endif
