/* SPDX-License-Identifier: MIT */
/* media: the media types of what a web site has, by the extension of a file's name. */
#ifndef LS_HTTP_MEDIA_H
#define LS_HTTP_MEDIA_H

#include <stdbool.h>

#include "base/slice.h"

struct ls_media {
  const char *extension; /* "html" */
  const char *type;      /* "text/html; charset=utf-8": text says how it is encoded */
  bool compressible;     /* whether gzip and the like make it much smaller */
};

/* By what follows the last dot of the last segment of path, in any case; else application/octet-stream. Never NULL. */
const struct ls_media *ls_media_of(struct ls_slice path);

/* Whether content of this type (the value of a Content-Type field, parameters and all) is worth compressing: text, what
 * ends in +json, +xml or +text, and what the table says. */
bool ls_media_is_compressible(struct ls_slice type);

/* Whether type (the value of a Content-Type field, parameters and all) is the one named, in any case. */
bool ls_media_is(struct ls_slice type, const char *name);

/* Whether it is application/json, or ends in +json (RFC 6838 4.2.8). */
bool ls_media_is_json(struct ls_slice type);

#endif
