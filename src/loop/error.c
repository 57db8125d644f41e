/* SPDX-License-Identifier: MIT */
/* error: names and texts of the codes that functions return: luaserve's own, those libuv knows, and the few errno
 * values that libuv has no name for but file systems return. */
#include "loop/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <uv.h>

#include "base/error.h"

struct entry {
  int code;
  const char *name;
  const char *text;
};

static const struct entry entries[] = {
    {LS_ECLOSED, "ECLOSED", "closed"},
    {LS_ETOOBIG, "ETOOBIG", "larger than the limit"},
    {LS_EPROTO, "EPROTO", "the peer broke the protocol"},
    {LS_ESTATE, "ESTATE", "not possible in this state"},
    {LS_ELENGTH, "ELENGTH", "body does not have the length that Content-Length says"},
    {LS_EHEADER, "EHEADER", "header that must not be sent"},
    {LS_ENOTFOUND, "ENOTFOUND", "no such domain name"},
    {LS_ENODATA, "ENODATA", "the domain name has no such record"},
    {LS_ESERVFAIL, "ESERVFAIL", "the name server failed"},
    {LS_EREFUSED, "EREFUSED", "the name server refused to answer"},
    {LS_ENOTIMP, "ENOTIMP", "the name server does not know such queries"},
    {LS_EFORMERR, "EFORMERR", "the name server could not read the query"},
    {LS_EBADRESP, "EBADRESP", "malformed answer of the name server"},
    {LS_EBADNAME, "EBADNAME", "not a domain name"},
    {-EDQUOT, "EDQUOT", "disk quota exceeded"},
    {-ESTALE, "ESTALE", "stale file handle"},
    {-EDEADLK, "EDEADLK", "deadlock would occur"},
    {-ENOLCK, "ENOLCK", "no locks available"},
    {-EUCLEAN, "EUCLEAN", "file system needs cleaning"},
};

static const struct entry *find_entry(int code) {
  for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
    if (entries[i].code == code)
      return &entries[i];
  }
  return NULL;
}

/* For other codes libuv makes up a name, "Unknown system error 4711"; its real names all begin with an E. */
static bool uv_knows(int code) {
  char name[64];
  if (code >= 0)
    return false;
  uv_err_name_r(code, name, sizeof name);
  return name[0] == 'E';
}

const char *ls_error_name(int code, char *name, size_t size) {
  const struct entry *entry = find_entry(code);
  if (entry == NULL && uv_knows(code))
    return uv_err_name_r(code, name, size);
  snprintf(name, size, "%s", entry != NULL ? entry->name : "EUNKNOWN");
  return name;
}

const char *ls_error_text(int code, char *text, size_t size) {
  const struct entry *entry = find_entry(code);
  if (entry == NULL && uv_knows(code))
    return uv_strerror_r(code, text, size);
  if (entry != NULL)
    snprintf(text, size, "%s", entry->text);
  else
    snprintf(text, size, "unknown error %d", code);
  return text;
}
