-- SPDX-License-Identifier: MIT
--- Content coding for some routes: on, off or otherwise than the server's option `compress` says.

local option = require "luaserve.core.option"
local options_of = require "luaserve.core.options"

local WHAT = "middleware.compress"
local KNOWN = { "encodings", "level", "min_size", "quality" }

--- A middleware that has responses coded, or, with false, sent as they are.
-- @param how true (nil), false, or options: those of the option compress of http.create_server, over the server's
-- @usage app:use("/secret", middleware.compress(false))
return function(how)
  if how == nil then how = true end
  if type(how) ~= "boolean" then
    options_of.check(how, WHAT, KNOWN)
    option(how, WHAT, "encodings", "table")
    for _, name in ipairs { "level", "min_size", "quality" } do option(how, WHAT, name, "size") end
  end
  return function(_, res, next)
    res:compress(how)
    return next()
  end
end
