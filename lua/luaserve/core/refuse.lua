-- SPDX-License-Identifier: MIT
--- How middleware refuses a request: in an app by an http error, so that the app's on_error and error_pages answer it
-- as they do all others; elsewhere, where nobody would, by the answer itself.
-- @module luaserve.core.refuse

local core = require "luaserve.core.routes"
local http_error = require "luaserve.http_error"

--- Refuses the request: see http_error.new. Where it returns, the answer is given.
return function(req, res, status, message, headers)
  local err = http_error.new(status, message, nil, headers)
  if core.in_app(req) then error(err, 0) end
  return http_error.answer(err, req, res)
end
