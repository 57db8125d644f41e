/* SPDX-License-Identifier: MIT */
/* udp: not uv_udp_t, which reads whether or not anybody asks, cannot take a send back, and sets options for one family
 * where a socket for both needs two. */
#include "loop/udp.h"

#include <assert.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "loop/address.h"
#include "loop/loop.h"

/* ---- opening and closing ---- */

static int set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

/* Otherwise a socket gets what any group sends that anybody on this machine has joined. */
static int set_own_groups_only(int fd, bool four, bool six) {
  int rc = four ? set_option(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) : 0;
  if (rc == 0 && six && set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0) == -EINVAL)
    return 0; /* before Linux 4.20 there is no such choice */
  return rc;
}

/* A bound descriptor, or a negative code. */
static int open_address(const struct sockaddr *address, bool both, const struct ls_udp_options *options) {
  int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  int rc = 0;
  if (options->reuse_address)
    rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (rc == 0 && options->receive_buffer > 0)
    rc = set_option(fd, SOL_SOCKET, SO_RCVBUF, options->receive_buffer);
  if (rc == 0 && address->sa_family == AF_INET6)
    rc = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both);
  if (rc == 0)
    rc = set_own_groups_only(fd, both || address->sa_family == AF_INET, address->sa_family == AF_INET6);
  if (rc == 0 && bind(fd, address, ls_address_size(address)) != 0)
    rc = -errno;
  if (rc != 0)
    close(fd);
  return rc != 0 ? rc : fd;
}

static int open_any(struct ls_udp *udp, const struct ls_udp_options *options) {
  struct sockaddr_storage address = {.ss_family = AF_INET6};
  ls_address_set_port(&address, options->port);
  int fd = open_address((struct sockaddr *)&address, true, options);
  udp->family = AF_INET6;
  udp->lookup = AF_UNSPEC;
  if (fd != -EAFNOSUPPORT && fd != -EADDRNOTAVAIL)
    return fd;
  udp->family = udp->lookup = address.ss_family = AF_INET;
  ls_address_set_port(&address, options->port);
  return open_address((struct sockaddr *)&address, false, options);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  struct ls_udp *udp = ls_container_of(poll, struct ls_udp, poll);
  struct ls_loop *loop = ls_loop_of((uv_handle_t *)poll);
  if (status < 0) { /* libuv has stopped the watcher of a socket in error, and does not know which one */
    udp->watched = 0;
    events = UV_READABLE | UV_WRITABLE;
  }
  udp->on_ready(udp, events);
  ls_loop_drain(loop);
}

int ls_udp_open(struct ls_loop *loop, struct ls_udp *udp, const struct ls_udp_options *options) {
  udp->watched = 0;
  udp->closing = false;
  if (options->address == NULL) {
    udp->fd = open_any(udp, options);
  } else {
    udp->family = udp->lookup = options->address->sa_family;
    udp->fd = open_address(options->address, false, options);
  }
  if (udp->fd < 0)
    return udp->fd;
  int rc = uv_poll_init(&loop->uv, &udp->poll, udp->fd);
  if (rc != 0)
    close(udp->fd);
  return rc;
}

static void on_poll_closed(uv_handle_t *handle) {
  struct ls_udp *udp = ls_container_of(handle, struct ls_udp, poll);
  udp->on_closed(udp);
}

void ls_udp_close(struct ls_udp *udp) {
  if (udp->closing)
    return;
  udp->closing = true;
  uv_close((uv_handle_t *)&udp->poll, on_poll_closed);
  close(udp->fd);
  udp->fd = -1;
}

/* ---- watching ---- */

/* What is watched already costs nothing: uv_poll_start would take the descriptor out of epoll and put it in again. */
void ls_udp_watch(struct ls_udp *udp, int events) {
  ls_udp_watch_only(udp, udp->watched | events);
}

void ls_udp_watch_only(struct ls_udp *udp, int events) {
  if (udp->closing || udp->watched == events)
    return;
  udp->watched = events;
  int rc = events == 0 ? uv_poll_stop(&udp->poll) : uv_poll_start(&udp->poll, events, on_poll);
  assert(rc == 0); /* it fails for a closing handle or a descriptor that another handle watches */
  (void)rc;
}

/* ---- datagrams ---- */

/* The address as this socket's family writes it; NULL: it has no way to write it. */
static const struct sockaddr *fit(const struct ls_udp *udp, const struct sockaddr *to, struct sockaddr_in6 *mapped) {
  if (udp->family == to->sa_family)
    return to;
  if (udp->family != AF_INET6 || to->sa_family != AF_INET)
    return NULL;
  const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)to;
  *mapped = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = four->sin_port};
  mapped->sin6_addr.s6_addr[10] = mapped->sin6_addr.s6_addr[11] = 0xff;
  memcpy(&mapped->sin6_addr.s6_addr[12], &four->sin_addr, sizeof four->sin_addr);
  return (const struct sockaddr *)mapped;
}

