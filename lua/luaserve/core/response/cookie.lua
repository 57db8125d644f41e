-- SPDX-License-Identifier: MIT
--- Methods of responses that set cookies.

local check_self = require "luaserve.core.request".check_self
local cookie = require "luaserve.cookie"

local methods = {}

--- Sets a cookie beside others, whose value may have any bytes: what cookies cannot have is percent-encoded. attributes
-- are those of cookie.build, and secret: signs the value (see cookie.sign), for req:signed_cookie. Gives res.
-- @usage res:set_cookie("user", 7, { secret = secret, max_age = 86400 })
function methods.set_cookie(res, name, value, attributes)
  check_self(res, "res:set_cookie")
  if attributes and attributes.secret then
    local copy = {}
    for key, attribute in pairs(attributes) do copy[key] = attribute end
    copy.secret = nil
    if value ~= nil then value = cookie.sign(value, attributes.secret, name) end -- nil is refused below, by its name
    attributes = copy
  end
  if type(value) == "string" then value = cookie._encode(value) end
  local text = cookie._build(name, value, attributes, 2)
  return res:add("set-cookie", text)
end

--- Makes the client forget a cookie. attributes: those it was set with, of which path, domain and partitioned count.
-- Gives res.
-- @usage res:clear_cookie("user")
function methods.clear_cookie(res, name, attributes)
  check_self(res, "res:clear_cookie")
  local copy = { max_age = 0, expires = 0 }
  for key, attribute in pairs(attributes or {}) do
    if key ~= "max_age" and key ~= "expires" and key ~= "secret" then copy[key] = attribute end
  end
  local text = cookie._build(name, "", copy, 2)
  return res:add("set-cookie", text)
end

return methods
