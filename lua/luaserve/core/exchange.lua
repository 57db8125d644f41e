-- SPDX-License-Identifier: MIT
--- One request and its response over a connection of our own: as much of HTTP/1.1 (RFC 9112) as our own server speaks,
-- for app:request.

local net = require "luaserve.net"

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

-- What breaks off is raised: the code.
local function need(value, _, code)
  return value or error(code or "EOF", 0)
end

local function read_fields(socket, list)
  local headers = {}
  while true do
    local line = need(socket:read_until "\r\n")
    if line == "" then return headers end
    local name, value = line:match "^([^:]+): ?(.*)$"
    list[#list + 1] = { name, value }
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
end

local function read_chunked(socket, response)
  local parts = {}
  while true do
    local size = tonumber(need(socket:read_until "\r\n"), 16)
    if size == 0 then
      response.trailers = read_fields(socket, {})
      return table.concat(parts)
    end
    parts[#parts + 1] = need(socket:read_exactly(size))
    need(socket:read_exactly(2))
  end
end

local function read_body(socket, response, method)
  local headers, status = response.headers, response.status
  if method == "HEAD" or status == 204 or status == 304 then
    return ""
  elseif headers["transfer-encoding"] then
    return read_chunked(socket, response)
  elseif headers["content-length"] then
    local length = tonumber(headers["content-length"])
    return length == 0 and "" or need(socket:read_exactly(length))
  end
  response.closes = true
  return need(socket:read_all())
end

--- Reads one response; raises where it breaks off. Interim ones are passed over.
local function read_response(socket, method)
  local response
  repeat
    local line = need(socket:read_until "\r\n")
    local status, reason = line:match "^HTTP/1%.%d (%d%d%d) ?(.*)$"
    response = { status = tonumber(status), reason = reason, header_list = {} }
    response.headers = read_fields(socket, response.header_list)
  until response.status >= 200
  response.closes = response.headers.connection == "close"
  response.body = read_body(socket, response, method)
  return response
end

local Pool = {}
Pool.__index = Pool

--- Connections to an address, as many as there are requests at a time; those that are idle are kept.
function exchange.pool(address)
  return setmetatable({ address = address, idle = {} }, Pool)
end

function Pool:close()
  for _, socket in ipairs(self.idle) do socket:close() end
  self.idle = {}
end

--- Sends what exchange.format has made.
-- @return the response; or nil, message, code: ETIMEDOUT, EOF
function Pool:send(bytes, method, timeout)
  local socket = table.remove(self.idle)
  if not socket then
    local made, message, code = net.connect(self.address)
    if not made then return nil, message, code end
    socket = made
  end
  local kept = false
  local _ <close> = setmetatable({}, { __close = function() if not kept then socket:close() end end })
  socket:set_timeout(timeout)
  socket:write(bytes) -- it may have been answered before it was read whole
  local ok, response = pcall(read_response, socket, method)
  if not ok and response == "ETIMEDOUT" then return nil, "ETIMEDOUT: no response in time", "ETIMEDOUT" end
  if not ok then return nil, "EOF: the response has broken off", "EOF" end
  kept = not response.closes
  if kept then table.insert(self.idle, socket) end
  response.closes = nil
  return response
end

return exchange
