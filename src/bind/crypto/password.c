/* SPDX-License-Identifier: MIT */
/* password: hashing passwords so that a stolen table of them is of little use: Argon2id (RFC 9106), or bcrypt; checking
 * those, and yescrypt, which Linux systems keep in /etc/shadow. All of it takes tens of milliseconds, on the pool.
 *
 *   $argon2id$v=19$m=19456,t=2,p=1$salt$hash    $2b$12$salt and hash    $y$j9T$salt$hash */
#include <argon2.h>
#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/crypto/impl.h"
#include "script/options.h"

/* OWASP's Password Storage Cheat Sheet for Argon2id; the cost of bcrypt is more than it asks for. */
enum { MEMORY_KIB = 19456, PASSES = 2, LANES = 1, COST = 12 };
/* What a hash may ask of this server when it is checked, whoever wrote it. */
enum { MEMORY_KIB_MAX = 1024 * 1024, PASSES_MAX = 32, LANES_MAX = 16, COST_MAX = 18, YESCRYPT_BITS_MAX = 17 };
enum { SALT = 16, HASH = 32, BCRYPT_MAX = 72 };

enum algorithm { ARGON2ID, BCRYPT, ARGON2I, YESCRYPT, UNKNOWN };

struct parameters {
  enum algorithm algorithm;
  unsigned memory, passes, lanes; /* Argon2 */
  unsigned cost;                  /* bcrypt, and for yescrypt the log2 of its blocks */
};

/* ---- reading hashes ---- */

static int find_in(const char *alphabet, char c) {
  const char *at = c != '\0' ? strchr(alphabet, c) : NULL;
  return at != NULL ? (int)(at - alphabet) : -1;
}

static bool read_argon2(const char *hash, struct parameters *parameters) {
  unsigned version;
  int end = 0;
  const char *rest = hash + (parameters->algorithm == ARGON2ID ? 10 : 9);
  if (sscanf(rest, "v=%u$m=%u,t=%u,p=%u$%n", &version, &parameters->memory, &parameters->passes, &parameters->lanes,
             &end) != 4 ||
      end == 0)
    return false;
  return version <= ARGON2_VERSION_13 && parameters->memory <= MEMORY_KIB_MAX && parameters->passes <= PASSES_MAX &&
         parameters->lanes <= LANES_MAX;
}

static bool read_bcrypt(const char *hash, struct parameters *parameters) {
  if (strlen(hash) != 60 || hash[6] != '$' || hash[4] < '0' || hash[4] > '3' || hash[5] < '0' || hash[5] > '9')
    return false;
  parameters->cost = (unsigned)(hash[4] - '0') * 10 + (unsigned)(hash[5] - '0');
  return parameters->cost >= 4 && parameters->cost <= COST_MAX;
}

/* Flavour, log2 of blocks less one, and block size less one, of a character each: what is written otherwise is larger than
 * what is taken here. */
static bool read_yescrypt(const char *hash, struct parameters *parameters) {
  static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  if (strlen(hash) < 7 || hash[3] != 'j' || hash[6] != '$')
    return false;
  int blocks = find_in(digits, hash[4]), size = find_in(digits, hash[5]);
  if (blocks < 0 || size < 0)
    return false;
  parameters->cost = (unsigned)blocks + 1;
  return parameters->cost <= YESCRYPT_BITS_MAX && size < 48;
}

static enum algorithm algorithm_of(const char *hash) {
  if (strncmp(hash, "$argon2id$", 10) == 0)
    return ARGON2ID;
  if (strncmp(hash, "$argon2i$", 9) == 0)
    return ARGON2I;
  if (strncmp(hash, "$2", 2) == 0 && find_in("aby", hash[2]) >= 0 && hash[3] == '$')
    return BCRYPT;
  return strncmp(hash, "$y$", 3) == 0 ? YESCRYPT : UNKNOWN;
}

/* Whether the hash is one, and asks for no more than it may. */
static bool read_hash(struct ls_slice hash, struct parameters *parameters) {
  *parameters = (struct parameters){.algorithm = algorithm_of(hash.ptr)};
  if (strlen(hash.ptr) != hash.len || hash.len > 512)
    return false;
  switch (parameters->algorithm) {
  case ARGON2ID:
  case ARGON2I:
    return read_argon2(hash.ptr, parameters);
  case BCRYPT:
    return read_bcrypt(hash.ptr, parameters);
  case YESCRYPT:
    return read_yescrypt(hash.ptr, parameters);
  case UNKNOWN:
    break;
  }
  return false;
}

/* ---- what programs ask for ---- */

