/* SPDX-License-Identifier: MIT */
/* aead: sealing data under a key so that nobody reads or changes it: AES-256-GCM (NIST SP 800-38D) and ChaCha20-Poly1305
 * (RFC 8439). The nonce is made here, because using one twice undoes everything. A box is
 *
 *   algorithm (1 byte: 1 or 2)  nonce (12)  ciphertext (as long as the plaintext)  tag (16) */
#include <openssl/rand.h>
#include <string.h>

#include "bind/crypto/impl.h"
#include "script/options.h"

enum { KEY = LS_CRYPTO_SEAL_KEY, NONCE = 12, TAG = 16, OVERHEAD = 1 + NONCE + TAG, ANY = -1 };

static const char *const names[] = {"aes-256-gcm", "chacha20-poly1305", NULL};
static const char *const openssl_names[] = {"AES-256-GCM", "ChaCha20-Poly1305"};

static EVP_CIPHER *cipher_of(lua_State *L, int algorithm) {
  struct ls_crypto *crypto = ls_crypto_of(L);
  if (crypto->ciphers[algorithm] == NULL)
    crypto->ciphers[algorithm] = EVP_CIPHER_fetch(NULL, openssl_names[algorithm], NULL);
  if (crypto->ciphers[algorithm] == NULL)
    ls_crypto_raise(L, names[algorithm]);
  return crypto->ciphers[algorithm];
}

/* Ready for the key, but for the nonce. Who fails with it says that it has none any more. Nothing that Lua allocates comes
 * between this and its use: a finalizer may seal with another key. */
static struct ls_crypto_sealer *sealer_of(lua_State *L, int algorithm, bool seals, struct ls_slice key) {
  struct ls_crypto_sealer *sealer = &ls_crypto_of(L)->sealers[algorithm][seals];
  if (sealer->keyed && CRYPTO_memcmp(sealer->key, key.ptr, KEY) == 0)
    return sealer;
  sealer->keyed = false;
  const EVP_CIPHER *cipher = cipher_of(L, algorithm);
  if (sealer->context == NULL)
    sealer->context = EVP_CIPHER_CTX_new();
  const unsigned char *bytes = (const unsigned char *)key.ptr;
  if (sealer->context == NULL || !EVP_CipherInit_ex2(sealer->context, cipher, bytes, NULL, seals, NULL))
    ls_crypto_raise(L, names[algorithm]);
  memcpy(sealer->key, key.ptr, KEY);
  sealer->keyed = true;
  return sealer;
}

void ls_crypto_dispose_sealers(struct ls_crypto *crypto) {
  for (int i = 0; i < LS_CRYPTO_SEALS; i++)
    for (int seals = 0; seals < 2; seals++)
      EVP_CIPHER_CTX_free(crypto->sealers[i][seals].context);
  OPENSSL_cleanse(crypto->sealers, sizeof crypto->sealers);
}

/* The options at index 3. */
static int read_options(lua_State *L, const char *function, int fallback, struct ls_slice *aad) {
  static const char *const known[] = {"aad", "algorithm", NULL};
  lua_settop(L, 3);
  ls_options_check(L, 3, function, known);
  *aad = ls_option_bytes(L, 3, "aad"); /* the table holds it */
  const char *name = ls_option_string(L, 3, "algorithm", NULL);
  if (name == NULL)
    return fallback;
  for (int i = 0; names[i] != NULL; i++)
    if (strcmp(name, names[i]) == 0)
      return i;
  return luaL_error(L, "%s: unknown algorithm '%s': 'aes-256-gcm' or 'chacha20-poly1305'", function, name);
}

static struct ls_slice check_key(lua_State *L) {
  struct ls_slice key = ls_crypto_check_bytes(L, 1);
  if (key.len != KEY)
    luaL_error(L, "the key must be 32 bytes, not %d: crypto.random_bytes(32), or crypto.hkdf of another key",
               (int)key.len);
  return key;
}

static struct ls_slice check_data(lua_State *L) {
  struct ls_slice data = ls_crypto_check_bytes(L, 2);
  luaL_argcheck(L, data.len <= INT32_MAX - OVERHEAD, 2, "data of up to 2 GiB");
  return data;
}

