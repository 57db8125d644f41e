/* SPDX-License-Identifier: MIT */
/* sign: signatures: RSA (RFC 8017: PSS or PKCS #1 v1.5), ECDSA (FIPS 186-4), Ed25519 (RFC 8032). */
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

#include "bind/crypto/impl.h"
#include "script/options.h"

struct scheme {
  int digest; /* of RSA and EC */
  bool is_ed25519;
  bool is_rsa;
  bool pkcs1; /* rather than PSS */
  bool raw;   /* an EC signature as r and s, as JOSE has it, rather than DER */
};

static bool read_choice(lua_State *L, int index, const char *option, const char *normal, const char *other) {
  const char *value = ls_option_string(L, index, option, normal);
  if (strcmp(value, normal) != 0 && strcmp(value, other) != 0)
    luaL_error(L, "option '%s' must be '%s' or '%s', not '%s'", option, normal, other, value);
  return strcmp(value, other) == 0;
}

static struct scheme read_scheme(lua_State *L, const EVP_PKEY *key, int index, const char *function) {
  static const char *const known[] = {"digest", "format", "padding", NULL};
  ls_options_check(L, index, function, known);
  struct scheme scheme = {.digest = ls_crypto_option_digest(L, index, "digest", "sha256")};
  scheme.is_ed25519 = EVP_PKEY_is_a(key, "ED25519");
  scheme.is_rsa = EVP_PKEY_is_a(key, "RSA");
  scheme.pkcs1 = read_choice(L, index, "padding", "pss", "pkcs1");
  scheme.raw = read_choice(L, index, "format", "der", "raw");
  return scheme;
}

static bool set_padding(EVP_PKEY_CTX *context, const struct scheme *scheme) {
  if (!scheme->is_rsa)
    return true;
  if (scheme->pkcs1)
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0;
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0;
}

/* Bytes of r and of s. */
static size_t number_size(const EVP_PKEY *key) {
  return ((size_t)EVP_PKEY_get_bits(key) + 7) / 8;
}

/* DER to r and s of fixed size. false: it is no signature. */
static bool to_raw(const unsigned char *der, size_t len, size_t size, unsigned char *raw) {
  ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &der, (long)len);
  bool well = parsed != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(parsed), raw, (int)size) >= 0 &&
              BN_bn2binpad(ECDSA_SIG_get0_s(parsed), raw + size, (int)size) >= 0;
  ECDSA_SIG_free(parsed);
  return well;
}

/* r and s to DER, which the caller frees with OPENSSL_free. Its length, or a negative number. */
static int from_raw(const unsigned char *raw, size_t size, unsigned char **der) {
  ECDSA_SIG *parsed = ECDSA_SIG_new();
  BIGNUM *r = BN_bin2bn(raw, (int)size, NULL), *s = BN_bin2bn(raw + size, (int)size, NULL);
  int len = -1;
  *der = NULL;
  if (parsed != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(parsed, r, s)) {
    r = s = NULL; /* they are its own now */
    len = i2d_ECDSA_SIG(parsed, der);
  }
  BN_free(r);
  BN_free(s);
  ECDSA_SIG_free(parsed);
  return len;
}

static bool sign(EVP_MD_CTX *context, EVP_PKEY *key, const struct scheme *scheme, struct ls_slice data,
                 unsigned char *out, size_t *len) {
  EVP_PKEY_CTX *pkey_context;
  const char *digest = scheme->is_ed25519 ? NULL : ls_crypto_digest_name(scheme->digest);
  return EVP_DigestSignInit_ex(context, &pkey_context, digest, NULL, NULL, key, NULL) > 0 &&
         set_padding(pkey_context, scheme) &&
         EVP_DigestSign(context, out, len, (const unsigned char *)data.ptr, data.len) > 0;
}

/* crypto.sign(key, data [, options]) -> string
 * The signature of data by a private key. options: digest ("sha256"; Ed25519 has its own), padding (of RSA: "pss", or
 * "pkcs1"), format (of ECDSA: "der", or "raw": r and s one after the other, as in JWT). Takes some 30 us for Ed25519 and
 * P-256, but a millisecond or more for RSA: for many of them use luaserve.pool. Raises for a public key.
 *   local signature = crypto.sign(key, message) */
static int l_sign(lua_State *L) {
  EVP_PKEY *key = ls_crypto_check_key(L, 1, true);
  struct ls_slice data = ls_crypto_check_bytes(L, 2);
  struct scheme scheme = read_scheme(L, key, 3, "crypto.sign");
  size_t len = (size_t)EVP_PKEY_get_size(key), size = number_size(key);
  bool raw = scheme.raw && EVP_PKEY_is_a(key, "EC");
  unsigned char *out = lua_newuserdatauv(L, len + 2 * size, 0), *numbers = out + len;
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  bool well = context != NULL && sign(context, key, &scheme, data, out, &len);
  EVP_MD_CTX_free(context);
  if (!well || (raw && !to_raw(out, len, size, numbers)))
    return ls_crypto_raise(L, "crypto.sign");
  if (raw)
    lua_pushlstring(L, (const char *)numbers, 2 * size);
  else
    lua_pushlstring(L, (const char *)out, len);
  return 1;
}

/* 1: valid; 0: not; negative: it could not be found out. */
static int verify(EVP_PKEY *key, const struct scheme *scheme, struct ls_slice data, const unsigned char *signature,
                  size_t len) {
  EVP_PKEY_CTX *pkey_context;
  const char *digest = scheme->is_ed25519 ? NULL : ls_crypto_digest_name(scheme->digest);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  int result = -1;
  if (context != NULL && EVP_DigestVerifyInit_ex(context, &pkey_context, digest, NULL, NULL, key, NULL) > 0 &&
      set_padding(pkey_context, scheme)) /* what is no signature at all gives a negative number here: also not valid */
    result = EVP_DigestVerify(context, signature, len, (const unsigned char *)data.ptr, data.len) == 1;
  EVP_MD_CTX_free(context);
  ERR_clear_error();
  return result;
}

/* crypto.verify(key, data, signature [, options]) -> boolean
 * Whether signature is one of data by the private half of key, which may itself be private or public. options as for sign,
 * and the same as there.
 *   if not crypto.verify(key, message, signature) then ... end */
static int l_verify(lua_State *L) {
  EVP_PKEY *key = ls_crypto_check_key(L, 1, false);
  struct ls_slice data = ls_crypto_check_bytes(L, 2), signature = ls_crypto_check_bytes(L, 3);
  struct scheme scheme = read_scheme(L, key, 4, "crypto.verify");
  int result = 0;
  if (!scheme.raw || !EVP_PKEY_is_a(key, "EC")) {
    result = verify(key, &scheme, data, (const unsigned char *)signature.ptr, signature.len);
  } else if (signature.len == 2 * number_size(key)) {
    unsigned char *der;
    int len = from_raw((const unsigned char *)signature.ptr, number_size(key), &der);
    if (len >= 0)
      result = verify(key, &scheme, data, der, (size_t)len);
    OPENSSL_free(der);
  }
  if (result < 0)
    return luaL_error(L, "crypto.verify: not possible with this key and these options");
  lua_pushboolean(L, result);
  return 1;
}

const luaL_Reg ls_crypto_sign_functions[] = {{"sign", l_sign}, {"verify", l_verify}, {NULL, NULL}};
