-- SPDX-License-Identifier: MIT
--- A client that asks for one work again and again. It sends a request, or one write of several, waits for all of the
-- answer, and sends the next: so the server's turns are the same each time, however busy the machine is.

local net = require "luaserve.net"

local client = {}
client.__index = client

--- @return bytes of the response, and its head
local function read_response(socket)
  local head = assert(socket:read_until("\r\n\r\n"))
  assert(head:find("^HTTP/1%.1 200 "), head)
  local length = tonumber(head:match("\r\n[Cc]ontent%-[Ll]ength: (%d+)")) or error("no Content-Length: " .. head)
  assert(socket:read_exactly(length))
  return #head + 4 + length, head
end

--- Reads what a server prints until a line has its port.
-- @param child of process.spawn, with a pipe for its stdout
-- @param pattern that captures the port
-- @return nil where it ends before
function client.read_port(child, pattern)
  for line in child.stdout:lines() do
    local port = line:match(pattern)
    if port then return tonumber(port) end
  end
end

--- Connects and asks twice. Later answers have to be as long as the second: the first may have a cookie to set.
-- @param work one of works.lua
-- @param port of the server
function client.connect(work, port)
  local self = setmetatable({ socket = assert(net.connect("127.0.0.1", port)), each = work.each or 1 }, client)
  local request, head = work.request, nil
  assert(self.socket:write(work.first or request))
  for _ = 1, self.each do head = select(2, read_response(self.socket)) end
  self.request = type(request) == "function" and request(head) or request
  self.size = 0
  assert(self.socket:write(self.request))
  for _ = 1, self.each do self.size = self.size + read_response(self.socket) end
  return self
end

--- Asks for that many responses.
function client:run(requests)
  for _ = 1, requests // self.each do
    assert(self.socket:write(self.request))
    assert(self.socket:read_exactly(self.size))
  end
end

function client:close()
  self.socket:close()
end

return client
