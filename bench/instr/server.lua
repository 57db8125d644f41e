-- SPDX-License-Identifier: MIT
-- Serves the work that the first argument names. With the second argument "marks" it has a socket beside, on which each
-- line is a mark: what callgrind has counted since the one before is written to its next file, under that label. The
-- collector begins anew at each mark, so that none of them pays for what another has left.

local net = require "luaserve.net"
local works = require "bench.instr.works"

local function listen_for_marks()
  local callgrind = require "callgrind"
  local control = assert(net.listen({ host = "127.0.0.1", port = 0 }, function(socket)
    for label in socket:lines() do
      collectgarbage()
      callgrind.dump(label)
      socket:write("done\n")
    end
  end))
  print("marks " .. control:address().port)
end

if arg[2] == "marks" then listen_for_marks() end

for _, work in ipairs(works) do
  if work.name == arg[1] then return work.handler() end
end
error("no work is named " .. tostring(arg[1]))
