/* SPDX-License-Identifier: MIT */
/* http: what the program needs of the http module from C. */
#ifndef LS_BIND_HTTP_H
#define LS_BIND_HTTP_H

#include <stdbool.h>
#include <stdint.h>

struct ls_runtime;

/* Closes every open server of the runtime: no new connections, what is under way has grace_ms. When the last one has
 * closed, done is called from the loop, once. false: no server is open, and done is not called. */
bool ls_http_shutdown(struct ls_runtime *rt, uint64_t grace_ms, void (*done)(struct ls_runtime *rt));

#endif
