/* SPDX-License-Identifier: MIT */
/* crypto: require "luaserve.crypto": the module's state, and what all parts use. */
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "bind/crypto/impl.h"
#include "bind/modules.h"
#include "script/runtime.h"

struct ls_slice ls_crypto_check_bytes(lua_State *L, int index) {
  size_t len;
  const char *bytes = luaL_checklstring(L, index, &len);
  return ls_slice(bytes, len);
}

/* ---- encodings ---- */

enum ls_crypto_encoding ls_crypto_check_encoding(lua_State *L, int index) {
  static const char *const names[] = {"raw", "hex", "base64", "base64url", NULL};
  return (enum ls_crypto_encoding)luaL_checkoption(L, index, "raw", names);
}

int ls_crypto_push(lua_State *L, const void *bytes, size_t n, enum ls_crypto_encoding encoding) {
  luaL_Buffer buffer;
  if (encoding == LS_CRYPTO_RAW) {
    lua_pushlstring(L, bytes, n);
  } else if (encoding == LS_CRYPTO_HEX) {
    ls_hex_encode(bytes, n, luaL_buffinitsize(L, &buffer, 2 * n));
    luaL_pushresultsize(&buffer, 2 * n);
  } else {
    char *text = luaL_buffinitsize(L, &buffer, ls_base64_size(n));
    luaL_pushresultsize(&buffer, ls_base64_encode(bytes, n, encoding == LS_CRYPTO_BASE64URL, text));
  }
  return 1;
}

/* ---- failures ---- */

int ls_crypto_raise(lua_State *L, const char *what) {
  const char *reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return luaL_error(L, "%s: %s", what, reason != NULL ? reason : "not enough memory");
}

int ls_crypto_push_invalid(lua_State *L, const char *format, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  ERR_clear_error();
  lua_pushnil(L);
  lua_pushfstring(L, "EINVAL: %s", text);
  lua_pushliteral(L, "EINVAL");
  return 3;
}

/* ---- jobs ---- */

static struct ls_crypto_job *job_of(struct ls_op *op) {
  return ls_container_of(op, struct ls_crypto_job, op);
}

int ls_crypto_job_push(lua_State *L, struct ls_op *op) {
  struct ls_crypto_job *job = job_of(op);
  return job->call->push(L, job);
}

bool ls_crypto_job_cancel(struct ls_op *op) {
  struct ls_crypto_job *job = job_of(op);
  __atomic_store_n(&job->stop, true, __ATOMIC_RELAXED);
  return ls_work_cancel(&job->work);
}

bool ls_crypto_job_is_stopped(struct ls_crypto_job *job) {
  return __atomic_load_n(&job->stop, __ATOMIC_RELAXED);
}

void ls_crypto_job_free(struct ls_op *op) {
  struct ls_crypto_job *job = job_of(op);
  if (job->call->dispose != NULL)
    job->call->dispose(job);
  OPENSSL_cleanse(job->secret, job->secret_len);
  free(job->secret);
  OPENSSL_cleanse(job, job->size);
  free(job);
}

static void run_job(struct ls_work *work) {
  struct ls_crypto_job *job = ls_container_of(work, struct ls_crypto_job, work);
  job->call->run(job);
  ERR_clear_error();
}

static void on_job_done(struct ls_work *work) {
  ls_op_done(&ls_container_of(work, struct ls_crypto_job, work)->op);
}

void *ls_crypto_job_new(lua_State *L, size_t size, const struct ls_crypto_call *call, struct ls_slice secret) {
  unsigned char *copy = malloc(secret.len + 1); /* 1: for the end of a C string */
  struct ls_crypto_job *job = copy != NULL ? calloc(1, size) : NULL;
  if (job == NULL) {
    free(copy);
    luaL_error(L, "not enough memory");
  }
  if (secret.len != 0)
    memcpy(copy, secret.ptr, secret.len);
  copy[secret.len] = '\0';
  job->call = call;
  job->size = size;
  job->secret = copy;
  job->secret_len = secret.len;
  job->work.run = run_job;
  job->work.done = on_job_done;
  ls_op_init(L, &job->op, &call->type);
  return job;
}

int ls_crypto_job_start(lua_State *L, struct ls_crypto_job *job, int callback_index) {
  int status = ls_work_submit(job->op.rt->loop, &job->work, LS_LANE_HASH);
  if (status == 0)
    return ls_op_await(L, &job->op, callback_index);
  const char *name = job->call->type.name;
  ls_crypto_job_free(&job->op);
  return ls_push_failure(L, status, "%s", name);
}

/* ---- the module ---- */

static int l_gc(lua_State *L) {
  struct ls_crypto *crypto = lua_touserdata(L, 1);
  for (int i = 0; i < LS_CRYPTO_DIGESTS; i++)
    EVP_MD_free(crypto->digests[i]);
  ls_crypto_dispose_sealers(crypto);
  for (int i = 0; i < LS_CRYPTO_SEALS; i++)
    EVP_CIPHER_free(crypto->ciphers[i]);
  EVP_MAC_free(crypto->hmac);
  EVP_MD_CTX_free(crypto->md);
  *crypto = (struct ls_crypto){0};
  return 0;
}

static void push_state(lua_State *L) {
  struct ls_crypto *crypto = lua_newuserdatauv(L, sizeof *crypto, 0);
  *crypto = (struct ls_crypto){0};
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

int luaopen_luaserve_crypto(lua_State *L) {
  static const luaL_Reg *const parts[] = {ls_crypto_digest_functions,   ls_crypto_file_functions,
                                          ls_crypto_random_functions,   ls_crypto_text_functions,
                                          ls_crypto_aead_functions,     ls_crypto_key_functions,
                                          ls_crypto_sign_functions,     ls_crypto_certificate_functions,
                                          ls_crypto_password_functions, ls_crypto_derive_functions};
  push_state(L);
  ls_crypto_digest_open(L);
  ls_crypto_key_open(L);
  ls_crypto_certificate_open(L);
  lua_newtable(L);
  lua_insert(L, -2);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    for (const luaL_Reg *function = parts[i]; function->name != NULL; function++) {
      lua_pushvalue(L, -1);
      lua_pushcclosure(L, function->func, 1);
      lua_setfield(L, -3, function->name);
    }
  }
  lua_pop(L, 1);
  return 1;
}