static void read_options(lua_State *L, int index, const char *function, struct parameters *parameters) {
  static const char *const known[] = {"algorithm", "cost", "lanes", "memory", "passes", NULL};
  ls_options_check(L, index, function, known);
  const char *name = ls_option_string(L, index, "algorithm", "argon2id");
  if (strcmp(name, "argon2id") != 0 && strcmp(name, "bcrypt") != 0)
    luaL_error(L, "%s: unknown algorithm '%s': 'argon2id' or 'bcrypt'", function, name);
  parameters->algorithm = *name == 'a' ? ARGON2ID : BCRYPT;
  parameters->memory = (unsigned)(ls_option_integer(L, index, "memory", 8 * 1024, MEMORY_KIB_MAX * INT64_C(1024),
                                                    MEMORY_KIB * INT64_C(1024)) /
                                  1024);
  parameters->passes = (unsigned)ls_option_integer(L, index, "passes", 1, PASSES_MAX, PASSES);
  parameters->lanes = (unsigned)ls_option_integer(L, index, "lanes", 1, LANES_MAX, LANES);
  parameters->cost = (unsigned)ls_option_integer(L, index, "cost", 4, COST_MAX, COST);
  if (parameters->algorithm == ARGON2ID && parameters->memory < 8 * parameters->lanes)
    luaL_error(L, "%s: option 'memory' must be at least 8 KiB for each of the lanes", function);
}

/* ---- jobs ---- */

struct password {
  struct ls_crypto_job job; /* its secret is the password */
  struct parameters parameters;
  bool matches;
  char hash[520]; /* made, or to be checked */
};

static void run_argon2(struct password *password) {
  unsigned char salt[SALT];
  const struct parameters *p = &password->parameters;
  if (RAND_bytes(salt, sizeof salt) != 1 ||
      argon2id_hash_encoded(p->passes, p->memory, p->lanes, password->job.secret, password->job.secret_len, salt,
                            sizeof salt, HASH, password->hash, sizeof password->hash) != ARGON2_OK)
    password->job.code = -ENOMEM;
}

/* The password as crypt(3) hashes it by the settings in front of hash, into out. */
static bool run_crypt(const struct password *password, const char *settings, char *out, size_t size) {
  struct crypt_data *data = calloc(1, sizeof *data);
  if (data == NULL)
    return false;
  const char *result = crypt_r((const char *)password->job.secret, settings, data);
  bool well = result != NULL && *result != '*';
  if (well)
    snprintf(out, size, "%s", result);
  OPENSSL_cleanse(data, sizeof *data);
  free(data);
  return well;
}

static void run_bcrypt(struct password *password) {
  char random[SALT], settings[CRYPT_GENSALT_OUTPUT_SIZE];
  if (RAND_bytes((unsigned char *)random, sizeof random) != 1 ||
      crypt_gensalt_rn("$2b$", password->parameters.cost, random, sizeof random, settings, sizeof settings) == NULL ||
      !run_crypt(password, settings, password->hash, sizeof password->hash))
    password->job.code = -ENOMEM;
}

static void run_hash(struct ls_crypto_job *job) {
  struct password *password = (struct password *)job;
  if (password->parameters.algorithm == ARGON2ID)
    run_argon2(password);
  else
    run_bcrypt(password);
}

static int push_hash(lua_State *L, struct ls_crypto_job *job) {
  if (job->code != 0)
    return ls_push_failure(L, job->code, "password_hash");
  lua_pushstring(L, ((struct password *)job)->hash);
  return 1;
}

static const struct ls_crypto_call hash_call = {LS_CRYPTO_TYPE("crypto.password_hash"), run_hash, push_hash, NULL};

/* crypto.password_hash(password [, options] [, callback]) -> string; or nil, message, code
 * Async. A hash for storing, with its salt and its parameters in it. options: algorithm ("argon2id", or "bcrypt"); of
 * argon2id memory (bytes, 19 MiB), passes (2), lanes (1); of bcrypt cost (12). Fails with EINVAL for a password that bcrypt
 * would cut off: of more than 72 bytes, or with a NUL. Raises for unknown options.
 *   local hash = assert(crypto.password_hash(form.password)) */
