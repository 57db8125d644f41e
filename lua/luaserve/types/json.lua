---@meta luaserve.json
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.json" returns. docs/api/json.md tells more.

---@class luaserve.json
---@field null luaserve.json.null JSON's null: equal to itself only, and true in a condition
---@field array_mt table the metatable of arrays
local json = {}

---@class luaserve.json.null

---@class luaserve.json.encode_options
---@field indent? boolean|integer true: 2 spaces for each level; or how many
---@field sort_keys? boolean by their bytes
---@field max_depth? integer default 128, at most 1000
---@field replace_invalid? boolean true: bytes that are no UTF-8 become U+FFFD each; else they raise

---@class luaserve.json.decode_options
---@field max_depth? integer default 128, at most 1000

---The JSON text of a value. Raises, with the path to it, for what JSON cannot hold.
---@param value any
---@param options? luaserve.json.encode_options
---@return string text
function json.encode(value, options) end

---The value of a JSON text.
---@param text string
---@param options? luaserve.json.decode_options
---@return any value
---@return string? message
---@return "EJSON"? code
function json.decode(text, options) end

---Marks a table, or a new one, to be encoded as an array, also when it is empty.
---@generic T: table
---@param t? T
---@return T
function json.array(t) end

---Marks a table, or a new one, to be encoded as an object.
---@generic T: table
---@param t? T
---@return T
function json.object(t) end

return json
