-- SPDX-License-Identifier: MIT
-- A million timers armed and cancelled, one at a time and all armed at once: ./luaserve bench/timers.lua

local timer = require "luaserve.timer"

local COUNT = 1000000

local function measure(what, run)
  collectgarbage()
  local began = os.clock()
  run()
  print(("%-28s %.2f s"):format(what, os.clock() - began))
end

local function nothing() end

measure("armed and cancelled in turn", function()
  for _ = 1, COUNT do
    timer.after(60, nothing):cancel()
  end
end)

measure("all armed, then cancelled", function()
  local timers = {}
  for i = 1, COUNT do
    timers[i] = timer.after(60 + i % 1000, nothing)
  end
  for i = 1, COUNT do
    timers[i]:cancel()
  end
end)
