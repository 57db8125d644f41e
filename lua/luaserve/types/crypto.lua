---@meta luaserve.crypto
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.crypto" returns. docs/api/crypto.md tells more.

---@alias luaserve.crypto.encoding "raw"|"hex"|"base64"|"base64url"
---@alias luaserve.crypto.hash_name "md5"|"sha1"|"sha224"|"sha256"|"sha384"|"sha512"|"sha512-256"|"sha3-224"|"sha3-256"|"sha3-384"|"sha3-512"|"blake2b512"|"blake2s256"|"ripemd160"

---@class luaserve.crypto
local crypto = {}

---A hash or an HMAC that is fed piece by piece.
---@class luaserve.hasher
local hasher = {}

---@param ... string
---@return luaserve.hasher
function hasher:update(...) end

---The end.
---@param encoding? luaserve.crypto.encoding
---@return string
function hasher:digest(encoding) end

---@return luaserve.hasher
function hasher:copy() end

function hasher:close() end

---@class luaserve.key
---@field type "rsa"|"ec"|"ed25519"
---@field name "rsa"|"p-256"|"p-384"|"p-521"|"ed25519"
---@field bits integer
---@field private boolean
local key = {}

---The public half.
---@return luaserve.key
function key:public() end

---PKCS #8 of a private key, SubjectPublicKeyInfo of a public one.
---@param passphrase? string
---@return string
function key:to_pem(passphrase) end

---@class luaserve.certificate
---@field subject table<string, string>
---@field issuer table<string, string>
---@field subject_text string RFC 4514
---@field issuer_text string
---@field serial string in hex
---@field not_before integer seconds since 1970
---@field not_after integer
---@field dns_names string[]
---@field addresses string[]
---@field emails string[]
---@field is_ca boolean
---@field public_key luaserve.key
local certificate = {}

---@param algorithm? "sha1"|"sha256"|"sha384"|"sha512" default "sha256"
---@param encoding? luaserve.crypto.encoding default "hex"
---@return string
function certificate:fingerprint(algorithm, encoding) end

---@param name string
---@return boolean
function certificate:matches_host(name) end

---@param other luaserve.certificate
---@return boolean
function certificate:is_issued_by(other) end

---@param algorithm luaserve.crypto.hash_name
---@param data string
---@param encoding? luaserve.crypto.encoding
---@return string
function crypto.hash(algorithm, data, encoding) end

---@param algorithm luaserve.crypto.hash_name
---@return luaserve.hasher
function crypto.hasher(algorithm) end

---Async.
---@param algorithm luaserve.crypto.hash_name
---@param path string
---@param encoding? luaserve.crypto.encoding
---@param callback? fun(message: string?, hash: string)
---@return string? hash
---@return string? message
---@return string? code
function crypto.hash_file(algorithm, path, encoding, callback) end

---@param algorithm luaserve.crypto.hash_name
---@param key string
---@param data string
---@param encoding? luaserve.crypto.encoding
---@return string
function crypto.hmac(algorithm, key, data, encoding) end

---@param algorithm luaserve.crypto.hash_name
---@param key string
---@return luaserve.hasher
function crypto.hmacer(algorithm, key) end

---@param algorithm luaserve.crypto.hash_name
---@param key string
---@param options { length: integer, salt?: string, info?: string }
---@return string
function crypto.hkdf(algorithm, key, options) end

---@param n integer
---@param encoding? luaserve.crypto.encoding
---@return string
function crypto.random_bytes(n, encoding) end

---@param min integer
---@param max integer
---@return integer
function crypto.random_integer(min, max) end

---@param version? 4|7 default 4
---@return string
function crypto.uuid(version) end

---In a time that does not tell where they differ.
---@param a string
---@param b string
---@return boolean
function crypto.equal(a, b) end

---@param bytes string
---@return string
function crypto.hex_encode(bytes) end

---@param text string
---@return string? bytes
---@return string? message
---@return string? code
function crypto.hex_decode(text) end

---@param bytes string
---@return string
function crypto.base64_encode(bytes) end

---@param text string
---@return string? bytes
---@return string? message
---@return string? code
function crypto.base64_decode(text) end

---@param bytes string
---@return string
function crypto.base64url_encode(bytes) end

---@param text string
---@return string? bytes
---@return string? message
---@return string? code
function crypto.base64url_decode(text) end

---@class luaserve.crypto.aead_options
---@field algorithm? "aes-256-gcm"|"chacha20-poly1305"
---@field aad? string

---@param key string 32 bytes
---@param data string
---@param options? luaserve.crypto.aead_options
---@return string box
function crypto.encrypt(key, data, options) end

---@param key string 32 bytes
---@param box string
---@param options? luaserve.crypto.aead_options
---@return string? data
---@return string? message
---@return string? code
function crypto.decrypt(key, box, options) end

---@param pem string
---@param passphrase? string
---@return luaserve.key?
---@return string? message
---@return string? code
function crypto.key(pem, passphrase) end

---Async.
---@param name "ed25519"|"p-256"|"p-384"|"p-521"|"rsa"
---@param options? { bits?: integer }
---@param callback? fun(message: string?, key: luaserve.key)
---@return luaserve.key
function crypto.generate_key(name, options, callback) end

---@class luaserve.crypto.sign_options
---@field digest? luaserve.crypto.hash_name default "sha256"
---@field padding? "pss"|"pkcs1" of RSA; default "pss"
---@field format? "der"|"raw" of ECDSA; default "der"

---@param key luaserve.key
---@param data string
---@param options? luaserve.crypto.sign_options
---@return string signature
function crypto.sign(key, data, options) end

---@param key luaserve.key
---@param data string
---@param signature string
---@param options? luaserve.crypto.sign_options
---@return boolean
function crypto.verify(key, data, signature, options) end

---@param pem string
---@return luaserve.certificate?
---@return string? message
---@return string? code
function crypto.certificate(pem) end

---@class luaserve.crypto.password_options
---@field algorithm? "argon2id"|"bcrypt" default "argon2id"
---@field memory? integer bytes; default 19 MiB
---@field passes? integer default 2
---@field lanes? integer default 1
---@field cost? integer of bcrypt; default 12

---Async.
---@param password string
---@param options? luaserve.crypto.password_options
---@param callback? fun(message: string?, hash: string)
---@return string? hash
---@return string? message
---@return string? code
function crypto.password_hash(password, options, callback) end

---Async.
---@param password string
---@param hash string
---@param callback? fun(message: string?, matches: boolean)
---@return boolean? matches
---@return string? message
---@return string? code
function crypto.password_verify(password, hash, callback) end

---@param hash string
---@param options? luaserve.crypto.password_options
---@return boolean
function crypto.needs_rehash(hash, options) end

---Async.
---@param password string
---@param options { salt: string, n?: integer, r?: integer, p?: integer, length?: integer }
---@param callback? fun(message: string?, key: string)
---@return string
function crypto.scrypt(password, options, callback) end

---Async.
---@param algorithm luaserve.crypto.hash_name
---@param password string
---@param options { salt: string, iterations: integer, length?: integer }
---@param callback? fun(message: string?, key: string)
---@return string
function crypto.pbkdf2(algorithm, password, options, callback) end

return crypto
