/* SPDX-License-Identifier: MIT */
/* proxied: connections that begin with a PROXY header, of a server with the option proxy_protocol. One that does not is
 * closed without an answer: whoever sent it may not speak HTTP. */
#ifndef LS_SERVER_PROXIED_H
#define LS_SERVER_PROXIED_H

#include <stdbool.h>
#include <stddef.h>

struct ls_http1;

/* The connection is new: makes it wait for its header. False: it was dropped, because its peer is not trusted to send
 * one, or memory is short. */
bool ls_proxied_begin(struct ls_http1 *http1);

/* Takes the header, or a part of it, off the front of the bytes. False: nothing is left, or it was dropped. */
bool ls_proxied_take(struct ls_http1 *http1, const char **bytes, size_t *len);

#endif
