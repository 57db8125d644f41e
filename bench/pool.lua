-- SPDX-License-Identifier: MIT
-- pool: the round trip of a small job, beside another job of the pool (fs.stat), and how much work gets done when many
-- wait.
--
--   ./luaserve bench/pool.lua [rounds]
--
-- Wall time, the median and the best of rounds of 1000: a machine that does something else shows in the median.

local fs, pool, process, task =
  require "luaserve.fs", require "luaserve.pool", require "luaserve.process", require "luaserve.task"

local rounds = tonumber(arg and arg[1]) or 31
local calls = 1000

local function identity(...) return ... end

local function measure(label, fn)
  local times = {}
  for i = 1, rounds do
    local start = process.hrtime()
    fn()
    times[i] = (process.hrtime() - start) / calls / 1e3
  end
  table.sort(times)
  print(("%-44s median %6.1f us   best %6.1f us"):format(label, times[(rounds + 1) // 2], times[1]))
end

local function each(fn, ...)
  for _ = 1, calls do fn(...) end
end

measure("fs.stat", function() each(fs.stat, ".") end)
measure("pool.run, a function and an integer", function() each(pool.run, identity, 42) end)
measure("pool.run, a small table", function()
  each(pool.run, identity, { id = 42, name = "Ada", roles = { "a", "b" } })
end)
measure("pool.run, a module's function", function() each(pool.run, "string", "upper", "ada") end)
measure("pool.run, 1000 at once, each", function()
  local tasks = {}
  for i = 1, calls do tasks[i] = task.spawn(pool.run, identity, i) end
  for i = 1, calls do tasks[i]:join() end
end)
