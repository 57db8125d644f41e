/* SPDX-License-Identifier: MIT */
/* octet: what single bytes may be part of, a bit for each grammar. */
#ifndef LS_HTTP_OCTET_H
#define LS_HTTP_OCTET_H

#include <stdbool.h>
#include <stdint.h>

enum ls_octet_class {
  LS_OCTET_TOKEN = 1, /* tchar (RFC 9110 5.6.2) */
  LS_OCTET_HOST = 2,  /* reg-name or IPv4: unreserved, sub-delims and '%' (RFC 3986 3.2.2) */
  LS_OCTET_TARGET = 4 /* of a request target: visible ASCII but '#' (RFC 9112 3.2) */
};

extern const uint8_t ls_octets[256];

static inline bool ls_octet_is(char c, enum ls_octet_class class) {
  return (ls_octets[(unsigned char)c] & class) != 0;
}

/* What may stand around the parts of a field: OWS (RFC 9110 5.6.3). */
static inline bool ls_octet_is_blank(char c) {
  return c == ' ' || c == '\t';
}

#endif
