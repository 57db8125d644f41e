-- SPDX-License-Identifier: MIT
--- luaserve.crypto against published vectors, and how it fails.

local crypto, task = require "luaserve.crypto", require "luaserve.task"

local function unhex(text)
  return assert(crypto.hex_decode((text:gsub("%s", ""))))
end

local function hex(bytes)
  return crypto.hex_encode(bytes)
end

describe("crypto.hash", function()
  -- The hash of "abc": FIPS 180-4 and the examples that NIST publishes beside it; FIPS 202; RFC 7693 appendices A and B;
  -- RFC 1321 A.5; the authors of RIPEMD-160.
  local of_abc = {
    { "md5", "900150983cd24fb0d6963f7d28e17f72" },
    { "sha1", "a9993e364706816aba3e25717850c26c9cd0d89d" },
    { "sha224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7" },
    { "sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "sha384", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7" },
    { "sha512", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" ..
      "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
    { "sha512-256", "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23" },
    { "sha3-224", "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf" },
    { "sha3-256", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532" },
    { "sha3-384", "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25" },
    { "sha3-512", "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e" ..
      "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0" },
    { "blake2b512", "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1" ..
      "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923" },
    { "blake2s256", "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982" },
    { "ripemd160", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc" },
  }
  for _, case in ipairs(of_abc) do
    it("is that of the publication for " .. case[1], function()
      assert.equal(case[2], crypto.hash(case[1], "abc", "hex"))
      assert.equal(unhex(case[2]), crypto.hash(case[1], "abc"))
      assert.equal(case[2], crypto.hasher(case[1]):update("a"):update("", "b", "c"):digest("hex"))
    end)
  end

  it("of a million a's is that of FIPS 180-4", function()
    local hasher = crypto.hasher("sha256")
    for _ = 1, 1000 do hasher:update(("a"):rep(1000)) end
    assert.equal("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", hasher:digest("hex"))
  end)

  it("comes in encodings", function()
    assert.equal("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", crypto.hash("sha256", "", "base64"))
    assert.equal("47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", crypto.hash("sha256", "", "base64url"))
    assert.equal(32, #crypto.hash("sha256", "", "raw"))
    assert.error_matches(function() crypto.hash("sha256", "", "octal") end, "invalid option 'octal'")
  end)

  it("names an unknown algorithm and the one probably meant", function()
    assert.error_matches(function() crypto.hash("sha257", "") end, "unknown hash algorithm 'sha257'")
    assert.error_matches(function() crypto.hasher("SHA256") end, "unknown hash algorithm 'SHA256'")
    assert.error_matches(function() crypto.hash("sha3-257", "") end, "did you mean 'sha3%-256'")
  end)

  it("by pieces can be copied, ends once, and can be closed", function()
    local first <close> = crypto.hasher("sha256"):update("ab")
    local second = first:copy():update("c")
    assert.equal(crypto.hash("sha256", "ab"), first:digest())
    assert.equal(crypto.hash("sha256", "abc"), second:digest())
    assert.error_matches(function() first:update("x") end, "the hash is complete")
    assert.error_matches(function() first:digest() end, "the hash is complete")
    assert.equal("hasher (sha256, complete)", tostring(first))
    local closed = crypto.hasher("md5")
    closed:close()
    closed:close()
    assert.error_matches(function() closed:copy() end, "the hash is complete")
  end)
end)

describe("crypto.hash_file", function()
  it("is the hash of the file", function()
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "wb"))
    local content = ("0123456789abcdef"):rep(65536) .. "rest"
    file:write(content)
    file:flush()
    assert.equal(crypto.hash("sha256", content, "hex"), crypto.hash_file("sha256", path, "hex"))
    local channel = task.channel(1)
    crypto.hash_file("sha256", path, function(...) channel:send { ... } end)
    assert.equal(crypto.hash("sha256", content), channel:receive()[2])
    os.remove(path)
  end)

  it("says what is wrong with it", function()
    assert.same({ nil, "ENOENT: no such file or directory: open '/nowhere/to'", "ENOENT" },
      { crypto.hash_file("sha256", "/nowhere/to") })
    assert.equal("EISDIR", (select(3, crypto.hash_file("sha256", "/"))))
    assert.error_matches(function() crypto.hash_file("sha256", "a\0b") end, "a path has no NUL")
  end)
end)

describe("crypto.hmac", function()
  local function check(algorithm, key, data, expected)
    local got = crypto.hmac(algorithm, key, data, "hex")
    assert.equal(expected, got:sub(1, #expected))
    assert.equal(got, crypto.hmacer(algorithm, key):update(data:sub(1, 5)):update(data:sub(6)):digest("hex"))
  end

  it("RFC 4231 4.2", function()
    check("sha256", ("\x0b"):rep(20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
    check("sha512", ("\x0b"):rep(20), "Hi There", "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde" ..
      "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854")
  end)
  it("RFC 4231 4.3", function()
    check("sha256", "Jefe", "what do ya want for nothing?",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    check("sha384", "Jefe", "what do ya want for nothing?",
      "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649")
  end)
  it("RFC 4231 4.4", function()
    check("sha256", ("\xaa"):rep(20), ("\xdd"):rep(50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe")
  end)
  it("RFC 4231 4.6, cut to 128 bits", function()
    check("sha256", ("\x0c"):rep(20), "Test With Truncation", "a3b6167473100ee06e0c796c2955552b")
  end)
  it("RFC 4231 4.7", function()
    check("sha256", ("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First",
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
  end)
  it("RFC 2202 2 and 3", function()
    check("md5", "Jefe", "what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738")
    check("sha1", "Jefe", "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
  end)
  it("takes a key of no bytes", function()
    check("sha256", "", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
  end)
end)

describe("crypto.hkdf", function()
  it("RFC 5869 A.1", function()
    assert.equal("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
      hex(crypto.hkdf("sha256", ("\x0b"):rep(22), { salt = unhex "000102030405060708090a0b0c",
        info = unhex "f0f1f2f3f4f5f6f7f8f9", length = 42 })))
  end)
  it("RFC 5869 A.3, without salt and info", function()
    assert.equal("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
      hex(crypto.hkdf("sha256", ("\x0b"):rep(22), { length = 42 })))
  end)
  it("RFC 5869 A.7, by SHA-1 and without salt", function()
    assert.equal("2c91117204d745f3500d636a62f64f0ab3bae548aa53d423b0d1f27ebba6f5e5673a081d70cce7acfc48",
      hex(crypto.hkdf("sha1", ("\x0c"):rep(22), { length = 42 })))
  end)
  it("wants a length that it can give", function()
    assert.error_matches(function() crypto.hkdf("sha256", "key", {}) end, "option 'length' is missing")
    assert.error_matches(function() crypto.hkdf("sha256", "key", { length = 8161 }) end, "from 1 to 8160")
    assert.error_matches(function() crypto.hkdf("sha256", "key", { lenght = 1 }) end, "did you mean 'length'")
  end)
end)

describe("random", function()
  it("bytes are as many as asked for, and others each time", function()
    assert.equal(0, #crypto.random_bytes(0))
    assert.equal(100000, #crypto.random_bytes(100000))
    assert.equal(64, #crypto.random_bytes(32, "hex"))
    assert.not_equal(crypto.random_bytes(16), crypto.random_bytes(16))
    assert.error_matches(function() crypto.random_bytes(-1) end, "a number of bytes up to 16 MiB")
  end)

  it("integers are in their range, ends included", function()
    local seen = {}
    for _ = 1, 1000 do seen[crypto.random_integer(-1, 2)] = true end
    assert.same({ [-1] = true, [0] = true, [1] = true, [2] = true }, seen)
    assert.equal(7, crypto.random_integer(7, 7))
    assert.is_true(math.type(crypto.random_integer(math.mininteger, math.maxinteger)) == "integer")
    assert.error_matches(function() crypto.random_integer(2, 1) end, "at least the first number")
  end)

  it("UUIDs have the layout of RFC 9562 5.4 and 5.7", function()
    local pattern = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-V%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"
    assert.matches((pattern:gsub("V", "4")), crypto.uuid())
    local last = ""
    for _ = 1, 20000 do -- more than a millisecond's count
      local uuid = crypto.uuid(7)
      assert.matches((pattern:gsub("V", "7")), uuid)
      assert.is_true(uuid > last)
      last = uuid
    end
    local ms = tonumber((last:gsub("-", ""):sub(1, 12)), 16)
    assert.is_true(math.abs(ms / 1000 - os.time()) < 60)
    assert.error_matches(function() crypto.uuid(1) end, "4 or 7")
  end)

  it("equal compares strings", function()
    assert.is_true(crypto.equal("", ""))
    assert.is_true(crypto.equal("a\0b", "a\0b"))
    assert.is_false(crypto.equal("a\0b", "a\0c"))
    assert.is_false(crypto.equal("a", "ab"))
  end)
end)

describe("text", function()
  it("RFC 4648 10: base64 and hex", function()
    for bytes, text in pairs { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=",
      foobar = "Zm9vYmFy" } do
      assert.equal(text, crypto.base64_encode(bytes))
      assert.equal(bytes, crypto.base64_decode(text))
      assert.equal((text:gsub("=", "")), crypto.base64url_encode(bytes))
      assert.equal(bytes, crypto.base64url_decode((text:gsub("=", ""))))
    end
    assert.equal("666f6f626172", crypto.hex_encode("foobar"))
    assert.equal("foobar", crypto.hex_decode("666F6f626172"))
  end)

  it("that is none says where", function()
    assert.same({ nil, "EINVAL: no base64 at byte 5", "EINVAL" }, { crypto.base64_decode("Zm9v Zm9v") })
    assert.same({ nil, "EINVAL: no base64 at byte 3", "EINVAL" }, { crypto.base64_decode("Zg") })
    assert.same({ nil, "EINVAL: no base64url at byte 1", "EINVAL" }, { crypto.base64url_decode("+/+/") })
    assert.same({ nil, "EINVAL: no hex at byte 2", "EINVAL" }, { crypto.hex_decode("0g") })
  end)
end)

describe("encrypt and decrypt", function()
  local key = crypto.random_bytes(32)

  for _, algorithm in ipairs { "aes-256-gcm", "chacha20-poly1305" } do
    it("keep what they are given by " .. algorithm, function()
      for _, size in ipairs { 0, 1, 15, 16, 17, 1000, 100000 } do
        local data = crypto.random_bytes(size)
        local box = crypto.encrypt(key, data, { algorithm = algorithm, aad = "context" })
        assert.equal(size + 29, #box)
        assert.equal(data, crypto.decrypt(key, box, { aad = "context" }))
        assert.equal(data, crypto.decrypt(key, box, { algorithm = algorithm, aad = "context" }))
      end
    end)

    it("tell keys, and what has failed before, apart by " .. algorithm, function()
      local other, seen = crypto.random_bytes(32), {}
      for i = 1, 24 do
        local own, foreign = i % 3 == 0 and other or key, i % 3 == 0 and key or other
        local data, aad = ("x"):rep(i % 5 * 16), i % 2 == 0 and "context" or nil
        local box = crypto.encrypt(own, data, { algorithm = algorithm, aad = aad })
        assert.is_nil(seen[box])
        seen[box] = true
        if i % 4 == 0 then assert.is_nil((crypto.decrypt(foreign, box, { aad = aad }))) end
        if i % 4 == 1 then assert.is_nil((crypto.decrypt(own, box, { aad = "another" }))) end
        assert.equal(data, crypto.decrypt(own, box, { aad = aad }))
      end
    end)

    it("notice every changed bit by " .. algorithm, function()
      local box = crypto.encrypt(key, "attack at dawn", { algorithm = algorithm, aad = "a" })
      for i = 1, #box do
        local changed = box:sub(1, i - 1) .. string.char(box:byte(i) ~ 1) .. box:sub(i + 1)
        assert.same({ nil, "EINVAL: the box does not open", "EINVAL" }, { crypto.decrypt(key, changed, { aad = "a" }) })
      end
      for len = 0, #box - 1 do assert.is_nil((crypto.decrypt(key, box:sub(1, len), { aad = "a" }))) end
      assert.is_nil((crypto.decrypt(key, box)))
      assert.is_nil((crypto.decrypt(key, box, { aad = "b" })))
      assert.is_nil((crypto.decrypt(crypto.random_bytes(32), box, { aad = "a" })))
    end)
  end

  it("NIST SP 800-38D: opens test cases 13 to 16 of GCM's authors", function()
    local function open(case)
      return crypto.decrypt(unhex(case.key), "\1" .. unhex(case.nonce) .. unhex(case.text) .. unhex(case.tag),
        { aad = unhex(case.aad or ""), algorithm = "aes-256-gcm" })
    end
    local zeros = ("00"):rep(32)
    assert.equal("", open { key = zeros, nonce = ("00"):rep(12), text = "", tag = "530f8afbc74536b9a963b4f1c4cb738b" })
    assert.equal(("\0"):rep(16), open { key = zeros, nonce = ("00"):rep(12), text = "cea7403d4d606b6e074ec5d3baf39d18",
      tag = "d0d1c8a799996bf0265b98b5d48ab919" })
    local case = { key = ("feffe9928665731c6d6a8f9467308308"):rep(2), nonce = "cafebabefacedbaddecaf888",
      text = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa" ..
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
      tag = "76fc6ece0f4e1768cddf8853bb2d551b", aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2" }
    assert.equal("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72" ..
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39", hex(open(case)))
  end)

  it("RFC 8439 2.8.2: opens its example", function()
    local box = "\2" .. unhex "070000004041424344454647" .. unhex [[
      d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b
      1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
      3ff4def08e4b7a9de576d26586cec64b6116]] .. unhex "1ae10b594f09e26a7e902ecbd0600691"
    local text = crypto.decrypt(unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"), box,
      { aad = unhex "50515253c0c1c2c3c4c5c6c7" })
    assert.equal("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, " ..
      "sunscreen would be it.", text)
  end)

  it("seal and open with the key that they got, whatever a finalizer does with another one meanwhile", function()
    local other, data, running = crypto.random_bytes(32), ("x"):rep(1500), false
    local kept, runs = crypto.encrypt(key, data), 0
    local sealing = { __gc = function()
      if not running then return end
      runs = runs + 1
      crypto.encrypt(other, "y")
      crypto.decrypt(other, kept)
    end }
    local boxes, opened = {}, 0
    local mode = collectgarbage("incremental", 0, 0, 3) -- steps of 8 bytes, so at most allocations
    for i = 1, 1000 do
      for _ = 1, 12 do setmetatable({}, sealing) end
      for _ = 1, i % 40 do local _ = {} end -- so that the steps come at other places
      running = true
      boxes[i] = crypto.encrypt(key, data)
      if crypto.decrypt(key, kept) == data then opened = opened + 1 end
      running = false
    end
    collectgarbage("incremental", 0, 0, 13) -- Lua's own
    collectgarbage(mode)
    assert.is_true(runs > 0)
    assert.equal(#boxes, opened)
    for i, box in ipairs(boxes) do boxes[i] = crypto.decrypt(key, box) end
    assert.equal(data:rep(#boxes), table.concat(boxes))
  end)

  it("want a key of 32 bytes and options that they know", function()
    assert.error_matches(function() crypto.encrypt("short", "x") end, "the key must be 32 bytes, not 5")
    assert.error_matches(function() crypto.encrypt(key, "x", { algorithm = "des" }) end, "unknown algorithm 'des'")
    assert.error_matches(function() crypto.encrypt(key, "x", { ad = "" }) end, "did you mean 'aad'")
    assert.error_matches(function() crypto.encrypt(key, "x", { aad = 1 }) end, "option 'aad' must be a string")
    local box = crypto.encrypt(key, "x", { algorithm = "chacha20-poly1305" })
    assert.is_nil((crypto.decrypt(key, box, { algorithm = "aes-256-gcm" })))
  end)
end)
