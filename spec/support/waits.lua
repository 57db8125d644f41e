-- SPDX-License-Identifier: MIT
--- Waiting in specs: for a task to begin, for a callback to be called, for what other tasks bring about.

local assert = require "luassert"
local task = require "luaserve.task"
local timer = require "luaserve.timer"

local waits = {}

--- A task that has begun to wait in fn when this returns: tasks run in the order in which they were spawned.
function waits.waiting(fn, ...)
  local t = task.spawn(fn, ...)
  task.spawn(function() end):join()
  assert.equal("waiting", t:status())
  return t
end

--- A function that waits for the call of another one and returns its arguments, and that other one.
function waits.gate()
  local arguments
  local waiter = task.spawn(timer.sleep, 60)
  return function()
    pcall(waiter.join, waiter)
    assert(arguments, "waited in vain")
    return table.unpack(arguments, 1, arguments.n)
  end, function(...)
    arguments = table.pack(...)
    waiter:cancel()
  end
end

--- Runs start(callback) and waits for the callback: what start returned, and the callback's arguments.
function waits.called_back(start)
  local wait, done = waits.gate()
  local operation = start(done)
  return operation, wait()
end

--- Starts fn(..., callback) and waits for the callback: gives what it got.
function waits.call_back(fn, ...)
  local wait, done = waits.gate()
  local arguments = table.pack(...)
  local returned
  arguments[arguments.n + 1] = function(...)
    assert(returned, "the callback was called before the call had returned")
    done(...)
  end
  local operation = fn(table.unpack(arguments, 1, arguments.n + 1))
  returned = true
  assert.is_userdata(operation)
  return wait()
end

--- Waits for a condition that other tasks bring about: what it gives then.
function waits.eventually(condition)
  for _ = 1, 5000 do
    local value = condition()
    if value then return value end
    timer.sleep(0.001)
  end
  error("it did not happen", 2)
end

return waits
