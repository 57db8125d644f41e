---@meta luaserve.cookie
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.cookie" returns. docs/api/cookie.md tells more.

---@class luaserve.cookie
local cookie = {}

---@class luaserve.cookie.attributes
---@field path? string default "/"
---@field domain? string default: this host only
---@field max_age? integer seconds
---@field expires? number seconds since 1970
---@field http_only? boolean default true
---@field secure? boolean default: where something else needs it
---@field same_site? "strict"|"lax"|"none"|false default "lax"
---@field partitioned? boolean

---The cookies of a Cookie field; of a repeated name the first.
---@param text? string
---@return table<string, string>
function cookie.parse(text) end

---The value of a Set-Cookie field. Raises for what user agents would ignore.
---@param name string
---@param value string|number
---@param attributes? luaserve.cookie.attributes
---@return string
function cookie.build(name, value, attributes) end

---A value with a signature; the first of the secrets signs.
---@param value string
---@param secrets string|string[] at least 16 bytes
---@param name? string what it is for
---@return string signed
function cookie.sign(value, secrets, name) end

---The value that was signed with one of the secrets for this name.
---@param signed? string
---@param secrets string|string[]
---@param name? string
---@return string? value
---@return string? message
---@return string? code
function cookie.unsign(signed, secrets, name) end

return cookie
