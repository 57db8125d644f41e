-- SPDX-License-Identifier: MIT
-- Awaits inside coroutines of the user's own: the whole task waits, and nobody else can step in.

local task, timer = require "luaserve.task", require "luaserve.timer"

local function wait()
  timer.sleep(0.001)
end

describe("an await inside a user's coroutine", function()
  it("suspends the task, not the coroutine", function()
    local co = coroutine.create(function(a)
      wait()
      local b = coroutine.yield(a + 1)
      wait()
      return b * 2
    end)
    assert.same({ true, 2 }, { coroutine.resume(co, 1) })
    assert.equal("suspended", coroutine.status(co))
    assert.same({ true, 20 }, { coroutine.resume(co, 10) })
    assert.equal("dead", coroutine.status(co))
  end)

  it("works in a generator, several levels deep", function()
    local function numbers(n)
      return coroutine.wrap(function()
        for i = 1, n do
          wait()
          coroutine.yield(i)
        end
      end)
    end
    local doubled = coroutine.wrap(function()
      for i in numbers(5) do
        wait()
        coroutine.yield(i * 2)
      end
    end)
    local got = {}
    for value in doubled do got[#got + 1] = value end
    assert.same({ 2, 4, 6, 8, 10 }, got)
  end)

  it("works in metamethods, iterators and pcall", function()
    local object = setmetatable({}, {
      __index = function(_, key) wait() return key .. "!" end,
      __add = function() wait() return 7 end,
      __call = function() wait() return "called" end,
      __concat = function() wait() return "joined" end,
      __eq = function() wait() return true end,
      __pairs = function() wait() return next, { a = 1 } end,
      __close = function() wait() end,
    })
    assert.equal("x!", object.x)
    assert.equal(7, object + 1)
    assert.equal("called", object())
    assert.equal("joined", object .. "x")
    assert.is_true(object == setmetatable({}, getmetatable(object)))
    for key in pairs(object) do assert.equal("a", key) end
    assert.same({ true, "in pcall" }, { pcall(function() wait() return "in pcall" end) })
    do local _ <close> = object end
  end)

  it("passes errors and their values", function()
    local value = {}
    local co = coroutine.create(function() wait() error(value) end)
    local ok, err = coroutine.resume(co)
    assert.is_false(ok)
    assert.equal(value, err)
    assert.equal("dead", coroutine.status(co))
    ok, err = pcall(coroutine.wrap(function() wait() error("text") end))
    assert.is_false(ok)
    assert.matches("text", err, 1, true)
  end)

  it("is refused where a C function is in the way, naming it", function()
    local places = {
      ["string.gsub"] = function() string.gsub("x", "x", wait) end,
      ["table.sort"] = function() table.sort({ 2, 1 }, function(a, b) wait() return a < b end) end,
      ["tostring"] = function() return tostring(setmetatable({}, { __tostring = function() wait() return "" end })) end,
      ["string.gsub "] = function() string.gsub("x", "x", coroutine.wrap(wait)) end,
      ["string.gsub  "] = function() string.gsub("x", "x", function() task.shield(wait) end) end,
      ["load"] = function() assert(load(function() wait() end)) end,
    }
    for name, place in pairs(places) do
      local ok, err = pcall(place)
      assert.is_false(ok)
      assert.matches("timer.sleep cannot wait here: it was called from inside " .. name:gsub(" ", ""), err, 1, true)
    end
    local ok, err = pcall(coroutine.close, coroutine.create(wait))
    assert.is_true(ok, err)
    local co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = wait })
      coroutine.yield()
    end)
    coroutine.resume(co)
    ok, err = coroutine.close(co)
    assert.is_false(ok)
    assert.matches("cannot wait here", err, 1, true)
  end)
end)

describe("a message handler of xpcall", function()
  it("cannot wait, since it runs where the error is raised; what it handles may have waited", function()
    local ok, message = xpcall(function()
      wait()
      error("late", 0)
    end, function(err) return { err, pcall(wait) } end)
    assert.is_false(ok)
    assert.equal("late", message[1])
    assert.is_false(message[2])
    assert.matches("timer.sleep cannot wait here", message[3], 1, true)
  end)
end)

describe("a parked coroutine", function()
  local co, owner
  before_each(function()
    owner = task.spawn(function()
      co = coroutine.create(function() timer.sleep(0.01) return "own result" end)
      return coroutine.resume(co)
    end)
    wait()
  end)
  after_each(function()
    assert.same({ true, "own result" }, { owner:join() })
  end)

  it("says that it is normal", function()
    assert.equal("normal", coroutine.status(co))
  end)

  it("cannot be resumed by another task", function()
    assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
    assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co, 1, 2, 3) })
  end)

  it("cannot be closed by another task", function()
    assert.has_error(function() coroutine.close(co) end, "cannot close a normal coroutine")
  end)

  it("can be looked at", function()
    assert.is_string(debug.traceback(co))
    assert.is_table(debug.getinfo(co, 0, "S"))
    collectgarbage()
  end)
end)

describe("a wrapped generator that waits", function()
  it("cannot be called by another task meanwhile", function()
    local generator = coroutine.wrap(function() timer.sleep(0.01) coroutine.yield("first") end)
    local owner = task.spawn(function() return generator() end)
    wait()
    local ok, err = pcall(generator)
    assert.is_false(ok)
    assert.matches("cannot resume non-suspended coroutine", err, 1, true)
    assert.equal("first", owner:join())
  end)
end)

describe("a task's own coroutine", function()
  it("is what the main coroutine is to a plain script", function()
    local _, main = coroutine.running()
    assert.is_true(main)
    assert.is_false(coroutine.isyieldable())
    assert.has_error(function() coroutine.yield() end, "attempt to yield from outside a coroutine")
    local inner_main, yieldable
    coroutine.wrap(function()
      inner_main = select(2, coroutine.running())
      yieldable = coroutine.isyieldable()
    end)()
    assert.is_false(inner_main)
    assert.is_true(yieldable)
  end)

  it("cannot be resumed by the code it runs", function()
    local co = coroutine.running()
    assert.is_false((coroutine.resume(co)))
    assert.is_false((coroutine.wrap(function() return coroutine.resume(co) end)()))
  end)

  it("cannot be resumed by another task while it waits", function()
    local co
    local owner = task.spawn(function()
      co = coroutine.running()
      timer.sleep(0.005)
      return "whole"
    end)
    wait()
    assert.is_false((coroutine.resume(co)))
    assert.has_error(function() coroutine.close(co) end)
    assert.equal("whole", owner:join())
  end)

  it("cannot be resumed once the task has ended and it waits for work", function()
    local co
    task.spawn(function() co = coroutine.running() end):join()
    wait()
    assert.is_false((coroutine.resume(co, print)))
    assert.is_false((pcall(coroutine.close, co)))
  end)
end)
