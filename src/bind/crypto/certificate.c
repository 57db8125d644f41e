/* SPDX-License-Identifier: MIT */
/* certificate: X.509 certificates (RFC 5280): who, whose, from when to when, for which names. */
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "bind/crypto/impl.h"
#include "script/handle.h"

#define CERTIFICATE "luaserve.certificate"

static X509 *check(lua_State *L) {
  X509 **handle = luaL_checkudata(L, 1, CERTIFICATE);
  return *handle;
}

/* OpenSSL would ask the terminal. */
static int no_passphrase(char *text, int size, int writing, void *data) {
  (void)text, (void)size, (void)writing, (void)data;
  return -1;
}

/* crypto.certificate(pem) -> certificate; or nil, message, "EINVAL"
 * The first certificate in PEM text. Its fields are described in the documentation.
 *   local certificate = assert(crypto.certificate(assert(fs.read_file("server.pem")))) */
static int l_certificate(lua_State *L) {
  struct ls_slice text = ls_crypto_check_bytes(L, 1);
  X509 **handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = NULL;
  luaL_setmetatable(L, CERTIFICATE);
  BIO *bio = BIO_new_mem_buf(text.ptr, text.len < INT32_MAX ? (int)text.len : INT32_MAX);
  if (bio != NULL)
    *handle = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
  BIO_free(bio);
  if (*handle == NULL)
    return ls_crypto_push_invalid(L, "no certificate in PEM is there");
  return 1;
}

/* ---- fields ---- */

/* Pushes what the writer puts into a BIO, as a string. */
static void push_bio(lua_State *L, BIO *bio) {
  char *text;
  long len = BIO_get_mem_data(bio, &text);
  lua_pushlstring(L, text, (size_t)len);
}

/* { CN = , O = , ... }: of several values of one type the first. */
static void push_name_table(lua_State *L, const X509_NAME *name) {
  lua_newtable(L);
  for (int i = 0; i < X509_NAME_entry_count(name); i++) {
    const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
    const ASN1_OBJECT *object = X509_NAME_ENTRY_get_object(entry);
    int nid = OBJ_obj2nid(object);
    char key[64];
    if (nid != NID_undef)
      snprintf(key, sizeof key, "%s", OBJ_nid2sn(nid));
    else
      OBJ_obj2txt(key, sizeof key, object, 1);
    if (lua_getfield(L, -1, key) == LUA_TNIL) {
      unsigned char *utf8 = NULL;
      int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
      lua_pushlstring(L, len > 0 ? (const char *)utf8 : "", len > 0 ? (size_t)len : 0);
      OPENSSL_free(utf8);
      lua_setfield(L, -3, key);
    }
    lua_pop(L, 1);
  }
}

/* "CN=example.org,O=Example" (RFC 4514). */
static void push_name_text(lua_State *L, const X509_NAME *name) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (bio == NULL || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) < 0) {
    BIO_free(bio);
    ls_crypto_raise(L, "certificate");
  }
  push_bio(L, bio);
  BIO_free(bio);
}

static void push_time(lua_State *L, const ASN1_TIME *time) {
  struct tm broken;
  if (ASN1_TIME_to_tm(time, &broken) == 1)
    lua_pushinteger(L, (lua_Integer)timegm(&broken));
  else
    lua_pushnil(L);
}

static void push_serial(lua_State *L, const X509 *certificate) {
  BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
  char *hex = number != NULL ? BN_bn2hex(number) : NULL;
  lua_pushstring(L, hex != NULL ? hex : "");
  OPENSSL_free(hex);
  BN_free(number);
}

