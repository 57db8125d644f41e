-- SPDX-License-Identifier: MIT
--- One connection of a client: bytes out as they are, responses in as their framing says (RFC 9112). For specs of
-- apps, and for app:request.
-- @module luaserve.core.connection

local net = require "luaserve.net"

local connection = {}

local LINE_MAX = 65536
local PIECE = 65536

local Connection = {}
Connection.__index = Connection
Connection.__name = "luaserve.test.connection"

local function ended_inside(what)
  return nil, "EOF: the connection ended inside " .. what, "EOF"
end

--- Async. Connects.
-- @param address as net.connect takes it
-- @param timeout seconds for connecting, and for each read and write
-- @return connection; nil, message, code
function connection.open(address, timeout)
  local target = { host = address.host, port = address.port, path = address.path, timeout = timeout }
  local socket, message, code = net.connect(target)
  if not socket then return nil, message, code end
  socket:set_timeout(timeout)
  return setmetatable({ socket = socket }, Connection)
end

--- Seconds for each read and write from now on.
function Connection:_set_timeout(seconds)
  self.socket:set_timeout(seconds)
end

--- Async. Sends bytes as they are.
-- @return true; nil, message, code
function Connection:write(bytes)
  return self.socket:write(bytes)
end

--- Async. All that still comes, as it comes, to the end.
function Connection:read_all()
  return self.socket:read_all()
end

--- Leaves in good order.
function Connection:close()
  self.socket:close()
end

--- Leaves as one whose machine has crashed: the other end gets ECONNRESET.
function Connection:reset()
  self.socket:reset()
end

Connection.__close = Connection.close

-- ---- heads ----

--- Field lines up to the empty one: a list of { name, value }.
local function read_fields(self)
  local list = {}
  while true do
    local line, message, code = self.socket:read_until("\r\n", LINE_MAX)
    if not line then
      if not message then return ended_inside("the header") end
      return nil, message, code
    elseif line == "" then
      return list
    end
    local name, value = line:match("^([^:%s]+):[ \t]*(.-)[ \t]*$")
    if not name then return nil, "EPROTO: no header field: " .. line, "EPROTO" end
    list[#list + 1] = { name, value }
  end
end

--- Looks for a name in any case; what pairs gives is in lower case.
local fields_metatable = {
  __index = function(fields, name) return type(name) == "string" and rawget(fields, name:lower()) or nil end,
}

--- By name; repeated fields are joined by ", ".
local function fields_of(list)
  local fields = {}
  for _, field in ipairs(list) do
    local name = field[1]:lower()
    fields[name] = fields[name] and fields[name] .. ", " .. field[2] or field[2]
  end
  return setmetatable(fields, fields_metatable)
end

local function read_one_head(self)
  local line, message, code = self.socket:read_until("\r\n", LINE_MAX)
  if not line then return nil, message or "EOF: the server closed the connection without an answer", code or "EOF" end
  local version, status, reason = line:match("^HTTP/(%d%.%d) (%d%d%d) ?(.*)$")
  if not version then return nil, "EPROTO: no status line: " .. line, "EPROTO" end
  local list
  list, message, code = read_fields(self)
  if not list then return nil, message, code end
  local headers = fields_of(list)
  return { version = version, status = tonumber(status), reason = reason, header_list = list, headers = headers }
end

--- What the head says of the body: how it is read, and its length.
local function framing_of(head, method)
  local status, length = head.status, head.headers["content-length"]
  if method == "HEAD" or status < 200 or status == 204 or status == 304 then return "none" end
  if head.headers["transfer-encoding"] then return "chunked" end
  if length then return "length", math.tointeger(tonumber(length)) end
  return "rest"
end

--- Async. The head of the next response. Interim ones (103) are in its list interim.
-- @param method of the request
-- @return { version, status, reason, headers, header_list, interim }; nil, message, code
function Connection:read_head(method)
  local interim = {}
  while true do
    local head, message, code = read_one_head(self)
    if not head then return nil, message, code end
    if head.status >= 200 or head.status == 101 then
      head.interim = interim
      self.framing, self.left = framing_of(head, method)
      self.trailer_list = {}
      return head
    end
    interim[#interim + 1] = head
  end
end

-- ---- bodies ----

local function read_piece(self, where)
  local piece, message, code = self.socket:read(math.min(self.left, PIECE))
  if not piece then
    if not message then return ended_inside(where) end
    return nil, message, code
  end
  self.left = self.left - #piece
  return piece
end

local readers = {}

function readers.none()
  return nil
end

function readers.rest(self)
  return self.socket:read(PIECE)
end

function readers.length(self)
  if self.left == 0 then return nil end
  return read_piece(self, "the body")
end

local function read_line(self)
  local line, message, code = self.socket:read_until("\r\n", LINE_MAX)
  if line then return line end
  if not message then return ended_inside("the body") end
  return nil, message, code
end

--- The size of the next chunk; at the last one the trailers, and nil.
local function begin_chunk(self)
  local line, message, code = read_line(self)
  if not line then return nil, message, code end
  local size = tonumber(line:match("^%x+"), 16)
  if not size then return nil, "EPROTO: no size of a chunk: " .. line, "EPROTO" end
  if size > 0 then return size end
  local list
  list, message, code = read_fields(self)
  self.trailer_list, self.framing = list or {}, "none"
  return nil, message, code
end

function readers.chunked(self)
  if not self.left then
    local size, message, code = begin_chunk(self)
    if not size then return nil, message, code end
    self.left = size
  end
  local piece, message, code = read_piece(self, "a chunk")
  if not piece then return nil, message, code end
  if self.left == 0 then
    self.left = nil
    local _
    _, message, code = read_line(self)
    if message then return nil, message, code end
  end
  return piece
end

--- Async. The next piece of the body, as it came.
-- @return string; nil at the end; nil, message, code
function Connection:read()
  return readers[self.framing](self)
end

--- The fields behind a chunked body, once it was read to its end.
function Connection:trailers()
  return fields_of(self.trailer_list)
end

return connection
