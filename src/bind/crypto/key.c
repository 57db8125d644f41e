/* SPDX-License-Identifier: MIT */
/* key: keys of RSA, ECDSA and Ed25519: read from PEM, made, and written as PEM. */
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <string.h>

#include "bind/crypto/impl.h"
#include "script/handle.h"
#include "script/options.h"

#define KEY "luaserve.key"

struct key {
  EVP_PKEY *pkey; /* NULL: not taken over yet */
  bool is_private;
};

/* ---- what is supported ---- */

static const struct kind {
  const char *name, *type, *openssl_type, *group;
} kinds[] = {
    {"ed25519", "ed25519", "ED25519", NULL}, {"p-256", "ec", "EC", "prime256v1"}, {"p-384", "ec", "EC", "secp384r1"},
    {"p-521", "ec", "EC", "secp521r1"},      {"rsa", "rsa", "RSA", NULL},
};

static const struct kind *kind_of(const EVP_PKEY *pkey) {
  char group[32] = "";
  size_t len;
  if (EVP_PKEY_is_a(pkey, "EC"))
    EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &len);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (EVP_PKEY_is_a(pkey, kinds[i].openssl_type) && (kinds[i].group == NULL || strcmp(group, kinds[i].group) == 0))
      return &kinds[i];
  return NULL;
}

/* ---- the object ---- */

/* To be filled: nothing is taken over before nothing can raise for memory any more. */
static struct key *push_empty(lua_State *L) {
  struct key *key = lua_newuserdatauv(L, sizeof *key, 0);
  *key = (struct key){NULL, false};
  luaL_setmetatable(L, KEY);
  return key;
}

int ls_crypto_push_public_key(lua_State *L, EVP_PKEY *pkey) {
  struct key *key = push_empty(L);
  EVP_PKEY_up_ref(pkey);
  key->pkey = pkey;
  return 1;
}

EVP_PKEY *ls_crypto_check_key(lua_State *L, int index, bool needs_private) {
  struct key *key = luaL_checkudata(L, index, KEY);
  if (needs_private && !key->is_private)
    luaL_argerror(L, index, "a private key is needed here, and this is a public one");
  return key->pkey;
}

static struct key *check(lua_State *L) {
  return luaL_checkudata(L, 1, KEY);
}

/* ---- reading ---- */

/* One try: a private or a public key of whatever form. */
static EVP_PKEY *decode(struct ls_slice text, struct ls_slice passphrase, int selection) {
  EVP_PKEY *pkey = NULL;
  OSSL_DECODER_CTX *context = OSSL_DECODER_CTX_new_for_pkey(&pkey, "PEM", NULL, NULL, selection, NULL, NULL);
  const unsigned char *at = (const unsigned char *)text.ptr;
  size_t left = text.len;
  if (context != NULL && passphrase.ptr != NULL)
    OSSL_DECODER_CTX_set_passphrase(context, (const unsigned char *)passphrase.ptr, passphrase.len);
  if (context == NULL || !OSSL_DECODER_from_data(context, &at, &left)) {
    EVP_PKEY_free(pkey);
    pkey = NULL;
  }
  OSSL_DECODER_CTX_free(context);
  return pkey;
}

/* crypto.key(pem [, passphrase]) -> key; or nil, message, "EINVAL"
 * A private or a public key from PEM text (PKCS #8, SubjectPublicKeyInfo, and the older forms of RSA and EC): RSA of at least
 * 1024 bits, ECDSA on P-256, P-384 and P-521, Ed25519. passphrase: of an encrypted one. Fields: type ("rsa", "ec",
 * "ed25519"), name ("rsa", "p-256", ...), bits, private.
 *   local key = assert(crypto.key(assert(fs.read_file("private.pem")))) */