ssize_t ls_udp_receive(struct ls_udp *udp, void *bytes, size_t size, struct sockaddr_storage *from) {
  socklen_t len = sizeof *from;
  ssize_t n;
  do {
    n = recvfrom(udp->fd, bytes, size, 0, (struct sockaddr *)from, &len);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

int ls_udp_send(struct ls_udp *udp, const void *bytes, size_t size, const struct sockaddr *to) {
  struct sockaddr_in6 mapped;
  const struct sockaddr *address = to != NULL ? fit(udp, to, &mapped) : NULL;
  if (to != NULL && address == NULL)
    return -EAFNOSUPPORT;
  ssize_t n;
  do {
    n = sendto(udp->fd, bytes, size, 0, address, address != NULL ? ls_address_size(address) : 0);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : 0;
}

int ls_udp_connect(struct ls_udp *udp, const struct sockaddr *to) {
  struct sockaddr_in6 mapped;
  const struct sockaddr *address = fit(udp, to, &mapped);
  if (address == NULL)
    return -EAFNOSUPPORT;
  return connect(udp->fd, address, ls_address_size(address)) == 0 ? 0 : -errno;
}

/* ---- settings ---- */

/* The number of the interface that has this address; 0: none. */
static unsigned interface_of(const struct sockaddr_storage *wanted) {
  struct ifaddrs *all;
  unsigned index = 0;
  if (getifaddrs(&all) != 0)
    return 0;
  for (const struct ifaddrs *one = all; one != NULL && index == 0; one = one->ifa_next) {
    if (one->ifa_addr == NULL || one->ifa_addr->sa_family != wanted->ss_family)
      continue;
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)one->ifa_addr;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)one->ifa_addr;
    bool same = wanted->ss_family == AF_INET
                    ? four->sin_addr.s_addr == ((const struct sockaddr_in *)wanted)->sin_addr.s_addr
                    : IN6_ARE_ADDR_EQUAL(&six->sin6_addr, &((const struct sockaddr_in6 *)wanted)->sin6_addr);
    if (same)
      index = if_nametoindex(one->ifa_name);
  }
  freeifaddrs(all);
  return index;
}

static int find_interface(const char *interface, unsigned *index) {
  struct sockaddr_storage address;
  *index = 0;
  if (interface == NULL)
    return 0;
  *index = ls_address_parse(interface, 0, &address) == 0 ? interface_of(&address) : if_nametoindex(interface);
  return *index != 0 ? 0 : -ENODEV;
}

static int set_membership(struct ls_udp *udp, int option, const struct sockaddr *group, const char *interface) {
  struct group_req request = {0};
  unsigned index;
  int rc = find_interface(interface, &index);
  if (rc != 0)
    return rc;
  if (group->sa_family == AF_INET6 && udp->family == AF_INET)
    return -EAFNOSUPPORT;
  request.gr_interface = index;
  memcpy(&request.gr_group, group, ls_address_size(group));
  int level = group->sa_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  return setsockopt(udp->fd, level, option, &request, sizeof request) == 0 ? 0 : -errno;
}

int ls_udp_join(struct ls_udp *udp, const struct sockaddr *group, const char *interface) {
  return set_membership(udp, MCAST_JOIN_GROUP, group, interface);
}

int ls_udp_leave(struct ls_udp *udp, const struct sockaddr *group, const char *interface) {
  return set_membership(udp, MCAST_LEAVE_GROUP, group, interface);
}

/* A socket for both families has both options. */
static int set_in_families(struct ls_udp *udp, int option_four, int option_six, int value) {
  int rc = 0;
  if (udp->family == AF_INET6)
    rc = set_option(udp->fd, IPPROTO_IPV6, option_six, value);
  if (rc == 0 && udp->lookup != AF_INET6)
    rc = set_option(udp->fd, IPPROTO_IP, option_four, value);
  return rc;
}

int ls_udp_set_multicast_interface(struct ls_udp *udp, const char *interface) {
  unsigned index;
  int rc = find_interface(interface, &index);
  if (rc == 0 && udp->family == AF_INET6)
    rc = set_option(udp->fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)index);
  if (rc != 0 || udp->lookup == AF_INET6)
    return rc;
  struct ip_mreqn request = {.imr_ifindex = (int)index};
  return setsockopt(udp->fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request) == 0 ? 0 : -errno;
}

int ls_udp_set_multicast_ttl(struct ls_udp *udp, int ttl) {
  return set_in_families(udp, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, ttl);
}

int ls_udp_set_multicast_loop(struct ls_udp *udp, int on) {
  return set_in_families(udp, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, on);
}

int ls_udp_set_broadcast(struct ls_udp *udp, int on) {
  return set_option(udp->fd, SOL_SOCKET, SO_BROADCAST, on);
}

int ls_udp_dropped(const struct ls_udp *udp, uint64_t *count) {
  uint32_t info[SK_MEMINFO_VARS];
  socklen_t len = sizeof info;
  if (getsockopt(udp->fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0)
    return -errno;
  *count = len > SK_MEMINFO_DROPS * sizeof *info ? info[SK_MEMINFO_DROPS] : 0;
  return 0;
}

int ls_udp_address(const struct ls_udp *udp, struct sockaddr_storage *address) {
  socklen_t len = sizeof *address;
  memset(address, 0, sizeof *address);
  return getsockname(udp->fd, (struct sockaddr *)address, &len) == 0 ? 0 : -errno;
}
