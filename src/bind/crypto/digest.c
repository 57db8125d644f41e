/* SPDX-License-Identifier: MIT */
/* digest: hashes, in one go and piece by piece, HMAC (RFC 2104) and HKDF (RFC 5869). */
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "bind/crypto/impl.h"
#include "script/handle.h"
#include "script/options.h"

#define HASHER "luaserve.hasher"

/* As programs name them, and as OpenSSL does. */
static const char *const names[LS_CRYPTO_DIGESTS + 1] = {
    "md5",      "sha1",     "sha224",   "sha256",     "sha384",     "sha512",    "sha512-256", "sha3-224",
    "sha3-256", "sha3-384", "sha3-512", "blake2b512", "blake2s256", "ripemd160", NULL};
static const char *const openssl_names[LS_CRYPTO_DIGESTS] = {
    "MD5",      "SHA1",     "SHA2-224", "SHA2-256", "SHA2-384",    "SHA2-512",    "SHA2-512/256",
    "SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512", "BLAKE2B-512", "BLAKE2S-256", "RIPEMD160"};

const char *ls_crypto_digest_name(int digest) {
  return openssl_names[digest];
}

static int find_digest(lua_State *L, const char *name) {
  for (int i = 0; i < LS_CRYPTO_DIGESTS; i++)
    if (strcmp(name, names[i]) == 0)
      return i;
  const char *nearest = ls_options_nearest(name, names);
  if (nearest != NULL)
    return luaL_error(L, "unknown hash algorithm '%s' (did you mean '%s'?)", name, nearest);
  return luaL_error(L, "unknown hash algorithm '%s'", name);
}

int ls_crypto_check_digest(lua_State *L, int index) {
  return find_digest(L, luaL_checkstring(L, index));
}

int ls_crypto_option_digest(lua_State *L, int index, const char *option, const char *fallback) {
  return find_digest(L, ls_option_string(L, index, option, fallback));
}

EVP_MD *ls_crypto_digest(lua_State *L, int digest) {
  struct ls_crypto *crypto = ls_crypto_of(L);
  if (crypto->digests[digest] == NULL)
    crypto->digests[digest] = EVP_MD_fetch(NULL, openssl_names[digest], NULL);
  if (crypto->digests[digest] == NULL)
    ls_crypto_raise(L, names[digest]); /* where OpenSSL's configuration leaves it out */
  return crypto->digests[digest];
}

/* ---- hashes ---- */

/* crypto.hash(algorithm, data [, encoding]) -> string
 * The hash of data (FIPS 180-4, FIPS 202, RFC 7693): its bytes, or as "hex", "base64" or "base64url". algorithm: "sha256",
 * "sha512", "sha3-256", "blake2b512" and others; "md5" and "sha1" are there for old protocols, not for security. Raises for
 * an unknown algorithm.
 *   crypto.hash("sha256", "abc", "hex") */
static int l_hash(lua_State *L) {
  struct ls_crypto *crypto = ls_crypto_of(L);
  EVP_MD *md = ls_crypto_digest(L, ls_crypto_check_digest(L, 1));
  struct ls_slice data = ls_crypto_check_bytes(L, 2);
  enum ls_crypto_encoding encoding = ls_crypto_check_encoding(L, 3);
  unsigned char out[LS_CRYPTO_DIGEST_MAX];
  unsigned len;
  if (crypto->md == NULL)
    crypto->md = EVP_MD_CTX_new();
  if (crypto->md == NULL || !EVP_DigestInit_ex2(crypto->md, md, NULL) ||
      !EVP_DigestUpdate(crypto->md, data.ptr, data.len) || !EVP_DigestFinal_ex(crypto->md, out, &len))
    return ls_crypto_raise(L, "crypto.hash");
  return ls_crypto_push(L, out, len, encoding);
}

/* ---- hashers: of a hash or an HMAC, whose context is the one or the other ---- */

struct hasher {
  EVP_MD_CTX *md;
  EVP_MAC_CTX *mac;
  const char *name;
  bool ended;
};

static struct hasher *push_hasher(lua_State *L, const char *name) {
  struct hasher *hasher = lua_newuserdatauv(L, sizeof *hasher, 0);
  *hasher = (struct hasher){.name = name};
  luaL_setmetatable(L, HASHER);
  return hasher;
}

