-- SPDX-License-Identifier: MIT
-- What luaserve.crypto costs: nanoseconds of CPU time a call, the best of five rounds. Run it with ./luaserve.

local crypto = require "luaserve.crypto"

local function measure(name, count, fn)
  local best = math.huge
  for _ = 1, 5 do
    local start = os.clock()
    for _ = 1, count do fn() end
    best = math.min(best, (os.clock() - start) / count * 1e9)
  end
  print(("%-28s %10.0f ns"):format(name, best))
end

local small, kilobyte, megabyte = ("x"):rep(64), ("x"):rep(1024), ("x"):rep(1 << 20)
local key = crypto.random_bytes(32)
local box, text = crypto.encrypt(key, kilobyte), crypto.base64_encode(kilobyte)
local signer = crypto.generate_key("ed25519")
local signature = crypto.sign(signer, small)

measure("sha256 of 64 bytes", 100000, function() crypto.hash("sha256", small) end)
measure("sha256 of 1 MiB", 100, function() crypto.hash("sha256", megabyte) end)
measure("hmac-sha256 of 64 bytes", 50000, function() crypto.hmac("sha256", key, small) end)
measure("random_bytes(16)", 100000, function() crypto.random_bytes(16) end)
measure("uuid()", 100000, function() crypto.uuid() end)
measure("uuid(7)", 100000, function() crypto.uuid(7) end)
measure("base64_encode of 1 KiB", 100000, function() crypto.base64_encode(kilobyte) end)
measure("base64_decode of 1 KiB", 100000, function() crypto.base64_decode(text) end)
measure("hex_encode of 1 KiB", 100000, function() crypto.hex_encode(kilobyte) end)
measure("encrypt of 1 KiB", 50000, function() crypto.encrypt(key, kilobyte) end)
measure("decrypt of 1 KiB", 50000, function() crypto.decrypt(key, box) end)
measure("encrypt of 1 MiB", 100, function() crypto.encrypt(key, megabyte) end)
measure("sign, Ed25519", 5000, function() crypto.sign(signer, small) end)
measure("verify, Ed25519", 2000, function() crypto.verify(signer, small, signature) end)
