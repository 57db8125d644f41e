/* SPDX-License-Identifier: MIT */
/* A host name that is looked up for somebody who may give up earlier: the job cannot be stopped once it runs, so it has
 * memory of its own. */
#include <errno.h>
#include <stdlib.h>

#include "bind/net/impl.h"

static void free_name(struct ls_net_name *name) {
  ls_lookup_dispose(&name->lookup);
  free(name);
}

static void on_lookup(struct ls_lookup *lookup) {
  struct ls_net_name *name = ls_container_of(lookup, struct ls_net_name, lookup);
  name->running = false;
  if (name->owner == NULL)
    free_name(name);
  else
    name->on_found(name->owner);
}

struct ls_net_name *ls_net_name_new(const char *host, int family, void *owner, void (*on_found)(void *owner)) {
  struct ls_net_name *name = calloc(1, sizeof *name);
  if (name == NULL)
    return NULL;
  name->owner = owner;
  name->on_found = on_found;
  if (ls_lookup_init(&name->lookup, host, family, on_lookup) == 0)
    return name;
  free(name);
  return NULL;
}

int ls_net_name_start(struct ls_net_name *name, struct ls_loop *loop) {
  int status = ls_lookup_start(loop, &name->lookup);
  name->running = status == 0;
  return status;
}

void ls_net_name_drop(struct ls_net_name *name) {
  if (name == NULL)
    return;
  name->owner = NULL;
  if (!name->running || ls_lookup_cancel(&name->lookup))
    free_name(name);
}
