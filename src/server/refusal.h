/* SPDX-License-Identifier: MIT */
/* refusal: an answer that the server has given without its handler, told when all of it is over: for logs. */
#ifndef LS_SERVER_REFUSAL_H
#define LS_SERVER_REFUSAL_H

#include <stdint.h>

#include "base/ip.h"
#include "base/slice.h"

struct ls_request;
struct ls_server;

#define LS_REFUSAL_LINE 1024

struct ls_refusal {
  int status;
  const char *reason;   /* a constant text */
  struct ls_slice line; /* see ls_head_line, no more than LS_REFUSAL_LINE bytes; borrowed. Empty: nothing came */
  char address[LS_IP_TEXT_SIZE]; /* of the client, see struct ls_origin; "": a unix socket, or it is not known */
  int port;                      /* -1: it is not known */
  uint64_t bytes;                /* of the answer's body */
};

/* The connection is done with the request: tells handler->on_refused where it was refused. */
void ls_refusal_of_request(struct ls_request *request);

/* The same of a connection that got an answer of so many bytes, for this reason, and nothing else. */
void ls_refusal_of_connection(struct ls_server *server, int fd, const char *reason, uint64_t bytes);

#endif
