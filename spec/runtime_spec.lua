-- SPDX-License-Identifier: MIT

local fs, net, task, timer =
  require "luaserve.fs", require "luaserve.net", require "luaserve.task", require "luaserve.timer"
local runtime = require "luaserve.runtime"

--- How much more there is of it than in stats.
local function more(stats, kind)
  return (runtime.stats().handles.types[kind] or 0) - (stats.handles.types[kind] or 0)
end

--- Waits until done() is true.
local function wait_for(done)
  while not done() do timer.sleep(0.001) end
end

describe("runtime.stats", function()
  it("counts handles by type, and no longer when they close", function()
    local before = runtime.stats()
    local server = assert(net.listen({ host = "127.0.0.1", port = 0 }, function(socket) socket:read() end))
    local socket = assert(net.connect(server:address()))
    wait_for(function() return more(before, "tcp") == 2 end)
    assert.is_true(more(before, "poll") == 1) -- the listener's
    local during = runtime.stats().handles
    local sum = 0
    for _, count in pairs(during.types) do
      assert.is_true(count > 0)
      sum = sum + count
    end
    assert.equal(during.total, sum)
    assert.is_true(during.total >= before.handles.total + 3)
    assert.is_true(during.active <= during.total and during.active > 0)
    socket:close()
    assert.equal(1, more(before, "tcp"))
    server:close()
    wait_for(function() return more(before, "tcp") == 0 end)
    assert.equal(before.handles.total, runtime.stats().handles.total)
  end)

  it("does not count what the runtime itself always has", function()
    local process = require "spec.support.process"
    local result = process.script [[
      local stats = require "luaserve.runtime".stats()
      print(stats.handles.total, stats.handles.active, next(stats.handles.types))
      print(stats.tasks.live, stats.operations, stats.timers, stats.task_errors)
    ]]
    assert.same({ "0\t0\tnil\n1\t0\t0\t0\n", "" }, { result.out, result.err })
  end)

  it("counts tasks that live and those that wait for work", function()
    local before = runtime.stats().tasks
    local tasks = {}
    for i = 1, 3 do tasks[i] = task.spawn(timer.sleep, 60) end
    assert.equal(before.live + 3, runtime.stats().tasks.live)
    for _, one in ipairs(tasks) do one:cancel() end
    wait_for(function() return runtime.stats().tasks.live == before.live end)
    assert.is_true(runtime.stats().tasks.idle >= 3)
  end)

  it("counts operations that will call back, and armed timers", function()
    local before = runtime.stats()
    local operation = timer.sleep(60, function() end)
    local during = runtime.stats()
    assert.equal(before.operations + 1, during.operations)
    assert.equal(before.timers + 1, during.timers)
    operation:cancel()
    local after = runtime.stats()
    assert.equal(before.operations, after.operations)
    assert.equal(before.timers, after.timers)
  end)

  it("measures the memory of Lua", function()
    local before = runtime.stats().memory.lua
    local kept = ("x"):rep(1000000)
    assert.is_true(runtime.stats().memory.lua - before > #kept // 2)
    assert.equal(1000000, #kept)
  end)

  it("measures the memory of the process", function()
    local before = runtime.stats().memory.resident
    assert.is_true(before > 1000000)
    local kept = ("x"):rep(64 * 1024 * 1024)
    assert.is_true(runtime.stats().memory.resident - before > #kept // 2)
  end)

  it("counts turns of the loop and tells how long they took", function()
    timer.sleep(0.001) -- the turn in which the file was loaded is over
    local before = runtime.stats().loop_delay
    for _ = 1, 10 do timer.sleep(0) end
    local after = runtime.stats().loop_delay
    assert.is_true(after.count >= before.count + 10)
    assert.is_true(after.p50 > 0 and after.p50 <= after.p99 and after.p99 <= after.max)
  end)

  it("shows what held up the loop, in whatever ran", function()
    local process = require "spec.support.process"
    local result = process.script [[
      local process, runtime = require "luaserve.process", require "luaserve.runtime"
      local task, timer = require "luaserve.task", require "luaserve.timer"
      local function hold(seconds)
        local start = process.hrtime()
        while process.hrtime() - start < seconds * 1e9 do end
      end
      local function max() return runtime.stats().loop_delay.max end
      local function turn() -- what timers resume may run at the end of the turn that is to be measured
        timer.sleep(0.001)
        timer.sleep(0.001)
      end
      hold(0.1) -- nobody waits for the start of a program
      print(max(), runtime.stats().loop_delay.count)
      turn()
      local calm = max()
      hold(calm + 0.02)
      turn()
      local once = max()
      print(once >= calm + 0.02)
      timer.immediate(hold, once + 0.02)
      turn()
      local twice = max()
      print(twice >= once + 0.02)
      -- each is short, but both are in one turn
      timer.next_tick(hold, twice / 2 + 0.01)
      task.spawn(hold, twice / 2 + 0.01)
      turn()
      print(max() >= twice + 0.02)
    ]]
    assert.same({ "0.0\t0\ntrue\ntrue\ntrue\n", "" }, { result.out, result.err })
  end)

  it("counts requests, and those under way", function()
    local client, http = require "spec.support.client", require "luaserve.http"
    local before = runtime.stats().requests
    local during
    local server = http.create_server(function(_, res)
      during = runtime.stats().requests
      res:send("")
    end)
    assert(server:listen { host = "127.0.0.1", port = 0 })
    client.request(server:address(), { path = "/" })
    client.request(server:address(), { path = "/" })
    server:close()
    local after = runtime.stats().requests
    assert.same({ before.total + 2, before.live + 1 }, { during.total, during.live })
    assert.same({ before.total + 2, before.live }, { after.total, after.live })
  end)

  it("counts the collector's cycles and times full ones", function()
    collectgarbage()
    local before = runtime.stats().collector
    collectgarbage()
    collectgarbage("collect")
    local after = runtime.stats().collector
    assert.equal(before.full + 2, after.full)
    assert.is_true(after.cycles >= before.cycles + 2)
    assert.is_true(after.full_total > before.full_total)
    assert.is_true(after.full_max > 0 and after.full_max <= after.full_total)
    while runtime.stats().collector.cycles < after.cycles + 2 do
      for _ = 1, 1000 do local _ = {} end
    end
    assert.equal(after.full, runtime.stats().collector.full)
  end)

  it("leaves collectgarbage as the manual has it", function()
    assert.equal(0, collectgarbage())
    assert.equal(0, collectgarbage("collect"))
    assert.equal("number", type(collectgarbage("count")))
    assert.is_true(collectgarbage("isrunning"))
    assert.has_error(function() collectgarbage("tidy") end,
      "bad argument #1 to 'collectgarbage' (invalid option 'tidy')")
  end)

  it("tells what the pool has done", function()
    local before = runtime.stats().pool
    assert.is_true(before.threads >= 1)
    assert.equal(before.threads, before.lanes.files.cap)
    assert(fs.stat("."))
    local files = runtime.stats().pool.lanes.files
    assert.is_true(files.done > before.lanes.files.done)
    assert.is_true(files.wait_total > before.lanes.files.wait_total)
    assert.is_true(files.wait_max <= files.wait_total)
    for _, lane in ipairs { "files", "dns", "hashing", "user" } do
      assert.is_true(before.lanes[lane].cap >= 1)
      assert.equal("number", type(before.lanes[lane].queued + before.lanes[lane].running))
    end
  end)

  it("shows a job that runs", function()
    local before = runtime.stats().pool.lanes.files
    local results
    fs.stat(".", function(...) results = { ... } end)
    local during = runtime.stats().pool.lanes.files
    assert.is_true(during.queued + during.running + during.done > before.queued + before.running + before.done)
    wait_for(function() return results end)
    local after = runtime.stats().pool.lanes.files
    assert.is_true(after.done > before.done)
  end)

  it("counts errors that nobody joined", function()
    local process = require "spec.support.process"
    local result = process.script [[
      local runtime, task, timer = require "luaserve.runtime", require "luaserve.task", require "luaserve.timer"
      task.background(function() error("nobody") end)
      pcall(function() task.spawn(function() error("joined") end):join() end)
      timer.sleep(0.001)
      print(runtime.stats().task_errors)
    ]]
    assert.equal("1\n", result.out)
  end)
end)
