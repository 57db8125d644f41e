-- SPDX-License-Identifier: MIT
--- Hashes of passwords and keys from passwords, against published vectors; and what a hostile hash may not do.

local crypto, task, timer = require "luaserve.crypto", require "luaserve.task", require "luaserve.timer"

local CHEAP = { memory = 64 * 1024, passes = 1 }

describe("crypto.password_verify", function()
  local function check(password, hash, wrong)
    assert.is_true(crypto.password_verify(password, hash))
    assert.is_false(crypto.password_verify(wrong or password .. "x", hash))
  end

  it("knows Argon2id and Argon2i (RFC 9106) as the reference implementation writes them", function()
    check("password",
      "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "Password")
    check("password", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
    check("password", "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8")
  end)

  it("knows bcrypt as its authors' tests have it", function()
    check("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")
    check("U*U*", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK")
    check("U*U*U", "$2y$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a")
    check("", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy")
  end)

  it("knows yescrypt as the system's crypt(3) makes it", function()
    check("secret", "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0")
  end)

  it("fails for what is no hash", function()
    for _, hash in ipairs { "", "rubbish", "$", "$argon2id$", "$argon2id$v=19$m=64,t=1,p=1$", "$2b$05$short", "$y$j9T",
      "$y$", "$1$salt$hash", "$6$salt$hash", "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
      "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe!", "$argon2id$v=19$m=64,t=1,p=1$!!!!$!!!!",
      "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$\0" } do
      assert.same({ nil, "EINVAL: this is no hash of a password", "EINVAL" }, { crypto.password_verify("x", hash) },
        hash)
    end
  end)

  it("does not do what a hostile hash asks for", function()
    for _, hash in ipairs {
      "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
      "$argon2id$v=19$m=1048577,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
      "$argon2id$v=19$m=64,t=4294967295,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
      "$argon2id$v=19$m=65536,t=2,p=17$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
      "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
      "$y$jzT$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0",
      "$y$j9z$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0",
    } do
      assert.equal("EINVAL", (select(3, crypto.password_verify("password", hash))), hash)
    end
  end)

  it("does not stop at a NUL", function()
    local hash = crypto.password_hash("a", { algorithm = "bcrypt", cost = 4 })
    assert.is_false(crypto.password_verify("a\0b", hash))
    hash = crypto.password_hash("a\0b", CHEAP)
    assert.is_true(crypto.password_verify("a\0b", hash))
    assert.is_false(crypto.password_verify("a", hash))
  end)
end)

describe("crypto.password_hash", function()
  it("is Argon2id with OWASP's parameters, and a salt of its own each time", function()
    local hash = crypto.password_hash("correct horse")
    assert.matches("^%$argon2id%$v=19%$m=19456,t=2,p=1%$[%w+/]+%$[%w+/]+$", hash)
    assert.is_true(crypto.password_verify("correct horse", hash))
    assert.not_equal(hash, crypto.password_hash("correct horse"))
  end)

  it("takes parameters", function()
    assert.matches("m=64,t=3,p=2", crypto.password_hash("x", { memory = 65536, passes = 3, lanes = 2 }), 1, true)
    assert.matches("^%$2b%$06%$", crypto.password_hash("x", { algorithm = "bcrypt", cost = 6 }))
    assert.error_matches(function() crypto.password_hash("x", { algorithm = "md5" }) end, "unknown algorithm 'md5'")
    assert.error_matches(function() crypto.password_hash("x", { memory = 1 }) end, "option 'memory' must be from 8192")
    assert.error_matches(function() crypto.password_hash("x", { lanes = 16, memory = 65536 }) end,
      "at least 8 KiB for each")
    assert.error_matches(function() crypto.password_hash("x", { rounds = 1 }) end, "unknown option 'rounds'")
  end)

  it("of bcrypt refuses what it would cut off", function()
    for _, password in ipairs { ("x"):rep(73), "a\0b" } do
      assert.equal("EINVAL", (select(3, crypto.password_hash(password, { algorithm = "bcrypt", cost = 4 }))))
    end
    assert.is_string(crypto.password_hash(("x"):rep(72), { algorithm = "bcrypt", cost = 4 }))
  end)

  it("lets others run, calls back, and can be cancelled while it waits", function()
    local order = task.channel(10)
    crypto.password_hash("x", function(message, hash) order:send(message or hash:sub(1, 9)) end)
    order:send("first")
    assert.same({ "first", "$argon2id" }, { order:receive(), order:receive() })
    local hashing = task.spawn(crypto.password_hash, "x", { memory = 64 << 20, passes = 4 })
    local waiting = task.spawn(crypto.password_hash, "y", { memory = 64 << 20, passes = 4 })
    timer.sleep(0)
    waiting:cancel()
    hashing:cancel()
    assert.is_false((pcall(waiting.join, waiting)))
    assert.is_false((pcall(hashing.join, hashing)))
  end)
end)

describe("crypto.needs_rehash", function()
  it("tells what was made by less effort, or otherwise", function()
    local now = crypto.password_hash("x")
    assert.is_false(crypto.needs_rehash(now))
    assert.is_true(crypto.needs_rehash(now, { passes = 3 }))
    assert.is_true(crypto.needs_rehash(now, { algorithm = "bcrypt" }))
    assert.is_true(crypto.needs_rehash(crypto.password_hash("x", CHEAP)))
    assert.is_false(crypto.needs_rehash(crypto.password_hash("x", CHEAP), CHEAP))
    local bcrypt = crypto.password_hash("x", { algorithm = "bcrypt", cost = 5 })
    assert.is_true(crypto.needs_rehash(bcrypt, { algorithm = "bcrypt" }))
    assert.is_false(crypto.needs_rehash(bcrypt, { algorithm = "bcrypt", cost = 5 }))
    assert.is_true(crypto.needs_rehash("rubbish"))
  end)
end)

describe("crypto.scrypt", function()
  it("RFC 7914 12", function()
    local function check(password, salt, n, r, p, expected)
      assert.equal(expected, crypto.hex_encode(crypto.scrypt(password, { salt = salt, n = n, r = r, p = p,
        length = 64 })))
    end
    check("", "", 16, 1, 1, "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442" ..
      "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906")
    check("password", "NaCl", 1024, 8, 16, "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162" ..
      "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640")
    check("pleaseletmein", "SodiumChloride", 16384, 8, 1, "7023bdcb3afd7348461c06cd81fd38eb" ..
      "fda8fbba904f8e3ea9b543f6545da1f2" .. "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887")
  end)

  it("names options that make no sense", function()
    assert.error_matches(function() crypto.scrypt("x", {}) end, "option 'salt' is missing")
    assert.error_matches(function() crypto.scrypt("x", { salt = "", n = 1000 }) end, "'n' must be a power of two")
    assert.error_matches(function() crypto.scrypt("x", { salt = "", n = 1 << 24, r = 8 }) end, "more than 1 GiB")
  end)
end)

describe("crypto.pbkdf2", function()
  local function derive(algorithm, password, salt, iterations, length)
    return crypto.hex_encode(crypto.pbkdf2(algorithm, password, { salt = salt, iterations = iterations,
      length = length }))
  end

  it("RFC 6070 2", function()
    assert.equal("0c60c80f961f0e71f3a9b524af6012062fe037a6", derive("sha1", "password", "salt", 1, 20))
    assert.equal("4b007901b765489abead49d926f721d065a429c1", derive("sha1", "password", "salt", 4096, 20))
    assert.equal("3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038", derive("sha1", "passwordPASSWORDpassword",
      "saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096, 25))
    assert.equal("56fa6aa75548099dcc37d7f03425e0c3", derive("sha1", "pass\0word", "sa\0lt", 4096, 16))
  end)

  it("RFC 7914 11", function()
    assert.equal("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc" ..
      "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783", derive("sha256", "passwd", "salt", 1, 64))
    assert.equal("4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56" ..
      "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d", derive("sha256", "Password", "NaCl", 80000,
      64))
  end)

  it("names options that make no sense", function()
    assert.error_matches(function() crypto.pbkdf2("sha256", "x", { salt = "" }) end, "option 'iterations' is missing")
    assert.error_matches(function() crypto.pbkdf2("sha256", "x", { iterations = 1 }) end, "option 'salt' is missing")
    assert.error_matches(function() crypto.pbkdf2("sha", "x", {}) end, "unknown hash algorithm 'sha'")
  end)
end)
