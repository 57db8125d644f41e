-- SPDX-License-Identifier: MIT
-- pool: Lua functions on the thread pool, in states of their own: what goes over and comes back, and how they end.

local fs, json, pool, process, task, timer =
  require "luaserve.fs", require "luaserve.json", require "luaserve.pool", require "luaserve.process",
  require "luaserve.task", require "luaserve.timer"
local luaserves = require "spec.support.process"
local waits = require "spec.support.waits"

local eventually = waits.eventually

local function identity(...) return ... end

local function user() return pool.stats().lanes.user end

--- Waits until no job of the lane is left.
local function settled()
  eventually(function() return user().running + user().queued == 0 end)
end

--- A named pipe: a job that opens it to read waits until somebody opens it to write.
local function new_gate()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkfifo " .. path))
  local gate = { path = path }
  function gate.open() assert(io.open(path, "w")):close() end
  function gate.remove() os.remove(path) end
  return gate
end

local function wait_at(path) io.open(path, "r"):close() end

--- As many waiting jobs as the lane runs at once, so that the next ones queue. Gives what ends them.
local function fill_lane()
  local gates, tasks = {}, {}
  for i = 1, user().cap do
    gates[i] = new_gate()
    tasks[i] = task.spawn(pool.run, wait_at, gates[i].path)
  end
  eventually(function() return user().running == user().cap end)
  return function()
    for i, gate in ipairs(gates) do
      gate.open()
      tasks[i]:join()
      gate.remove()
    end
  end
end

