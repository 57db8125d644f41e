/* SPDX-License-Identifier: MIT */
#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>

struct ls_ip ls_ip_of(const void *bytes, uint8_t len) {
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  struct ls_ip ip = {.len = len};
  if (len == 16 && memcmp(bytes, mapped, sizeof mapped) == 0) {
    ip.len = 4;
    bytes = (const uint8_t *)bytes + sizeof mapped;
  }
  memcpy(ip.bytes, bytes, ip.len);
  return ip;
}

bool ls_ip_parse(struct ls_slice text, struct ls_ip *ip) {
  char copy[LS_IP_TEXT_SIZE];
  uint8_t bytes[16];
  if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len) != NULL)
    return false;
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = '\0';
  if (inet_pton(AF_INET, copy, bytes) == 1)
    *ip = ls_ip_of(bytes, 4);
  else if (inet_pton(AF_INET6, copy, bytes) == 1)
    *ip = ls_ip_of(bytes, 16);
  else
    return false;
  return true;
}

void ls_ip_text(const struct ls_ip *ip, char text[LS_IP_TEXT_SIZE]) {
  if (ip->len == 0 || inet_ntop(ip->len == 4 ? AF_INET : AF_INET6, ip->bytes, text, LS_IP_TEXT_SIZE) == NULL)
    *text = '\0';
}
