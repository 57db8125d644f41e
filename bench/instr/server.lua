-- SPDX-License-Identifier: MIT
-- The server that `make bench-instr` measures: it serves the work that the first argument names, and has a socket on
-- which each line is a mark: what callgrind has counted since the one before is written to its next file, under that
-- label. The collector begins anew at each mark, so that none of them pays for what another has left.

local callgrind, net = require "callgrind", require "luaserve.net"
local works = require "bench.instr.works"

local function mark(socket)
  for label in socket:lines() do
    collectgarbage()
    callgrind.dump(label)
    socket:write("done\n")
  end
end

local control = assert(net.listen({ host = "127.0.0.1", port = 0 }, mark))
print("control " .. control:address().port)

for _, work in ipairs(works) do
  if work.name == arg[1] then return work.handler() end
end
error("no work is named " .. tostring(arg[1]))