describe("pool.run", function()
  it("runs a function with arguments and gives its results", function()
    assert.same({ 3, "x", n = 2 }, table.pack(pool.run(function(a, b) return a + b, "x" end, 1, 2)))
    assert.equal(0, select("#", pool.run(function() end)))
    assert.same({ nil, 1, nil, n = 3 }, table.pack(pool.run(identity, nil, 1, nil)))
  end)

  it("lets other tasks run meanwhile", function()
    local gate = new_gate()
    local job = task.spawn(pool.run, wait_at, gate.path)
    timer.sleep(0)
    assert.equal("waiting", job:status())
    gate.open()
    job:join()
    gate.remove()
  end)

  it("runs on another thread, in another state", function()
    seen_by_job = "here" -- luacheck: ignore
    local thread, seen = pool.run(function()
      return io.open("/proc/thread-self/stat"):read("n"), seen_by_job -- luacheck: ignore
    end)
    seen_by_job = nil -- luacheck: ignore
    assert.not_equal(process.pid, thread)
    assert.is_nil(seen)
  end)

  it("copies arguments and results", function()
    local list = { 1, 2.5, "three", { four = 4 } }
    local copy = pool.run(identity, list)
    assert.same(list, copy)
    assert.not_equal(list, copy)
    local a, b = pool.run(identity, list, { list })
    assert.equal(a, b[1])
    list.self = list
    copy = pool.run(identity, list)
    assert.equal(copy, copy.self)
  end)

  it("keeps json.null and the marks of json.array", function()
    local null, array, text = pool.run(function(null, array)
      local codec = require "luaserve.json"
      assert(null == codec.null)
      return null, array, codec.encode { array, null }
    end, json.null, json.array())
    assert.equal(json.null, null)
    assert.equal("[]", json.encode(array))
    assert.equal("[[],null]", text)
  end)

  it("names by its path what cannot be copied", function()
    assert.error_matches(function() pool.run(identity, 1, { on_click = print }) end,
      "^pool%.run: cannot copy a function at args%[2%]%.on_click$")
    assert.error_matches(function() pool.run(function() return { { io.stdout } } end) end,
      "^pool%.run: cannot copy a userdata at results%[1%]%[1%]%[1%]$")
    assert.error_matches(function() pool.run(identity, setmetatable({}, {})) end,
      "cannot copy a table with a metatable at args%[1%]$")
  end)

  it("takes any value there and back as it was", function()
    local seed = os.time()
    math.randomseed(seed)
    local function scalar()
      local kind = math.random(6)
      if kind == 1 then return math.random(0) end
      if kind == 2 then return math.random(-300, 300) end
      if kind == 3 then return (math.random() - 0.5) * 2 ^ math.random(-1000, 1000) end
      if kind == 4 then return math.random(2) == 1 end
      local bytes = {}
      for i = 1, math.random(0, kind == 5 and 10 or 300) do bytes[i] = string.char(math.random(0, 255)) end
      return table.concat(bytes)
    end
    local function value(depth, tables)
      if depth == 0 or math.random(3) == 1 then return scalar() end
      if #tables > 0 and math.random(8) == 1 then return tables[math.random(#tables)] end
      local t = {}
      tables[#tables + 1] = t
      for i = 1, math.random(0, 6) do t[i] = value(depth - 1, tables) end
      for _ = 1, math.random(0, 6) do t[scalar()] = value(depth - 1, tables) end
      return t
    end
    local function same(a, b, seen)
      if type(a) ~= "table" then return a == b and math.type(a) == math.type(b) end
      if seen[a] then return seen[a] == b end
      seen[a] = b
      for k, v in pairs(a) do
        if not same(v, b[k], seen) then return false end
      end
      for k in pairs(b) do
        if a[k] == nil then return false end
      end
      return true
    end
    for _ = 1, 200 do
      local original = value(3, {})
      assert(same(original, pool.run(identity, original), {}), "seed " .. seed)
    end
  end)

  it("takes 200,000 nested tables", function()
    local nested = {}
    for _ = 1, 199999 do nested = { nested } end
    local copy, depth = pool.run(identity, nested), 0
    while copy do
      copy, depth = copy[1], depth + 1
    end
    assert.equal(200000, depth)
    assert.error_matches(function() pool.run(identity, { nested }) end, "nested deeper than 200000 at args%[1%]%[1%]")
  end)

  it("refuses a function that uses locals from outside it", function()
    local config = {}
    assert.error_matches(function() pool.run(function() return config end) end,
      "^pool%.run: the function uses 'config' from outside it, .* pass it as an argument$")
    assert.error_matches(function() pool.run(function() return print, config end) end, "uses 'config'")
    assert.error_matches(function() pool.run(print) end, "a C function cannot be sent")
    assert.error_matches(function() pool.run(1) end, "function or module name expected, got number")
    assert.error_matches(function() pool.run("string") end, "#2 .*string expected")
  end)

  it("takes a function whose names were stripped", function()
    assert.equal("nil", pool.run(load(string.dump(function() return type(nil) end, true))))
  end)

  it("calls a function of a module", function()
    assert.equal("[1,2]", pool.run("luaserve.json", "encode", { 1, 2 }))
    assert.equal("900150983cd24fb0d6963f7d28e17f72", pool.run("luaserve.crypto", "hash", "md5", "abc", "hex"))
    local secret = ("x"):rep(32)
    local token = pool.run("luaserve.jwt", "sign", { sub = "7" }, secret, { algorithm = "HS256" })
    assert.equal("7", pool.run("luaserve.jwt", "verify", token, secret, { algorithm = "HS256" }).sub)
    assert.error_matches(function() pool.run("luaserve.crypto", "password_hash", "x") end,
      "crypto.password_hash cannot be used in a job of the pool")
    assert.equal("b-a", pool.run("string", "format", "%s-%s", "b", "a"))
    assert.error_matches(function() pool.run("string", "nosuch") end, "module 'string' has no function 'nosuch'")
    assert.error_matches(function() pool.run("no.such.module", "f") end, "module 'no%.such%.module' not found")
  end)

  it("finds the modules that the program finds", function()
    local folder = assert(fs.mkdtemp("/tmp/pool_XXXXXX"))
    assert(fs.write_file(folder .. "/pool_spec_module.lua", "return { twice = function(x) return 2 * x end }"))
    local path = package.path
    package.path = folder .. "/?.lua;" .. path
    local twice = pool.run("pool_spec_module", "twice", 21)
    package.path = path
    assert(fs.rm(folder, { recursive = true }))
    assert.equal(42, twice)
  end)

  it("refuses modules that need a loop", function()
    for _, name in ipairs { "luaserve.fs", "luaserve.task", "luaserve" } do
      local message = select(2, pcall(pool.run, function(module) require(module) end, name))
      assert.matches("'" .. name .. "' cannot be used in a job of the pool; what can be there: " ..
        "luaserve%.cookie luaserve%.crypto luaserve%.json luaserve%.jwt luaserve%.url luaserve%.validate\n", message)
    end
  end)

  it("keeps the globals of a job to itself", function()
    for _ = 1, user().cap + 1 do
      assert.is_nil(pool.run(function()
        local before = leaked -- luacheck: ignore
        leaked = 1 -- luacheck: ignore
        _G.leaked = 2
        return before
      end))
    end
    assert.equal(2, pool.run(function()
      counted = 1 -- luacheck: ignore
      _G.counted = _G.counted + 1
      return counted -- luacheck: ignore
    end))
  end)

  it("refuses what would hit the whole program", function()
    assert.error_matches(function() pool.run(function() os.exit(1) end) end, "would end the whole program")
    assert.error_matches(function() pool.run(function() os.setlocale("C") end) end, "would change the locale")
    assert.error_matches(function() pool.run(function() debug.sethook() end) end, "from being cancelled")
  end)

  it("raises an error with the traceback of the job", function()
    local message = select(2, pcall(pool.run, function()
      local function inner() error("boom") end
      inner()
    end))
    assert.matches("^spec/pool_spec.lua:%d+: boom\nin a job of the pool, stack traceback:\n", message)
    assert.matches("spec/pool_spec.lua:%d+: in .*'inner'", message)
    assert.not_matches("%[C%]: in %?$", message)
  end)

  it("raises an error value that can be copied as it is, and the text of any other", function()
    local value = select(2, pcall(pool.run, function() error({ code = 5 }) end))
    assert.same({ code = 5 }, value)
    assert.equal(7, select(2, pcall(pool.run, function() error(7) end)))
    assert.is_nil(select(2, pcall(pool.run, function() error(nil) end)))
    value = select(2, pcall(pool.run, function()
      error(setmetatable({}, { __tostring = function() return "an object" end }))
    end))
    assert.matches("^an object\nin a job of the pool, stack traceback:", value)
  end)

  it("works again after errors of every kind", function()
    assert.error_matches(function() pool.run(function() local function f() return f() + 1 end f() end) end,
      "stack overflow")
    for _ = 1, 20 do
      pcall(pool.run, function() error(setmetatable({}, { __tostring = function() error("again") end })) end)
      pcall(pool.run, function() return coroutine.create(print) end)
    end
    assert.equal(1, pool.run(identity, 1))
  end)

  it("has coroutines, pcall and <close> as everywhere", function()
    assert.same({ 1, 2, false, "spec/pool_spec.lua:x", "closed" }, pool.run(function()
      local log = {}
      for value in coroutine.wrap(function() coroutine.yield(1) pcall(coroutine.yield, 2) end) do
        log[#log + 1] = value
      end
      local ok, message = pcall(function()
        local _ <close> = setmetatable({}, { __close = function() log[5] = "closed" end })
        error("x")
      end)
      log[3], log[4] = ok, message:gsub("%d+: ", "")
      return log
    end))
  end)

  it("cannot wait in a place that cannot be suspended", function()
    assert.error_matches(function()
      table.sort({ 1, 2 }, function() return pool.run(identity, true) end)
    end, "cannot wait here: it was called from inside table%.sort")
  end)
end)

describe("cancelling pool.run", function()
  it("takes back a job that waits", function()
    local release = fill_lane()
    local path = os.tmpname()
    os.remove(path)
    local job = task.spawn(pool.run, function(name) io.open(name, "w"):close() end, path)
    eventually(function() return user().queued == 1 end)
    local done = user().done
    job:cancel()
    pcall(job.join, job)
    assert.equal(0, user().queued)
    release()
    settled()
    assert.equal(done + user().cap, user().done)
    assert.is_nil((io.open(path)))
  end)

  local endless = {
    ["a loop"] = function() while true do end end,
    ["a loop around pcall"] = function()
      while true do pcall(function() while true do end end) end
    end,
    ["an xpcall whose handler loops"] = function()
      local function loop() while true do end end
      while true do xpcall(loop, loop) end
    end,
    ["a coroutine"] = function() coroutine.wrap(function() while true do end end)() end,
    ["coroutines that are resumed for ever"] = function()
      while true do coroutine.resume(coroutine.create(function() while true do end end)) end
    end,
    ["a <close> that loops"] = function()
      local _ <close> = setmetatable({}, { __close = function() while true do end end })
      while true do end
    end,
    ["a coroutine that is closed"] = function()
      local co = coroutine.create(function()
        local _ <close> = setmetatable({}, { __close = function() while true do end end })
        coroutine.yield()
      end)
      coroutine.resume(co)
      coroutine.close(co)
    end,
    ["a comparison of table.sort"] = function()
      while true do table.sort({ 3, 2, 1 }, function(a, b) return a < b end) end
    end,
  }
  for name, fn in pairs(endless) do
    it("stops " .. name, function()
      local job = task.spawn(pool.run, fn)
      eventually(function() return user().running == 1 end)
      job:cancel()
      pcall(job.join, job)
      settled()
      assert.equal(1, pool.run(identity, 1))
    end)
  end

  it("happens when a task.timeout passes", function()
    local nothing, _, code = task.timeout(0.01, pool.run, function() while true do end end)
    assert.same({ nil, "ETIMEDOUT" }, { nothing, code })
    settled()
  end)

  it("lets <close> variables run", function()
    local path = os.tmpname()
    local job = task.spawn(pool.run, function(name)
      local _ <close> = setmetatable({}, {
        __close = function()
          local file <close> = io.open(name, "w")
          for i = 1, 10000 do file:write(i, "\n") end
        end,
      })
      while true do end
    end, path)
    eventually(function() return user().running == 1 end)
    job:cancel()
    pcall(job.join, job)
    settled()
    local file <close> = io.open(path)
    assert.equal("10000", file:read("a"):match("(%d+)\n$"))
    os.remove(path)
  end)

  it("can come at any moment of many jobs", function()
    local left = 300
    for i = 1, 300 do
      local job = task.spawn(pool.run, function(n)
        local x = 0
        for k = 1, n do x = x + coroutine.wrap(function() return k end)() end
        return x
      end, i % 50)
      task.spawn(function()
        for _ = 1, i % 7 do timer.sleep(0) end
        job:cancel()
        pcall(job.join, job)
        left = left - 1
      end)
    end
    eventually(function() return left == 0 end)
    settled()
    assert.equal(1, pool.run(identity, 1))
  end)
end)

describe("jobs that wait", function()
  it("do not hold up files", function()
    local order, jobs = {}, {}
    for i = 1, 100 do
      jobs[i] = task.spawn(function()
        pool.run(function()
          local x = 0
          for k = 1, 1e6 do x = x + k end
          return x
        end)
        order[#order + 1] = "job"
      end)
    end
    timer.sleep(0)
    assert(fs.read_file("README.md"))
    assert(fs.stat("README.md"))
    order[#order + 1] = "file"
    for _, job in ipairs(jobs) do job:join() end
    local place
    for i, what in ipairs(order) do place = what == "file" and i or place end
    assert.is_true(place <= 5, "only after " .. place - 1 .. " jobs")
  end)

  it("are told of in the log, with what helps", function()
    local result = luaserves.script([[
      local pool, task, timer = require "luaserve.pool", require "luaserve.task", require "luaserve.timer"
      local slow = function() os.execute("sleep 1.1") end
      task.all(function() pool.run(slow) end, function() pool.run(slow) end, function() pool.run(slow) end)
      print("done")
    ]], { env = "UV_THREADPOOL_SIZE=4" })
    assert.equal("done\n", result.out)
    local _, lines = result.err:gsub("\n", "")
    assert.equal(1, lines, result.err)
    assert.matches("warn: jobs wait for a thread of the pool: 1%.%d s in the lane 'user', " ..
      "which may use 1 of 4 threads; " ..
      "%-%-pool%-threads gives it more\n$", result.err)
  end)
end)

describe("pool.stats", function()
  it("tells of each lane and of all", function()
    local before = pool.stats()
    pool.run(identity)
    assert(fs.stat("."))
    local after = pool.stats()
    assert.equal(before.lanes.user.done + 1, after.lanes.user.done)
    assert.is_true(after.total.done >= before.total.done + 2)
    assert.equal(after.threads, after.total.cap)
    for _, lane in pairs(after.lanes) do
      assert.is_true(lane.cap >= 1 and lane.queued == 0 and lane.running == 0)
      assert.is_true(lane.wait_p50 <= lane.wait_p99)
      assert.is_true(lane.wait_p99 <= lane.wait_max * 1.25 + 1.3e-6)
    end
    assert.is_true(after.lanes.user.wait_total > 0 and after.total.wait_max >= after.lanes.user.wait_max)
  end)

  it("shows what runs and what waits", function()
    local release = fill_lane()
    local job = task.spawn(pool.run, identity, 1)
    eventually(function() return user().queued == 1 end)
    assert.equal(user().cap, user().running)
    assert.equal(user().cap + 1, pool.stats().total.running + pool.stats().total.queued)
    release()
    assert.equal(1, job:join())
  end)
end)

describe("the end of the program", function()
  it("does not wait for a job that loops", function()
    local result = luaserves.script [[
      local pool, task, timer = require "luaserve.pool", require "luaserve.task", require "luaserve.timer"
      task.spawn(pool.run, function() while true do end end)
      while pool.stats().lanes.user.running == 0 do timer.sleep(0.001) end
      os.exit(3, true)
    ]]
    assert.same({ 3, "", "" }, { result.status, result.out, result.err })
  end)

  it("comes after the last job", function()
    local result = luaserves.script [[
      local pool = require "luaserve.pool"
      require "luaserve.task".spawn(function() print(pool.run(function() print("there") return "here" end)) end)
    ]]
    assert.same({ 0, "there\nhere\n", "" }, { result.status, result.out, result.err })
  end)
end)
