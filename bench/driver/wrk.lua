-- SPDX-License-Identifier: MIT
-- Load from wrk, on the core that the server does not use.

local json, process = require "luaserve.json", require "luaserve.process"

local wrk = {}

--- The figures of a run: requests, seconds, bytes, p50, p99, p999 and most in microseconds, and how many requests were
-- refused, broken, wrong (a status of 400 or more) or too late. nil and a message where there are none.
function wrk.parse(output)
  local line = output:match("figures (%b{})")
  if not line then return nil, "wrk gave no figures: " .. output end
  return json.decode(line)
end

--- Runs it. `load` is a list: the kind of bench/load.lua, and its argument.
function wrk.run(url, load, connections, seconds)
  local arguments = { "-c", "1", "wrk", "-t", "1", "-c", tostring(connections), "-d", seconds .. "s",
    "--timeout", "10s", "-s", "bench/load.lua", url, "--" }
  table.move(load, 1, #load, #arguments + 1, arguments)
  local result = assert(process.run("taskset", arguments, { timeout = seconds + 60 }))
  if result.status ~= 0 then return nil, "wrk: " .. result.stderr .. result.stdout end
  return wrk.parse(result.stdout)
end

return wrk
