-- SPDX-License-Identifier: MIT
local process = require "spec.support.process"
local task, timer = require "luaserve.task", require "luaserve.timer"

describe("task", function()
  describe("spawn and join", function()
    it("runs the function when the spawner next waits, with its arguments", function()
      local seen = {}
      local t = task.spawn(function(...) seen = table.pack(...) return ... end, 1, nil, "x", nil)
      assert.same({}, seen)
      local results = table.pack(t:join())
      assert.same({ 1, nil, "x", nil, n = 4 }, results)
      assert.same(results, seen)
    end)

    it("gives every joiner the results, also long after the end", function()
      local t = task.spawn(function() timer.sleep(0.001) return "done" end)
      local first = task.spawn(function() return t:join() end)
      local second = task.spawn(function() return t:join() end)
      assert.equal("done", first:join())
      assert.equal("done", second:join())
      assert.equal("done", t:join())
      assert.equal("done", t:status())
    end)

    it("raises the task's error in the joiner, with its own value", function()
      local value = { code = 42 }
      local t = task.spawn(function() timer.sleep(0.001) error(value) end)
      local ok, err = pcall(t.join, t)
      assert.is_false(ok)
      assert.equal(value, err)
      assert.equal("failed", t:status())
    end)

    it("calls back with the results, or with the error raised in the callback's task", function()
      local got
      local t = task.spawn(function() return 1, 2 end)
      t:join(function(...) got = table.pack(...) end)
      timer.sleep(0.002)
      assert.same({ nil, 1, 2, n = 3 }, got)
    end)

    it("passes many results", function()
      local many = {}
      for i = 1, 5000 do many[i] = i end
      local results = table.pack(task.spawn(function() return table.unpack(many) end):join())
      assert.equal(5000, results.n)
      assert.equal(5000, results[5000])
    end)

    it("cannot join itself", function()
      local t
      t = task.spawn(function() return pcall(t.join, t) end)
      local ok, err = t:join()
      assert.is_false(ok)
      assert.matches("a task cannot join itself", err, 1, true)
    end)

    it("wants a function", function()
      assert.has_error(function() task.spawn("x") end, "bad argument #1 to 'spawn' (function expected, got string)")
    end)

    it("runs thousands at once", function()
      local count, tasks = 0, {}
      for i = 1, 5000 do
        tasks[i] = task.spawn(function() timer.sleep(0.001) count = count + 1 end)
      end
      for _, t in ipairs(tasks) do t:join() end
      assert.equal(5000, count)
    end)
  end)

  describe("an error that nobody joins", function()
    it("is logged once with its traceback, and the program goes on", function()
      local result = process.script [[
        local task, timer = require "luaserve.task", require "luaserve.timer"
        local function deep() error("lost") end
        task.spawn(function() deep() end)
        timer.sleep(0.01)
        print("on")]]
      assert.equal("on\n", result.out)
      assert.equal(0, result.status)
      local _, times = result.err:gsub("lost", "lost")
      assert.equal(1, times)
      assert.matches("in upvalue 'deep'", result.err, 1, true)
    end)
  end)

  it("may fail with nil, false or an object that cannot be shown", function()
    local bad = setmetatable({}, { __tostring = function() error("inside") end })
    for _, value in pairs { false, 1, bad, n = nil } do
      local t = task.spawn(error, value)
      assert.same({ false, value }, { pcall(t.join, t) })
    end
    local t = task.spawn(error, nil)
    assert.same({ false, nil }, { pcall(t.join, t) })
    local result = process.script [[
      local task, timer = require "luaserve.task", require "luaserve.timer"
      local bad = setmetatable({}, { __tostring = function() error("inside") end })
      local t = task.spawn(error, bad)
      timer.sleep(0.001)
      print(select(2, pcall(t.join, t)) == bad)
      error(bad)]]
    assert.equal(1, result.status)
    assert.equal("true\n", result.out)
    assert.equal(2, select(2, result.err:gsub("%(error object is a table value%)", "")))
  end)

  it("that failed can be joined by others, in every form", function()
    local result = process.script [[
      local task = require "luaserve.task"
      local failed, whole = task.spawn(error, "fails"), task.spawn(print, "whole")
      for _ = 1, 3 do pcall(failed.join, failed) end
      whole:join()
      pcall(failed.join, failed)
      whole:join(print)
      pcall(failed.join, failed)]]
    assert.equal("whole\nnil\n", result.out)
    assert.equal("", result.err)
    assert.equal(0, result.status)
  end)

  describe("cancel", function()
    it("raises in the await, closes variables, and is the task's end", function()
      local closed = false
      local t = task.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        timer.sleep(60)
      end)
      timer.sleep(0.001)
      assert.is_true(t:cancel())
      local ok, err = pcall(t.join, t)
      assert.is_false(ok)
      assert.equal("the task was cancelled", tostring(err))
      assert.is_true(closed)
      assert.equal("cancelled", t:status())
      assert.is_false(t:cancel())
    end)

    it("lets cleanup wait", function()
      local cleaned = false
      local t = task.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() timer.sleep(0.002) cleaned = true end })
        timer.sleep(60)
      end)
      timer.sleep(0.001)
      t:cancel()
      pcall(t.join, t)
      assert.is_true(cleaned)
    end)

    local swallowers = {
      pcall = function(f) return pcall(f) end,
      xpcall = function(f) return xpcall(f, function() return "another error" end) end,
      ["xpcall with a failing handler"] = function(f) return xpcall(f, error) end,
      ["coroutine.resume"] = function(f) return coroutine.resume(coroutine.create(f)) end,
      ["coroutine.wrap in pcall"] = function(f) return pcall(coroutine.wrap(f)) end,
      ["an error in __close"] = function(f)
        return pcall(function()
          local _ <close> = setmetatable({}, { __close = function() error("hides it") end })
          f()
        end)
      end,
    }
    for name, swallow in pairs(swallowers) do
      it("is not swallowed by " .. name, function()
        local went_on = false
        local t = task.spawn(function()
          swallow(function() timer.sleep(60) end)
          went_on = true
        end)
        timer.sleep(0.001)
        t:cancel()
        pcall(t.join, t)
        assert.equal("cancelled", t:status())
        assert.is_false(went_on)
      end)
    end

    it("leaves pcall in cleanup code alone", function()
      local result
      local t = task.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() result = { pcall(error, "inner") } end })
        timer.sleep(60)
      end)
      timer.sleep(0.001)
      t:cancel()
      pcall(t.join, t)
      assert.same({ false, "inner" }, result)
    end)

    it("waits while the task is shielded", function()
      local log = {}
      local t = task.spawn(function()
        log[1] = task.shield(function() timer.sleep(0.005) return "kept" end)
        log[2] = "not reached"
      end)
      timer.sleep(0.001)
      t:cancel()
      pcall(t.join, t)
      assert.same({}, log)
      assert.equal("cancelled", t:status())
    end)

    it("is delivered after a generator was left inside a shield", function()
      local t = task.spawn(function()
        local generator = coroutine.wrap(function() task.shield(coroutine.yield) end)
        generator()
        timer.sleep(60)
      end)
      timer.sleep(0.001)
      t:cancel()
      pcall(t.join, t)
      assert.equal("cancelled", t:status())
    end)

    it("waits for the shield also across coroutines", function()
      local log = {}
      local t = task.spawn(function()
        task.shield(function()
          coroutine.wrap(function()
            task.shield(timer.sleep, 0.002)
            timer.sleep(0.002)
          end)()
          log[1] = "kept"
        end)
        log[2] = "not reached"
      end)
      timer.sleep(0.001)
      t:cancel()
      pcall(t.join, t)
      assert.same({ "kept" }, log)
      assert.equal("cancelled", t:status())
    end)

    it("before the first step means that it never runs", function()
      local ran = false
      local t = task.spawn(function() ran = true end)
      t:cancel()
      pcall(t.join, t)
      assert.is_false(ran)
      assert.equal("cancelled", t:status())
    end)

    it("of a joiner leaves the joined task alone", function()
      local inner = task.spawn(function() timer.sleep(0.005) return "whole" end)
      local outer = task.spawn(function() return inner:join() end)
      timer.sleep(0.001)
      outer:cancel()
      assert.equal("whole", inner:join())
      assert.equal("cancelled", outer:status())
    end)
  end)

  describe("can_await", function()
    it("tells where an await is possible", function()
      assert.is_true(task.can_await())
      assert.is_true(coroutine.wrap(task.can_await)())
      local inside
      string.gsub("x", "x", function() inside = task.can_await() end)
      assert.is_false(inside)
    end)
  end)
