-- SPDX-License-Identifier: MIT
--- middleware.body_limit(bytes): bodies of what comes behind it may be no larger; 413 at once where Content-Length says
-- so, else the read of the body fails. It only lowers: what is over the server's max_body has been refused by then. The
-- option `body_limit` of a route raises, too.
--   app:use("/comments", middleware.body_limit(16 * 1024))
-- @module luaserve.middleware.body_limit

local core = require "luaserve.core.routes"
local http_error = require "luaserve.http_error"

return function(bytes)
  if math.type(bytes) ~= "integer" or bytes < 0 then
    error("middleware.body_limit: the limit must be a size in bytes, not " .. tostring(bytes), 2)
  end
  return function(req, _, next)
    if not core.limit_body(req, bytes) then error(http_error.new(413)) end
    return next()
  end
end
