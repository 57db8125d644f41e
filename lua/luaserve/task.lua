-- SPDX-License-Identifier: MIT
--- Tasks: several things at once, and their end together.
--
-- A task is a coroutine of the runtime's own: `spawn` starts one, `join` gives its results or raises its error,
-- `cancel` ends it. What is here is built on those so that nothing is left behind: the tasks that `all`, `any`,
-- `timeout` and a group start have ended, cleanup and all, when the call returns or the block is left in any way.

local core = require "luaserve.core.task"
local mailbox = require "luaserve.core.mailbox"

local task = {
  background = core.background,
  can_await = core.can_await,
  current = core.current,
  defer = core.defer,
  locals = core.locals,
  shield = core.shield,
  spawn = core.spawn,
}

-- level: of the caller whose mistake it is, as for error, counted from here.
local function check_function(value, index, name, level)
  if type(value) ~= "function" then
    error(("bad argument #%d to '%s' (function expected, got %s)"):format(index, name, type(value)), level or 3)
  end
end

-- ---- groups ----

local Group = {}
Group.__index = Group
Group.__name = "luaserve.group"

--- A group of tasks that cannot outlive its block: as a `<close>` variable it cancels those that still run, and waits
-- for their end.
--   local group <close> = task.group()
--   group:spawn(fetch, "a"); group:spawn(fetch, "b")
--   group:wait()
-- @return group
function task.group()
  return setmetatable({ ended = mailbox(), failed = {}, tasks = {}, last = 0, running = 0 }, Group)
end

-- Forgets the children that have ended well: a group that lives long, and that nobody waits for, must not grow.
local function forget_done(group)
  local found, index = group.ended:try()
  while found do
    if group.tasks[index]:status() == "done" then
      group.tasks[index] = nil
      group.running = group.running - 1
    else
      table.insert(group.failed, index)
    end
    found, index = group.ended:try()
  end
end

--- Starts fn(...) in the group.
-- @return task
function Group:spawn(fn, ...)
  check_function(fn, 1, "spawn")
  if self.closed then
    error("the group is closed", 2)
  end
  forget_done(self)
  local index = self.last + 1
  local child = core.spawn_watched(self.ended, index, fn, ...)
  self.tasks[index] = child
  self.last = index
  self.running = self.running + 1
  return child
end

-- Waits for the next child to end: its index, whether it succeeded, its results or its error; nil when none runs. The
-- count is below 0 where another task has closed the group while this one was about to take an outcome.
local function next_outcome(group)
  if group.running <= 0 then
    return nil
  end
  local index = table.remove(group.failed, 1) or group.ended:take()
  group.running = group.running - 1
  local child = group.tasks[index]
  group.tasks[index] = nil
  return index, pcall(child.join, child)
end

--- Waits until all have ended. The first error cancels the others, and is raised when they have ended too.
function Group:wait()
  for _, succeeded, err in next_outcome, self do
    if not succeeded then
      self:close()
      error(err, 0)
    end
  end
end

local function join_all(group)
  for index = 1, group.last do
    local child = group.tasks[index]
    if child then
      pcall(child.join, child)
    end
  end
end

--- Cancels what still runs and waits for its end, also when the caller is cancelled meanwhile: that is raised after it.
-- Errors of the cancelled are dropped.
function Group:close()
  self.closed = true
  for index = 1, self.last do
    if self.tasks[index] then
      self.tasks[index]:cancel()
    end
  end
  if core.can_await() then
    core.shield(join_all, self)
  end
  self.running = 0
end

Group.__close = Group.close

function Group:__tostring()
  return ("group (%d of %d tasks running)"):format(self.running, self.last)
end

-- ---- all, any ----

-- Functions, or one table of them; whether it was a table.
local function list_of(name, ...)
  local list, is_table = table.pack(...), false
  if list.n == 1 and type(list[1]) == "table" then
    list, is_table = list[1], true
  end
  for i = 1, list.n or #list do
    check_function(list[i], i, name, 4)
  end
  if #list == 0 then
    error(("bad argument #1 to '%s' (at least one function expected)"):format(name), 3)
  end
  return list, is_table
end

