-- SPDX-License-Identifier: MIT
--- Methods of requests that read cookies.

local check_self = require "luaserve.core.request".check_self
local cookie = require "luaserve.cookie"

local methods = {}

--- The value of a cookie, percent-decoded, or nil. Clients can send anything here.
-- @usage local theme = req:cookie("theme") or "light"
function methods.cookie(req, name)
  check_self(req, "req:cookie")
  return cookie._decode(cookie._find(req.headers.cookie, name))
end

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
  local value = cookie._decode(cookie._find(req.headers.cookie, name))
  if value == nil then return nil end
  return cookie.unsign(value, secrets, name)
end

return methods
