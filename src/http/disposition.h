/* SPDX-License-Identifier: MIT */
/* disposition: Content-Disposition: attachment, with the name that a browser offers for saving (RFC 6266, RFC 8187). */
#ifndef LS_HTTP_DISPOSITION_H
#define LS_HTTP_DISPOSITION_H

#include "base/slice.h"

/* Room for the field's value. */
static inline size_t ls_disposition_max(size_t name_len) {
  return 64 + 5 * name_len;
}

/* The field's value for a name in UTF-8: attachment; filename="a.txt". Where the name has more than printable ASCII, '_'
 * stands in place of each such character, and the name itself follows as filename*=UTF-8''... The length. */
size_t ls_disposition_format(struct ls_slice name, char *out);

#endif