static bool seal(EVP_CIPHER_CTX *context, struct ls_slice aad, struct ls_slice data, unsigned char *box) {
  unsigned char *nonce = box + 1, *coded = nonce + NONCE;
  int len = 0, rest = 0;
  return RAND_bytes(nonce, NONCE) == 1 && EVP_EncryptInit_ex2(context, NULL, NULL, nonce, NULL) &&
         (aad.len == 0 || EVP_EncryptUpdate(context, NULL, &len, (const unsigned char *)aad.ptr, (int)aad.len)) &&
         (data.len == 0 || EVP_EncryptUpdate(context, coded, &len, (const unsigned char *)data.ptr, (int)data.len)) &&
         EVP_EncryptFinal_ex(context, coded + data.len, &rest) &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, coded + data.len);
}

/* crypto.encrypt(key, data [, options]) -> string
 * data, sealed: nobody without the key can read it, or change it unnoticed. key: 32 random bytes. options: algorithm
 * ("aes-256-gcm" or "chacha20-poly1305"), aad (a string that has to be the same when it is opened, and is not in the box).
 * The same data gives another box each time, 29 bytes longer. One key is good for 2^32 boxes (NIST SP 800-38D 8.3). Raises
 * for another key. Takes about 1 ms a MiB.
 *   local box = crypto.encrypt(key, json.encode(session), { aad = "session" }) */
static int l_encrypt(lua_State *L) {
  struct ls_slice key = check_key(L), data = check_data(L), aad;
  int algorithm = read_options(L, "crypto.encrypt", 0, &aad);
  luaL_Buffer buffer;
  unsigned char *box = (unsigned char *)luaL_buffinitsize(L, &buffer, data.len + OVERHEAD);
  struct ls_crypto_sealer *sealer = sealer_of(L, algorithm, true, key);
  box[0] = (unsigned char)(algorithm + 1);
  if (!seal(sealer->context, aad, data, box)) {
    sealer->keyed = false;
    return ls_crypto_raise(L, "crypto.encrypt");
  }
  luaL_pushresultsize(&buffer, data.len + OVERHEAD);
  return 1;
}

static bool open_box(EVP_CIPHER_CTX *context, struct ls_slice aad, struct ls_slice box, unsigned char *out) {
  const unsigned char *nonce = (const unsigned char *)box.ptr + 1, *coded = nonce + NONCE;
  size_t data_len = box.len - OVERHEAD;
  int len = 0, rest = 0;
  return EVP_DecryptInit_ex2(context, NULL, NULL, nonce, NULL) &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, (void *)(uintptr_t)(coded + data_len)) &&
         (aad.len == 0 || EVP_DecryptUpdate(context, NULL, &len, (const unsigned char *)aad.ptr, (int)aad.len)) &&
         (data_len == 0 || EVP_DecryptUpdate(context, out, &len, coded, (int)data_len)) &&
         EVP_DecryptFinal_ex(context, out + data_len, &rest) > 0;
}

/* crypto.decrypt(key, box [, options]) -> string; or nil, message, "EINVAL"
 * What crypto.encrypt has sealed. Fails for another key, another aad, and for a box that is none or was changed; nothing
 * tells which. options as for encrypt; with algorithm no other is taken. Raises as encrypt.
 *   local text = crypto.decrypt(key, box, { aad = "session" }) */
static int l_decrypt(lua_State *L) {
  struct ls_slice key = check_key(L), box = check_data(L), aad;
  int wanted = read_options(L, "crypto.decrypt", ANY, &aad);
  int algorithm = box.len < OVERHEAD ? ANY : (unsigned char)box.ptr[0] - 1;
  bool known = algorithm == 0 || algorithm == 1;
  if (!known || (wanted != ANY && wanted != algorithm))
    return ls_crypto_push_invalid(L, "the box does not open");
  luaL_Buffer buffer;
  unsigned char *out = (unsigned char *)luaL_buffinitsize(L, &buffer, box.len);
  struct ls_crypto_sealer *sealer = sealer_of(L, algorithm, false, key);
  if (!open_box(sealer->context, aad, box, out)) {
    sealer->keyed = false;
    OPENSSL_cleanse(out, box.len - OVERHEAD); /* nobody may use what was not proven */
    return ls_crypto_push_invalid(L, "the box does not open");
  }
  luaL_pushresultsize(&buffer, box.len - OVERHEAD);
  return 1;
}

const luaL_Reg ls_crypto_aead_functions[] = {{"encrypt", l_encrypt}, {"decrypt", l_decrypt}, {NULL, NULL}};
