/* SPDX-License-Identifier: MIT */
/* port_owner: who listens at a TCP port of this machine, as far as /proc tells. Reads many small files: not for a loop
 * that serves. */
#ifndef LS_LOOP_PORT_OWNER_H
#define LS_LOOP_PORT_OWNER_H

#include <stdbool.h>
#include <stddef.h>

/* Writes "nginx (pid 12)" to text; false: nobody, or a process of somebody else, whom only root can see (proc(5)). */
bool ls_port_owner_find(int port, char *text, size_t size);

#endif