/* One alternative name as text; false: of another kind. */
static bool push_alternative(lua_State *L, const GENERAL_NAME *name, int type) {
  if (name->type != type)
    return false;
  if (type != GEN_IPADD) {
    const ASN1_STRING *text = name->d.ia5;
    lua_pushlstring(L, (const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
    return true;
  }
  char text[INET6_ADDRSTRLEN] = "";
  int len = ASN1_STRING_length(name->d.iPAddress);
  inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof text);
  lua_pushstring(L, text);
  return len == 4 || len == 16;
}

static void push_alternatives(lua_State *L, X509 *certificate, int type) {
  lua_newtable(L);
  GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  lua_Integer count = 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
    if (push_alternative(L, sk_GENERAL_NAME_value(names, i), type))
      lua_rawseti(L, -2, ++count);
  GENERAL_NAMES_free(names);
}

static int push_public_key(lua_State *L, X509 *certificate) {
  EVP_PKEY *key = X509_get0_pubkey(certificate);
  if (key != NULL)
    return ls_crypto_push_public_key(L, key);
  ERR_clear_error();
  lua_pushnil(L);
  return 1;
}

static int l_index(lua_State *L) {
  X509 *certificate = check(L);
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "subject") == 0)
    push_name_table(L, X509_get_subject_name(certificate));
  else if (strcmp(name, "issuer") == 0)
    push_name_table(L, X509_get_issuer_name(certificate));
  else if (strcmp(name, "subject_text") == 0)
    push_name_text(L, X509_get_subject_name(certificate));
  else if (strcmp(name, "issuer_text") == 0)
    push_name_text(L, X509_get_issuer_name(certificate));
  else if (strcmp(name, "serial") == 0)
    push_serial(L, certificate);
  else if (strcmp(name, "not_before") == 0)
    push_time(L, X509_get0_notBefore(certificate));
  else if (strcmp(name, "not_after") == 0)
    push_time(L, X509_get0_notAfter(certificate));
  else if (strcmp(name, "dns_names") == 0)
    push_alternatives(L, certificate, GEN_DNS);
  else if (strcmp(name, "addresses") == 0)
    push_alternatives(L, certificate, GEN_IPADD);
  else if (strcmp(name, "emails") == 0)
    push_alternatives(L, certificate, GEN_EMAIL);
  else if (strcmp(name, "is_ca") == 0)
    lua_pushboolean(L, X509_check_ca(certificate) == 1);
  else if (strcmp(name, "public_key") == 0)
    push_public_key(L, certificate);
  else
    lua_getfield(L, lua_upvalueindex(1), name);
  return 1;
}

/* ---- methods ---- */

/* certificate:fingerprint([algorithm [, encoding]]) -> string. The hash of the whole of it: "sha256", "hex" unless given. */
static int l_fingerprint(lua_State *L) {
  static const char *const names[] = {"sha1", "sha256", "sha384", "sha512", NULL};
  static const char *const openssl_names[] = {"SHA1", "SHA2-256", "SHA2-384", "SHA2-512"};
  X509 *certificate = check(L);
  int algorithm = luaL_checkoption(L, 2, "sha256", names);
  enum ls_crypto_encoding encoding = lua_isnoneornil(L, 3) ? LS_CRYPTO_HEX : ls_crypto_check_encoding(L, 3);
  unsigned char out[LS_CRYPTO_DIGEST_MAX];
  unsigned len = 0;
  EVP_MD *md = EVP_MD_fetch(NULL, openssl_names[algorithm], NULL);
  int well = md != NULL && X509_digest(certificate, md, out, &len);
  EVP_MD_free(md);
  return well ? ls_crypto_push(L, out, len, encoding) : ls_crypto_raise(L, "certificate:fingerprint");
}

/* certificate:matches_host(name) -> boolean. Whether it is for that host or address (RFC 6125), by its alternative names. */
static int l_matches_host(lua_State *L) {
  X509 *certificate = check(L);
  struct ls_slice name = ls_crypto_check_bytes(L, 2);
  unsigned flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
  bool matches = X509_check_host(certificate, name.ptr, name.len, flags, NULL) == 1 ||
                 X509_check_ip_asc(certificate, name.ptr, 0) == 1;
  ERR_clear_error();
  lua_pushboolean(L, matches);
  return 1;
}

/* certificate:is_issued_by(other) -> boolean. Whether the key of other has signed it, and names fit. Dates and what other
 * may sign are not looked at. */
static int l_is_issued_by(lua_State *L) {
  X509 *certificate = check(L);
  X509 **other = luaL_checkudata(L, 2, CERTIFICATE);
  EVP_PKEY *key = X509_get0_pubkey(*other);
  bool issued = X509_NAME_cmp(X509_get_issuer_name(certificate), X509_get_subject_name(*other)) == 0 && key != NULL &&
                X509_verify(certificate, key) == 1;
  ERR_clear_error();
  lua_pushboolean(L, issued);
  return 1;
}

static int l_gc(lua_State *L) {
  X509 **handle = luaL_checkudata(L, 1, CERTIFICATE);
  X509_free(*handle);
  *handle = NULL;
  return 0;
}

static int l_tostring(lua_State *L) {
  X509 *certificate = check(L);
  lua_pushliteral(L, "certificate (");
  push_name_text(L, X509_get_subject_name(certificate));
  lua_pushliteral(L, ")");
  lua_concat(L, 3);
  return 1;
}

void ls_crypto_certificate_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"fingerprint", l_fingerprint}, {"matches_host", l_matches_host}, {"is_issued_by", l_is_issued_by}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", l_gc}, {"__tostring", l_tostring}, {NULL, NULL}};
  ls_handle_type(L, CERTIFICATE, methods, metamethods);
  luaL_getmetatable(L, CERTIFICATE);
  lua_getfield(L, -1, "__index");
  lua_pushcclosure(L, l_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

const luaL_Reg ls_crypto_certificate_functions[] = {{"certificate", l_certificate}, {NULL, NULL}};
