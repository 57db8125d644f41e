-- SPDX-License-Identifier: MIT
--- Middleware in front of a handler, over real sockets.

local client = require "spec.support.client"
local http_servers = require "spec.support.http_servers"

local middleware = {}

--- A handler that runs the middleware in the list, then handler.
local function chain(list, handler)
  local run = handler
  for i = #list, 1, -1 do
    local one, rest = list[i], run
    run = function(req, res) return one(req, res, function() return rest(req, res) end) end
  end
  return run
end

--- Serves the handler behind the middleware, and gives a function that asks it: ask { path =, headers =, ... } or
-- ask "/path".
-- @param list a middleware, or a list of them
-- @param handler default: one that answers "hello"
-- @param options of the server
function middleware.serve(list, handler, options)
  if type(list) == "function" or getmetatable(list) then list = { list } end
  handler = handler or function(_, res) res:send("hello") end
  local _, address = http_servers.serve(options, chain(list, handler))
  return function(request)
    return client.request(address, type(request) == "string" and { path = request } or request or {})
  end, address
end

--- The values of all fields of a name in a response, in their order.
function middleware.fields(response, name)
  local values = {}
  for _, field in ipairs(response.list) do
    if field[1]:lower() == name then values[#values + 1] = field[2] end
  end
  return values
end

--- Name and value of the cookie that a response sets, as a Cookie field has them; nil: it sets none.
function middleware.cookie(response)
  local field = response.headers["set-cookie"]
  return field and field:match("^[^;]*")
end

middleware.clean_up = http_servers.clean_up

return middleware
