/* SPDX-License-Identifier: MIT */
/* split: the parts of a head that is there whole and has the shape that nearly all have: one of the common methods, a target
 * that begins with '/', HTTP/1.1 or 1.0, and lines that end in CR LF. It takes less than half of what llhttp does, for what
 * the parser checks in any case. Whatever looks different is llhttp's, and so is the word on what is wrong with it: nothing
 * may be split here that llhttp would refuse, or would split elsewhere. fuzz/head compares them. */
#ifndef LS_HTTP_SPLIT_H
#define LS_HTTP_SPLIT_H

#include "http/head.h"
#include "http/limits.h"

/* Fills in what head has of the request line, and its fields but for their ids. Of these bytes only the target and the names
 * of the fields are still to be checked. Returns the length of the head; 0: it is not split, and to be cleared. */
size_t ls_split_head(struct ls_head *head, const struct ls_http_limits *limits, const char *bytes, size_t len);

#endif
