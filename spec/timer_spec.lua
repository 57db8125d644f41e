-- SPDX-License-Identifier: MIT
-- What runs before what is in order_spec.lua.

local process = require "spec.support.process"
local task, timer = require "luaserve.task", require "luaserve.timer"

--- Waits until done() is true.
local function wait_for(done)
  while not done() do timer.sleep(0.001) end
end

describe("timer", function()
  describe("sleep", function()
    it("returns true, not before the time has come", function()
      local start = os.time()
      assert.is_true(timer.sleep(1.001))
      assert.is_true(os.time() > start)
    end)

    it("refuses what is no time", function()
      for _, seconds in ipairs { -0.001, 0 / 0, math.huge, 2147483.648 } do
        assert.has_error(function() timer.sleep(seconds) end,
          "bad argument #1 to 'sleep' (seconds must be from 0 to 2147483.647)")
      end
      assert.has_error(function() timer.sleep("soon") end, "bad argument #1 to 'sleep' (number expected, got string)")
    end)
  end)

  describe("after", function()
    it("calls once, with its arguments, in a task of its own", function()
      local got, own
      local t = timer.after(0.001, function(...)
        got, own = table.pack(...), coroutine.running()
        timer.sleep(0.001)
      end, 1, nil, "x", nil)
      assert.matches("^timer %(after 0.001 s%)$", tostring(t))
      wait_for(function() return got end)
      assert.same({ 1, nil, "x", nil, n = 4 }, got)
      assert.are_not.equal(coroutine.running(), own)
      assert.equal("timer (after 0.001 s, not running)", tostring(t))
      assert.is_false(t:cancel())
    end)

    it("does not call once it is cancelled", function()
      local called = false
      local t = timer.after(0.001, function() called = true end)
      assert.is_true(t:cancel())
      assert.is_false(t:cancel())
      timer.sleep(0.003)
      assert.is_false(called)
    end)

    it("lives without anybody holding it", function()
      local called = false
      timer.after(0.001, function() called = true end)
      collectgarbage()
      collectgarbage()
      wait_for(function() return called end)
    end)

    it("runs again after again, also when it has run or was cancelled", function()
      local count = 0
      local t = timer.after(0.001, function() count = count + 1 end)
      wait_for(function() return count == 1 end)
      assert.equal(t, t:again())
      wait_for(function() return count == 2 end)
      t:again():cancel()
      t:again()
      wait_for(function() return count == 3 end)
    end)

    it("refuses more arguments than a timer can keep", function()
      assert.error_matches(function() timer.after(1, print, table.unpack({}, 1, 65538)) end, "too many arguments")
    end)

    it("wants a time, then a function", function()
      assert.error_matches(function() timer.after(print, 1) end, "bad argument #1 to '.*after' %(number expected")
      assert.error_matches(function() timer.after(1) end, "bad argument #2 to '.*after' %(function expected")
      assert.error_matches(function() timer.every(1, {}) end, "bad argument #2 to '.*every' %(function expected")
      assert.error_matches(function() timer.immediate(1) end, "bad argument #1 to '.*immediate' %(function expected")
      assert.error_matches(function() timer.next_tick() end, "bad argument #1 to '.*next_tick' %(function expected")
    end)
  end)

  describe("every", function()
    it("calls until it is cancelled, which its function may do", function()
      local count, t = 0, nil
      t = timer.every(0.001, function()
        count = count + 1
        if count == 3 then t:cancel() end
      end)
      assert.matches("^timer %(every 0.001 s%)$", tostring(t))
      wait_for(function() return count == 3 end)
      timer.sleep(0.005)
      assert.equal(3, count)
    end)

    it("goes on after an error", function()
      local result = process.script [[
        local timer, count, t = require "luaserve.timer", 0, nil
        t = timer.every(0.001, function()
          count = count + 1
          if count == 2 then t:cancel() print "twice" end
          error "fails"
        end)]]
      assert.equal("twice\n", result.out)
      assert.equal(2, select(2, result.err:gsub("fails\n", "")))
    end)
  end)

  it("keeps the process alive unless it is unref'd, and again once it is ref'd", function()
    local result = process.script [[
      local timer = require "luaserve.timer"
      timer.every(0.001, print, "never"):unref()
      timer.after(0.003, print, "kept"):unref():ref()]]
    assert.equal(0, result.status)
    assert.matches("kept\n$", result.out)
    assert.equal("", process.script([[require "luaserve.timer".every(60, print):unref()]]).out)
  end)

  describe("immediate", function()
    it("can be cancelled before it runs, and only then", function()
      local called
      local immediate = timer.immediate(function() called = true end)
      assert.is_true(immediate:cancel())
      assert.is_false(immediate:cancel())
      immediate = timer.immediate(function() called = "second" end)
      wait_for(function() return called end)
      assert.equal("second", called)
      assert.is_false(immediate:cancel())
    end)

    it("goes on when it is cancelled after its start, also when it was just woken", function()
      local gate = task.spawn(function() timer.sleep(0.002) end)
      local immediate, cancelled, done
      task.spawn(function()
        gate:join()
        cancelled = immediate:cancel()
      end)
      immediate = timer.immediate(function()
        gate:join()
        done = true
      end)
      wait_for(function() return done end)
      assert.is_false(cancelled)
    end)

    it("can be asked long after its task is gone", function()
      local immediates, left = {}, 3000
      for i = 1, left do
        immediates[i] = timer.immediate(function()
          timer.sleep(0.001)
          left = left - 1
        end)
      end
      wait_for(function() return left == 0 end)
      for _, immediate in ipairs(immediates) do assert.is_false(immediate:cancel()) end
    end)
  end)

  it("starts nothing when the program is ending", function()
    local result = process.script [[
      local timer = require "luaserve.timer"
      local old = timer.after(60, print)
      old:cancel()
      local function finally(start, ...)
        local arguments = table.pack(...)
        _G[{}] = setmetatable({}, { __gc = function()
          print(select(2, pcall(start, table.unpack(arguments))))
        end })
      end
      finally(timer.sleep, 1)
      finally(timer.sleep, 1, print)
      finally(timer.after, 1, print)
      finally(old.again, old)
      os.exit(0, true)]]
    assert.equal(0, result.status)
    assert.equal(4, select(2, result.out:gsub("the program is ending\n", "")))
  end)

  it("leaves nothing behind when the program ends in the middle of everything", function()
    for _, last in ipairs { "os.exit(3, true)", "error 'over'", "coroutine.wrap(function() os.exit(3, true) end)()",
      "pcall(function() timer.sleep(0.001, function() os.exit(3, true) end) timer.sleep(60) end)" } do
      local result = process.script([[
        local task, timer = require "luaserve.task", require "luaserve.timer"
        local fs = require "luaserve.fs"
        local function sleep() timer.sleep(60) end
        task.spawn(function() coroutine.wrap(function() pcall(coroutine.wrap(sleep)) end)() end)
        local t = task.spawn(sleep)
        task.spawn(function() t:join() end)
        t:join(print)
        timer.sleep(60, print)
        timer.after(60, print)
        timer.every(0.001, sleep)
        fs.stat("/", sleep)
        timer.sleep(0.005)
        task.spawn(sleep)
        timer.next_tick(sleep)
        timer.immediate(sleep)
        fs.stat("/", print)
        ]] .. last)
      assert.equal(last:match "exit" and 3 or 1, result.status, result.err)
      assert.is_nil(result.err:match "Sanitizer", result.err)
    end
  end)
end)