static int l_key(lua_State *L) {
  struct ls_slice text = ls_crypto_check_bytes(L, 1), passphrase = ls_slice(NULL, 0);
  if (!lua_isnoneornil(L, 2))
    passphrase = ls_crypto_check_bytes(L, 2);
  struct key *key = push_empty(L);
  key->pkey = decode(text, passphrase, EVP_PKEY_KEYPAIR);
  key->is_private = key->pkey != NULL;
  if (key->pkey == NULL)
    key->pkey = decode(text, passphrase, EVP_PKEY_PUBLIC_KEY);
  ERR_clear_error();
  if (key->pkey == NULL)
    return ls_crypto_push_invalid(L, strstr(text.ptr, "ENCRYPTED") != NULL ? "the key is encrypted: another passphrase?"
                                                                           : "no key in PEM is there");
  if (kind_of(key->pkey) == NULL)
    return ls_crypto_push_invalid(L, "a kind of key that is not supported: RSA, ECDSA (P-256, P-384, P-521), Ed25519");
  if (EVP_PKEY_is_a(key->pkey, "RSA") && EVP_PKEY_get_bits(key->pkey) < 1024)
    return ls_crypto_push_invalid(L, "an RSA key of %d bits is too short", EVP_PKEY_get_bits(key->pkey));
  return 1;
}

/* ---- making ---- */

struct generate {
  struct ls_crypto_job job;
  const struct kind *kind;
  unsigned bits;
  EVP_PKEY *pkey;
};

static void run_generate(struct ls_crypto_job *job) {
  struct generate *generate = (struct generate *)job;
  const struct kind *kind = generate->kind;
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind->openssl_type, NULL);
  OSSL_PARAM params[2] = {OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end()};
  if (kind->group != NULL)
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)kind->group, 0);
  else if (strcmp(kind->name, "rsa") == 0)
    params[0] = OSSL_PARAM_construct_uint(OSSL_PKEY_PARAM_RSA_BITS, &generate->bits);
  if (context == NULL || EVP_PKEY_keygen_init(context) <= 0 || !EVP_PKEY_CTX_set_params(context, params) ||
      EVP_PKEY_generate(context, &generate->pkey) <= 0)
    job->code = -ENOMEM;
  EVP_PKEY_CTX_free(context);
}

static int push_generated(lua_State *L, struct ls_crypto_job *job) {
  struct generate *generate = (struct generate *)job;
  if (job->code != 0)
    return ls_push_failure(L, job->code, "generate");
  struct key *key = push_empty(L);
  *key = (struct key){generate->pkey, true};
  generate->pkey = NULL;
  return 1;
}

static void dispose_generate(struct ls_crypto_job *job) {
  EVP_PKEY_free(((struct generate *)job)->pkey);
}

static const struct ls_crypto_call generate_call = {LS_CRYPTO_TYPE("crypto.generate_key"), run_generate, push_generated,
                                                    dispose_generate};

static const struct kind *check_kind(lua_State *L) {
  static const char *const names[] = {"ed25519", "p-256", "p-384", "p-521", "rsa", NULL};
  return &kinds[luaL_checkoption(L, 1, NULL, names)];
}

/* crypto.generate_key(name [, options] [, callback]) -> key
 * Async. A new private key: "ed25519", "p-256", "p-384", "p-521" or "rsa", with options.bits (2048 to 8192, 3072 unless
 * given: some tenths of a second on the pool). Raises for another name.
 *   local key = crypto.generate_key("ed25519") */
static int l_generate_key(lua_State *L) {
  static const char *const known[] = {"bits", NULL};
  int callback_index = lua_isfunction(L, 2) ? 2 : 3;
  ls_op_check(L, callback_index, "crypto.generate_key");
  const struct kind *kind = check_kind(L);
  unsigned bits = 3072;
  if (callback_index == 3) {
    ls_options_check(L, 2, "crypto.generate_key", known);
    bits = (unsigned)ls_option_integer(L, 2, "bits", 2048, 8192, bits);
  }
  struct generate *generate = ls_crypto_job_new(L, sizeof *generate, &generate_call, ls_slice("", 0));
  generate->kind = kind;
  generate->bits = bits;
  return ls_crypto_job_start(L, &generate->job, callback_index);
}

/* ---- methods ---- */

/* key:to_pem([passphrase]) -> string
 * A private key as PKCS #8, encrypted by AES-256-CBC with a passphrase; a public one as SubjectPublicKeyInfo. */
