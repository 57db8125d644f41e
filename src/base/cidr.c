/* SPDX-License-Identifier: MIT */
#include "base/cidr.h"

#include <errno.h>
#include <stdlib.h>

#define MAPPED_BITS 96

/* One to three digits that are at most max; no leading zero. */
static bool parse_prefix(struct ls_slice text, unsigned max, unsigned *prefix) {
  *prefix = 0;
  if (text.len == 0 || text.len > 3 || (text.ptr[0] == '0' && text.len > 1))
    return false;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9')
      return false;
    *prefix = *prefix * 10 + (unsigned)(text.ptr[i] - '0');
  }
  return *prefix <= max;
}

/* The bits of byte i that are within the prefix. */
static uint8_t mask_of(unsigned prefix, unsigned i) {
  if (prefix >= (i + 1) * 8)
    return 0xff;
  return prefix <= i * 8 ? 0 : (uint8_t)(0xff00 >> (prefix - i * 8));
}

bool ls_cidr_parse(struct ls_slice text, struct ls_cidr *cidr) {
  const char *slash = text.len == 0 ? NULL : memchr(text.ptr, '/', text.len);
  struct ls_slice address = slash == NULL ? text : ls_slice(text.ptr, (size_t)(slash - text.ptr));
  if (address.len == 0 || !ls_ip_parse(address, &cidr->ip))
    return false;
  bool is_mapped = cidr->ip.len == 4 && memchr(address.ptr, ':', address.len) != NULL;
  unsigned prefix = cidr->ip.len * 8u;
  if (slash != NULL) {
    unsigned max = is_mapped ? 128 : prefix;
    if (!parse_prefix(ls_slice(slash + 1, text.len - address.len - 1), max, &prefix))
      return false;
    if (is_mapped && prefix < MAPPED_BITS)
      return false;
    if (is_mapped)
      prefix -= MAPPED_BITS;
  }
  cidr->prefix = (uint8_t)prefix;
  for (unsigned i = 0; i < cidr->ip.len; i++)
    if ((cidr->ip.bytes[i] & ~mask_of(prefix, i)) != 0)
      return false;
  return true;
}

bool ls_cidr_has(const struct ls_cidr *cidr, const struct ls_ip *ip) {
  if (cidr->ip.len != ip->len)
    return false;
  for (unsigned i = 0; i * 8 < cidr->prefix; i++)
    if (((cidr->ip.bytes[i] ^ ip->bytes[i]) & mask_of(cidr->prefix, i)) != 0)
      return false;
  return true;
}

void ls_cidr_set_dispose(struct ls_cidr_set *set) {
  free(set->list);
  *set = (struct ls_cidr_set){0};
}

static int add_range(struct ls_cidr_set *set, struct ls_slice text) {
  struct ls_cidr cidr;
  if (!ls_cidr_parse(text, &cidr))
    return -EINVAL;
  struct ls_cidr *list = realloc(set->list, (set->count + 1) * sizeof *list);
  if (list == NULL)
    return -ENOMEM;
  set->list = list;
  list[set->count++] = cidr;
  return 0;
}

int ls_cidr_set_add(struct ls_cidr_set *set, struct ls_slice text) {
  static const struct {
    const char *word, *ranges[5];
  } words[] = {
      {"loopback", {"127.0.0.0/8", "::1"}},
      {"private", {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}},
  };
  if (ls_slice_equal(text, ls_slice_of("unix"))) {
    set->has_unix = true;
    return 0;
  }
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (!ls_slice_equal(text, ls_slice_of(words[i].word)))
      continue;
    int status = 0;
    for (const char *const *range = words[i].ranges; *range != NULL && status == 0; range++)
      status = add_range(set, ls_slice_of(*range));
    return status;
  }
  return add_range(set, text);
}

bool ls_cidr_set_has(const struct ls_cidr_set *set, const struct ls_ip *ip) {
  if (ip->len == 0)
    return set->has_unix;
  for (unsigned i = 0; i < set->count; i++)
    if (ls_cidr_has(&set->list[i], ip))
      return true;
  return false;
}