static struct hasher *check_hasher(lua_State *L) {
  struct hasher *hasher = luaL_checkudata(L, 1, HASHER);
  if (hasher->ended)
    luaL_error(L, "the hash is complete");
  return hasher;
}

/* crypto.hasher(algorithm) -> hasher
 * A hash that is fed piece by piece: h:update(data), then h:digest([encoding]). Raises for an unknown algorithm.
 *   crypto.hasher("sha256"):update("a"):update("bc"):digest("hex") */
static int l_hasher(lua_State *L) {
  int digest = ls_crypto_check_digest(L, 1);
  EVP_MD *md = ls_crypto_digest(L, digest);
  struct hasher *hasher = push_hasher(L, names[digest]);
  hasher->md = EVP_MD_CTX_new();
  if (hasher->md == NULL || !EVP_DigestInit_ex2(hasher->md, md, NULL))
    return ls_crypto_raise(L, "crypto.hasher");
  return 1;
}

static EVP_MAC_CTX *begin_mac(lua_State *L, int digest, struct ls_slice key) {
  struct ls_crypto *crypto = ls_crypto_of(L);
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)openssl_names[digest], 0),
      OSSL_PARAM_construct_end()};
  if (crypto->hmac == NULL)
    crypto->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  EVP_MAC_CTX *mac = crypto->hmac != NULL ? EVP_MAC_CTX_new(crypto->hmac) : NULL;
  static const unsigned char empty[1] = {0}; /* a key of no bytes is not the same as none */
  if (mac != NULL && EVP_MAC_init(mac, key.len != 0 ? (const unsigned char *)key.ptr : empty, key.len, params))
    return mac;
  EVP_MAC_CTX_free(mac);
  ls_crypto_raise(L, "crypto.hmac");
  return NULL;
}

/* crypto.hmac(algorithm, key, data [, encoding]) -> string
 * The HMAC of data under key (RFC 2104). Compare it by crypto.equal. Raises for an unknown algorithm.
 *   crypto.hmac("sha256", key, body, "hex") */
static int l_hmac(lua_State *L) {
  int digest = ls_crypto_check_digest(L, 1);
  struct ls_slice key = ls_crypto_check_bytes(L, 2), data = ls_crypto_check_bytes(L, 3);
  enum ls_crypto_encoding encoding = ls_crypto_check_encoding(L, 4);
  unsigned char out[LS_CRYPTO_DIGEST_MAX];
  size_t len;
  EVP_MAC_CTX *mac = begin_mac(L, digest, key);
  bool well =
      EVP_MAC_update(mac, (const unsigned char *)data.ptr, data.len) && EVP_MAC_final(mac, out, &len, sizeof out);
  EVP_MAC_CTX_free(mac);
  return well ? ls_crypto_push(L, out, len, encoding) : ls_crypto_raise(L, "crypto.hmac");
}

/* crypto.hmacer(algorithm, key) -> hasher
 * An HMAC that is fed piece by piece, as crypto.hasher. */
static int l_hmacer(lua_State *L) {
  int digest = ls_crypto_check_digest(L, 1);
  struct ls_slice key = ls_crypto_check_bytes(L, 2);
  struct hasher *hasher = push_hasher(L, names[digest]);
  hasher->mac = begin_mac(L, digest, key);
  return 1;
}

/* h:update(data, ...) -> h. Raises when the hash is complete. */
static int l_update(lua_State *L) {
  struct hasher *hasher = check_hasher(L);
  int count = lua_gettop(L);
  for (int i = 2; i <= count; i++) {
    struct ls_slice data = ls_crypto_check_bytes(L, i);
    int well = hasher->md != NULL ? EVP_DigestUpdate(hasher->md, data.ptr, data.len)
                                  : EVP_MAC_update(hasher->mac, (const unsigned char *)data.ptr, data.len);
    if (!well)
      return ls_crypto_raise(L, "update");
  }
  lua_settop(L, 1);
  return 1;
}

