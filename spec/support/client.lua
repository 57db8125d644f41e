-- SPDX-License-Identifier: MIT
--- An HTTP client for specs that hides nothing: raw bytes out, responses read as their framing says. Its waits suspend
-- the spec's task, so that a server in the same program can answer.

local net = require "luaserve.net"

local client = {}

local Connection = {}
Connection.__index = Connection
Connection.__name = "spec.client"

--- Opens a connection to the address that server:address() gives. Raises when that fails.
function client.connect(address)
  local socket = assert(net.connect(address))
  return setmetatable({ socket = socket, buffer = "" }, Connection)
end

--- Sends bytes as they are.
function Connection:write(bytes)
  return self.socket:write(bytes)
end

function Connection:close()
  self.socket:close()
end

--- Reads more into the buffer: true, or false at the end of the stream; then self.reset tells a broken connection.
function Connection:fill()
  local chunk, _, code = self.socket:read()
  if not chunk or chunk == "" then
    self.reset = code
    return false
  end
  self.buffer = self.buffer .. chunk
  return true
end

--- Everything the server still sends.
function Connection:read_all()
  while self:fill() do end
  local rest = self.buffer
  self.buffer = ""
  return rest
end

--- Reads the head of a response and throws it away; what has come behind it is in buffer.
function Connection:take_head()
  local _, last
  while not last do
    assert(self:fill(), "the connection ended inside a head")
    _, last = self.buffer:find("\r\n\r\n", 1, true)
  end
  self.buffer = self.buffer:sub(last + 1)
end

local function take(self, n)
  while #self.buffer < n do
    assert(self:fill(), "the connection ended inside a body")
  end
  local bytes = self.buffer:sub(1, n)
  self.buffer = self.buffer:sub(n + 1)
  return bytes
end

local function take_line(self)
  while true do
    local line, rest = self.buffer:match("^([^\r\n]*)\r\n(.*)$")
    if line then
      self.buffer = rest
      return line
    end
    assert(self:fill(), "the connection ended inside a line")
  end
end

--- Field lines to the empty one: by name in lower case (the last value), and as a list of { name, value }.
local function read_fields(self)
  local fields, list = {}, {}
  for line in function() local line = take_line(self) return line ~= "" and line or nil end do
    local name, value = line:match("^([^:]+): ?(.*)$")
    fields[name:lower()] = value
    list[#list + 1] = { name, value }
  end
  return fields, list
end

local function read_chunked(self, response)
  local parts = {}
  while true do
    local size = assert(tonumber(take_line(self), 16), "a chunk size")
    if size == 0 then
      response.trailers = read_fields(self)
      return table.concat(parts), #parts
    end
    parts[#parts + 1] = take(self, size)
    assert(take(self, 2) == "\r\n", "a chunk's end")
  end
end

local function read_body(self, response, method)
  local headers, status = response.headers, response.status
  if method == "HEAD" or status < 200 or status == 204 or status == 304 then
    return ""
  elseif headers["transfer-encoding"] == "chunked" then
    return read_chunked(self, response)
  elseif headers["content-length"] then
    return take(self, tonumber(headers["content-length"]))
  end
  return self:read_all()
end

--- Reads one response: { status, reason, version, headers (lower-case names, the last value), list = { { name, value },
-- ... }, body, chunks = their number, trailers = those behind chunks }. method: of the request, where it was HEAD. nil
-- at the end of the stream.
function Connection:response(method)
  if self.buffer == "" and not self:fill() then return nil end
  local response = {}
  local version, status, reason = take_line(self):match("^HTTP/(%d%.%d) (%d%d%d) (.*)$")
  assert(version, "a status line")
  response.version, response.status, response.reason = version, tonumber(status), reason
  response.headers, response.list = read_fields(self)
  response.body, response.chunks = read_body(self, response, method)
  return response
end

--- The bytes of a request: { method = "GET", path = "/", headers = { name = value }, body }.
function client.format(request)
  local lines = { ("%s %s HTTP/1.1"):format(request.method or "GET", request.path or "/") }
  local headers = request.headers or {}
  if not headers.host then lines[#lines + 1] = "host: spec" end
  for name, value in pairs(headers) do
    lines[#lines + 1] = name .. ": " .. value
  end
  if request.body and not headers["transfer-encoding"] then
    lines[#lines + 1] = "content-length: " .. #request.body
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (request.body or "")
end

--- Sends a request on this connection and reads its response.
function Connection:request(request)
  assert(self:write(client.format(request)))
  return self:response(request.method)
end

--- One request on a connection of its own.
function client.request(address, request)
  local connection <close> = client.connect(address)
  return connection:request(request)
end

Connection.__close = Connection.close

return client
