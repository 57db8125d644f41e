/* SPDX-License-Identifier: MIT */
/* impl: what the files of luaserve.crypto share: the module's state, with the algorithms of OpenSSL that it has fetched;
 * encodings of results; and jobs, for what takes long.
 *
 * Everything is OpenSSL 3's EVP. Its queue of errors is the thread's: whoever meets a failure empties it. */
#ifndef LS_BIND_CRYPTO_IMPL_H
#define LS_BIND_CRYPTO_IMPL_H

#include <lauxlib.h>
#include <lua.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "loop/work.h"
#include "script/op.h"

#define LS_CRYPTO_DIGESTS 14
#define LS_CRYPTO_DIGEST_MAX EVP_MAX_MD_SIZE
#define LS_CRYPTO_SEALS 2
#define LS_CRYPTO_SEAL_KEY 32

/* What seals or opens with a key, kept with it for as long as that is the one that is used: to make it ready takes as long as
 * sealing a page. */
struct ls_crypto_sealer {
  EVP_CIPHER_CTX *context; /* NULL: not used yet */
  bool keyed;
  unsigned char key[LS_CRYPTO_SEAL_KEY];
};

/* A userdata, upvalue 1 of every function of the module. What is fetched stays: a fetch costs more than a hash. */
struct ls_crypto {
  EVP_MD *digests[LS_CRYPTO_DIGESTS]; /* in the order of digest.c's names; NULL: not used yet */
  EVP_MAC *hmac;
  EVP_CIPHER *ciphers[LS_CRYPTO_SEALS]; /* in the order of aead.c's, as these: that open, and that seal */
  struct ls_crypto_sealer sealers[LS_CRYPTO_SEALS][2];
  EVP_MD_CTX *md;   /* for hashes in one go */
  uint64_t uuid_ms; /* of the last UUID of version 7 */
  uint16_t uuid_count;
};

static inline struct ls_crypto *ls_crypto_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

/* ---- arguments and results ---- */

struct ls_slice ls_crypto_check_bytes(lua_State *L, int index);

/* An algorithm by its name; its index for ls_crypto.digests. Raises for an unknown one, with the one probably meant. */
int ls_crypto_check_digest(lua_State *L, int index);
int ls_crypto_option_digest(lua_State *L, int index, const char *option, const char *fallback);
const char *ls_crypto_digest_name(int digest);
EVP_MD *ls_crypto_digest(lua_State *L, int digest);

enum ls_crypto_encoding { LS_CRYPTO_RAW, LS_CRYPTO_HEX, LS_CRYPTO_BASE64, LS_CRYPTO_BASE64URL };

/* nil: raw. Raises for what is none. */
enum ls_crypto_encoding ls_crypto_check_encoding(lua_State *L, int index);
/* Pushes the bytes so. Returns 1. */
int ls_crypto_push(lua_State *L, const void *bytes, size_t n, enum ls_crypto_encoding encoding);

/* Raises what: reason, for what can only fail for want of memory or in a broken OpenSSL. */
int ls_crypto_raise(lua_State *L, const char *what);

/* nil, "EINVAL: text", "EINVAL", with the queue of errors empty. Returns 3. */
int ls_crypto_push_invalid(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- jobs ---- */

struct ls_crypto_job;

struct ls_crypto_call {
  struct ls_op_type type;
  void (*run)(struct ls_crypto_job *job);               /* on a pool thread: sees no Lua */
  int (*push)(lua_State *L, struct ls_crypto_job *job); /* the results, also of a failure */
  void (*dispose)(struct ls_crypto_job *job);           /* what run has made and push has not taken; NULL: nothing */
};

/* The beginning of each kind's own struct. */
struct ls_crypto_job {
  struct ls_op op;
  struct ls_work work;
  const struct ls_crypto_call *call;
  size_t size; /* of the whole struct, which is wiped when it is freed */
  unsigned char *secret;
  size_t secret_len;
  bool stop; /* atomic: nobody wants it any more */
  int code;  /* 0, or a negative code */
};

/* Functions of every call's type. */
int ls_crypto_job_push(lua_State *L, struct ls_op *op);
bool ls_crypto_job_cancel(struct ls_op *op);
void ls_crypto_job_free(struct ls_op *op);
#define LS_CRYPTO_TYPE(name) \
  { name, ls_crypto_job_push, ls_crypto_job_cancel, ls_crypto_job_free }

/* A zeroed struct of that size, with a copy of the secret. Raises for memory. */
void *ls_crypto_job_new(lua_State *L, size_t size, const struct ls_crypto_call *call, struct ls_slice secret);
/* Queues it in the lane for hashing and awaits: the return statement of a function. */
int ls_crypto_job_start(lua_State *L, struct ls_crypto_job *job, int callback_index);
bool ls_crypto_job_is_stopped(struct ls_crypto_job *job);

/* ---- the parts: each a list of functions that ends with a NULL ---- */

extern const luaL_Reg ls_crypto_digest_functions[];
extern const luaL_Reg ls_crypto_file_functions[];
extern const luaL_Reg ls_crypto_random_functions[];
extern const luaL_Reg ls_crypto_text_functions[];
extern const luaL_Reg ls_crypto_aead_functions[];
extern const luaL_Reg ls_crypto_key_functions[];
extern const luaL_Reg ls_crypto_sign_functions[];
extern const luaL_Reg ls_crypto_certificate_functions[];
extern const luaL_Reg ls_crypto_password_functions[];
extern const luaL_Reg ls_crypto_derive_functions[];

/* Make the metatables of their objects; crypto is on top of the stack. */
void ls_crypto_digest_open(lua_State *L);
void ls_crypto_key_open(lua_State *L);
void ls_crypto_certificate_open(lua_State *L);

/* Frees them, and wipes their keys. */
void ls_crypto_dispose_sealers(struct ls_crypto *crypto);

/* A public key, with a reference of its own to pkey. Returns 1. */
int ls_crypto_push_public_key(lua_State *L, EVP_PKEY *pkey);
/* Raises unless a key is at index; it stays the userdata's. */
EVP_PKEY *ls_crypto_check_key(lua_State *L, int index, bool needs_private);

#endif
