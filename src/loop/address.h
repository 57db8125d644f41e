/* SPDX-License-Identifier: MIT */
/* address: internet addresses as text and back, without a lookup. */
#ifndef LS_LOOP_ADDRESS_H
#define LS_LOOP_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>

/* The address as text ("127.0.0.1", "::1", "fe80::1%eth0"; "" for a unix socket) and its port (0); port may be NULL. An
 * IPv4 address in IPv6's clothes is told as IPv4. 0 or a negative code (-ENOSPC: text is too short); size should be at
 * least INET6_ADDRSTRLEN. */
int ls_address_text(const struct sockaddr *address, char *text, size_t size, int *port);

/* The other way round. 0, or -EINVAL: it is not a numeric address. */
int ls_address_parse(const char *text, int port, struct sockaddr_storage *address);

/* Of an AF_INET or AF_INET6 address: */
void ls_address_set_port(struct sockaddr_storage *address, int port);
socklen_t ls_address_size(const struct sockaddr *address);

#endif
