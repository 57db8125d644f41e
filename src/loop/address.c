/* SPDX-License-Identifier: MIT */
#include "loop/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* A link-local address means nothing without its interface. */
static int append_scope(unsigned scope, char *text, size_t size) {
  char name[IF_NAMESIZE];
  size_t used = strlen(text);
  if (if_indextoname(scope, name) == NULL)
    snprintf(name, sizeof name, "%u", scope);
  return (size_t)snprintf(text + used, size - used, "%%%s", name) < size - used ? 0 : -ENOSPC;
}

int ls_address_text(const struct sockaddr *address, char *text, size_t size, int *port) {
  const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)address;
  const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;
  const void *bytes = NULL;
  int family = address->sa_family;
  unsigned scope = 0;
  in_port_t net_port = 0;
  if (family == AF_INET) {
    bytes = &four->sin_addr;
    net_port = four->sin_port;
  } else if (family == AF_INET6) {
    bytes = &six->sin6_addr;
    net_port = six->sin6_port;
    scope = six->sin6_scope_id;
    if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
      family = AF_INET;
      bytes = &six->sin6_addr.s6_addr[12];
    }
  } else if (family != AF_UNIX) {
    return -EAFNOSUPPORT;
  }
  if (port != NULL)
    *port = ntohs(net_port);
  if (bytes == NULL)
    return snprintf(text, size, "%s", "") >= 0 && size > 0 ? 0 : -ENOSPC;
  if (inet_ntop(family, bytes, text, (socklen_t)size) == NULL)
    return -errno;
  return scope == 0 ? 0 : append_scope(scope, text, size);
}

/* Only an address with a scope is worth the resolver's way. */
static int parse_scoped(const char *text, struct sockaddr_storage *address) {
  struct addrinfo hints = {.ai_family = AF_INET6, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST};
  struct addrinfo *found = NULL;
  if (getaddrinfo(text, NULL, &hints, &found) != 0)
    return -EINVAL;
  memcpy(address, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return 0;
}

int ls_address_parse(const char *text, int port, struct sockaddr_storage *address) {
  struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
  struct sockaddr_in *four = (struct sockaddr_in *)address;
  memset(address, 0, sizeof *address);
  if (inet_pton(AF_INET, text, &four->sin_addr) == 1)
    address->ss_family = AF_INET;
  else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1)
    address->ss_family = AF_INET6;
  else if (strchr(text, '%') == NULL || parse_scoped(text, address) != 0)
    return -EINVAL;
  ls_address_set_port(address, port);
  return 0;
}

void ls_address_set_port(struct sockaddr_storage *address, int port) {
  if (address->ss_family == AF_INET6)
    ((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
  else
    ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
}

socklen_t ls_address_size(const struct sockaddr *address) {
  return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}
