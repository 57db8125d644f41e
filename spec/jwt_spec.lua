-- SPDX-License-Identifier: MIT
--- luaserve.jwt against the examples of the RFCs, and against tokens that want to be taken for others.

local crypto, json, jwt = require "luaserve.crypto", require "luaserve.json", require "luaserve.jwt"
local keys = require "spec.support.keys"

local function url(text) return assert(crypto.base64url_decode(text)) end

local secret = crypto.random_bytes(64)
local NOW = 1800000000

--- A token of these parts, whatever they are, signed by HS256.
local function forge(header, payload, key)
  local input = crypto.base64url_encode(header) .. "." .. crypto.base64url_encode(payload)
  return input .. "." .. crypto.hmac("sha256", key or secret, input, "base64url")
end

local function code_of(token, key, options)
  options = options or {}
  options.algorithm = options.algorithm or "HS256"
  options.now = options.now or NOW
  local claims, message, code = jwt.verify(token, key or secret, options)
  assert.is_nil(claims)
  assert.matches("^" .. code .. ": ", message)
  return code
end

describe("jwt.verify", function()
  local PAYLOAD = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

  local function check_joe(token, key, algorithm)
    local claims = assert(jwt.verify(token, key, { algorithm = algorithm, now = 1300819379, issuer = "joe" }))
    assert.same({ iss = "joe", exp = 1300819380, ["http://example.com/is_root"] = true }, claims)
    assert.equal("EEXPIRED", code_of(token, key, { algorithm = algorithm, now = 1300819380 }))
  end

  it("RFC 7515 A.1: HS256", function()
    check_joe("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." .. PAYLOAD .. ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
      url "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", "HS256")
  end)

  it("RFC 7515 A.2: RS256", function()
    local key = keys.rsa(url("ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2" ..
      "mJPMEzP1Pt0Bm4d4Ql" ..
      "L-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-" ..
      "KXBdQOS-UTo" ..
      "7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2eth" ..
      "FkMLs91kzk2" ..
      "PAcDTW9gb54h4FRWyuXpoQ"), url "AQAB")
    check_joe("eyJhbGciOiJSUzI1NiJ9." .. PAYLOAD .. ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3X" ..
      "OiZj5RZmh7" ..
      "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xB" ..
      "ArLIARNPvkS" ..
      "jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOY" ..
      "EUipUTI8np6" ..
      "LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw", key, "RS256")
  end)

  it("RFC 7515 A.3: ES256", function()
    local key = keys.p256(url "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
      url "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
    check_joe("eyJhbGciOiJFUzI1NiJ9." .. PAYLOAD ..
      ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q", key, "ES256")
  end)

  it("RFC 8037 A.4: EdDSA, whose example is signed the same here", function()
    local key = keys.ed25519_private(url "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
    local input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
    local signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    assert.equal(signature, crypto.base64url_encode(crypto.sign(key, input)))
    -- Its payload is no object, so that it is no token; its signature is right.
    local claims, message = jwt.verify(input .. "." .. signature, key:public(), { algorithm = "EdDSA" })
    assert.same({ nil, "EINVAL: the claims of the token are no object" }, { claims, message })
  end)

  it("takes what jwt.sign has made, for every algorithm", function()
    local pairs_of = { RS256 = "rsa", RS384 = "rsa", RS512 = "rsa", PS256 = "rsa", ES256 = "p-256", ES384 = "p-384",
      ES512 = "p-521", EdDSA = "ed25519" }
    local made = {}
    for algorithm, kind in pairs(pairs_of) do
      made[kind] = made[kind] or crypto.generate_key(kind, { bits = 2048 })
      local token = jwt.sign({ sub = "7" }, made[kind], { algorithm = algorithm })
      assert.equal("7", assert(jwt.verify(token, made[kind]:public(), { algorithm = algorithm })).sub, algorithm)
    end
    for _, algorithm in ipairs { "HS256", "HS384", "HS512" } do
      local token = jwt.sign({ sub = "7" }, secret, { algorithm = algorithm })
      assert.equal("7", assert(jwt.verify(token, secret, { algorithm = algorithm })).sub)
    end
  end)

  it("refuses none, in any case, and every algorithm but the one that was named", function()
    local payload = json.encode { sub = "admin" }
    for _, name in ipairs { "none", "None", "NONE", "nOnE", "HS512", "RS256", "" } do
      local header = json.encode { alg = name }
      assert.equal("EALGORITHM", code_of(forge(header, payload)))
      assert.equal("EINVAL", code_of((forge(header, payload):gsub("[^.]*$", ""))))
    end
    assert.equal("EALGORITHM", code_of(forge('{"typ":"JWT"}', payload)))
    assert.equal("EALGORITHM", code_of(forge('{"alg":["HS256"]}', payload)))
    assert.error_matches(function() jwt.verify("", secret, { algorithm = "none" }) end, "unknown algorithm 'none'")
    assert.error_matches(function() jwt.verify("", secret, {}) end, "needs the option algorithm")
  end)

  it("is not fooled into taking a public key for a secret", function()
    local key = crypto.generate_key("p-256")
    local token = forge('{"alg":"HS256"}', '{"sub":"admin"}', key:public():to_pem())
    assert.equal("EALGORITHM", code_of(token, key:public(), { algorithm = "ES256" }))
    assert.error_matches(function() jwt.verify(token, key:public(), { algorithm = "HS256" }) end,
      "HS256 needs a secret, a string, and not a key %(p%-256, public%)")
    assert.error_matches(function() jwt.verify(token, key:public(), { algorithm = { "ES256", "HS256" } }) end,
      "HS256 needs a secret")
    assert.error_matches(function() jwt.verify(token, key:public(), { algorithm = "RS256" }) end,
      "RS256 needs a key of the kind rsa, not p%-256")
  end)

  it("takes one of several algorithms that fit the key", function()
    local token = jwt.sign({ sub = "7" }, secret, { algorithm = "HS512" })
    assert.equal("7", assert(jwt.verify(token, secret, { algorithm = { "HS256", "HS512" } })).sub)
    assert.equal("EALGORITHM", code_of(token, secret, { algorithm = { "HS256", "HS384" } }))
  end)

  it("refuses what is no token, and a signature that is wrong", function()
    local token = jwt.sign({ sub = "7" }, secret, { algorithm = "HS256", now = NOW })
    local head, payload, signature = token:match "^(.-)%.(.-)%.(.-)$"
    for _, text in ipairs { "", "a", "a.b", "a.b.c", "..", token .. ".x", token .. "\n", " " .. token,
      head .. "." .. payload, head .. "." .. payload .. ".", head .. "." .. payload .. "." .. signature:sub(1, -2),
      head .. "." .. crypto.base64url_encode '{"sub":"8"}' .. "." .. signature,
      forge('["HS256"]', "{}"), forge('{"alg":"HS256"', "{}"), forge('{"alg":"HS256"}', "[]"),
      forge('{"alg":"HS256"}', "7"), forge('{"alg":"HS256"}', "{}", ("x"):rep(32)),
      forge('{"alg":"HS256","crit":["exp"]}', "{}") } do
      assert.equal("EINVAL", code_of(text), text)
    end
    assert.equal("EINVAL", code_of(nil))
    assert.equal("EINVAL", code_of({}))
  end)

  it("looks at times (RFC 7519 4.1.4 to 4.1.6)", function()
    local function token(claims) return forge('{"alg":"HS256"}', json.encode(claims)) end
    local function good(claims, leeway)
      assert(jwt.verify(token(claims), secret, { algorithm = "HS256", now = NOW, leeway = leeway }))
    end
    good { exp = NOW + 1 }
    good { nbf = NOW }
    good { iat = NOW }
    good({ exp = NOW - 4, nbf = NOW + 5, iat = NOW + 5 }, 5)
    assert.equal("EEXPIRED", code_of(token { exp = NOW }))
    assert.equal("EEXPIRED", code_of(token { exp = NOW - 5 }, secret, { leeway = 5 }))
    assert.equal("EEARLY", code_of(token { nbf = NOW + 1 }))
    assert.equal("EEARLY", code_of(token { iat = NOW + 1 }))
    for _, name in ipairs { "exp", "nbf", "iat" } do
      assert.equal("EINVAL", code_of(token { [name] = "soon" }))
    end
  end)

  it("looks at who, for whom and about whom (RFC 7519 4.1.1 to 4.1.3)", function()
    local function token(claims) return forge('{"alg":"HS256"}', json.encode(claims)) end
    local function good(claims, options)
      options.algorithm = "HS256"
      assert(jwt.verify(token(claims), secret, options))
    end
    good({ aud = "shop" }, { audience = "shop" })
    good({ aud = { "a", "shop" } }, { audience = { "shop", "b" } })
    good({ iss = "me", sub = "7" }, { issuer = "me", subject = "7" })
    assert.equal("EAUDIENCE", code_of(token { aud = "shop" }, secret, { audience = "other" }))
    assert.equal("EAUDIENCE", code_of(token {}, secret, { audience = "shop" }))
    assert.equal("EISSUER", code_of(token { iss = "you" }, secret, { issuer = "me" }))
    assert.equal("ESUBJECT", code_of(token { sub = 7 }, secret, { subject = "7" }))
  end)
end)

describe("jwt.sign", function()
  it("adds times and fields of the header, and leaves the claims alone", function()
    local claims = { sub = "7" }
    local token = jwt.sign(claims, secret, { algorithm = "HS256", now = NOW, expires_in = 60, header = { kid = "k1" } })
    assert.same({ sub = "7" }, claims)
    assert.same({ alg = "HS256", typ = "JWT", kid = "k1" }, json.decode(url(token:match "^[^.]+")))
    assert.same({ sub = "7", iat = NOW, exp = NOW + 60 }, assert(jwt.verify(token, secret,
      { algorithm = "HS256", now = NOW })))
  end)

  it("raises for what makes no sense", function()
    local key = crypto.generate_key("ed25519")
    assert.error_matches(function() jwt.sign({}, secret) end, "needs options, at least { algorithm = }")
    assert.error_matches(function() jwt.sign({}, secret, { algorithm = "none" }) end, "unknown algorithm 'none'")
    assert.error_matches(function() jwt.sign({}, "short", { algorithm = "HS256" }) end, "at least 32 bytes, not 5")
    assert.error_matches(function() jwt.sign({}, key:public(), { algorithm = "EdDSA" }) end, "needs a private key")
    assert.error_matches(function() jwt.sign({}, secret, { algorithm = "EdDSA" }) end, "needs a key of luaserve.crypto")
    assert.error_matches(function() jwt.sign("x", secret, { algorithm = "HS256" }) end, "the claims must be a table")
    assert.error_matches(function() jwt.sign({}, secret, { algorithm = "HS256", expires = 1 }) end,
      "unknown option 'expires'")
    assert.error_matches(function() jwt.sign({}, secret, { algorithm = "HS256", header = { alg = "none" } }) end,
      "alg is the option algorithm's to set")
  end)
end)
