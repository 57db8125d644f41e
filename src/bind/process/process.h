/* SPDX-License-Identifier: MIT */
/* process: what the program itself asks luaserve.process. */
#ifndef LS_BIND_PROCESS_H
#define LS_BIND_PROCESS_H

#include <stdbool.h>

struct ls_runtime;

/* Whether process.on has a handler for this signal: then luaserve leaves it alone. */
bool ls_process_handles_signal(const struct ls_runtime *rt, int number);

/* Before the program ends with this status: runs the exit hooks, tells the programs of process.run to end. Once; does
 * nothing the next time, nor where the module was never loaded. No task may be resumed afterwards. */
void ls_process_end(struct ls_runtime *rt, int status);

#endif
