-- SPDX-License-Identifier: MIT
--- middleware.timeout(seconds): what comes behind it has so long; then the client gets a 504 and the handler is
-- cancelled, as by the option `timeout` of a route, which counts where both are.
--   app:use("/reports", middleware.timeout(5))
-- @module luaserve.middleware.timeout

local core = require "luaserve.core.routes"

return function(seconds)
  if type(seconds) ~= "number" or not (seconds > 0 and seconds < math.huge) then
    error("middleware.timeout: the time must be a number of seconds over 0, not " .. tostring(seconds), 2)
  end
  return function(req, _, next)
    core.set_timeout(req, seconds)
    return next()
  end
end
