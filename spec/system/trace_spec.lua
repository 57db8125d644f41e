-- SPDX-License-Identifier: MIT
--- luaserve --trace: the Server-Timing of responses, and the slowest requests in the log.

local process = require "spec.support.process"

--- Serves the handler that code returns, with what the cases use as its locals, all on its first line.
local function serve(code, options)
  local prelude = [[local http, net, fs = require "luaserve.http", require "luaserve.net", require "luaserve.fs" ]] ..
    [[local pool, task, timer = require "luaserve.pool", require "luaserve.task", require "luaserve.timer" ]] ..
    [[local clock = require "luaserve.process".hrtime ]] ..
    [[local function hold(ms) local start = clock() while clock() - start < ms * 1e6 do end end ]]
  return process.serve_code(prelude .. code, { options = options or { "--trace" } })
end

--- The parts of a Server-Timing field: { total = milliseconds, ... }
local function parse(field)
  local parts = {}
  for name, ms in (field .. ", "):gmatch("([%w_]+);dur=(%d+%.%d%d), ") do
    parts[name] = tonumber(ms)
  end
  local count = select(2, field:gsub(",", "")) + 1
  for _ in pairs(parts) do count = count - 1 end
  assert.equal(0, count, field)
  return parts
end

local function timing_of(response)
  return parse(assert(response.headers["server-timing"]))
end

