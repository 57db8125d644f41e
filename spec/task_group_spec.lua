-- SPDX-License-Identifier: MIT
-- What luaserve.task builds on tasks: groups, all, any, timeout, defer, semaphores, channels.

local process = require "spec.support.process"
local task, timer = require "luaserve.task", require "luaserve.timer"
local mailbox = require "luaserve.core.mailbox"

local function sleeper(seconds, ...)
  local results = table.pack(...)
  return function()
    timer.sleep(seconds)
    return table.unpack(results, 1, results.n)
  end
end

local function failer(seconds, value)
  return function()
    timer.sleep(seconds)
    error(value, 0)
  end
end

-- A function that waits for long and notes in log that it was cleaned up.
local function long(log, name)
  return function()
    local _ <close> = setmetatable({}, { __close = function()
      timer.sleep(0.001)
      log[#log + 1] = name
    end })
    timer.sleep(60)
  end
end

describe("task.all", function()
  it("gives the first result of each, in order", function()
    assert.same({ "a", nil, 3, n = 3 }, table.pack(task.all(sleeper(0.004, "a"), sleeper(0.002), sleeper(0.001, 3, 4))))
    assert.same({ "a", "b" }, task.all({ sleeper(0.002, "a"), sleeper(0.001, "b") }))
  end)

  it("raises the first error when the others have been cancelled and have ended", function()
    local log, value = {}, { "why" }
    local ok, err = pcall(task.all, long(log, "x"), failer(0.001, value), long(log, "y"))
    assert.is_false(ok)
    assert.equal(value, err)
    table.sort(log)
    assert.same({ "x", "y" }, log)
  end)

  it("takes its tasks along when it is cancelled", function()
    local log = {}
    local t = task.spawn(task.all, long(log, "x"), long(log, "y"))
    timer.sleep(0.001)
    t:cancel()
    pcall(t.join, t)
    assert.equal("cancelled", t:status())
    table.sort(log)
    assert.same({ "x", "y" }, log)
  end)

  it("wants functions", function()
    assert.has_error(function() task.all() end, "bad argument #1 to 'all' (at least one function expected)")
    assert.has_error(function() task.all(print, 2) end, "bad argument #2 to 'all' (function expected, got number)")
  end)
end)

describe("task.any", function()
  it("gives all results of the first to succeed and cancels the others", function()
    local log = {}
    local results = table.pack(task.any(long(log, "x"), failer(0.001, "no"), sleeper(0.002, 1, nil, 3)))
    assert.same({ 1, nil, 3, n = 3 }, results)
    assert.same({ "x" }, log)
  end)

  it("raises the last error when all fail", function()
    assert.has_error(function() task.any(failer(0.004, "last"), failer(0.001, "first")) end, "last")
  end)
end)

describe("task.timeout", function()
  it("gives the results of what is done in time", function()
    local results = table.pack(task.timeout(5, function(...) timer.sleep(0.001) return ... end, 1, nil, 2))
    assert.same({ 1, nil, 2, n = 3 }, results)
  end)

  it("cancels what takes longer, and its cleanup has ended", function()
    local log = {}
    local value, message, code = task.timeout(0.005, long(log, "x"))
    assert.is_nil(value)
    assert.equal("ETIMEDOUT: not done within 0.005 s", message)
    assert.equal("ETIMEDOUT", code)
    assert.same({ "x" }, log)
  end)

  it("raises the function's error", function()
    assert.has_error(function() task.timeout(5, error, "own", 0) end, "own")
  end)

  it("nests, and the inner one is told apart", function()
    local inner
    local outer = table.pack(task.timeout(5, function()
      inner = select(3, task.timeout(0.002, timer.sleep, 60))
      return "outer"
    end))
    assert.equal("ETIMEDOUT", inner)
    assert.equal("outer", outer[1])
    assert.equal("ETIMEDOUT", (select(3, task.timeout(0.005, function() return task.timeout(60, timer.sleep, 60) end))))
  end)
end)

describe("a group", function()
  it("cancels its tasks when the block is left by an error", function()
    local log = {}
    local ok = pcall(function()
      local group <close> = task.group()
      group:spawn(long(log, "x"))
      group:spawn(long(log, "y"))
      timer.sleep(0.001)
      error("out")
    end)
    assert.is_false(ok)
    table.sort(log)
    assert.same({ "x", "y" }, log)
  end)

  it("waits for all, and raises the first error", function()
    local done = 0
    do
      local group <close> = task.group()
      for i = 1, 10 do
        group:spawn(function() timer.sleep(0.001 * i) done = done + 1 end)
      end
      group:wait()
    end
    assert.equal(10, done)
    local group <close> = task.group()
    group:spawn(failer(0.001, "broken"))
    assert.has_error(function() group:wait() end, "broken")
  end)

  it("sees a task that was cancelled before its first step", function()
    local group <close> = task.group()
    local t = group:spawn(print)
    t:cancel()
    local ok, err = pcall(group.wait, group)
    assert.is_false(ok)
    assert.equal("the task was cancelled", tostring(err))
  end)

  it("has ended when its block is left, also when that is cancelled while it closes", function()
    local ended = false
    local closing = mailbox()
    local t = task.spawn(function()
      local group <close> = task.group()
      group:spawn(function()
        local _ <close> = setmetatable({}, { __close = function()
          closing:put(true)
          timer.sleep(0.005)
          ended = true
        end })
        timer.sleep(60)
      end)
      timer.sleep(0.001)
    end)
    closing:take()
    t:cancel()
    pcall(t.join, t)
    assert.is_true(ended)
    assert.equal("cancelled", t:status())
  end)

  it("that another task closes wakes who waits for it", function()
    local group = task.group()
    local waiter = task.spawn(group.wait, group)
    group:spawn(function() end)
    group:spawn(function() end)
    task.spawn(group.close, group)
    assert.not_equal("ETIMEDOUT", (select(3, task.timeout(1, waiter.join, waiter))))
  end)

  it("does not keep the tasks that have ended well", function()
    local group <close> = task.group()
    local tasks = setmetatable({}, { __mode = "v" })
    tasks[0] = group:spawn(function() end)
    group:wait()
    for i = 1, 10 do
      tasks[i] = group:spawn(function() end)
      timer.sleep(0)
    end
    group:spawn(error, "kept", 0)
    timer.sleep(0)
    group:spawn(function() end)
    collectgarbage()
    assert.is_nil(next(tasks))
    assert.has_error(function() group:wait() end, "kept")
  end)

  it("takes no tasks once it is closed", function()
    local group = task.group()
    group:close()
    assert.has_error(function() group:spawn(print) end, "the group is closed")
  end)
end)

describe("task.defer", function()
  it("runs on every way out, the last one first, with its arguments", function()
    local ways = {
      ["a return"] = function() return "value" end,
      ["an error"] = function() error("on purpose") end,
      ["a cancellation"] = function() timer.sleep(60) end,
    }
    for _, way in pairs(ways) do
      local log = {}
      local t = task.spawn(function()
        task.defer(function(...) log[#log + 1] = table.concat({ ... }, " ") end, "first", 1)
        task.defer(function() timer.sleep(0.001) log[#log + 1] = "waited" end)
        return way()
      end)
      task.spawn(function() timer.sleep(0.001) t:cancel() end)
      pcall(t.join, t)
      assert.same({ "waited", "first 1" }, log)
    end
  end)

  it("leaves the outcome as it was", function()
    assert.equal("value", (task.spawn(function() task.defer(print) return "value" end):join()))
    local value = {}
    local t = task.spawn(function() task.defer(function() end) error(value) end)
    assert.equal(value, (select(2, pcall(t.join, t))))
  end)

  it("logs an error in a deferred function, and the others still run", function()
    local result = process.script [[
      local task = require "luaserve.task"
      local t = task.spawn(function()
        task.defer(print, "still runs")
        task.defer(error, "in defer")
        error("in the task")
      end)
      print(select(2, pcall(t.join, t)))]]
    assert.matches("^still runs\n[^\n]*in the task\n$", result.out)
    assert.matches("error in a deferred function: in defer", result.err, 1, true)
  end)

  it("is not cut short by a cancellation that came too late for the task", function()
    local log = {}
    local t = task.spawn(function()
      task.defer(function() timer.sleep(0.001) log[#log + 1] = "first" end)
      task.defer(function() log[#log + 1] = "cancels" task.current():cancel() end)
      task.defer(function() timer.sleep(0.001) log[#log + 1] = "last" end)
      task.current():cancel()
      return "value"
    end)
    assert.equal("value", (t:join()))
    assert.same({ "last", "cancels", "first" }, log)
  end)

  it("runs what a deferred function defers", function()
    local log = {}
    task.spawn(function()
      task.defer(function()
        log[#log + 1] = "outer"
        task.defer(function() log[#log + 1] = "inner" end)
      end)
    end):join()
    assert.same({ "outer", "inner" }, log)
  end)
end)

describe("an error that nobody joins", function()
  it("is logged with the place where the task was spawned", function()
    local result = process.script [[
      local task, timer = require "luaserve.task", require "luaserve.timer"
      task.spawn(function()
        timer.sleep(0.001)
        error("lost")
      end)]]
    assert.matches(":4: lost\n", result.err, 1, true)
    assert.matches("\nspawned at [^\n]*:2\n", result.err)
  end)
end)

describe("task.current", function()
  it("is the running task", function()
    local inside
    local t = task.spawn(function() inside = task.current() end)
    t:join()
    assert.equal(t, inside)
  end)
end)

describe("a semaphore", function()
  it("lets at most n in, first come, first served", function()
    local semaphore, inside, most, order = task.semaphore(3), 0, 0, {}
    local group <close> = task.group()
    for i = 1, 20 do
      group:spawn(function()
        semaphore:with(function()
          order[#order + 1] = i
          inside = inside + 1
          most = math.max(most, inside)
          timer.sleep(0.001)
          inside = inside - 1
        end)
      end)
    end
    group:wait()
    assert.equal(3, most)
    for i = 1, 20 do assert.equal(i, order[i]) end
    assert.equal("semaphore (3 of 3 free)", tostring(semaphore))
  end)

  it("loses no permit to a task that is cancelled, whenever that is", function()
    local semaphore = task.semaphore(1)
    semaphore:acquire()
    local waiting = task.spawn(semaphore.acquire, semaphore)
    local next_one = task.spawn(semaphore.acquire, semaphore)
    timer.sleep(0.001)
    semaphore:release() -- hands it to the first, which is cancelled before it runs
    waiting:cancel()
    next_one:join()
    semaphore:release()
    assert.is_true(semaphore:try_acquire())
    assert.is_false(semaphore:try_acquire())
  end)

  it("takes a permit back when both are collected", function()
    local result = process.script [[
      local task = require "luaserve.task"
      owner = setmetatable({}, { __gc = function(self) print(pcall(self.semaphore.release, self.semaphore)) end })
      owner.semaphore = task.semaphore(2) -- younger than its owner: finalized before it
      owner.semaphore:acquire()
      os.exit(0, true)]]
    assert.matches("^false\t[^\n]*closed\n$", result.out)
    assert.equal("", result.err)
  end)

  it("gives the permit back after an error", function()
    local semaphore = task.semaphore(1)
    pcall(semaphore.with, semaphore, error, "x")
    assert.is_true(semaphore:try_acquire())
  end)

  it("knows how many it has", function()
    assert.has_error(function() task.semaphore(1):release() end,
      "the semaphore has all its permits: released more often than acquired")
    assert.has_error(function() task.semaphore(0) end)
  end)
end)

describe("a channel", function()
  it("passes values in order and holds at most its capacity", function()
    local channel, got, most = task.channel(3), {}, 0
    local sender = task.spawn(function()
      for i = 1, 50 do
        channel:send(i)
        most = math.max(most, #channel)
      end
      channel:close()
    end)
    for value in channel:each() do
      got[#got + 1] = value
      if value % 10 == 0 then timer.sleep(0.001) end
    end
    sender:join()
    assert.equal(50, #got)
    assert.equal(50, got[50])
    assert.is_true(most <= 3)
  end)

  it("passes false", function()
    local channel = task.channel()
    channel:send(false)
    assert.is_false(channel:receive())
    assert.has_error(function() channel:send(nil) end)
  end)

  it("tells senders and receivers that it was closed", function()
    local channel = task.channel(1)
    channel:send(1)
    local sender = task.spawn(channel.send, channel, 2)
    timer.sleep(0.001)
    channel:close()
    assert.equal("ECLOSED", (select(3, sender:join())))
    assert.equal(1, channel:receive())
    assert.equal("ECLOSED", (select(3, channel:receive())))
    assert.equal("ECLOSED", (select(3, channel:send(3))))
    assert.equal("channel (0 of 1, closed)", tostring(channel))
  end)

  it("loses no value to a receiver that is cancelled before it runs", function()
    local channel = task.channel(2)
    local receiver = task.spawn(channel.receive, channel)
    timer.sleep(0.001)
    channel:send("a")
    channel:send("b")
    receiver:cancel()
    timer.sleep(0.001)
    assert.equal("a", channel:receive())
    assert.equal("b", channel:receive())
  end)

  it("keeps the order of values that several cancelled receivers give back", function()
    local channel, receivers = task.channel(4), {}
    for i = 1, 3 do
      receivers[i] = task.spawn(channel.receive, channel)
    end
    timer.sleep(0.001)
    for i = 1, 4 do
      channel:send(i)
    end
    for i = 1, 3 do
      receivers[i]:cancel()
    end
    timer.sleep(0.001)
    for i = 1, 4 do
      assert.equal(i, channel:receive())
    end
  end)
end)
