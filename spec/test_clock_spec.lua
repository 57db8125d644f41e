-- SPDX-License-Identifier: MIT
-- test.clock: times that pass when the spec says so. What takes long here takes no time at all; nothing waits for the
-- machine's clock but what has to show that it runs on.

local core = require "luaserve.core.clock"
local fs = require "luaserve.fs"
local net = require "luaserve.net"
local process = require "luaserve.process"
local runner = require "spec.support.process"
local runtime = require "luaserve.runtime"
local task = require "luaserve.task"
local test = require "luaserve.test"
local timer = require "luaserve.timer"

--- A list, and a function that adds its arguments to it as one text.
local function recorder()
  local list = {}
  return list, function(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    list[#list + 1] = table.concat(words, " ")
  end
end

describe("test.clock", function()
  it("stands still until it is moved", function()
    local clock <close> = test.clock()
    local list, note = recorder()
    timer.after(0.001, note, "due")
    core.settle(1000000000)
    assert.same({}, list)
    assert.equal(0, clock:elapsed())
    assert.equal(0.001, clock:next_due())
    clock:advance(0.0009)
    assert.same({}, list)
    clock:advance(0.0001)
    assert.same({ "due" }, list)
    assert.equal(0.001, clock:elapsed())
    assert.is_nil(clock:next_due())
  end)

  it("fires in the order of due times, then of arming, each at its time", function()
    local clock <close> = test.clock()
    local list, note = recorder()
    local function at(seconds, name)
      timer.after(seconds, function() note(name, clock:elapsed()) end)
    end
    at(9, "c")
    at(3, "a")
    at(6, "b")
    at(3, "a2")
    task.spawn(function() timer.sleep(6) note("slept", clock:elapsed()) end)
    clock:advance(8)
    assert.same({ "a 3.0", "a2 3.0", "b 6.0", "slept 6.0" }, list)
    clock:advance(1)
    assert.equal("c 9.0", list[5])
    assert.equal(9, clock:elapsed())
  end)

  it("runs what the due set off before the next, as if the time had passed", function()
    local clock <close> = test.clock()
    local list, note = recorder()
    local every = timer.every(10, function() note("every", clock:elapsed()) end)
    local sleeper = task.spawn(function()
      while true do
        timer.sleep(4)
        timer.next_tick(note, "tick")
        timer.immediate(note, "immediate")
        note("slept", clock:elapsed())
      end
    end)
    clock:advance(12)
    assert.same({ "slept 4.0", "tick", "immediate", "slept 8.0", "tick", "immediate", "every 10.0", "slept 12.0",
      "tick", "immediate" }, list)
    every:cancel()
    sleeper:cancel()
    clock:advance(100)
    assert.equal(10, #list)
  end)

  it("waits for files and other jobs of the pool between two due times", function()
    local folder = test.temporary_folder()
    local clock <close> = test.clock()
    local writer = task.spawn(function()
      for i = 1, 20 do
        assert(fs.write_file(folder .. "/" .. i, tostring(clock:elapsed()), { atomic = true }))
        timer.sleep(1)
      end
    end)
    clock:advance(20)
    assert.equal("done", writer:status())
    for i = 1, 20 do assert.equal(i - 1, tonumber((fs.read_file(folder .. "/" .. i)))) end
  end)

  it("moves every as often as it would have been called, and again", function()
    local clock <close> = test.clock()
    local list, note = recorder()
    local every <close> = timer.every(0.1, note, "x")
    clock:advance(100)
    assert.equal(1000, #list)
    local idle = timer.after(5, note, "idle")
    for _ = 1, 5 do
      clock:advance(4)
      idle:again()
    end
    every:cancel()
    assert.not_equal("idle", list[#list])
    clock:advance(5)
    assert.equal("idle", list[#list])
  end)

  it("moves task.timeout, sleeps with callbacks, and what is under way when it begins", function()
    local list, note = recorder()
    local early = timer.after(3600, note, "from before")
    local clock <close> = test.clock()
    local timed = task.spawn(task.timeout, 30, timer.sleep, 3600)
    timer.sleep(20, function() note("called back") end)
    clock:advance(29.999)
    assert.same({ "called back" }, list)
    assert.equal("waiting", timed:status())
    clock:advance(0.001)
    assert.same({ nil, "ETIMEDOUT: not done within 30 s", "ETIMEDOUT" }, { timed:join() })
    clock:advance(3600)
    assert.same({ "called back", "from before" }, list)
    assert.is_false(early:cancel())
  end)

  it("moves os.time, os.date and process.hrtime", function()
    local real = os.time()
    do
      local clock <close> = test.clock(1e9)
      local start = process.hrtime()
      assert.equal(1000000000, os.time())
      assert.equal("2001-09-09 01:46:40", os.date("!%F %T"))
      clock:advance(0.75)
      assert.equal(1000000000, os.time())
      assert.equal(750000000, process.hrtime() - start)
      clock:advance(86400 * 365)
      assert.equal(1031536000, os.time())
      assert.equal(2002, os.date("!*t").year)
      assert.equal("1970", os.date("!%Y", 0))
      assert.equal(86400, os.time { year = 1970, month = 1, day = 2, hour = 12 } -
        os.time { year = 1970, month = 1, day = 1, hour = 12 })
      assert.error_matches(function() os.time {} end, "field 'year' missing in date table")
      assert.error_matches(function() os.date("%Ez", nil) end, "bad argument #1 to 'date'")
    end
    assert.is_true(os.time() >= real and os.time() < real + 60)
    do
      local _ <close> = test.clock()
      assert.is_true(os.time() >= real and os.time() < real + 60)
    end
  end)

  it("runs on from where it is when it is closed", function()
    local list, note = recorder()
    local clock = test.clock()
    local before = process.hrtime()
    clock:advance(3600)
    local t = timer.after(0.001, note, "soon")
    local long = timer.after(3600, note, "never")
    clock:close()
    clock:close()
    assert.equal("clock (closed)", tostring(clock))
    while not list[1] do timer.sleep(0.001) end
    assert.same({ "soon" }, list)
    assert.is_false(t:cancel())
    assert.is_true(long:cancel())
    assert.is_true(process.hrtime() > before + 3600 * 1000000000)
    local times = 0
    local every = timer.every(0.001, function() times = times + 1 end)
    while times < 3 do timer.sleep(0.001) end
    every:cancel()
  end)

  it("bounds the handlers of a server", function()
    local client = test.client(function(_, res)
      timer.sleep(10)
      res:send("late")
    end, { server = { handler_timeout = 5 } })
    local clock <close> = test.clock()
    local asked = task.spawn(client.get, client, "/slow")
    clock:advance(4.9)
    assert.equal("waiting", asked:status())
    clock:advance(0.1)
    asked:join():expect(504)
    assert.matches("no answer within handler_timeout", client:log())
  end)

  it("lets clients ask, and what handlers wait for pass", function()
    local client = test.client(function(_, res)
      timer.sleep(60)
      res:send(tostring(os.time()))
    end)
    local clock <close> = test.clock(1000)
    local first = task.spawn(client.get, client, "/")
    clock:advance(30)
    local second = task.spawn(client.get, client, "/")
    clock:advance(30)
    assert.same({ "done", "waiting" }, { first:status(), second:status() })
    clock:advance(30)
    assert.same({ "1060", "1090" }, { first:join().body, second:join().body })
  end)

  it("says where a response does not come because nobody moves it", function()
    local client = test.client(function() timer.sleep(60) end, { timeout = 0.01 })
    local clock <close> = test.clock()
    local succeeded, err = pcall(client.get, client, "/")
    assert.is_false(succeeded)
    assert.matches("ETIMEDOUT.*The clock is held: does the handler wait for a timer", tostring(err))
    clock:advance(60)
    client:log()
  end)

  it("does not move what the world outside takes", function()
    local server <close> = assert(net.listen({ host = "127.0.0.1" }, function(peer)
      peer:read()
      peer:close()
    end))
    local sock <close> = assert(net.connect(server:address()))
    sock:set_timeout(0.05)
    local clock <close> = test.clock()
    local reader = task.spawn(sock.read, sock)
    clock:advance(3600)
    assert.equal("waiting", reader:status()) -- for an hour that was none
    assert.equal("ETIMEDOUT", (select(3, reader:join()))) -- while the clock stands still
    local run = process.run("sleep", { "0.05" }, { timeout = 60 })
    assert.equal(0, run.status)
  end)

  it("is one, and moved by one task at a time, forward", function()
    local clock <close> = test.clock()
    assert.error_matches(test.clock, "the clock is held already")
    for _, seconds in ipairs { -1, 0 / 0, math.huge, "1" } do
      assert.error_matches(function() clock:advance(seconds) end,
        "bad argument #1 to 'advance' %(seconds from 0 on expected")
    end
    local _, err = pcall(function()
      clock:advance(-1)
    end)
    assert.matches("^[^\n]*spec/test_clock_spec.lua:" .. debug.getinfo(1, "l").currentline - 2 .. ": bad argument", err)
    assert.error_matches(function() test.clock("now") end, "bad argument #1 to 'clock'")
    timer.after(1, function()
      assert.error_matches(function() clock:advance(1) end, "is being moved by another task")
    end)
    local errors = runtime.stats().task_errors
    clock:advance(2)
    assert.equal(errors, runtime.stats().task_errors)
    assert.equal("clock (held, 2 s after its start)", tostring(clock))
    clock:close()
    assert.error_matches(function() clock:advance(1) end, "the clock is closed")
    assert.error_matches(function() clock:next_due() end, "the clock is closed")
    test.clock():close()
  end)

  it("can be moved again after the task that moved it was cancelled, or closed it", function()
    local clock <close> = test.clock()
    local mover = task.spawn(clock.advance, clock, 3600)
    mover:cancel()
    assert.is_false((pcall(mover.join, mover)))
    clock:advance(1)
    timer.after(1, function() clock:close() end)
    local late = timer.after(2, print, "not reached")
    local errors = runtime.stats().task_errors
    clock:advance(100)
    assert.is_true(late:cancel())
    assert.equal("clock (closed)", tostring(clock))
    assert.equal(errors, runtime.stats().task_errors)
  end)

  it("does not wait for ever for what never rests", function()
    local clock <close> = test.clock()
    local list, note = recorder()
    local restless = true
    local function again()
      if restless then timer.immediate(again) end
    end
    again()
    local every <close> = timer.every(1, note, "x")
    clock:advance(5)
    restless = false
    every:cancel()
    assert.equal(5, #list)
  end)

  it("is closed at the end of the spec", function()
    local result
    do
      local folder = test.temporary_folder { ["a_spec.lua"] = [[
        local test, timer = require "luaserve.test", require "luaserve.timer"
        it("leaves it", function() test.clock() end)
        it("finds it running", function() timer.sleep(0.001) test.clock() end)]] }
      result = runner.run { "test", "-o", "TAP", folder .. "/a_spec.lua" }
    end
    assert.same({ 0, "" }, { result.status, result.err }, result.out)
  end)

  it("lets what is overdue fire when it runs again, also far ahead of the machine's", function()
    local result = runner.script [[
      local clock, timer = require "luaserve.core.clock", require "luaserve.timer"
      clock.hold()
      timer.after(10, print, "overdue")
      clock.set(clock.now() + 10 * 365 * 86400 * 1000000000)
      clock.release()
      timer.after(0.001, print, "later")]]
    assert.same({ 0, "overdue\nlater\n", "" }, { result.status, result.out, result.err })
  end)

  it("keeps no program alive: one that waits for it says where it is stuck", function()
    local result = runner.script [[
      local test, timer = require "luaserve.test", require "luaserve.timer"
      local client = test.client(print)
      timer.every(1, print)
      local clock = test.clock()
      timer.sleep(1) -- line 5]]
    assert.equal(1, result.status)
    assert.matches("waits for something that can no longer happen\n.*:5: in main chunk", result.err)
  end)
end)
