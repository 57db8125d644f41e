-- SPDX-License-Identifier: MIT
-- The C interface (include/luaserve.h), through examples/native/primes.c: a module whose work runs on the pool.

local pool, task, timer = require "luaserve.pool", require "luaserve.task", require "luaserve.timer"
local waits = require "spec.support.waits"

local folder = (os.getenv("LUASERVE") or ""):match("build/%a+") or "build/release"
package.cpath = folder .. "/examples/native/?.so;" .. package.cpath
local primes = require "primes"

local HUGE = 1000000000 -- takes many seconds

local function user() return pool.stats().lanes.user end

local function settled()
  waits.eventually(function() return user().running + user().queued == 0 end)
end

describe("a native module", function()
  it("suspends the task that calls it", function()
    local order = {}
    local other = task.spawn(function() order[#order + 1] = "other" end)
    local done = user().done
    local count = primes.count(100)
    order[#order + 1] = count
    assert.same({ "other", 25 }, order)
    assert.equal(done + 1, user().done)
    other:join()
  end)

  it("calls back", function()
    local operation, failure, count = waits.called_back(function(callback) return primes.count(10, callback) end)
    assert.matches("^operation", tostring(operation))
    assert.same({ nil, 4 }, { failure, count })
  end)

  it("stops work that runs when it is cancelled", function()
    local job = task.spawn(primes.count, HUGE)
    waits.eventually(function() return user().running == 1 end)
    job:cancel()
    pcall(job.join, job)
    settled()
    local operation = primes.count(HUGE, function() error("called back") end)
    waits.eventually(function() return user().running == 1 end)
    assert.is_true(operation:cancel())
    settled()
  end)

  it("takes back work that waits", function()
    local jobs = {}
    for i = 1, user().cap + 2 do jobs[i] = task.spawn(primes.count, HUGE) end
    waits.eventually(function() return user().queued == 2 end)
    local done = user().done
    for i = #jobs, 1, -1 do jobs[i]:cancel() end
    for _, job in ipairs(jobs) do pcall(job.join, job) end
    settled()
    assert.equal(done + user().cap, user().done)
  end)

  it("checks its arguments, and where it can wait", function()
    assert.error_matches(function() primes.count(-1) end, "from 0 to a billion")
    assert.error_matches(function() primes.count(1, "callback") end, "function expected, got string")
    assert.error_matches(function()
      table.sort({ 1, 2 }, function() return primes.count(1) > 0 end)
    end, "primes%.count cannot wait here: it was called from inside table%.sort")
  end)

  it("raises in a job of the pool, which cannot wait", function()
    local message = select(2, pcall(pool.run, "primes", "count", 10))
    assert.matches("^primes%.count cannot be used in a job of the pool\n", message)
    message = select(2, pcall(pool.run, function() return require "primes".count(10, print) end))
    assert.matches("primes%.count cannot be used in a job of the pool\n", message)
  end)

  it("is cancelled with the tasks of a timeout", function()
    assert.equal("ETIMEDOUT", select(3, task.timeout(0.01, primes.count, HUGE)))
    settled()
    timer.sleep(0)
  end)
end)
