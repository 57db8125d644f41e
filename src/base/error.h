/* SPDX-License-Identifier: MIT */
/* error: what C functions below the bindings return: 0, or a negative code.
 * Codes of the system are -errno (and libuv's, which are the same numbers on Linux); luaserve's own start at -5001. */
#ifndef LS_BASE_ERROR_H
#define LS_BASE_ERROR_H

#include <errno.h>

enum ls_error {
  LS_ECLOSED = -5001, /* the peer has gone or the handle was closed */
  LS_ETOOBIG = -5002, /* over a limit that was set */
  LS_EPROTO = -5003,  /* the peer broke its protocol */
  LS_ESTATE = -5004,  /* called at a time when it makes no sense: written after the end */
  LS_ELENGTH = -5005, /* more or fewer body bytes than Content-Length said */
  LS_EHEADER = -5006, /* a header name or value that must not be sent */

  /* What a name server said, or did not. */
  LS_ENOTFOUND = -5101, /* there is no such name */
  LS_ENODATA = -5102,   /* the name has no record of that type */
  LS_ESERVFAIL = -5103, /* it could not find out */
  LS_EREFUSED = -5104,  /* it does not answer us */
  LS_ENOTIMP = -5105,   /* it does not know such queries */
  LS_EFORMERR = -5106,  /* it could not read the query */
  LS_EBADRESP = -5107,  /* its answer could not be read */
  LS_EBADNAME = -5108,  /* never asked: that cannot be a domain name */
};

#endif
