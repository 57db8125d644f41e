---@meta luaserve.shared
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.shared" returns. docs/api/shared.md tells more.

---@class luaserve.shared
local shared = {}

---@alias luaserve.shared.value boolean|number|string|table

---@class luaserve.dict
local dict = {}

---@param key string
---@return luaserve.shared.value?
function dict:get(key) end

---@param key string
---@param value luaserve.shared.value
---@param options? { ttl?: number }
---@return boolean?
---@return string? message
---@return string? code
function dict:set(key, value, options) end

---@param key string
---@param value luaserve.shared.value
---@param options? { ttl?: number }
---@return boolean?
---@return string? message
---@return string? code
function dict:add(key, value, options) end

---@param key string
---@param value luaserve.shared.value
---@param options? { ttl?: number }
---@return boolean?
---@return string? message
---@return string? code
function dict:replace(key, value, options) end

---@param key string
---@return boolean
function dict:delete(key) end

---@param key string
---@param by? number default 1
---@param options? { initial?: number, ttl?: number }
---@return number?
---@return string? message
---@return string? code
function dict:incr(key, by, options) end

---@param key string
---@param expected boolean|number|string|nil
---@param value boolean|number|string|nil
---@return boolean
---@return luaserve.shared.value? has
function dict:cas(key, expected, value) end

---@param key string
---@return number?
function dict:ttl(key) end

---@param key string
---@param ttl? number
---@return boolean
function dict:expire(key, ttl) end

---@param max? integer default 1024
---@return string[]
function dict:keys(max) end

function dict:clear() end

---@return { count: integer, bytes: integer, max_bytes: integer, hits: integer, misses: integer, evictions: integer, expirations: integer }
function dict:stats() end

---@param name string
---@param options? { max_bytes?: integer }
---@return luaserve.dict
function shared.dict(name, options) end

return shared
