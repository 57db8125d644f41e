-- SPDX-License-Identifier: MIT
--- Keys, signatures and certificates, against published vectors and against OpenSSL's own.

local crypto = require "luaserve.crypto"
local keys = require "spec.support.keys"

local unhex = keys.unhex

describe("crypto.verify", function()
  it("RFC 8032 7.1: Ed25519, and its signatures are the published ones", function()
    for _, case in ipairs {
      { "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155" ..
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
      { "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" ..
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
    } do
      local secret, public, message, signature = keys.ed25519_private(unhex(case[1])), keys.ed25519(unhex(case[2])),
        unhex(case[3]), unhex(case[4])
      assert.equal(crypto.hex_encode(signature), crypto.hex_encode(crypto.sign(secret, message)))
      assert.is_true(crypto.verify(public, message, signature))
      assert.is_false(crypto.verify(public, message .. "x", signature))
      assert.equal(public:to_pem(), secret:public():to_pem())
    end
  end)

  it("RFC 6979 A.2.5: ECDSA on P-256", function()
    local key = keys.p256(unhex "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
      unhex "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299")
    local signature = unhex "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716" ..
      unhex "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    assert.is_true(crypto.verify(key, "sample", signature, { format = "raw" }))
    assert.is_false(crypto.verify(key, "Sample", signature, { format = "raw" }))
    assert.is_false(crypto.verify(key, "sample", signature, { format = "raw", digest = "sha512" }))
    assert.is_false(crypto.verify(key, "sample", signature))
    assert.is_false(crypto.verify(key, "sample", signature .. "x", { format = "raw" }))
    assert.is_false(crypto.verify(key, "sample", ("\0"):rep(64), { format = "raw" }))
  end)
end)

describe("a key", function()
  for _, name in ipairs { "ed25519", "p-256", "p-384", "p-521", "rsa" } do
    it("of " .. name .. " signs, and what it signed is verified by its public half alone", function()
      local key, other = crypto.generate_key(name, { bits = 2048 }), crypto.generate_key(name, { bits = 2048 })
      local public = key:public()
      assert.same({ name, true, false }, { key.name, key.private, public.private })
      assert.same({ "key (" .. name .. ", private)", "key (" .. name .. ", public)" }, { tostring(key),
        tostring(public) })
      for _, options in ipairs { {}, { format = "raw" }, { padding = "pkcs1" }, { digest = "sha512" } } do
        local signature = crypto.sign(key, "message", options)
        assert.is_true(crypto.verify(public, "message", signature, options))
        assert.is_true(crypto.verify(key, "message", signature, options))
        assert.is_false(crypto.verify(public, "Message", signature, options))
        assert.is_false(crypto.verify(other, "message", signature, options))
        assert.is_false(crypto.verify(public, "message", signature:sub(1, -2), options))
        assert.is_false(crypto.verify(public, "message", "", options))
      end
      assert.error_matches(function() crypto.sign(public, "message") end, "a private key is needed here")
    end)

    it("of " .. name .. " is written to PEM and read again", function()
      local key = crypto.generate_key(name, { bits = 2048 })
      local signature = crypto.sign(key, "m")
      assert.matches("^%-%-%-%-%-BEGIN PRIVATE KEY%-%-%-%-%-\n", key:to_pem())
      assert.matches("^%-%-%-%-%-BEGIN PUBLIC KEY%-%-%-%-%-\n", key:public():to_pem())
      for _, again in ipairs { assert(crypto.key(key:to_pem())), (assert(crypto.key(key:public():to_pem()))) } do
        assert.is_true(crypto.verify(again, "m", signature))
        assert.equal(name, again.name)
      end
      local locked = key:to_pem("secret")
      assert.matches("ENCRYPTED", locked)
      assert.is_true(assert(crypto.key(locked, "secret")).private)
      assert.same({ nil, "EINVAL: the key is encrypted: another passphrase?", "EINVAL" }, { crypto.key(locked,
        "wrong") })
      assert.same({ nil, "EINVAL: the key is encrypted: another passphrase?", "EINVAL" }, { crypto.key(locked) })
    end)
  end

  it("is generated while others run, also by a callback", function()
    local done
    local operation = crypto.generate_key("p-256", function(_, key) done = key end)
    assert.is_userdata(operation)
    crypto.generate_key("p-256")
    while not done do require("luaserve.timer").sleep(0) end
    assert.equal("p-256", done.name)
  end)

  it("that is none, of another kind or too short is refused", function()
    local function check(pattern, pem)
      local key, message, code = crypto.key(pem)
      assert.same({ nil, "EINVAL" }, { key, code })
      assert.matches(pattern, message)
    end
    check("no key in PEM", "")
    check("no key in PEM", "rubbish")
    check("no key in PEM", keys.certificate)
    check("a kind of key that is not supported", [[
-----BEGIN EC PRIVATE KEY-----
MHQCAQEEIE4B6DRYQ6ba7lONbKaAII+JAi1IMzPYWy24Jjv+rqLpoAcGBSuBBAAK
oUQDQgAEb3hPKH8iaINpTr9fFu/uq7CxLxuhu6xnzZzy669pMa7k4ON81TyzRJ9m
LVpiPSCbFIUSlwK3KOLm2M6hgvbKLw==
-----END EC PRIVATE KEY-----
]])
    check("an RSA key of 512 bits is too short", [[
-----BEGIN PRIVATE KEY-----
MIIBVQIBADANBgkqhkiG9w0BAQEFAASCAT8wggE7AgEAAkEA2gVKQV9HqmeNt39B
1m/zZ1+wBHS9RHNLpE5Ja+r7ineWVE8ylyrEhgQQokNXhN84xTciicI3iCLuZ7cZ
XjZ99wIDAQABAkEAsSz5YlTW/bF35rZhP63s5YZKmeRw5063GwiP/EaTMrtpfhmh
AY3byfZa1HpfZLXuemZ449xwQsqigZtMw/KGMQIhAP6WT+0OPx6wn3QTt/Cd1mtB
boBBrDEw3oUJ3pVGpDtvAiEA2zsHR3E1rwjRtwrjWJBOOGFqgzWgcVUEqK3khXX2
wfkCIGL4Aggwop8GoGYaiEYUxdcaL5/SZ+MTkV18kbfMJ2onAiEA2sJIPS3ml8aB
HdmripBUvUXX9x3n/68KexcqVVKk7GECIA+lJNNt0/e8vWq2k3Pw36BGhFdov7+d
h8QxB/4UbOH3
-----END PRIVATE KEY-----
]])
  end)

  it("names options that make no sense", function()
    local key = crypto.generate_key("p-256")
    assert.error_matches(function() crypto.sign(key, "m", { digset = "sha256" }) end, "did you mean 'digest'")
    assert.error_matches(function() crypto.sign(key, "m", { padding = "none" }) end,
      "'padding' must be 'pss' or 'pkcs1'")
    assert.error_matches(function() crypto.sign(key, "m", { format = "hex" }) end, "'format' must be 'der' or 'raw'")
    assert.error_matches(function() crypto.sign("key", "m") end, "luaserve.key expected")
    assert.error_matches(function() crypto.generate_key("dsa") end, "invalid option 'dsa'")
    assert.error_matches(function() crypto.generate_key("rsa", { bits = 1024 }) end, "from 2048 to 8192")
  end)
end)

describe("a certificate", function()
  it("tells whose it is, from whom, for what and how long", function()
    local certificate = assert(crypto.certificate(keys.certificate))
    assert.same({ CN = "example.org" }, certificate.subject)
    assert.same({ C = "DE", O = "Example & Söhne", CN = "Example CA" }, certificate.issuer)
    assert.equal("CN=example.org", certificate.subject_text)
    assert.equal("CN=Example CA,O=Example & Söhne,C=DE", certificate.issuer_text)
    assert.equal("1000", certificate.serial)
    assert.same({ 1795632770, 4949232770 }, { certificate.not_before, certificate.not_after })
    assert.same({ "example.org", "*.example.net" }, certificate.dns_names)
    assert.same({ "127.0.0.1", "::1" }, certificate.addresses)
    assert.same({ "ada@example.org" }, certificate.emails)
    assert.is_false(certificate.is_ca)
    assert.equal("48b651e8648532aea206de86ee9c36fdcb9b00becfff94422c594919f31ce4f1", certificate:fingerprint())
    assert.same({ "p-256", false }, { certificate.public_key.name, certificate.public_key.private })
    assert.equal("certificate (CN=example.org)", tostring(certificate))
  end)

  it("is for its hosts and for no others", function()
    local certificate = assert(crypto.certificate(keys.certificate))
    for host, expected in pairs { ["example.org"] = true, ["EXAMPLE.ORG"] = true, ["www.example.org"] = false,
      ["a.example.net"] = true, ["example.net"] = false, ["a.b.example.net"] = false, ["127.0.0.1"] = true,
      ["::1"] = true, ["127.0.0.2"] = false, ["example.org\0.evil"] = false, [""] = false } do
      assert.equal(expected, certificate:matches_host(host), host)
    end
  end)

  it("is known to its issuer", function()
    local certificate, authority = assert(crypto.certificate(keys.certificate)),
      assert(crypto.certificate(keys.authority))
    assert.is_true(authority.is_ca)
    assert.equal("0123456789ABCDEF", authority.serial)
    assert.is_true(certificate:is_issued_by(authority))
    assert.is_true(authority:is_issued_by(authority))
    assert.is_false(certificate:is_issued_by(certificate))
    assert.is_false(authority:is_issued_by(certificate))
  end)

  it("that is none is refused", function()
    assert.same({ nil, "EINVAL: no certificate in PEM is there", "EINVAL" }, { crypto.certificate("rubbish") })
    assert.is_nil((crypto.certificate(keys.certificate:sub(1, 300))))
  end)
end)
