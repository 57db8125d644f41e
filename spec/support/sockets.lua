-- SPDX-License-Identifier: MIT
--- Servers and connected sockets in this process, closed by kept.clean_up.

local assert = require "luassert"
local net = require "luaserve.net"
local keep = require("spec.support.kept").keep

local sockets = {}

--- A server on 127.0.0.1, and its port.
function sockets.serve(handler)
  local server = keep(assert(net.listen({ host = "127.0.0.1" }, handler)))
  return server, server:address().port
end

--- Two connected sockets: the client's, and the one the handler got. The handler's greeting tells that it has run.
function sockets.pair(options)
  local accepted
  local server = keep(assert(net.listen(options or { host = "127.0.0.1" }, function(sock)
    accepted = keep(sock)
    sock:write("!")
  end)))
  local client = keep(assert(net.connect(server:address())))
  assert.equal("!", client:read_exactly(1))
  server:close()
  return client, accepted
end

--- A name that no file has, for a unix socket or a pipe.
function sockets.temporary_path()
  local path = os.tmpname()
  os.remove(path)
  return path .. ".sock"
end

return sockets
