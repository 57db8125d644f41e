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

--- The sockets of this process: the number of the descriptor by inode. What /proc/net lists has others of the same port
--- as well, connections among them that wait out their time and have no inode.
local function own_sockets()
  local sockets = {}
  for _, name in ipairs(assert(fs.readdir("/proc/self/fd"))) do
    local inode = (fs.readlink("/proc/self/fd/" .. name) or ""):match("^socket:%[(%d+)%]$")
    if inode then sockets[inode] = math.tointeger(tonumber(name)) end
  end
  return sockets
end

local function find_path(own, wanted)
  for line in lines_of("/proc/net/unix") do
    local flags, inode, name = line:match("^%x+: %x+ %x+ (%x+) %x+ %x+ +(%d+) (.+)$")
    if name == wanted and flags == UNIX_LISTENS then return own[inode] end
  end
end

--- A listening socket before the connections that it has accepted.
local function find_port(own, wanted)
  local found
  for _, name in ipairs { "tcp", "tcp6", "udp", "udp6" } do
    for line in lines_of("/proc/net/" .. name) do
      local port, state, inode = line:match("^ *%d+: %x+:(%x+) %x+:%x+ (%x%x) %S+ %S+ %S+ +%d+ +%d+ (%d+)")
      if port and tonumber(port, 16) == wanted and own[inode] then
        if state == TCP_LISTENS then return own[inode] end
        found = found or own[inode]
      end
    end
  end
  return found
end

--- The number of the descriptor of a handle that has an address.
function descriptors.of(handle)
  local address, own = handle:address(), own_sockets()
  local found = address.path and find_path(own, address.path) or address.port and find_port(own, address.port)
  return found or error("there is no descriptor of " .. tostring(handle), 2)
end

return descriptors
