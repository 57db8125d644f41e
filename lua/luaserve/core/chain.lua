-- SPDX-License-Identifier: MIT
--- The links of chains: a middleware and what comes behind it.
-- @module luaserve.core.chain

local routes = require "luaserve.core.routes"

--- Where a handler or a middleware is written: "app.lua:12".
local chain = { where = routes.where }

--- What is wrong with a function that is to be a middleware, or nil: it makes one, or it handles errors elsewhere.
function chain.problem_of(value)
  for name, make in pairs(package.loaded["luaserve.middleware"] or {}) do
    if rawequal(value, make) then
      return ("middleware.%s makes a middleware: app:use(middleware.%s { ... })"):format(name, name)
    end
  end
  if type(value) == "function" and debug.getinfo(value, "u").nparams > 3 then
    return "middleware is a function of req, res and next; errors go to app:on_error(function(err, req, res)"
  end
end

--- A function of req and res that calls the middleware with them and with next, which calls rest, once.
chain.link = routes.link

return chain
