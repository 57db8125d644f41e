---@meta luaserve.jwt
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.jwt" returns. docs/api/jwt.md tells more.

---@class luaserve.jwt
local jwt = {}

---@alias luaserve.jwt.algorithm "HS256"|"HS384"|"HS512"|"RS256"|"RS384"|"RS512"|"PS256"|"ES256"|"ES384"|"ES512"|"EdDSA"

---@class luaserve.jwt.sign_options
---@field algorithm luaserve.jwt.algorithm
---@field expires_in? number seconds
---@field header? table<string, any> more fields of the header
---@field now? number seconds since 1970, instead of the clock

---@class luaserve.jwt.verify_options
---@field algorithm luaserve.jwt.algorithm|luaserve.jwt.algorithm[]
---@field audience? string|string[]
---@field issuer? string
---@field subject? string
---@field leeway? number seconds; default 0
---@field now? number seconds since 1970, instead of the clock

---A token with these claims.
---@param claims table<string, any>
---@param key string|luaserve.key
---@param options luaserve.jwt.sign_options
---@return string token
function jwt.sign(claims, key, options) end

---The claims of a token that is right and valid now.
---@param token string
---@param key string|luaserve.key
---@param options luaserve.jwt.verify_options
---@return table<string, any>? claims
---@return string? message
---@return string? code
function jwt.verify(token, key, options) end

return jwt
