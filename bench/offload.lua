-- SPDX-License-Identifier: MIT
-- offload: how long a plain page takes while more work is queued than both cores can do, on the pool and on the loop.
--
--   ./luaserve bench/offload.lua [seconds]
--
-- Serves examples/offload.lua, keeps 8 requests for primes and 4 for password hashes under way, each followed by the
-- next, and meanwhile asks for the plain page every two milliseconds, on a connection of its own.

local net, process, task, timer =
  require "luaserve.net", require "luaserve.process", require "luaserve.task", require "luaserve.timer"

local seconds = tonumber(arg[1]) or 5
local PAUSE = 0.002

local function serve()
  local server = assert(process.spawn(arg[-1], { "-p", "0", "examples/offload.lua" }, { stdout = "pipe" }))
  local next_line, state = server.stdout:lines()
  local line = assert(next_line(state))
  return server, assert(tonumber(line:match(":(%d+)$")), line)
end

local function connect(port)
  local socket, buffer = assert(net.connect("127.0.0.1", port)), ""
  -- Answers are short and have a Content-Length.
  return function(request)
    assert(socket:write(request))
    while true do
      local head, body = buffer:match("^(.-\r\n\r\n)(.*)$")
      local length = head and tonumber(head:match("[Cc]ontent%-[Ll]ength: (%d+)"))
      if length and #body >= length then
        assert(head:find("^HTTP/1.1 200"), buffer)
        buffer = body:sub(length + 1)
        return
      end
      buffer = buffer .. assert(socket:read())
    end
  end
end

local function keep_asking(group, port, count, request)
  local done = { count = 0 }
  for _ = 1, count do
    group:spawn(function()
      local ask = connect(port)
      while true do
        ask(request)
        done.count = done.count + 1
      end
    end)
  end
  return done
end

local function measure(label, place, jobs)
  local server, port = serve()
  local times, primes, hashes = {}
  do
    local group <close> = task.group()
    primes = keep_asking(group, port, jobs * 8, "GET /primes/300000?on=" .. place .. " HTTP/1.1\r\nHost: x\r\n\r\n")
    hashes = keep_asking(group, port, jobs * 4,
      "POST /password HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\ncorrect horse")
    local ask, finish = connect(port), process.hrtime() + seconds * 1e9
    repeat
      local start = process.hrtime()
      ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      times[#times + 1] = (process.hrtime() - start) / 1e6
      timer.sleep(PAUSE)
    until process.hrtime() > finish
  end
  server:kill()
  server:wait()
  table.sort(times)
  print(("%-24s p50 %8.2f ms   p99 %8.2f ms   most %8.2f ms   %5d pages, %4d primes, %4d hashes"):format(label,
    times[(#times + 1) // 2], times[math.ceil(#times * 0.99)], times[#times], #times, primes.count, hashes.count))
end

measure("nothing else to do", "pool", 0)
measure("work on the pool", "pool", 1)
measure("primes on the loop", "loop", 1)
