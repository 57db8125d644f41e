-- SPDX-License-Identifier: MIT
--- JSON Web Tokens (RFC 7519), signed (RFC 7515). The caller says which algorithm a token must have: what the token
-- says of itself is only compared with that. There is no "none".
-- @module luaserve.jwt

local crypto = require "luaserve.crypto"
local json = require "luaserve.json"

local jwt = {}

local equal, hmac, sign, verify = crypto.equal, crypto.hmac, crypto.sign, crypto.verify
local base64url_encode, base64url_decode = crypto.base64url_encode, crypto.base64url_decode

-- What an algorithm needs (RFC 7518 3, RFC 8037): the hash of an HMAC and the least length of its key, or a kind of key
-- with the options of its signatures.
local algorithms = {
  HS256 = { hash = "sha256", least = 32 },
  HS384 = { hash = "sha384", least = 48 },
  HS512 = { hash = "sha512", least = 64 },
  RS256 = { key = "rsa", options = { digest = "sha256", padding = "pkcs1" } },
  RS384 = { key = "rsa", options = { digest = "sha384", padding = "pkcs1" } },
  RS512 = { key = "rsa", options = { digest = "sha512", padding = "pkcs1" } },
  PS256 = { key = "rsa", options = { digest = "sha256", padding = "pss" } },
  ES256 = { key = "p-256", options = { digest = "sha256", format = "raw" } },
  ES384 = { key = "p-384", options = { digest = "sha384", format = "raw" } },
  ES512 = { key = "p-521", options = { digest = "sha512", format = "raw" } },
  EdDSA = { key = "ed25519", options = {} },
}

local function fail(code, message)
  return nil, code .. ": " .. message, code
end

local function is_key(key)
  return type(key) == "userdata" and pcall(function() return key.name .. key.type end)
end

