/* SPDX-License-Identifier: MIT */
/* hash_file: the hash of a file, read and computed on the pool. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/crypto/impl.h"

#define PIECE ((size_t)256 * 1024)

struct hash_file {
  struct ls_crypto_job job; /* its secret is the path */
  EVP_MD *md;               /* a reference */
  enum ls_crypto_encoding encoding;
  const char *failed; /* the step that failed */
  unsigned len;
  unsigned char out[LS_CRYPTO_DIGEST_MAX];
};

static ssize_t read_piece(int fd, unsigned char *bytes) {
  ssize_t n;
  do
    n = read(fd, bytes, PIECE);
  while (n < 0 && errno == EINTR);
  return n;
}

/* Between two pieces it looks whether anybody still wants it. */
static int hash_all(struct hash_file *file, int fd, EVP_MD_CTX *context, unsigned char *bytes) {
  ssize_t n;
  while ((n = read_piece(fd, bytes)) > 0) {
    if (ls_crypto_job_is_stopped(&file->job))
      return -ECANCELED;
    if (!EVP_DigestUpdate(context, bytes, (size_t)n))
      return -ENOMEM;
  }
  file->failed = "read";
  if (n < 0)
    return -errno;
  return EVP_DigestFinal_ex(context, file->out, &file->len) ? 0 : -ENOMEM;
}

static void run(struct ls_crypto_job *job) {
  struct hash_file *file = (struct hash_file *)job;
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  unsigned char *bytes = malloc(PIECE);
  file->failed = "open";
  if (context == NULL || bytes == NULL || !EVP_DigestInit_ex2(context, file->md, NULL)) {
    job->code = -ENOMEM;
  } else {
    int fd = open((const char *)job->secret, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    job->code = fd < 0 ? -errno : hash_all(file, fd, context, bytes);
    if (fd >= 0)
      close(fd);
  }
  free(bytes);
  EVP_MD_CTX_free(context);
}

static int push(lua_State *L, struct ls_crypto_job *job) {
  struct hash_file *file = (struct hash_file *)job;
  if (job->code != 0)
    return ls_push_failure(L, job->code, "%s '%s'", file->failed, (const char *)job->secret);
  return ls_crypto_push(L, file->out, file->len, file->encoding);
}

static void dispose(struct ls_crypto_job *job) {
  EVP_MD_free(((struct hash_file *)job)->md);
}

static const struct ls_crypto_call call = {LS_CRYPTO_TYPE("crypto.hash_file"), run, push, dispose};

/* crypto.hash_file(algorithm, path [, encoding] [, callback]) -> string; or nil, message, code
 * Async. The hash of a file of any size, as crypto.hash. Fails with ENOENT, EACCES, EISDIR and the like; raises as hash.
 *   assert(crypto.hash_file("sha256", "backup.tar", "hex")) */
static int l_hash_file(lua_State *L) {
  int callback_index = lua_isfunction(L, 3) ? 3 : 4;
  ls_op_check(L, callback_index, "crypto.hash_file");
  EVP_MD *md = ls_crypto_digest(L, ls_crypto_check_digest(L, 1));
  struct ls_slice path = ls_crypto_check_bytes(L, 2);
  luaL_argcheck(L, strlen(path.ptr) == path.len, 2, "a path has no NUL");
  enum ls_crypto_encoding encoding = callback_index == 3 ? LS_CRYPTO_RAW : ls_crypto_check_encoding(L, 3);
  struct hash_file *file = ls_crypto_job_new(L, sizeof *file, &call, path);
  EVP_MD_up_ref(md); /* the module may go before the job */
  file->md = md;
  file->encoding = encoding;
  return ls_crypto_job_start(L, &file->job, callback_index);
}

const luaL_Reg ls_crypto_file_functions[] = {{"hash_file", l_hash_file}, {NULL, NULL}};
