-- SPDX-License-Identifier: MIT
--- Keys that publications give as numbers, as PEM; and certificates.

local crypto = require "luaserve.crypto"

local keys = {}

function keys.unhex(text)
  return assert(crypto.hex_decode((text:gsub("%s", ""))))
end

--- PEM text around DER bytes.
function keys.pem(label, der)
  local lines = {}
  local text = crypto.base64_encode(der)
  for at = 1, #text, 64 do lines[#lines + 1] = text:sub(at, at + 63) end
  return ("-----BEGIN %s-----\n%s\n-----END %s-----\n"):format(label, table.concat(lines, "\n"), label)
end

--- A value of DER: tag, length, content.
local function der(tag, content)
  local n = #content
  local length = n < 128 and string.char(n) or n < 256 and string.char(0x81, n) or string.char(0x82, n >> 8, n & 255)
  return string.char(tag) .. length .. content
end

local function integer(bytes)
  return der(2, bytes:byte() >= 128 and "\0" .. bytes or bytes)
end

--- An RSA public key by its modulus and exponent (RFC 8017 A.1.1 in RFC 5280 4.1).
function keys.rsa(n, e)
  local algorithm = der(0x30, keys.unhex "06092a864886f70d0101010500")
  return assert(crypto.key(keys.pem("PUBLIC KEY",
    der(0x30, algorithm .. der(3, "\0" .. der(0x30, integer(n) .. integer(e)))))))
end

--- A public key on P-256 by its coordinates (RFC 5480).
function keys.p256(x, y)
  local head = keys.unhex "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
  return assert(crypto.key(keys.pem("PUBLIC KEY", head .. x .. y)))
end

--- An Ed25519 key by its bytes (RFC 8410).
function keys.ed25519(public)
  return assert(crypto.key(keys.pem("PUBLIC KEY", keys.unhex "302a300506032b6570032100" .. public)))
end

function keys.ed25519_private(secret)
  return assert(crypto.key(keys.pem("PRIVATE KEY", keys.unhex "302e020100300506032b657004220420" .. secret)))
end

--- A certificate authority, and a certificate that it has issued; good for a hundred years.
keys.authority = [[
-----BEGIN CERTIFICATE-----
MIIBxTCCAWugAwIBAgIIASNFZ4mrze8wCgYIKoZIzj0EAwIwPTELMAkGA1UEBhMC
REUxGTAXBgNVBAoMEEV4YW1wbGUgJiBTw7ZobmUxEzARBgNVBAMMCkV4YW1wbGUg
Q0EwIBcNMjYxMTI1MTg1MjUwWhgPMjEyNjExMDExODUyNTBaMD0xCzAJBgNVBAYT
AkRFMRkwFwYDVQQKDBBFeGFtcGxlICYgU8O2aG5lMRMwEQYDVQQDDApFeGFtcGxl
IENBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEivyLgRD8uzEtVEdKViXEdS4Q
Gf1L/Hp0oMMQxhHLRIK+F8ZFyrhfWEZAoQn967fF6waQKXawYnVctOwTUTQU9qNT
MFEwHQYDVR0OBBYEFG8FBbOTGfcco8CW8QcV/muRm6/+MB8GA1UdIwQYMBaAFG8F
BbOTGfcco8CW8QcV/muRm6/+MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwID
SAAwRQIhAIpJ5TmXDDri0ly/b4kqFo/lqLFx/HE4sz96KieXrARfAiA5V7tdcjZc
CcYGErRXiPa05+G9dzl9Qm/loZU7cS9Mjw==
-----END CERTIFICATE-----
]]

keys.certificate = [[
-----BEGIN CERTIFICATE-----
MIIB5TCCAYqgAwIBAgICEAAwCgYIKoZIzj0EAwIwPTELMAkGA1UEBhMCREUxGTAX
BgNVBAoMEEV4YW1wbGUgJiBTw7ZobmUxEzARBgNVBAMMCkV4YW1wbGUgQ0EwIBcN
MjYxMTI1MTg1MjUwWhgPMjEyNjExMDExODUyNTBaMBYxFDASBgNVBAMMC2V4YW1w
bGUub3JnMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEWt8ZLxxrqHxyt4z7Pzb4
NXOzx4NmvHwZxX0pkfcalPPsdhc1i9mV7yPuK0UlTkLvf1wWw8THedyBFvoPbXlv
pqOBnjCBmzBOBgNVHREERzBFggtleGFtcGxlLm9yZ4INKi5leGFtcGxlLm5ldIcE
fwAAAYcQAAAAAAAAAAAAAAAAAAAAAYEPYWRhQGV4YW1wbGUub3JnMAkGA1UdEwQC
MAAwHQYDVR0OBBYEFIJBkv6RrvMTxfNbcb+OKm9ypxY5MB8GA1UdIwQYMBaAFG8F
BbOTGfcco8CW8QcV/muRm6/+MAoGCCqGSM49BAMCA0kAMEYCIQCBDYwb83KW1Mi5
2aTn3eQY2zVinXIGGAE4JCqhkGGBnQIhAO5H9LscDMgYFjlnBkENNx4z3uvYvW2V
AEBeJZ7CChF9
-----END CERTIFICATE-----
]]

return keys