/* h:digest([encoding]) -> string. The end: h takes no more. Raises when it is complete already. */
static int l_digest(lua_State *L) {
  struct hasher *hasher = check_hasher(L);
  enum ls_crypto_encoding encoding = ls_crypto_check_encoding(L, 2);
  unsigned char out[LS_CRYPTO_DIGEST_MAX];
  unsigned md_len = 0;
  size_t len = 0;
  hasher->ended = true;
  int well = hasher->md != NULL ? EVP_DigestFinal_ex(hasher->md, out, &md_len)
                                : EVP_MAC_final(hasher->mac, out, &len, sizeof out);
  if (!well)
    return ls_crypto_raise(L, "digest");
  return ls_crypto_push(L, out, len + md_len, encoding);
}

/* h:copy() -> hasher. Another one that has been fed the same. */
static int l_copy(lua_State *L) {
  struct hasher *hasher = check_hasher(L), *copy = push_hasher(L, hasher->name);
  if (hasher->mac != NULL) {
    copy->mac = EVP_MAC_CTX_dup(hasher->mac);
  } else {
    copy->md = EVP_MD_CTX_new();
    if (copy->md != NULL && !EVP_MD_CTX_copy_ex(copy->md, hasher->md))
      return ls_crypto_raise(L, "copy");
  }
  return copy->mac != NULL || copy->md != NULL ? 1 : ls_crypto_raise(L, "copy");
}

/* h:close(), __close, __gc. Forgets what it was fed; harmless when done already. */
static int l_close(lua_State *L) {
  struct hasher *hasher = luaL_checkudata(L, 1, HASHER);
  EVP_MD_CTX_free(hasher->md);
  EVP_MAC_CTX_free(hasher->mac);
  hasher->md = NULL;
  hasher->mac = NULL;
  hasher->ended = true;
  return 0;
}

static int l_tostring(lua_State *L) {
  struct hasher *hasher = luaL_checkudata(L, 1, HASHER);
  lua_pushfstring(L, "hasher (%s%s)", hasher->name, hasher->ended ? ", complete" : "");
  return 1;
}

void ls_crypto_digest_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"update", l_update}, {"digest", l_digest}, {"copy", l_copy}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", l_close}, {"__close", l_close}, {"__tostring", l_tostring}, {NULL, NULL}};
  ls_handle_type(L, HASHER, methods, metamethods);
}

/* ---- HKDF ---- */

/* crypto.hkdf(algorithm, key, options) -> string
 * length bytes of key material from a key that has enough entropy, which passwords have not (RFC 5869). options: length
 * (bytes, up to 255 times the hash), salt and info ("" unless given). Raises for options that make no sense.
 *   crypto.hkdf("sha256", secret, { info = "cookies", length = 32 }) */
static int l_hkdf(lua_State *L) {
  static const char *const known[] = {"info", "length", "salt", NULL};
  int digest = ls_crypto_check_digest(L, 1);
  struct ls_slice key = ls_crypto_check_bytes(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  ls_options_check(L, 3, "crypto.hkdf", known);
  EVP_MD *md = ls_crypto_digest(L, digest);
  lua_Integer length = ls_option_integer(L, 3, "length", 1, 255 * EVP_MD_get_size(md), 0);
  if (length == 0)
    return luaL_error(L, "crypto.hkdf: option 'length' is missing: how many bytes?");
  lua_settop(L, 3);
  lua_getfield(L, 3, "salt");
  lua_getfield(L, 3, "info");
  size_t salt_len = 0, info_len = 0;
  const char *salt = luaL_optlstring(L, 4, "", &salt_len), *info = luaL_optlstring(L, 5, "", &info_len);
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)openssl_names[digest], 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key.ptr, key.len),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, salt_len),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, info_len),
      OSSL_PARAM_construct_end()};
  luaL_Buffer buffer;
  unsigned char *out = (unsigned char *)luaL_buffinitsize(L, &buffer, (size_t)length);
  EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
  EVP_KDF_CTX *context = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;
  bool well = context != NULL && EVP_KDF_derive(context, out, (size_t)length, params) > 0;
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(kdf);
  if (!well)
    return ls_crypto_raise(L, "crypto.hkdf");
  luaL_pushresultsize(&buffer, (size_t)length);
  return 1;
}

const luaL_Reg ls_crypto_digest_functions[] = {{"hash", l_hash},     {"hasher", l_hasher}, {"hmac", l_hmac},
                                               {"hmacer", l_hmacer}, {"hkdf", l_hkdf},     {NULL, NULL}};
