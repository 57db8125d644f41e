/* SPDX-License-Identifier: MIT */
/* derive: keys from passwords: scrypt (RFC 7914) and PBKDF2 (RFC 8018), on the pool. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "bind/crypto/impl.h"
#include "script/options.h"

enum { LENGTH_MAX = 1024, SCRYPT_MEMORY_MAX = 1 << 30, ITERATIONS_MAX = 100 * 1000 * 1000 };

struct derive {
  struct ls_crypto_job job; /* its secret is the password, and behind it the salt */
  size_t salt_len;
  EVP_MD *md; /* PBKDF2's, a reference; NULL: scrypt */
  int iterations;
  uint64_t n, r, p;
  size_t length;
  unsigned char out[LENGTH_MAX];
};

static void run(struct ls_crypto_job *job) {
  struct derive *derive = (struct derive *)job;
  const char *password = (const char *)job->secret;
  size_t password_len = job->secret_len - derive->salt_len;
  const unsigned char *salt = job->secret + password_len;
  int well;
  if (derive->md != NULL)
    well = PKCS5_PBKDF2_HMAC(password, (int)password_len, salt, (int)derive->salt_len, derive->iterations, derive->md,
                             (int)derive->length, derive->out);
  else
    well = EVP_PBE_scrypt(password, password_len, salt, derive->salt_len, derive->n, derive->r, derive->p,
                          SCRYPT_MEMORY_MAX + (UINT64_C(1) << 24), derive->out, derive->length);
  if (!well)
    job->code = -ENOMEM;
}

static int push(lua_State *L, struct ls_crypto_job *job) {
  struct derive *derive = (struct derive *)job;
  if (job->code != 0)
    return ls_push_failure(L, job->code, NULL);
  lua_pushlstring(L, (const char *)derive->out, derive->length);
  return 1;
}

static void dispose(struct ls_crypto_job *job) {
  EVP_MD_free(((struct derive *)job)->md);
}

static const struct ls_crypto_call scrypt_call = {LS_CRYPTO_TYPE("crypto.scrypt"), run, push, dispose};
static const struct ls_crypto_call pbkdf2_call = {LS_CRYPTO_TYPE("crypto.pbkdf2"), run, push, dispose};

/* The option salt, which has to be there. */
static struct ls_slice check_salt(lua_State *L, int index, const char *function) {
  struct ls_slice salt = ls_option_bytes(L, index, "salt");
  if (salt.ptr == NULL)
    luaL_error(L, "%s: option 'salt' is missing: some random bytes that are kept with the result", function);
  if (salt.len > INT32_MAX)
    luaL_error(L, "%s: the salt is too long", function);
  return salt; /* the table holds it */
}

/* A job with the password and the salt. */
static struct derive *new_derive(lua_State *L, const struct ls_crypto_call *call, struct ls_slice password,
                                 struct ls_slice salt) {
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  luaL_addlstring(&buffer, password.ptr, password.len);
  luaL_addlstring(&buffer, salt.ptr, salt.len);
  luaL_pushresult(&buffer);
  struct derive *derive = ls_crypto_job_new(L, sizeof *derive, call, ls_crypto_check_bytes(L, -1));
  derive->salt_len = salt.len;
  return derive;
}

/* crypto.scrypt(password, options [, callback]) -> string
 * Async. A key from a password. options: salt (needed), n (a power of two: 32768), r (8), p (1), length (32 bytes). Takes
 * 128 * n * r bytes of memory, at most 1 GiB. Raises for options that make no sense.
 *   local key = crypto.scrypt(passphrase, { salt = salt }) */
static int l_scrypt(lua_State *L) {
  static const char *const known[] = {"length", "n", "p", "r", "salt", NULL};
  ls_op_check(L, 3, "crypto.scrypt");
  struct ls_slice password = ls_crypto_check_bytes(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  ls_options_check(L, 2, "crypto.scrypt", known);
  uint64_t n = (uint64_t)ls_option_integer(L, 2, "n", 2, 1 << 24, 1 << 15);
  uint64_t r = (uint64_t)ls_option_integer(L, 2, "r", 1, 1024, 8),
           p = (uint64_t)ls_option_integer(L, 2, "p", 1, 1024, 1);
  size_t length = (size_t)ls_option_integer(L, 2, "length", 1, LENGTH_MAX, 32);
  if ((n & (n - 1)) != 0)
    return luaL_error(L, "crypto.scrypt: option 'n' must be a power of two, not %I", (LUAI_UACINT)n);
  if (128 * n * r > SCRYPT_MEMORY_MAX)
    return luaL_error(L, "crypto.scrypt: that would take more than 1 GiB of memory");
  struct derive *derive = new_derive(L, &scrypt_call, password, check_salt(L, 2, "crypto.scrypt"));
  derive->n = n;
  derive->r = r;
  derive->p = p;
  derive->length = length;
  return ls_crypto_job_start(L, &derive->job, 3);
}

/* crypto.pbkdf2(algorithm, password, options [, callback]) -> string
 * Async. A key from a password, by the HMAC of a hash algorithm. options: salt (needed), iterations (needed: OWASP asks for
 * 600,000 with sha256), length (32 bytes). For what has to use it; new programs have scrypt. Raises for options that make no
 * sense.
 *   local key = crypto.pbkdf2("sha256", passphrase, { salt = salt, iterations = 600000 }) */
static int l_pbkdf2(lua_State *L) {
  static const char *const known[] = {"iterations", "length", "salt", NULL};
  ls_op_check(L, 4, "crypto.pbkdf2");
  EVP_MD *md = ls_crypto_digest(L, ls_crypto_check_digest(L, 1));
  struct ls_slice password = ls_crypto_check_bytes(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  luaL_argcheck(L, password.len <= INT32_MAX, 2, "a password of less than 2 GiB");
  ls_options_check(L, 3, "crypto.pbkdf2", known);
  int iterations = (int)ls_option_integer(L, 3, "iterations", 1, ITERATIONS_MAX, 0);
  if (iterations == 0)
    return luaL_error(L, "crypto.pbkdf2: option 'iterations' is missing");
  size_t length = (size_t)ls_option_integer(L, 3, "length", 1, LENGTH_MAX, 32);
  struct derive *derive = new_derive(L, &pbkdf2_call, password, check_salt(L, 3, "crypto.pbkdf2"));
  EVP_MD_up_ref(md);
  derive->md = md;
  derive->iterations = iterations;
  derive->length = length;
  return ls_crypto_job_start(L, &derive->job, 4);
}

const luaL_Reg ls_crypto_derive_functions[] = {{"scrypt", l_scrypt}, {"pbkdf2", l_pbkdf2}, {NULL, NULL}};
