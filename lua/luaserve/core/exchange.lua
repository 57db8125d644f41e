-- SPDX-License-Identifier: MIT
--- Requests to an app in process, for app:request: over a private server of its own, so that a spec sees what a client
-- would see.

local connection = require "luaserve.core.connection"
local crypto = require "luaserve.crypto"
local http = require "luaserve.http"

local exchange = {}

-- ---- the request ----

local function check_field(name, value, level)
  if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+.^_`|~-]+$" then
    error(("app:request: '%s' is no name of a header field"):format(tostring(name)), level + 1)
  elseif (type(value) ~= "string" and type(value) ~= "number") or tostring(value):find "[\r\n\0]" then
    error(("app:request: the header field '%s' cannot have this value"):format(name), level + 1)
  end
end

local function add_fields(lines, headers, level)
  local names, seen = {}, {}
  for name in pairs(headers) do names[#names + 1] = name end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(names) do
    local values = type(headers[name]) == "table" and headers[name] or { headers[name] }
    for _, value in ipairs(values) do
      check_field(name, value, level + 1)
      lines[#lines + 1] = ("%s: %s"):format(name, value)
    end
    seen[name:lower()] = true
  end
  return seen
end

--- The bytes of a request { method, path, headers, body }; raises for what cannot be sent.
function exchange.format(request, level)
  local method, path, body = request.method or "GET", request.path or "/", request.body
  if type(method) ~= "string" or not method:find "^[%u%d-]+$" then
    error("app:request: the method must be a word in capitals", level + 1)
  elseif type(path) ~= "string" or not path:find "^[/*][^%c ]*$" then
    error("app:request: the path must begin with / and have no spaces", level + 1)
  elseif body ~= nil and type(body) ~= "string" then
    error("app:request: the body must be a string, not a " .. type(body), level + 1)
  end
  local lines = { ("%s %s HTTP/1.1"):format(method, path) }
  local seen = add_fields(lines, request.headers or {}, level + 1)
  if not seen.host then lines[#lines + 1] = "host: localhost" end
  if body and not seen["content-length"] and not seen["transfer-encoding"] then
    lines[#lines + 1] = ("content-length: %d"):format(#body)
  end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines, "\r\n") .. (body or "")
end

-- ---- the response ----

--- The whole body; nil, message, code where it breaks off.
local function read_body(wire)
  local parts = {}
  while true do
    local piece, message, code = wire:read()
    if message then return nil, message, code end
    if not piece then return table.concat(parts) end
    parts[#parts + 1] = piece
  end
end

--- Reads one response; nil, message, code where it breaks off. Interim ones are passed over.
-- @return the response, and whether the connection ends with it
local function read_response(wire, method)
  local head, message, code = wire:read_head(method)
  if not head then return nil, message, code end
  local framing, body = wire.framing
  body, message, code = read_body(wire)
  if not body then return nil, message, code end
  return {
    status = head.status, reason = head.reason, headers = head.headers, header_list = head.header_list, body = body,
    trailers = framing == "chunked" and wire:trailers() or nil,
  }, framing == "rest" or head.headers.connection == "close"
end

local Pool = {}
Pool.__index = Pool

--- Connections to an address, as many as there are requests at a time; those that are idle are kept.
function exchange.pool(address)
  return setmetatable({ address = address, idle = {} }, Pool)
end

function Pool:close()
  for _, wire in ipairs(self.idle) do wire:close() end
  self.idle = {}
end

--- Sends what exchange.format has made.
-- @return the response; or nil, message, code: ETIMEDOUT, EOF
function Pool:send(bytes, method, timeout)
  local wire, message, code = table.remove(self.idle), nil, nil
  if not wire then wire, message, code = connection.open(self.address) end
  if not wire then return nil, message, code end
  local kept = false
  local _ <close> = setmetatable({}, { __close = function() if not kept then wire:close() end end })
  wire:_set_timeout(timeout)
  wire:write(bytes) -- it may have been answered before it was read whole
  local response, ends, why = read_response(wire, method)
  if not response and why == "ETIMEDOUT" then return nil, "ETIMEDOUT: no response in time", "ETIMEDOUT" end
  if not response then return nil, "EOF: the response has broken off", "EOF" end
  kept = not ends
  if kept then table.insert(self.idle, wire) end
  return response
end

-- ---- the server ----

--- A server of an app's own, on a unix socket that nobody else may open. It does not keep the app alive.
-- @return the server; connections to it
function exchange.serve(app)
  local weak = setmetatable({ app = app }, { __mode = "v" })
  local proxy = setmetatable({}, {
    __call = function() end,
    __serve = function()
      local _, given, routes = app:__serve { keep_alive_timeout = false } -- as long as the client likes
      return function(req, res) return weak.app(req, res) end, given, routes
    end,
  })
  local folder = os.getenv "TMPDIR" or "/tmp"
  local path = ("%s/luaserve-%s.sock"):format(folder, crypto.hex_encode(crypto.random_bytes(12)))
  local server = http.create_server(proxy)
  assert(server:listen { path = path, mode = tonumber("600", 8) })
  server:unref()
  return server, exchange.pool { path = path }
end

return exchange
