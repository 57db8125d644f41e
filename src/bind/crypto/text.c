/* SPDX-License-Identifier: MIT */
/* text: bytes as hexadecimal, base64 and base64url (RFC 4648), and back. */
#include "base/text.h"

#include "bind/crypto/impl.h"

static int encode(lua_State *L, enum ls_crypto_encoding encoding) {
  struct ls_slice bytes = ls_crypto_check_bytes(L, 1);
  return ls_crypto_push(L, bytes.ptr, bytes.len, encoding);
}

static int decode(lua_State *L, enum ls_crypto_encoding encoding, const char *name) {
  struct ls_slice text = ls_crypto_check_bytes(L, 1);
  luaL_Buffer buffer;
  unsigned char *bytes = (unsigned char *)luaL_buffinitsize(L, &buffer, text.len + 3);
  int64_t len = encoding == LS_CRYPTO_HEX
                    ? ls_hex_decode(text.ptr, text.len, bytes)
                    : ls_base64_decode(text.ptr, text.len, encoding == LS_CRYPTO_BASE64URL, bytes);
  if (len >= 0) {
    luaL_pushresultsize(&buffer, (size_t)len);
    return 1;
  }
  return ls_crypto_push_invalid(L, "no %s at byte %lld", name, (long long)-len);
}

/* crypto.hex_encode(bytes) -> string. In lower case. */
static int l_hex_encode(lua_State *L) {
  return encode(L, LS_CRYPTO_HEX);
}

/* crypto.hex_decode(text) -> string; or nil, message, "EINVAL" with the place. Any case; nothing else is skipped. */
static int l_hex_decode(lua_State *L) {
  return decode(L, LS_CRYPTO_HEX, "hex");
}

/* crypto.base64_encode(bytes) -> string. With padding, in one line (RFC 4648 4). */
static int l_base64_encode(lua_State *L) {
  return encode(L, LS_CRYPTO_BASE64);
}

/* crypto.base64_decode(text) -> string; or nil, message, "EINVAL" with the place. Strict: padding must be there, nothing
 * is skipped, and one value has one text. */
static int l_base64_decode(lua_State *L) {
  return decode(L, LS_CRYPTO_BASE64, "base64");
}

/* crypto.base64url_encode(bytes) -> string. For URLs and names of files: '-' and '_', without padding (RFC 4648 5). */
static int l_base64url_encode(lua_State *L) {
  return encode(L, LS_CRYPTO_BASE64URL);
}

/* crypto.base64url_decode(text) -> string; or nil, message, "EINVAL". As base64_decode; padding may be there or not. */
static int l_base64url_decode(lua_State *L) {
  return decode(L, LS_CRYPTO_BASE64URL, "base64url");
}

const luaL_Reg ls_crypto_text_functions[] = {{"hex_encode", l_hex_encode},
                                             {"hex_decode", l_hex_decode},
                                             {"base64_encode", l_base64_encode},
                                             {"base64_decode", l_base64_decode},
                                             {"base64url_encode", l_base64url_encode},
                                             {"base64url_decode", l_base64url_decode},
                                             {NULL, NULL}};