static int l_password_hash(lua_State *L) {
  int callback_index = lua_isfunction(L, 2) ? 2 : 3;
  ls_op_check(L, callback_index, "crypto.password_hash");
  struct ls_slice secret = ls_crypto_check_bytes(L, 1);
  struct parameters parameters;
  read_options(L, callback_index == 3 ? 2 : 4, "crypto.password_hash", &parameters);
  struct password *password = ls_crypto_job_new(L, sizeof *password, &hash_call, secret);
  password->parameters = parameters;
  if (parameters.algorithm == BCRYPT && (secret.len > BCRYPT_MAX || strlen(secret.ptr) != secret.len)) {
    ls_crypto_job_free(&password->job.op);
    return ls_crypto_push_invalid(L, "bcrypt takes passwords of up to 72 bytes without NUL; argon2id takes any");
  }
  return ls_crypto_job_start(L, &password->job, callback_index);
}

/* ---- checking ---- */

static void run_verify(struct ls_crypto_job *job) {
  struct password *password = (struct password *)job;
  char again[sizeof password->hash];
  switch (password->parameters.algorithm) {
  case ARGON2ID:
  case ARGON2I: {
    argon2_type type = password->parameters.algorithm == ARGON2ID ? Argon2_id : Argon2_i;
    int result = argon2_verify(password->hash, job->secret, job->secret_len, type);
    password->matches = result == ARGON2_OK;
    if (result == ARGON2_MEMORY_ALLOCATION_ERROR)
      job->code = -ENOMEM;
    else if (result != ARGON2_OK && result != ARGON2_VERIFY_MISMATCH)
      job->code = -EINVAL;
    break;
  }
  default: /* a password with a NUL was never hashed: what is behind it must not be ignored */
    if (!run_crypt(password, password->hash, again, sizeof again))
      job->code = -EINVAL;
    else
      password->matches = strlen((const char *)job->secret) == job->secret_len &&
                          strlen(again) == strlen(password->hash) &&
                          CRYPTO_memcmp(again, password->hash, strlen(again)) == 0;
  }
}

static int push_verified(lua_State *L, struct ls_crypto_job *job) {
  if (job->code == -EINVAL)
    return ls_crypto_push_invalid(L, "this is no hash of a password");
  if (job->code != 0)
    return ls_push_failure(L, job->code, "password_verify");
  lua_pushboolean(L, ((struct password *)job)->matches);
  return 1;
}

static const struct ls_crypto_call verify_call = {LS_CRYPTO_TYPE("crypto.password_verify"), run_verify, push_verified,
                                                  NULL};

/* crypto.password_verify(password, hash [, callback]) -> boolean; or nil, message, code
 * Async. Whether hash is one of this password: Argon2id and Argon2i, bcrypt ($2a$, $2b$, $2y$), yescrypt ($y$). Fails with
 * EINVAL for what is no such hash, or asks for more than 1 GiB, 32 passes, a bcrypt cost of 18 or such of yescrypt.
 *   if crypto.password_verify(form.password, user.hash) then ... end */
static int l_password_verify(lua_State *L) {
  ls_op_check(L, 3, "crypto.password_verify");
  struct ls_slice secret = ls_crypto_check_bytes(L, 1), hash = ls_crypto_check_bytes(L, 2);
  struct parameters parameters;
  if (!read_hash(hash, &parameters))
    parameters.algorithm = UNKNOWN;
  struct password *password = ls_crypto_job_new(L, sizeof *password, &verify_call, secret);
  if (parameters.algorithm == UNKNOWN) {
    password->job.code = -EINVAL;
    ls_op_done(&password->job.op);
    return ls_op_await(L, &password->job.op, 3);
  }
  password->parameters = parameters;
  memcpy(password->hash, hash.ptr, hash.len + 1);
  return ls_crypto_job_start(L, &password->job, 3);
}

/* crypto.needs_rehash(hash [, options]) -> boolean
 * Whether a hash was made otherwise, or by less effort, than password_hash with these options would: then, when its
 * password has been verified, hash it anew. true also for what is no hash.
 *   if crypto.needs_rehash(user.hash) then user.hash = assert(crypto.password_hash(form.password)) end */
static int l_needs_rehash(lua_State *L) {
  struct ls_slice hash = ls_crypto_check_bytes(L, 1);
  struct parameters has, wanted;
  read_options(L, 2, "crypto.needs_rehash", &wanted);
  bool weaker = !read_hash(hash, &has) || has.algorithm != wanted.algorithm;
  if (!weaker && wanted.algorithm == ARGON2ID)
    weaker = has.memory < wanted.memory || has.passes < wanted.passes || has.lanes < wanted.lanes;
  else if (!weaker)
    weaker = has.cost < wanted.cost;
  lua_pushboolean(L, weaker);
  return 1;
}

const luaL_Reg ls_crypto_password_functions[] = {{"password_hash", l_password_hash},
                                                 {"password_verify", l_password_verify},
                                                 {"needs_rehash", l_needs_rehash},
                                                 {NULL, NULL}};
