/* SPDX-License-Identifier: MIT */
/* handover: the listening sockets of a program that is replaced by its successor (restart.h): they stay open meanwhile, so
 * that whoever connects waits in the kernel's queue and is never refused.
 *
 * Each listener tells of its socket. When the sockets are being passed on, a listener that closes leaves its socket open,
 * and it waits for who listens at the same address next: in this process, or in the program that it executes, which is told
 * the numbers in a text. A text may come from anybody: what it names is taken only if it is a listening socket, and where
 * that listens the socket itself is asked.
 *
 * Any thread may call; a mutex guards all of it. */
#ifndef LS_LOOP_HANDOVER_H
#define LS_LOOP_HANDOVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/buf.h"

struct ls_handover_socket {
  int fd;
  bool waits;    /* nobody listens on it now */
  bool any_port; /* it was asked for port 0 */
  dev_t dev;     /* of a unix socket's file that we have made; else 0 */
  ino_t ino;
};

struct ls_handover {
  pthread_mutex_t mutex;
  struct ls_handover_socket *sockets;
  size_t count, room;
  bool passing;
};

/* What is wanted: as bound, with the options that cannot be changed afterwards. */
struct ls_handover_place {
  const struct sockaddr *address;
  socklen_t len;
  bool reuse_port, ipv6_only;
};

/* text: what ls_handover_write has written in a former life, up to a line's end; NULL: none. */
void ls_handover_init(struct ls_handover *handover, const char *text);
/* Closes what waits. */
void ls_handover_dispose(struct ls_handover *handover);

/* A listener has opened this socket. Without memory it is not passed on. */
void ls_handover_add(struct ls_handover *handover, const struct ls_handover_socket *socket);

/* A waiting socket that listens there, which somebody listens on from now on; its fd is -1: there is none. */
struct ls_handover_socket ls_handover_take(struct ls_handover *handover, const struct ls_handover_place *place);

/* The same for the descriptor fd, which may wait or not be known. */
struct ls_handover_socket ls_handover_take_fd(struct ls_handover *handover, int fd);

/* The first socket that waits, or -1. */
int ls_handover_waiting(struct ls_handover *handover);

/* Its listener closes. true: the socket stays open, and waits. false: the listener closes it. */
bool ls_handover_leave(struct ls_handover *handover, int fd);

/* From now on sockets are passed on, or not. */
void ls_handover_pass(struct ls_handover *handover, bool on);
bool ls_handover_passes(struct ls_handover *handover);

/* Closes what waits and removes the files of unix sockets: nobody wanted them. */
void ls_handover_close_waiting(struct ls_handover *handover);

/* Appends the text for the successor, which ends with a newline, and keeps the sockets open for it. 0 or -ENOMEM. */
int ls_handover_write(struct ls_handover *handover, struct ls_buf *text);

/* fd stays open when a program is executed. */
void ls_handover_keep_open(int fd);

#endif
