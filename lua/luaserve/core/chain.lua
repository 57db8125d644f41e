-- SPDX-License-Identifier: MIT
--- The links of chains: a middleware and what comes behind it.
-- @module luaserve.core.chain

local ended = require "luaserve.core.routes".ended

local chain = {}

--- Where a handler or a middleware is written: "app.lua:12".
function chain.where(handler)
  if type(handler) ~= "function" then return "a callable " .. type(handler) end
  local info = debug.getinfo(handler, "S")
  return info.what == "C" and "a C function" or ("%s:%d"):format(info.short_src, info.linedefined)
end

--- Raises at the line that called next; of `return next(...)`, which has left no frame, the middleware is named.
local function refuse(middleware, problem)
  if debug.getinfo(2, "t").istailcall then
    error(("the middleware (%s): %s"):format(chain.where(middleware), problem), 0)
  end
  error(problem, 3)
end

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

--- A function of req and res that calls the middleware with them and with next, which calls rest, once. A middleware
-- that has neither called next nor answered when it ends is remembered, since the handler is not to blame then.
function chain.link(middleware, rest)
  return function(req, res)
    local result = middleware(req, res, function(wrong)
      if wrong ~= nil then
        refuse(middleware, "next takes no argument: error(...) refuses the request, http_error.new(403) with a status")
      end
      local own_req = req
      if not own_req then refuse(middleware, "next was called twice") end
      req = nil
      return rest(own_req, res)
    end)
    if req then ended(req, middleware) end
    return result
  end
end

return chain
