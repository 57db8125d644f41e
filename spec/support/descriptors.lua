-- SPDX-License-Identifier: MIT
--- The descriptors behind servers and sockets of this process, so that another process can be given them.

local fs = require "luaserve.fs"

local descriptors = {}

local TCP_LISTENS, UNIX_LISTENS = "0A", "00010000" -- as /proc/net has it

local function lines_of(path)
  local file = io.open(path)
  if not file then return function() end end
  local text = file:read("a")
  file:close()
  return text:gmatch("[^\n]+")
end

local function inode_of_path(path)
  for line in lines_of("/proc/net/unix") do
    local flags, inode, name = line:match("^%x+: %x+ %x+ (%x+) %x+ %x+ +(%d+) (.+)$")
    if name == path and flags == UNIX_LISTENS then return inode end
  end
end

--- Of a listening socket before the connections that it has accepted.
local function inode_of_port(wanted)
  local found
  for _, name in ipairs { "tcp", "tcp6", "udp", "udp6" } do
    for line in lines_of("/proc/net/" .. name) do
      local port, state, inode = line:match("^ *%d+: %x+:(%x+) %x+:%x+ (%x%x) %S+ %S+ %S+ +%d+ +%d+ (%d+)")
      if port and tonumber(port, 16) == wanted then
        if state == TCP_LISTENS then return inode end
        found = found or inode
      end
    end
  end
  return found
end

--- The number of the descriptor of a handle that has an address.
function descriptors.of(handle)
  local address = handle:address()
  local inode = address.path and inode_of_path(address.path) or inode_of_port(address.port)
  local link = ("socket:[%s]"):format(inode)
  for _, name in ipairs(assert(fs.readdir("/proc/self/fd"))) do
    if fs.readlink("/proc/self/fd/" .. name) == link then return math.tointeger(tonumber(name)) end
  end
  error("there is no descriptor of " .. link, 2)
end

return descriptors
