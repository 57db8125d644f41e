---@meta luaserve.http_error
-- SPDX-License-Identifier: MIT
-- For editors: what require "luaserve.http_error" returns. docs/api/http_error.md tells more.

---@class luaserve.http_error_module
local http_error = {}

---An error that an app answers with its status.
---@class luaserve.http_error
---@field status integer
---@field message? string
---@field fields? table<string, any>
---@field headers? table<string, string|number>

---An error to be raised: error(http_error.new(404, "no such note")).
---@param status integer 400 to 599
---@param message? string for the client
---@param fields? table<string, any> more members of the problem
---@param headers? table<string, string|number> fields of the response
---@return luaserve.http_error
function http_error.new(status, message, fields, headers) end

---Whether value is one.
---@param value any
---@return boolean
function http_error.is(value) end

---Answers the request with the error, as an app does.
---@param err luaserve.http_error
---@param req luaserve.request
---@param res luaserve.response
---@return boolean? sent
---@return string? message
---@return string? code
function http_error.answer(err, req, res) end

return http_error
