-- SPDX-License-Identifier: MIT
-- Works that are not a load of wrk. Each takes the server and the work and returns the figures of one round.

local process, task, timer = require "luaserve.process", require "luaserve.task", require "luaserve.timer"
local client, proc = require "driver.client", require "driver.proc"
local server, stats = require "driver.server", require "driver.stats"

local ways = {}

local RATE, EVERY, CONNECTIONS = 200, 20, 64
local IDLE = 10000

-- Requests leave at their time whatever became of those before, so a server that stands still is seen by all that
-- come meanwhile. Those for the plain page have connections of their own, and are measured.
local function ask_each(jobs, port, path, times)
  local socket <close> = assert(client.connect(port))
  local request = client.request("GET", path)
  socket:set_timeout(60)
  for since in jobs:each() do
    assert(socket:write(request))
    assert(client.read(socket) == 200)
    times[#times + 1] = (process.hrtime() - since) / 1e3
  end
end

local function send_jobs(plain, primes, seconds)
  local began, sent = process.hrtime(), 0
  while sent < RATE * seconds do
    timer.sleep(0.001)
    while sent < RATE * seconds and (process.hrtime() - began) / 1e9 * RATE >= sent do
      sent = sent + 1
      local jobs = sent % EVERY == 0 and primes or plain
      jobs:send(process.hrtime())
    end
  end
  plain:close()
  primes:close()
  return sent
end

--- An even load in which each 20th request counts primes: how long the others take.
function ways.mixed(running, _, seconds)
  local plain, primes, times = task.channel(RATE * seconds), task.channel(RATE * seconds), {}
  local sent
  local began, user, system = process.hrtime(), proc.cpu(running.pid)
  do
    local group <close> = task.group()
    for _ = 1, CONNECTIONS do
      group:spawn(ask_each, plain, running.port, "/", times)
      group:spawn(ask_each, primes, running.port, "/primes", {})
    end
    sent = send_jobs(plain, primes, seconds)
    group:wait()
  end
  local user_after, system_after = proc.cpu(running.pid)
  table.sort(times)
  return {
    requests = sent, seconds = (process.hrtime() - began) / 1e9, p50 = stats.quantile(times, 0.5),
    p99 = stats.quantile(times, 0.99), p999 = stats.quantile(times, 0.999), most = times[#times],
    user = (user_after - user) / sent * 1e6, system = (system_after - system) / sent * 1e6,
  }
end

--- Microseconds from before the program is started to its first answer; the server itself is another one.
function ways.start(running, work)
  local fresh = server.start(running.peer, work.kind, work.argument, true)
  client.ask(fresh.port, "GET", "/")
  local took = (process.hrtime() - fresh.began) / 1e3
  local rss = proc.memory(fresh.pid)
  fresh:stop()
  return { took = took, rss = rss }
end

local function open_idle(port, sockets)
  local socket = assert(client.connect(port))
  sockets[#sockets + 1] = socket
  socket:set_timeout(60)
  assert(socket:write(client.request("GET", "/")))
  assert(client.read(socket) == 200)
end

--- Resident memory before and with so many connections that have had one answer each; again with a fresh server.
function ways.memory(running, work)
  local fresh, sockets = server.start(running.peer, work.kind, work.argument), {}
  client.ask(fresh.port, "GET", "/")
  local before = proc.memory(fresh.pid)
  for _ = 1, IDLE / 100 do
    local group <close> = task.group()
    for _ = 1, 100 do group:spawn(open_idle, fresh.port, sockets) end
    group:wait()
  end
  timer.sleep(0.5)
  local with = proc.memory(fresh.pid)
  for _, socket in ipairs(sockets) do socket:reset() end
  fresh:stop()
  return { rss = before, with = with, each = (with - before) / IDLE }
end

return ways
