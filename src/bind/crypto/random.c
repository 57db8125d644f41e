/* SPDX-License-Identifier: MIT */
/* random: bytes nobody can guess, numbers and UUIDs (RFC 9562) made of them; and comparing without telling by its time. */
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "bind/crypto/impl.h"

#define RANDOM_MAX (16 * 1024 * 1024)

static void fill(lua_State *L, void *bytes, size_t n) {
  if (RAND_bytes(bytes, (int)n) != 1)
    ls_crypto_raise(L, "no random bytes");
}

/* crypto.random_bytes(n [, encoding]) -> string
 * n bytes (up to 16 MiB) from OpenSSL's generator, which the system seeds. Never waits. Raises for another n.
 *   local token = crypto.random_bytes(32, "base64url") */
static int l_random_bytes(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= RANDOM_MAX, 1, "a number of bytes up to 16 MiB");
  enum ls_crypto_encoding encoding = ls_crypto_check_encoding(L, 2);
  char *bytes = lua_newuserdatauv(L, (size_t)n + 1, 0);
  fill(L, bytes, (size_t)n);
  ls_crypto_push(L, bytes, (size_t)n, encoding);
  OPENSSL_cleanse(bytes, (size_t)n);
  return 1;
}

/* crypto.random_integer(min, max) -> integer
 * From min to max, each with the same chance. Raises where max is less than min.
 *   local die = crypto.random_integer(1, 6) */
static int l_random_integer(lua_State *L) {
  lua_Integer min = luaL_checkinteger(L, 1), max = luaL_checkinteger(L, 2);
  luaL_argcheck(L, min <= max, 2, "at least the first number");
  uint64_t range = (uint64_t)max - (uint64_t)min, mask = range, value;
  for (unsigned shift = 1; shift < 64; shift *= 2)
    mask |= mask >> shift;
  do { /* what is over the range is thrown away: a remainder would favour small numbers */
    fill(L, &value, sizeof value);
    value &= mask;
  } while (value > range);
  lua_pushinteger(L, (lua_Integer)((uint64_t)min + value));
  return 1;
}

/* crypto.equal(a, b) -> boolean
 * Whether two strings are equal, in a time that does not depend on where they differ. It does tell whether their lengths
 * are the same.
 *   if not crypto.equal(signature, expected) then return res:send(403, "") end */
static int l_equal(lua_State *L) {
  struct ls_slice a = ls_crypto_check_bytes(L, 1), b = ls_crypto_check_bytes(L, 2);
  lua_pushboolean(L, a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
  return 1;
}

/* 48 bits of milliseconds, then a count of 12 bits, which begins anew at a random number each millisecond and goes on
 * within one, so that the UUIDs of a program come in order (RFC 9562 6.2, method 1). */
static void put_time(struct ls_crypto *crypto, unsigned char *bytes) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
  if (ms > crypto->uuid_ms) {
    crypto->uuid_ms = ms;
    crypto->uuid_count = (uint16_t)((bytes[6] << 8 | bytes[7]) & 0x7ff); /* the upper half is room to count */
  } else if (++crypto->uuid_count > 0xfff) {
    crypto->uuid_ms++;
    crypto->uuid_count = 0;
  }
  for (int i = 0; i < 6; i++)
    bytes[i] = (unsigned char)(crypto->uuid_ms >> (40 - 8 * i));
  bytes[6] = (unsigned char)(crypto->uuid_count >> 8);
  bytes[7] = (unsigned char)crypto->uuid_count;
}

/* crypto.uuid([version]) -> string
 * Version 4 (random; the default) or 7 (by time: those of one program come in order). Raises for another version.
 *   crypto.uuid()  --> for example 8f14e45f-ea3c-4a1d-9b1e-0b0f3c1c9d52 */
static int l_uuid(lua_State *L) {
  static const int starts[] = {0, 4, 6, 8, 10, 16};
  lua_Integer version = luaL_optinteger(L, 1, 4);
  luaL_argcheck(L, version == 4 || version == 7, 1, "a version of UUID that can be made: 4 or 7");
  unsigned char bytes[16];
  char text[36], *to = text;
  fill(L, bytes, sizeof bytes);
  if (version == 7)
    put_time(ls_crypto_of(L), bytes);
  bytes[6] = (unsigned char)((bytes[6] & 0x0f) | version << 4);
  bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
  for (int i = 0; i < 5; i++) {
    int count = starts[i + 1] - starts[i];
    ls_hex_encode(bytes + starts[i], (size_t)count, to);
    to += 2 * count;
    if (i < 4)
      *to++ = '-';
  }
  lua_pushlstring(L, text, sizeof text);
  return 1;
}

const luaL_Reg ls_crypto_random_functions[] = {{"random_bytes", l_random_bytes},
                                               {"random_integer", l_random_integer},
                                               {"equal", l_equal},
                                               {"uuid", l_uuid},
                                               {NULL, NULL}};