end)

describe("a callback operation", function()
  it("never calls back before the call has returned", function()
    local order = {}
    timer.sleep(0, function() order[#order + 1] = "callback" end)
    order[#order + 1] = "returned"
    timer.sleep(0.005)
    assert.same({ "returned", "callback" }, order)
  end)

  it("can be cancelled", function()
    local called = false
    local operation = timer.sleep(0.002, function() called = true end)
    assert.matches("timer.sleep", tostring(operation), 1, true)
    assert.is_true(operation:cancel())
    assert.is_false(operation:cancel())
    timer.sleep(0.005)
    assert.is_false(called)
  end)

  it("goes on when its object is collected", function()
    local called = false
    timer.sleep(0.002, function() called = true end)
    collectgarbage()
    timer.sleep(0.005)
    assert.is_true(called)
  end)

  it("wants a function", function()
    assert.has_error(function() timer.sleep(1, 2) end, "bad argument #2 to 'sleep' (function expected, got number)")
  end)
end)

describe("os.exit", function()
  it("does not wait for the pool", function()
    local fifo = os.tmpname()
    os.remove(fifo)
    assert(os.execute("mkfifo " .. fifo))
    local result = process.script([[
      local fs, timer = require "luaserve.fs", require "luaserve.timer"
      fs.read_file(arg[1], print)
      timer.sleep(0.01)
      io.write("buffered")
      os.exit(4)]], { arguments = { fifo } })
    os.remove(fifo)
    assert.equal(4, result.status)
    assert.equal("buffered", result.out)
  end)

  it("closes the main chunk's variables when it is asked to close", function()
    local result = process.script [[
      local _ <close> = setmetatable({}, { __close = function() print "closed" end })
      pcall(coroutine.wrap(function() os.exit(5, true) end))]]
    assert.equal(5, result.status)
    assert.equal("closed\n", result.out)
  end)
end)
