-- SPDX-License-Identifier: MIT
--- A clock that stands still until it is told to go on.

local cleanup = require "luaserve.test.cleanup"
local core = require "luaserve.core.clock"

local NS = 1000000000
local PATIENCE = NS -- of the machine's clock, for all that an advance sets off

local clock = {}

local Clock = {}
Clock.__index = Clock
Clock.__name = "luaserve.test.clock"

--- Stops the clock of the program, until the end of the `it` or of the block of a `<close>` variable.
-- @param time optional: seconds since 1970: what os.time is to say; if none is given, what it says now
-- @return clock
function clock.hold(time)
  if time ~= nil and type(time) ~= "number" then
    error("bad argument #1 to 'clock' (number expected, got " .. type(time) .. ")", 2)
  elseif core.is_held() then
    error("the clock is held already: close the other one first", 2)
  end
  core.hold(time and math.floor(time * NS))
  local self = setmetatable({ start = core.now() }, Clock)
  cleanup.add(self.close, self)
  return self
end

local function check_open(self)
  if self.closed then error("the clock is closed", 3) end
end

local Move = {}

function Move:__close()
  self.clock.moving = false
end

--- Async. Lets so many seconds pass. What is due meanwhile runs, in its order and each at its time, with all that it
-- sets off, before the next; and what was under way first of all.
-- @param seconds 0: only lets run what is under way
function Clock:advance(seconds)
  check_open(self)
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < 1e9) then
    error(("bad argument #1 to 'advance' (seconds from 0 on expected, got %s)"):format(tostring(seconds)), 2)
  elseif self.moving then
    error("the clock is being moved by another task", 2)
  end
  self.moving = true
  local _ <close> = setmetatable({ clock = self }, Move)
  local target, patience = core.now() + math.floor(seconds * NS + 0.5), PATIENCE
  local function settle()
    if not core.settle(patience) then patience = 0 end -- something never rests: it is not waited for again
  end
  settle()
  local due = core.first_due()
  while due and due <= target and not self.closed do
    core.set(math.max(due, core.now()))
    settle()
    due = core.first_due()
  end
  if not self.closed then core.set(target) end
end

--- Seconds that it was moved so far.
function Clock:elapsed()
  return (core.now() - self.start) / NS
end

--- Seconds until the next timer is due, or nil: there is none.
function Clock:next_due()
  check_open(self)
  local due = core.first_due()
  return due and math.max(due - core.now(), 0) / NS
end

--- Lets the clock run again, from where it is.
function Clock:close()
  if self.closed then return end
  self.closed = true
  core.release()
end

Clock.__close = Clock.close

function Clock:__tostring()
  return self.closed and "clock (closed)" or ("clock (held, %g s after its start)"):format(self:elapsed())
end

return clock
