-- SPDX-License-Identifier: MIT
-- System calls of a request, counted by strace in a run of their own: it makes a server many times slower.

local fs, process, timer = require "luaserve.fs", require "luaserve.process", require "luaserve.timer"
local proc, wrk = require "driver.proc", require "driver.wrk"

local calls = {}

local ENOUGH = 100 -- requests, so that those under way at both ends do not count

--- The number of calls by name, of what `strace -c` writes.
function calls.parse(text)
  local counts = {}
  for line in text:gmatch("[^\n]+") do
    local numbers, name = line:match("^%s*([%d.%s]+)%s([%w_]+)%s*$")
    local fields = {}
    for number in (numbers or ""):gmatch("%S+") do fields[#fields + 1] = tonumber(number) end
    if name and name ~= "total" and fields[4] then counts[name] = fields[4] end
  end
  return counts
end

--- Calls of each request, by name, those that are not worth a hundredth left out; and of all together.
function calls.count(server, work)
  local file = "build/bench/strace.txt"
  local arguments = { "-c", "1", "strace", "-c", "-f", "-o", file }
  for _, pid in ipairs(proc.tree(server.pid)) do
    arguments[#arguments + 1] = "-p"
    arguments[#arguments + 1] = tostring(pid)
  end
  local child <close> = assert(process.spawn("taskset", arguments, { stderr = "pipe" }))
  if not child.stderr:read_until("attached") then return nil, "strace could not attach" end
  timer.sleep(0.2) -- the other threads
  local figures, message = wrk.run(server.url .. work.path, work.load, work.connections, 1)
  child:kill("SIGINT")
  child:wait()
  if not figures then return nil, message end
  if figures.requests < ENOUGH then return nil, "too few requests to count calls" end
  local result = { all = 0, names = {} }
  for name, count in pairs(calls.parse(assert(fs.read_file(file)))) do
    local each = count / figures.requests
    result.all = result.all + each
    if each >= 0.01 then result.names[name] = each end
  end
  return result
end

return calls
