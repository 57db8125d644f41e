/* SPDX-License-Identifier: MIT */
/* worker: what the program itself asks luaserve.worker. */
#ifndef LS_BIND_WORKER_H
#define LS_BIND_WORKER_H

#include <stdbool.h>

struct ls_runtime;

/* The runtime ends: terminates the workers that it has started and waits for their threads, timeout_ms for all of them.
 * false: one hangs, and its thread may use anything until the process ends. Before ls_runtime_dispose. */
bool ls_workers_end(struct ls_runtime *rt, unsigned timeout_ms);

#endif