static int l_to_pem(lua_State *L) {
  struct key *key = check(L);
  struct ls_slice passphrase = ls_slice(NULL, 0);
  if (!lua_isnoneornil(L, 2))
    passphrase = ls_crypto_check_bytes(L, 2);
  int selection = key->is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
  const char *structure = key->is_private ? "PrivateKeyInfo" : "SubjectPublicKeyInfo";
  OSSL_ENCODER_CTX *context = OSSL_ENCODER_CTX_new_for_pkey(key->pkey, selection, "PEM", structure, NULL);
  unsigned char *text = NULL;
  size_t len = 0;
  if (context != NULL && key->is_private && passphrase.ptr != NULL) {
    OSSL_ENCODER_CTX_set_cipher(context, "AES-256-CBC", NULL);
    OSSL_ENCODER_CTX_set_passphrase(context, (const unsigned char *)passphrase.ptr, passphrase.len);
  }
  if (context == NULL || !OSSL_ENCODER_to_data(context, &text, &len)) {
    OSSL_ENCODER_CTX_free(context);
    return ls_crypto_raise(L, "key:to_pem");
  }
  OSSL_ENCODER_CTX_free(context);
  lua_settop(L, 1);
  char *copy = lua_newuserdatauv(L, len, 0); /* pushing a string may raise, and then text would leak */
  memcpy(copy, text, len);
  OPENSSL_clear_free(text, len);
  lua_pushlstring(L, copy, len);
  OPENSSL_cleanse(copy, len);
  return 1;
}

/* key:public() -> key. The public half, of which nobody can get the private one. */
static int l_public(lua_State *L) {
  struct key *key = check(L);
  struct key *copy = push_empty(L);
  unsigned char *der = NULL;
  size_t len = 0;
  OSSL_ENCODER_CTX *encoder =
      OSSL_ENCODER_CTX_new_for_pkey(key->pkey, EVP_PKEY_PUBLIC_KEY, "DER", "SubjectPublicKeyInfo", NULL);
  if (encoder != NULL && OSSL_ENCODER_to_data(encoder, &der, &len)) {
    const unsigned char *at = der;
    OSSL_DECODER_CTX *decoder =
        OSSL_DECODER_CTX_new_for_pkey(&copy->pkey, "DER", NULL, NULL, EVP_PKEY_PUBLIC_KEY, NULL, NULL);
    if (decoder != NULL)
      OSSL_DECODER_from_data(decoder, &at, &len);
    OSSL_DECODER_CTX_free(decoder);
  }
  OPENSSL_free(der);
  OSSL_ENCODER_CTX_free(encoder);
  return copy->pkey != NULL ? 1 : ls_crypto_raise(L, "key:public");
}

static int l_index(lua_State *L) {
  struct key *key = check(L);
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "type") == 0)
    lua_pushstring(L, kind_of(key->pkey)->type);
  else if (strcmp(name, "name") == 0)
    lua_pushstring(L, kind_of(key->pkey)->name);
  else if (strcmp(name, "bits") == 0)
    lua_pushinteger(L, EVP_PKEY_get_bits(key->pkey));
  else if (strcmp(name, "private") == 0)
    lua_pushboolean(L, key->is_private);
  else
    lua_getfield(L, lua_upvalueindex(1), name);
  return 1;
}

static int l_gc(lua_State *L) {
  struct key *key = check(L);
  EVP_PKEY_free(key->pkey);
  key->pkey = NULL;
  return 0;
}

/* tostring(key) -> "key (p-256, private)": nothing secret */
static int l_tostring(lua_State *L) {
  struct key *key = check(L);
  lua_pushfstring(L, "key (%s, %s)", kind_of(key->pkey)->name, key->is_private ? "private" : "public");
  return 1;
}

void ls_crypto_key_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"public", l_public}, {"to_pem", l_to_pem}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", l_gc}, {"__tostring", l_tostring}, {NULL, NULL}};
  ls_handle_type(L, KEY, methods, metamethods);
  luaL_getmetatable(L, KEY);
  lua_getfield(L, -1, "__index");
  lua_pushcclosure(L, l_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

const luaL_Reg ls_crypto_key_functions[] = {{"key", l_key}, {"generate_key", l_generate_key}, {NULL, NULL}};
