-- SPDX-License-Identifier: MIT
--- Methods of requests that read cookies.

local cookie = require "luaserve.cookie"
local request = require "luaserve.core.request"

local check_self = request.check_self

local methods = {}

--- The value of a cookie, percent-decoded, or nil. Clients can send anything here.
-- @usage local theme = req:cookie("theme") or "light"
methods.cookie = request.cookie

--- All cookies: { name = value }.
function methods.cookies(req)
  check_self(req, "req:cookies")
  local cookies = cookie.parse(req.headers.cookie)
  for name, value in pairs(cookies) do cookies[name] = cookie._decode(value) end
  return cookies
end

--- The value of a cookie that res:set_cookie has signed; nil where there is none, or nil, message, "EINVAL" where the
-- signature is not one of these secrets'.
-- @param secrets a string of at least 16 bytes, or a list of such, the newest first
-- @usage local user = req:signed_cookie("user", secret)
function methods.signed_cookie(req, name, secrets)
  check_self(req, "req:signed_cookie")
  local value = request.cookie(req, name)
  if value == nil then return nil end
  return cookie.unsign(value, secrets, name)
end

return methods
