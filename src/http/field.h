/* SPDX-License-Identifier: MIT */
/* field: names of header fields: the common ones by number, and what may be in a name or value (RFC 9110 5.1, 5.5). */
#ifndef LS_HTTP_FIELD_H
#define LS_HTTP_FIELD_H

#include <stdbool.h>

#include "base/slice.h"

enum ls_field_id {
  LS_FIELD_OTHER = 0,
  LS_FIELD_ACCEPT,
  LS_FIELD_ACCEPT_ENCODING,
  LS_FIELD_ACCEPT_LANGUAGE,
  LS_FIELD_ACCEPT_RANGES,
  LS_FIELD_AUTHORIZATION,
  LS_FIELD_CACHE_CONTROL,
  LS_FIELD_CONNECTION,
  LS_FIELD_CONTENT_DISPOSITION,
  LS_FIELD_CONTENT_ENCODING,
  LS_FIELD_CONTENT_LENGTH,
  LS_FIELD_CONTENT_TYPE,
  LS_FIELD_COOKIE,
  LS_FIELD_DATE,
  LS_FIELD_ETAG,
  LS_FIELD_EXPECT,
  LS_FIELD_FORWARDED,
  LS_FIELD_HOST,
  LS_FIELD_IF_MATCH,
  LS_FIELD_IF_MODIFIED_SINCE,
  LS_FIELD_IF_NONE_MATCH,
  LS_FIELD_IF_RANGE,
  LS_FIELD_IF_UNMODIFIED_SINCE,
  LS_FIELD_KEEP_ALIVE,
  LS_FIELD_LAST_MODIFIED,
  LS_FIELD_LOCATION,
  LS_FIELD_ORIGIN,
  LS_FIELD_RANGE,
  LS_FIELD_REFERER,
  LS_FIELD_SEC_FETCH_DEST,
  LS_FIELD_SEC_FETCH_MODE,
  LS_FIELD_SEC_FETCH_SITE,
  LS_FIELD_SEC_FETCH_USER,
  LS_FIELD_SERVER,
  LS_FIELD_SET_COOKIE,
  LS_FIELD_TE,
  LS_FIELD_TRAILER,
  LS_FIELD_TRANSFER_ENCODING,
  LS_FIELD_UPGRADE,
  LS_FIELD_UPGRADE_INSECURE_REQUESTS,
  LS_FIELD_USER_AGENT,
  LS_FIELD_VARY,
  LS_FIELD_X_FORWARDED_FOR,
  LS_FIELD_X_FORWARDED_HOST,
  LS_FIELD_X_FORWARDED_PROTO,
  LS_FIELDS
};

/* The number of a name in any case; LS_FIELD_OTHER for an uncommon one. */
enum ls_field_id ls_field_lookup(struct ls_slice name);

/* The lower-case name of a common field. */
struct ls_slice ls_field_name(enum ls_field_id id);

/* A token (RFC 9110 5.6.2), not empty. */
bool ls_field_name_is_valid(struct ls_slice name);
/* No CR, LF, NUL or other control character but HTAB. */
bool ls_field_value_is_valid(struct ls_slice value);
/* Whether a field of this name may stand behind the content (RFC 9110 6.5.1): none that frames or routes the message, says
 * how to process it, or is meant to be known before it. */
bool ls_field_may_trail(struct ls_slice name);
/* A value, or a part of one, without the blanks around it (RFC 9110 5.6.3). */
struct ls_slice ls_field_trim(struct ls_slice text);
/* Whether the list, of words with commas or blanks between them, has this one in any case. */
bool ls_field_list_has(struct ls_slice list, struct ls_slice word);
/* Equal but for ASCII case. */
bool ls_field_name_equal(struct ls_slice a, struct ls_slice b);

#endif
