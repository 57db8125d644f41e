-- SPDX-License-Identifier: MIT
--- What the server answers itself, told to the middleware of an app that wants to know it: that which is an object
-- with a function on_refuse, and is used for all requests.
-- @module luaserve.core.refusals

local refusals = {}

local function tell(entry, refusal)
  local middleware = entry.middleware
  if entry.prefix == "" and type(middleware) == "table" and middleware.on_refuse then middleware.on_refuse(refusal) end
end

--- The option on_refuse of the server that serves an app. It does not keep the app alive, which its handler does.
-- @param app its middleware may be added later
-- @param also the option that the server was given; nil
function refusals.teller(app, also)
  if also ~= nil and type(also) ~= "function" then return also end -- create_server says what is wrong with it
  local weak = setmetatable({ app = app }, { __mode = "v" })
  return function(refusal)
    for _, entry in ipairs(weak.app and weak.app._entries or {}) do tell(entry, refusal) end
    if also then also(refusal) end
  end
end

return refusals
