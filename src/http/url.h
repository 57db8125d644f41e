/* SPDX-License-Identifier: MIT */
/* url: taking a request target apart, and the percent-encoding of its parts. Nothing here allocates. */
#ifndef LS_HTTP_URL_H
#define LS_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct ls_url {
  struct ls_slice scheme;    /* of an absolute target, as "http"; else empty */
  struct ls_slice authority; /* same: "example.org:80"; it replaces the Host field */
  struct ls_slice path;      /* "/" at least, but "*" for that target; not decoded */
  struct ls_slice query;     /* behind the '?'; ptr NULL: there is no '?' */
};

/* Takes apart what ls_head_url gives. 0, or LS_EPROTO where it is none of /path, *, scheme://authority/path. */
int ls_url_split(struct ls_slice target, struct ls_url *url);

/* uri-host [":" port], as in Host and in authorities; an IP literal stands in brackets. May be empty (RFC 9112 3.2). */
bool ls_url_is_host(struct ls_slice host);

/* Whether ls_url_normalise would change or refuse nothing; cheap. False may mean no more than that it has to look. */
bool ls_url_is_normal(struct ls_slice path);

/* Whether every '%' of the path is followed by two hex digits, and none of them means NUL. */
bool ls_url_escapes_are_valid(struct ls_slice path);

/* The path without "." and ".." segments, also where their dots are written %2e; what would lead above the root stops
 * there. Nothing else is decoded, empty segments stay. out has room for path.len bytes, and may be path itself.
 * Its length, or LS_EPROTO for %00 or a '%' without two hex digits. */
int64_t ls_url_normalise(struct ls_slice path, char *out);

/* The path of a target, without dot segments: what decides by the path must not be led around by them. It points into target,
 * or into room where it had to be made; false: it has no path, or room of size bytes is too small. */
bool ls_url_path(struct ls_slice target, char *room, size_t size, struct ls_slice *path);

/* Turns %XX into bytes, and '+' into a space where plus is set (queries, forms). A '%' without two hex digits stays as
 * it is. out has room for in.len bytes, and may be in.ptr itself. The length. */
size_t ls_url_decode(struct ls_slice in, bool plus, char *out);

/* Walks over "a=b&c=d": takes the next pair off the front of rest, not decoded; empty pairs are skipped. A pair without
 * '=' has a value with ptr NULL. False at the end. */
bool ls_url_next_pair(struct ls_slice *rest, struct ls_slice *name, struct ls_slice *value);

#endif