--- The algorithm called name, for which key fits; raises where it does not, since that is the program's mistake.
local function algorithm_for(name, key, needs_private)
  local algorithm = algorithms[name]
  if not algorithm then error(("unknown algorithm '%s'"):format(tostring(name)), 4) end
  if algorithm.hash then
    if type(key) ~= "string" then
      error(("%s needs a secret, a string, and not a %s"):format(name, is_key(key) and tostring(key) or type(key)), 4)
    elseif #key < algorithm.least then
      error(("%s needs a secret of at least %d bytes, not %d (RFC 7518 3.2)"):format(name, algorithm.least, #key), 4)
    end
  elseif not is_key(key) then
    error(("%s needs a key of luaserve.crypto, not a %s"):format(name, type(key)), 4)
  elseif key.name ~= algorithm.key then
    error(("%s needs a key of the kind %s, not %s"):format(name, algorithm.key, key.name), 4)
  elseif needs_private and not key.private then
    error(("%s needs a private key to sign"):format(name), 4)
  end
  return algorithm
end

local sign_options = { algorithm = true, expires_in = true, header = true, now = true }
local verify_options = { algorithm = true, audience = true, issuer = true, leeway = true, now = true, subject = true }

local function check_options(options, known, name)
  if type(options) ~= "table" then
    error(("jwt.%s needs options, at least { algorithm = }"):format(name), 3)
  end
  for option in pairs(options) do
    if not known[option] then error(("jwt.%s: unknown option '%s'"):format(name, tostring(option)), 3) end
  end
end

--- A token with these claims.
-- @param claims a table: sub, aud, and what else it should say. iat is added, and exp with expires_in
-- @param key a secret (a string) for HS256, HS384, HS512; else a private key of luaserve.crypto
-- @param options algorithm (needed): HS256 and so on, RS256, RS384, RS512, PS256, ES256, ES384, ES512 or EdDSA;
-- expires_in: seconds; header: more fields of the header, such as kid; now: seconds, instead of the clock
-- @return the token; raises for a key that does not fit the algorithm, and for claims that are no JSON
-- @usage local token = jwt.sign({ sub = "7" }, secret, { algorithm = "HS256", expires_in = 3600 })
function jwt.sign(claims, key, options)
  check_options(options, sign_options, "sign")
  if type(claims) ~= "table" then error("jwt.sign: the claims must be a table, not a " .. type(claims), 2) end
  local algorithm = algorithm_for(options.algorithm, key, true)
  local now = options.now or os.time()
  local payload = {}
  for name, value in pairs(claims) do payload[name] = value end
  if payload.iat == nil then payload.iat = now end
  if options.expires_in then payload.exp = now + options.expires_in end
  local header = { alg = options.algorithm, typ = "JWT" }
  for name, value in pairs(options.header or {}) do
    if name == "alg" then error("jwt.sign: alg is the option algorithm's to set", 2) end
    header[name] = value
  end
  local input = base64url_encode(json.encode(header)) .. "." .. base64url_encode(json.encode(payload))
  local signature = algorithm.hash and hmac(algorithm.hash, key, input) or sign(key, input, algorithm.options)
  return input .. "." .. base64url_encode(signature)
end

--- A part of the token as an object; nil for what is none.
local function decode_object(part)
  local text = base64url_decode(part)
  local value = text and json.decode(text)
  return type(value) == "table" and getmetatable(value) ~= json.array_mt and value or nil
end

--- The algorithm that the caller pins, where it is the token's; it may be one of a list.
local function pinned(wanted, said)
  if type(wanted) == "table" then
    for _, name in ipairs(wanted) do
      if name == said then return said end
    end
    return nil
  end
  return wanted == said and said or nil
end

--- Whether value, a string or a list of them, has the wanted one, or one of the wanted list.
local function has_audience(value, wanted)
  local values = type(value) == "table" and value or { value }
  local wants = type(wanted) == "table" and wanted or { wanted }
  for _, have in ipairs(values) do
    for _, want in ipairs(wants) do
      if have == want then return true end
    end
  end
  return false
end

local function check_times(claims, options)
  local now, leeway = options.now or os.time(), options.leeway or 0
  for _, name in ipairs { "exp", "nbf", "iat" } do
    if claims[name] ~= nil and type(claims[name]) ~= "number" then
      return fail("EINVAL", ("the claim %s is no number"):format(name))
    end
  end
  if claims.exp and now >= claims.exp + leeway then return fail("EEXPIRED", "the token has expired") end
  if claims.nbf and now < claims.nbf - leeway then return fail("EEARLY", "the token is not valid yet") end
  if claims.iat and now < claims.iat - leeway then return fail("EEARLY", "the token is from the future") end
  return true
end

local function check_claims(claims, options)
  local ok, message, code = check_times(claims, options)
  if not ok then return nil, message, code end
  if options.audience and not has_audience(claims.aud, options.audience) then
    return fail("EAUDIENCE", "the token is for somebody else")
  elseif options.issuer and claims.iss ~= options.issuer then
    return fail("EISSUER", "the token is from somebody else")
  elseif options.subject and claims.sub ~= options.subject then
    return fail("ESUBJECT", "the token is about somebody else")
  end
  return claims
end

local function is_signed(algorithm, key, input, signature)
  if algorithm.hash then return equal(hmac(algorithm.hash, key, input), signature) end
  return verify(key, input, signature, algorithm.options)
end

--- The claims of a token, if its signature is right, it is of the algorithm that options name, and it is valid now.
-- @param token a string, from wherever
-- @param key the secret, or a private or public key of luaserve.crypto
-- @param options algorithm (needed; or a list of those that fit the key); audience: a string, or a list of which one
-- must be named; issuer, subject; leeway: seconds by which clocks may differ (0); now: seconds, instead of the clock
-- @return the claims; or nil, message, code: EINVAL (no token, or its signature is wrong), EALGORITHM, EEXPIRED,
-- EEARLY, EAUDIENCE, EISSUER, ESUBJECT. Raises for a key that does not fit the algorithm
-- @usage local claims, message = jwt.verify(token, secret, { algorithm = "HS256", audience = "shop" })
function jwt.verify(token, key, options)
  check_options(options, verify_options, "verify")
  local listed = type(options.algorithm) == "table" and options.algorithm or { options.algorithm }
  if #listed == 0 then error("jwt.verify needs the option algorithm: which one must the token have?", 2) end
  for _, name in ipairs(listed) do algorithm_for(name, key, false) end
  if type(token) ~= "string" then return fail("EINVAL", "this is no token") end
  local head, payload, signed = token:match "^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$"
  local header, signature = head and decode_object(head), signed and base64url_decode(signed)
  if not header or not signature then return fail("EINVAL", "this is no token") end
  local name = pinned(options.algorithm, header.alg)
  if not name then return fail("EALGORITHM", "the token is of another algorithm") end
  if header.crit ~= nil then return fail("EINVAL", "the token needs an extension that is not known (crit)") end
  if not is_signed(algorithms[name], key, head .. "." .. payload, signature) then
    return fail("EINVAL", "the signature of the token is wrong")
  end
  local claims = decode_object(payload)
  if not claims then return fail("EINVAL", "the claims of the token are no object") end
  return check_claims(claims, options)
end

return jwt
