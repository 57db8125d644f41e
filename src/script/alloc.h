/* SPDX-License-Identifier: MIT */
/* alloc: Lua's allocator: blocks of up to 512 bytes from free lists of 16-byte size classes, larger ones from malloc.
 * Steady work then calls no malloc. Memory of small blocks goes back to the system when the runtime ends. In sanitizer
 * builds every block is a malloc of its own, so that overruns and leaks are seen. */
#ifndef LS_SCRIPT_ALLOC_H
#define LS_SCRIPT_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

struct ls_alloc;

struct ls_alloc *ls_alloc_new(void);        /* NULL: out of memory */
void ls_alloc_free(struct ls_alloc *alloc); /* after lua_close */

/* A lua_Alloc; ud is the struct ls_alloc. */
void *ls_alloc_block(void *ud, void *block, size_t old_size, size_t new_size);

/* From now on no block is given that would make it more than so many bytes; 0: no limit. Lua then collects all garbage,
 * and raises "not enough memory" where that does not help. */
void ls_alloc_limit(struct ls_alloc *alloc, size_t bytes);

/* Whether this limit has kept it from giving a block. */
bool ls_alloc_has_refused(const struct ls_alloc *alloc);

/* Bytes that Lua holds now. */
size_t ls_alloc_used(const struct ls_alloc *alloc);

#endif
