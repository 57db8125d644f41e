/* SPDX-License-Identifier: MIT */
/* inherited: listening sockets that somebody else has opened: a descriptor whose number the program was told, or those
 * that systemd passes by the protocol of sd_listen_fds(3): descriptors from 3 on, how many in LISTEN_FDS, for the
 * process in LISTEN_PID, with their names in LISTEN_FDNAMES. */
#ifndef LS_LOOP_INHERITED_H
#define LS_LOOP_INHERITED_H

#include <stdbool.h>

struct ls_inherited {
  char *names;    /* LISTEN_FDNAMES, with colons between them; NULL: none */
  unsigned count; /* of the descriptors from 3 on */
  bool *taken;    /* of each, whether it is out of reach: taken, or closed already */
};

/* Reads the variables and takes them out of the environment, so that children do not think they are meant; marks the
 * descriptors close-on-exec. Before any other thread runs. Where there is nothing (or no memory) it is empty. */
void ls_inherited_init(struct ls_inherited *inherited);
void ls_inherited_dispose(struct ls_inherited *inherited);

/* The first descriptor of this name (NULL: of any) that was not taken before, now the caller's; -ENOENT: none is. */
int ls_inherited_take(struct ls_inherited *inherited, const char *name);

/* Whether fd is a stream socket that listens; makes it non-blocking and close-on-exec and tells its family. 0, -EBADF,
 * -ENOTSOCK, -EPROTOTYPE (no stream), -EINVAL (it does not listen), -EAFNOSUPPORT. */
int ls_inherited_adopt(int fd, int *family);

#endif
