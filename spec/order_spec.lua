-- SPDX-License-Identifier: MIT
-- The order in which things run, case by case as in Node. Each case is a program of its own, because most are about
-- what the main chunk does; what it calls `say` with is compared.

local process = require "spec.support.process"

local prelude = [[
local timer, task = require "luaserve.timer", require "luaserve.task"
local fs = require "luaserve.fs"
local said = {}
local function say(word) said[#said + 1] = word end
local function busy(seconds)
  local stop = os.clock() + seconds
  while os.clock() < stop do end
end
local function micro(word) task.spawn(say, word) end
local function finish(seconds) timer.after(seconds or 0.1, function() print(table.concat(said, " ")) os.exit(0) end) end
]]

local function order_of(code, env)
  local result = process.script(prelude .. code, { env = env })
  if not env then -- a small pool is worth a warning
    assert.equal("", result.err)
  end
  return (result.out:gsub("\n$", ""))
end

describe("order", function()
  it("O1: synchronous code, then ticks, then ready tasks", function()
    assert.equal("sync tick micro", order_of [[
      micro "micro"
      timer.next_tick(say, "tick")
      say "sync"
      finish()]])
  end)

  it("O2: ticks drain fully, then ready tasks fully, then the new ticks", function()
    assert.equal("t0 t0b m1 mt m2 t1", order_of [[
      timer.next_tick(function()
        say "t0"
        timer.next_tick(say, "t0b")
        micro "mt"
      end)
      task.spawn(function()
        say "m1"
        timer.next_tick(say, "t1")
        micro "m2"
      end)
      finish()]])
  end)

  it("O3: in a file callback a tick runs, then the immediate, then the timer", function()
    assert.equal("tick immediate timeout", order_of [[
      fs.stat(arg[0], function()
        timer.after(0, say, "timeout")
        timer.immediate(say, "immediate")
        timer.next_tick(say, "tick")
      end)
      finish()]])
  end)

  it("O4: from the main chunk a timer of no delay and an immediate run in either order", function()
    local order = order_of [[
      timer.after(0, say, "timeout")
      timer.immediate(say, "immediate")
      finish()]]
    assert.is_true(order == "timeout immediate" or order == "immediate timeout", order)
  end)

  it("O5: immediates are first in, first out", function()
    assert.equal("1 2 3", order_of [[
      for i = 1, 3 do timer.immediate(say, i) end
      finish()]])
  end)

  it("O6: an immediate set in an immediate waits for the next turn", function()
    assert.equal("i1 tick i2 i3", order_of [[
      timer.immediate(function()
        say "i1"
        timer.immediate(say, "i3")
        timer.next_tick(say, "tick")
      end)
      timer.immediate(say, "i2")
      finish()]])
  end)

  it("O7: ticks and ready tasks run between two immediates", function()
    assert.equal("i1 tick micro i2", order_of [[
      timer.immediate(function()
        say "i1"
        micro "micro"
        timer.next_tick(say, "tick")
      end)
      timer.immediate(say, "i2")
      finish()]])
  end)

  it("O8: and between two due timers", function()
    assert.equal("T1 tick micro T2", order_of [[
      timer.after(0.001, function()
        say "T1"
        micro "micro"
        timer.next_tick(say, "tick")
      end)
      timer.after(0.001, say, "T2")
      busy(0.01)
      finish()]])
  end)

  it("O9: timers with equal delays run in the order of their making", function()
    assert.equal("1 2 3 4 5", order_of [[
      for i = 1, 5 do timer.after(0.005, say, i) end
      finish()]])
  end)

  it("O10: overdue timers run by due time", function()
    assert.equal("3 6 9", order_of [[
      for _, ms in ipairs { 9, 6, 3 } do timer.after(ms / 1000, say, ms) end
      busy(0.02)
      finish()]])
  end)

  it("O11: a delay of 0 counts as 1 ms", function()
    assert.equal("one zero", order_of [[
      timer.after(0.001, say, "one")
      timer.after(0, say, "zero")
      finish()]])
  end)

  it("O12: a timer set in a timer does not run in the same pass", function()
    assert.equal("T immediate T0", order_of [[
      timer.after(0.001, function()
        say "T"
        timer.after(0, say, "T0")
        timer.immediate(say, "immediate")
      end)
      finish()]])
  end)

  it("O13: a timer cancelled by another one that is due never runs", function()
    assert.equal("a", order_of [[
      local b
      timer.after(0.001, function() say "a" b:cancel() end)
      b = timer.after(0.001, say, "b")
      busy(0.01)
      finish()]])
  end)

  it("O14: an immediate cancelled by another one of the same turn never runs", function()
    assert.equal("a c", order_of [[
      local b
      timer.immediate(function() say "a" b:cancel() end)
      b = timer.immediate(say, "b")
      timer.immediate(say, "c")
      finish()]])
  end)

  it("O15: in an I/O callback an immediate runs before an overdue timer", function()
    assert.equal("immediate timer", order_of [[
      fs.stat(arg[0], function()
        timer.after(0.001, say, "timer")
        busy(0.01)
        timer.immediate(say, "immediate")
      end)
      finish()]])
  end)

  it("O16: what is closed in an I/O callback has closed after that turn's immediates, before its timers", function()
    assert.equal("tick immediate close timer", order_of [[
      local server = require("luaserve.http").create_server(print):listen({ host = "127.0.0.1", port = 0 })
      fs.stat(arg[0], function()
        server:close(0, function() say "close" end)
        timer.after(0, say, "timer")
        busy(0.01)
        timer.immediate(say, "immediate")
        timer.next_tick(say, "tick")
      end)
      finish()]])
  end)

  it("O17: what is closed in an immediate has closed before timers and the immediates set there", function()
    assert.equal("immediate close timer immediate2", order_of [[
      local server = require("luaserve.http").create_server(print):listen({ host = "127.0.0.1", port = 0 })
      fs.stat(arg[0], function()
        timer.immediate(function()
          say "immediate"
          server:close(0, function() say "close" end)
          timer.immediate(say, "immediate2")
          timer.after(0, say, "timer")
          busy(0.01)
        end)
      end)
      finish()]])
  end)

  it("O18: a server that nobody connected to closes in the close phase like any other", function()
    assert.equal("tick immediate close", order_of [[
      local server = require("luaserve.http").create_server(print):listen({ host = "127.0.0.1", port = 0 })
      server:close(function() say "close" end)
      timer.immediate(say, "immediate")
      timer.next_tick(say, "tick")
      finish()]])
  end)

  it("O19: an error in one callback leaves the rest of the phase alone", function()
    for _, set in ipairs { "timer.immediate", "timer.next_tick", "function(f, ...) timer.after(0.001, f, ...) end" } do
      local result = process.script(prelude .. "local set = " .. set .. [[

        set(say, "a")
        set(error, "this one fails")
        set(say, "b")
        finish()]])
      assert.equal("a b\n", result.out)
      assert.matches("this one fails", result.err, 1, true)
      assert.equal(0, result.status)
    end
  end)

  it("O20: runs of every that a stall made late are skipped", function()
    -- A burst would make the second run part of the same pass, before the immediate.
    assert.equal("1 immediate 2", order_of [[
      local runs, t = 0
      t = timer.every(0.01, function()
        runs = runs + 1
        say(runs)
        if runs == 1 then
          timer.immediate(say, "immediate")
          busy(0.035)
        else
          t:cancel()
        end
      end)
      finish()]])
  end)

  it("O21: a long chain of ticks runs before I/O and immediates", function()
    -- Which of those two is first depends on whether the job has ended by the first poll.
    assert.matches("^1000 [io mediat]+$", order_of [[
      fs.stat(arg[0], function() say "io" end)
      timer.immediate(say, "immediate")
      local n = 0
      local function chain()
        n = n + 1
        if n == 1000 then say(n) else timer.next_tick(chain) end
      end
      timer.next_tick(chain)
      finish()]])
  end)

  it("O21: but more than 10,000 ticks wait for a poll, with a line in the log", function()
    local result = process.script(prelude .. [[
      local seen
      timer.immediate(function() seen = true end)
      local n = 0
      local function chain()
        n = n + 1
        if seen then
          print(n > 9000 and n < 30000)
        elseif n < 1000000 then
          timer.next_tick(chain)
        else
          print("starved")
        end
      end
      chain()]])
    assert.equal("true\n", result.out)
    assert.matches("more than 10000 ticks", result.err, 1, true)
  end)

  it("O22: a timer that is set again runs after those due before", function()
    assert.equal("other again", order_of [[
      local t = timer.after(0.010, say, "again")
      timer.after(0.006, function() t:again() end)
      timer.after(0.013, say, "other")
      finish()]])
  end)

  it("O23: a timer that is unref'd does not keep the process alive", function()
    local result = process.script(prelude .. [[
      timer.after(60, say, "never"):unref()
      timer.after(0.002, function() print "t" end)]])
    assert.equal("t\n", result.out)
    assert.equal(0, result.status)
  end)

  it("O24: pool jobs of one lane run in order; immediates do not wait for them", function()
    -- The only thread waits for somebody to open the pipe until the immediate does.
    assert.equal("immediate 1 2 3 4", order_of([[
      local pipe = os.tmpname()
      os.remove(pipe)
      assert(os.execute("mkfifo " .. pipe))
      fs.read_file(pipe, function() say(1) end)
      for i = 2, 4 do fs.stat(arg[0], function() say(i) end) end
      timer.immediate(function()
        say "immediate"
        local writer = io.open(pipe, "w")
        os.remove(pipe)
        writer:write("x")
        writer:close()
      end)
      finish()]], "UV_THREADPOOL_SIZE=1"))
  end)

  it("O25: arguments are delivered unchanged", function()
    assert.equal("1 nil x 1 nil x 1 nil x", order_of [[
      local function three(...)
        for i = 1, select("#", ...) do say(tostring((select(i, ...)))) end
      end
      timer.next_tick(three, 1, nil, "x")
      timer.immediate(three, 1, nil, "x")
      timer.after(0.001, three, 1, nil, "x")
      finish()]])
  end)

  it("refuses delays that make no sense", function()
    local timer = require "luaserve.timer"
    for _, delay in ipairs { -1, 0 / 0, 2147484, math.huge } do
      assert.has_error(function() timer.after(delay, print) end)
      assert.has_error(function() timer.sleep(delay) end)
    end
  end)
end)
