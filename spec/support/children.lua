-- SPDX-License-Identifier: MIT
--- Child processes that specs start with luaserve.process, closed by clean_up; spec.support.process is for other
-- luaserves.

local assert = require "luassert"
local kept = require "spec.support.kept"
local luaserves = require "spec.support.process"
local process = require "luaserve.process"
local timer = require "luaserve.timer"

local children = {}

--- process.spawn, which must succeed.
function children.spawn(...)
  return kept.keep(assert(process.spawn(...)))
end

--- A shell whose standard streams are pipes.
function children.shell(code, options)
  options = options or {}
  for _, name in ipairs({ "stdin", "stdout", "stderr" }) do
    options[name] = options[name] or "pipe"
  end
  return children.spawn("sh", { "-c", code }, options)
end

--- process.run with a shell, which must succeed.
function children.run(code, options)
  return assert(process.run("sh", { "-c", code }, options))
end

--- Waits until nobody has this number: as init may be slow to reap what is not our child, zombies count as gone.
function children.wait_until_gone(pid)
  for _ = 1, 2000 do
    local file = io.open(("/proc/%d/stat"):format(pid))
    if not file then return true end
    local state = file:read("a"):match("^.*%) (%a)")
    file:close()
    if state == "Z" then return true end
    timer.sleep(0.005)
  end
  error(("process %d is still there"):format(pid))
end

--- Ends all that a case has kept, and the luaserves that it has left.
function children.clean_up()
  kept.clean_up()
  luaserves.clean_up()
end

return children
