/* SPDX-License-Identifier: MIT */
/* clone_format: the first byte of each value in a message. For clone_encode.c and clone_decode.c only. */
#ifndef LS_SCRIPT_CLONE_FORMAT_H
#define LS_SCRIPT_CLONE_FORMAT_H

enum ls_clone_tag {
  LS_CLONE_SMALL = 0x00, /* and up to 0x7f: an integer from 0 to 127 */
  LS_CLONE_SHORT = 0x80, /* and up to 0xbf: a string of up to 63 bytes, which follow */
  LS_CLONE_NIL = 0xc0,
  LS_CLONE_FALSE,
  LS_CLONE_TRUE,
  LS_CLONE_INT8,
  LS_CLONE_INT16,
  LS_CLONE_INT32,
  LS_CLONE_INT64,
  LS_CLONE_FLOAT,
  LS_CLONE_STRING, /* length, bytes */
  LS_CLONE_NULL,   /* json.null */
  LS_CLONE_LIGHT,  /* the light userdata NULL */
  LS_CLONE_TABLE,
  LS_CLONE_SHARED, /* a table that a REF refers to */
  LS_CLONE_REF,
  LS_CLONE_PAIRS,
  LS_CLONE_END,
};

enum {
  LS_CLONE_SHORT_MAX = 63,
  LS_CLONE_VARINT_MAX = 10, /* bytes */
  LS_CLONE_MARK_SHIFT = 6,
  LS_CLONE_SLOTS_MASK = 0x3f,
};

#endif
