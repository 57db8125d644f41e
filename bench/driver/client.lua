-- SPDX-License-Identifier: MIT
-- Requests of the driver itself: to see that an answer is right, and where wrk cannot tell what is to be measured.

local net = require "luaserve.net"

local client = {}

function client.request(method, path, body, last)
  return method .. " " .. path .. " HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    .. (body and "Content-Type: application/octet-stream\r\nContent-Length: " .. #body .. "\r\n" or "")
    .. (last and "Connection: close\r\n\r\n" or "\r\n") .. (body or "")
end

local function read_chunks(socket)
  local parts = {}
  while true do
    local size = tonumber(assert(socket:read_until("\r\n")):match("^%x+"), 16)
    local chunk = assert(socket:read_exactly(size + 2))
    if size == 0 then return table.concat(parts) end
    parts[#parts + 1] = chunk:sub(1, size)
  end
end

--- One answer: its status and its body.
function client.read(socket)
  local head = assert(socket:read_until("\r\n\r\n")):lower() .. "\r\n"
  local status = assert(tonumber(head:match("^http/1%.1 (%d+)")), head)
  if head:find("\r\ntransfer%-encoding:%s*chunked\r\n") then return status, read_chunks(socket) end
  local length = tonumber(head:match("\r\ncontent%-length:%s*(%d+)\r\n"))
  if not length then return status, assert(socket:read_all()) end
  return status, length > 0 and assert(socket:read_exactly(length)) or ""
end

function client.connect(port)
  return net.connect("127.0.0.1", port)
end

--- Asks once, on a connection of its own: status and body, or raises.
function client.ask(port, method, path, body)
  local socket <close> = assert(client.connect(port))
  socket:set_timeout(30)
  assert(socket:write(client.request(method, path, body, true)))
  return client.read(socket)
end

return client