--- Runs functions at the same time and gives the first result of each, in their order. The first error cancels the
-- others and is raised.
--   local user, posts = task.all(function() return load_user(id) end, function() return load_posts(id) end)
-- @param ... functions, or one table of functions: then the results are in a table too
function task.all(...)
  local list, is_table = list_of("all", ...)
  local group <close> = task.group()
  for _, fn in ipairs(list) do
    group:spawn(fn)
  end
  local results = {}
  for index, succeeded, result in next_outcome, group do
    if not succeeded then
      group:close()
      error(result, 0)
    end
    results[index] = result
  end
  if is_table then
    return results
  end
  return table.unpack(results, 1, #list)
end

--- Runs functions at the same time and gives the results of the first that succeeds (returns without an error); the
-- others are cancelled. When all fail, the error of the last one to fail is raised.
-- @param ... functions, or one table of functions
function task.any(...)
  local list = list_of("any", ...)
  local group <close> = task.group()
  for _, fn in ipairs(list) do
    group:spawn(fn)
  end
  local err
  repeat
    local outcome = table.pack(next_outcome(group))
    if outcome[2] then
      group:close()
      return table.unpack(outcome, 3, outcome.n)
    end
    err = outcome[3]
  until group.running == 0
  error(err, 0)
end

-- ---- timeout ----

--- Runs fn(...) for at most so many seconds; past them it is cancelled, and has ended when this returns.
--   local rows, message, code = task.timeout(2, query, "select 1")
-- @return what fn returned; or nil, message, "ETIMEDOUT". An error of fn is raised.
function task.timeout(seconds, fn, ...)
  check_function(fn, 2, "timeout")
  local group <close> = task.group()
  local child = group:spawn(fn, ...)
  local timed_out = false
  local _ <close> = require("luaserve.timer").after(seconds, function()
    timed_out = child:cancel()
  end)
  local outcome = table.pack(next_outcome(group))
  if outcome[2] then
    return table.unpack(outcome, 3, outcome.n)
  elseif timed_out and child:status() == "cancelled" then
    return nil, ("ETIMEDOUT: not done within %g s"):format(seconds), "ETIMEDOUT"
  end
  error(outcome[3], 0)
end

-- ---- semaphores ----

local Semaphore = {}
Semaphore.__index = Semaphore
Semaphore.__name = "luaserve.semaphore"

--- At most n at once.
--   local limit = task.semaphore(10)
--   limit:with(fetch, url)
-- @param n permits, 1 or more
function task.semaphore(n)
  if math.type(n) ~= "integer" or n < 1 then
    error(("bad argument #1 to 'semaphore' (an integer from 1 on expected, got %s)"):format(tostring(n)), 2)
  end
  local self = setmetatable({ permits = mailbox(), size = n }, Semaphore)
  for _ = 1, n do
    self.permits:put(true)
  end
  return self
end

--- Async. Takes a permit; waits for one, first come, first served.
function Semaphore:acquire()
  self.permits:take()
end

--- Takes a permit if there is one.
-- @return whether there was
function Semaphore:try_acquire()
  return (self.permits:try())
end

--- Gives a permit back.
function Semaphore:release()
  if #self.permits >= self.size then
    error("the semaphore has all its permits: released more often than acquired", 2)
  end
  self.permits:put(true)
end

local Permit = {}

function Permit:__close()
  self.semaphore:release()
end

--- Async. Calls fn(...) with a permit, which goes back on every way out.
-- @return what fn returned
function Semaphore:with(fn, ...)
  check_function(fn, 1, "with")
  self:acquire()
  local _ <close> = setmetatable({ semaphore = self }, Permit)
  return fn(...)
end

function Semaphore:__tostring()
  return ("semaphore (%d of %d free)"):format(#self.permits, self.size)
end

-- ---- channels ----

local Channel = {}
Channel.__index = Channel
Channel.__name = "luaserve.channel"

--- A queue between tasks that holds at most capacity values: who sends more waits, and so does who receives from an
-- empty one.
-- @param capacity 1 or more; 1 if none is given
function task.channel(capacity)
  capacity = capacity or 1
  if math.type(capacity) ~= "integer" or capacity < 1 then
    error(("bad argument #1 to 'channel' (an integer from 1 on expected, got %s)"):format(tostring(capacity)), 2)
  end
  local self = setmetatable({ room = mailbox(), values = mailbox(), capacity = capacity }, Channel)
  for _ = 1, capacity do
    self.room:put(true)
  end
  return self
end

local function closed()
  return nil, "ECLOSED: closed", "ECLOSED"
end

--- Async. Leaves a value, not nil, as soon as there is room.
-- @return true; nil, message, "ECLOSED" when the channel was closed
function Channel:send(value)
  if value == nil then
    error("bad argument #1 to 'send' (a value expected: nil is how receive says that the channel is closed)", 2)
  end
  if self.closed or not self.room:take() or self.closed then
    return closed()
  end
  self.values:put(value)
  return true
end

--- Async. The oldest value.
-- @return value; nil, message, "ECLOSED" when the channel is closed and empty
function Channel:receive()
  local value = self.values:take()
  if value == nil then
    return closed()
  end
  if not self.closed then
    self.room:put(true)
  end
  return value
end

--- Iterates over the values until the channel is closed and empty: `for value in channel:each() do`.
function Channel:each()
  return function()
    return (self:receive())
  end
end

--- No more values: those who wait to send or receive get nil, what is in it can still be received.
function Channel:close()
  self.closed = true
  self.room:close()
  self.values:close()
end

Channel.__close = Channel.close

function Channel:__len()
  return #self.values
end

function Channel:__tostring()
  return ("channel (%d of %d%s)"):format(#self.values, self.capacity, self.closed and ", closed" or "")
end

return task
