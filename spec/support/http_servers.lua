-- SPDX-License-Identifier: MIT
--- HTTP servers in this process.

local assert = require "luassert"
local http = require "luaserve.http"

local http_servers = {}

local open = {}

--- server, which clean_up closes.
function http_servers.keep(server)
  open[#open + 1] = server
  return server
end

--- A server with this handler on a free port of 127.0.0.1, and its address.
function http_servers.serve(options, handler)
  local server = http_servers.keep(http.create_server(options, handler))
  assert(server:listen { host = "127.0.0.1", port = 0 })
  return server, server:address()
end

--- Closes the servers, the last one first.
-- @param check optional: called before with the address of each that still listens
function http_servers.clean_up(check)
  for i = #open, 1, -1 do
    local address = open[i]:address()
    if check and address then check(address) end
    open[i]:close(0)
    open[i] = nil
  end
end

return http_servers
