-- SPDX-License-Identifier: MIT
-- A bit of everything, for long runs under the sanitizers: files, sleeps, names, bodies, JSON, tasks, errors.

local dns, fs, json = require "luaserve.dns", require "luaserve.fs", require "luaserve.json"
local task, timer = require "luaserve.task", require "luaserve.timer"

local routes = {}

function routes.plain(_, res)
  res:send("Hello, World!")
end

function routes.file(_, res)
  res:send(assert(fs.read_file("README.md")))
end

function routes.stat(_, res)
  res:json(assert(fs.stat("README.md")))
end

function routes.sleep(_, res)
  timer.sleep(0.005)
  res:send("slept")
end

function routes.lookup(_, res)
  res:json(assert(dns.lookup("localhost")))
end

function routes.tasks(_, res)
  local tasks = {}
  for i = 1, 5 do
    tasks[i] = task.spawn(function() timer.sleep(0.001 * i) return i end)
  end
  local sum = 0
  for _, t in ipairs(tasks) do
    sum = sum + t:join()
  end
  res:json({ sum = sum })
end

function routes.cancel(_, res)
  local t = task.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() timer.sleep(0.001) end })
    timer.sleep(60)
  end)
  timer.sleep(0.001)
  t:cancel()
  res:send(t:status())
end

function routes.callback(_, res)
  res:later()
  fs.read_file("README.md", function(message, text)
    res:send(message or text)
  end)
end

function routes.stream(_, res)
  for i = 1, 50 do
    res:write(("line %d\n"):format(i):rep(100))
  end
  res:finish()
end

function routes.echo(req, res)
  for chunk in req:chunks() do
    res:write(chunk)
  end
  res:finish()
end

function routes.json(req, res)
  res:json(req.method == "POST" and req:json() or json.array({ 1, 2.5, "three", { four = true } }))
end

function routes.error()
  error("on purpose")
end

function routes.silent()
end

return function(req, res)
  local route = routes[req.path:sub(2)] or routes.plain
  route(req, res)
end