--- Stops the server.
-- @return the lines of its log that tell of requests
local function stop(server)
  local status, log = server:stop()
  assert.equal(0, status, log)
  local lines = {}
  for line in log:gmatch("[^\n]+") do
    lines[#lines + 1] = line:match(" info: trace: (.*)$")
  end
  return lines
end

--- The milliseconds behind a name in such a line, or nil.
local function ms_of(line, name)
  return tonumber(line:match("[:;,] " .. name:gsub("%p", "%%%0") .. " (%d+%.%d)"))
end

describe("luaserve --trace", function()
  after_each(process.clean_up)

  it("does nothing unless it is asked for", function()
    local server = serve("return function(req, res) timer.sleep(0.005) res:send('') end", {})
    assert.is_nil(server:request("/").headers["server-timing"])
    local status, log = server:stop()
    assert.same({ 0, "" }, { status, log })
  end)

  it("tells the time of a request, and of its Lua code", function()
    local server = serve("return function(req, res) if req.path == '/hold' then hold(10) end res:send('') end")
    local timing = timing_of(server:request("/hold"))
    assert.is_true(timing.lua >= 10 and timing.total >= timing.lua)
    assert.same({ nil, nil, nil }, { timing.pool, timing.timers, timing.dns })
    assert.is_true(timing_of(server:request("/")).total >= 0)
    local log = stop(server)
    assert.matches("^GET /hold: 200 in %d+%.%d ms: lua %d+%.%d", log[1])
  end)

  it("tells what a request waited for, and where", function()
    local server = serve [[
return function(req, res)
  timer.sleep(0.02)
  pool.run(function() os.execute('sleep 0.03') end)
  for _ = 1, 3 do
    timer.sleep(0.001)
  end
  local listener = net.listen({ host = "127.0.0.1" }, function(socket) timer.sleep(0.005) socket:write("x") end)
  local socket <close> = net.connect(listener:address())
  socket:read()
  listener:close()
  res:send("")
end]]
    local timing = timing_of(server:request("/a?secret=1"))
    assert.is_true(timing.timers >= 23 and timing.pool >= 30)
    assert.is_true(timing.sockets > 0)
    assert.is_true(timing.total >= timing.timers + timing.pool)
    local log = stop(server)
    assert.equal(1, #log)
    local line = log[1]
    assert.equal(1, line:find("GET /a: 200 in ", 1, true))
    local path = server.path:gsub("%p", "%%%0")
    local function place(name, number) return ("%s %%d+%%.%%d at %s:%d"):format(name, path, number) end
    assert.matches(place("timer%.sleep", 2), line)
    assert.matches(place("pool%.run", 3), line)
    assert.matches(place("timer%.sleep", 5) .. " %(3 times%)", line)
    assert.matches(place("socket:read", 9), line)
    assert.is_true(ms_of(line, "timers") >= 23 and ms_of(line, "pool.run") >= 30)
    local longer = math.huge
    for ms in line:gmatch(" (%d+%.%d) at ") do
      assert.is_true(tonumber(ms) <= longer, line)
      longer = tonumber(ms)
    end
  end)

  it("tells how long a request could not run because others did", function()
    local server = serve [[
return function(req, res)
  local first, second = task.spawn(hold, 10), task.spawn(hold, 10)
  first:join() second:join()
  res:send("")
end]]
    local timing = timing_of(server:request("/"))
    assert.is_true(timing.lua >= 20 and timing.queue >= 10)
    stop(server)
  end)

  it("follows tasks and coroutines of the request, and no others", function()
    local server = serve [[
local function background() timer.sleep(0.005) end
return function(req, res)
  local sleeper = task.spawn(timer.sleep, 0.01)
  local generator = coroutine.wrap(function()
    timer.sleep(0.002)
    coroutine.yield()
  end)
  generator()
  task.background(background)
  timer.sleep(0.02, function() res:send("") end)
  sleeper:join()
  pcall(timer.sleep, 0.002)
end]]
    local timing = timing_of(server:request("/"))
    assert.is_true(timing.timers >= 14)
    local line = stop(server)[1]
    local _, sleeps = line:gsub("timer%.sleep", "")
    assert.equal(3, sleeps) -- not the one with a callback, which nobody waits in, nor the background's
    for _, number in ipairs { 3, 5, 12 } do
      assert.matches(("timer%%.sleep %%d+%%.%%d at %s:%d%%f[%%D]"):format(server.path:gsub("%p", "%%%0"), number), line)
    end
    assert.matches("task%.join %d+%.%d at", line)
  end)

  it("tells it also of errors", function()
    local server = serve 'return function(req, res) timer.sleep(0.002) error("on purpose") end'
    local response = server:request("/")
    assert.equal(500, response.status)
    assert.is_true(timing_of(response).timers >= 2)
    assert.matches("^GET /: 500 in %d+%.%d ms: .*; timer%.sleep %d", stop(server)[1])
  end)

  it("tells it also of handlers that were cancelled", function()
    local server = serve [[
local server = http.create_server({ handler_timeout = 0.01 }, function(req, res) timer.sleep(60) end)
server:listen(0)
print("http://127.0.0.1:" .. server:address().port)
io.stdout:flush()]]
    local response = server:request("/")
    assert.equal(504, response.status)
    assert.is_true(timing_of(response).total >= 10)
    assert.matches("^GET /: 504 in %d+%.%d ms: .*; timer%.sleep %d", stop(server)[1])
  end)

  it("leaves a Server-Timing of the handler beside its own", function()
    local server = serve [[return function(req, res)
  res:set("server-timing", "db;dur=1.5")
  res:send("")
end]]
    local fields = {}
    for _, field in ipairs(server:request("/").list) do
      if field[1]:lower() == "server-timing" then fields[#fields + 1] = field[2] end
    end
    assert.equal(2, #fields)
    assert.equal("db;dur=1.5", fields[1])
    assert.is_true(parse(fields[2]).total >= 0)
    stop(server)
  end)

  it("adds up what a request awaits in too many places", function()
    local lines = {}
    for i = 1, 40 do lines[i] = "  timer.sleep(0.0001)" end
    local server = serve("return function(req, res)\n" .. table.concat(lines, "\n") .. "\n  res:send('') end")
    server:request("/")
    local line = stop(server)[1]
    assert.matches("awaits %d+%.%d at other places %(25 times%)", line)
    local _, places = line:gsub(" at ", "")
    assert.equal(16, places)
  end)

  it("logs the slowest, not all", function()
    local server = serve [[return function(req, res)
  timer.sleep(req.path == "/slowest" and 0.05 or 0.002)
  res:send("")
end]]
    for _ = 1, 30 do server:request("/") end
    server:request("/slowest")
    local log = stop(server)
    local last = 0
    for _, line in ipairs(log) do
      local took = tonumber(line:match(" in (%d+%.%d) ms"))
      assert.is_true(took >= last * 1.25 - 0.1, table.concat(log, "\n"))
      last = took
    end
    assert.is_true(last >= 50 / 1.25 - 0.1)
  end)
end)
