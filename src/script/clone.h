/* SPDX-License-Identifier: MIT */
/* clone: Lua values as bytes, to be made again in another Lua state of this process.
 *
 * What is copied: nil, booleans, integers, floats (NaN, infinities and -0.0 as they are), strings, and tables of these,
 * keys too, as deep as LS_CLONE_DEPTH. Within one message a table that is met twice arrives as one table, so cycles do
 * too. json.null, the marks of json.array and json.object, and the light userdata NULL arrive as what they are. What is
 * refused, by its path: functions, coroutines, userdata, and tables with another metatable, whose methods would be
 * missing over there. Tables are read raw and no metamethod runs.
 *
 * The format is for the same program only and not for storing: numbers are in the machine's byte order.
 *
 *   message   count value*                       counts, lengths and offsets are LEB128
 *   value     scalar | string | table | ref
 *   table     TABLE shape hint value* [PAIRS (key value)*] END
 *   ref       REF offset                         of a table's first byte, which is SHARED then instead of TABLE
 *
 * shape: bits 6-7 the mark, bits 0-5 how many hash slots to reserve: 0, or 1 + log2. hint: length of the array. */
#ifndef LS_SCRIPT_CLONE_H
#define LS_SCRIPT_CLONE_H

#include <lua.h>
#include <stddef.h>

#include "base/buf.h"

#define LS_CLONE_DEPTH 200000 /* tables in tables: a level takes up to four of the million slots of a Lua stack */

/* Appends to out, which is empty, the count values of L from index on. Never raises and allocates no Lua value, so
 * neither collection nor other Lua code runs meanwhile. name is for paths: "args" gives args[2].on_click.
 * 0: out is the message, for out's owner to keep, move and dispose of, on any thread.
 * -EINVAL: a value cannot be copied; out holds the sentence that says which and where, without a NUL.
 * -ENOMEM: out holds nothing of use. */
int ls_clone_encode(lua_State *L, int index, int count, const char *name, struct ls_buf *out);

/* Pushes the values of a message and returns their number, or -EBADMSG with the stack as it was for bytes that are no
 * message or end too early. Raises for memory (also of the Lua stack), so call it protected. The bytes are only read. */
int ls_clone_decode(lua_State *L, const char *bytes, size_t size);

#endif
