-- SPDX-License-Identifier: MIT
-- guardrails: how long a plain page takes while another client does each bad thing in turn, with all guards on.
--
--   ./luaserve bench/guardrails.lua [seconds]
--
-- Serves bench/apps/attacks.lua with a CPU limit of 0.1 s and 32 MiB for a request. For each route that attacks, 16
-- connections ask for the page without a pause, and two for the attack, again and again. Printed are the answers that
-- the attack got, how long the page took, and what Lua holds afterwards.

local json, net, process, task =
  require "luaserve.json", require "luaserve.net", require "luaserve.process", require "luaserve.task"

local seconds = tonumber(arg[1]) or 2
local LIMITS = { "--cpu-limit", "0.1", "--slow-limit", "0.05", "--request-memory", "32M", "-p", "0" }

local function serve()
  local arguments = table.move(LIMITS, 1, #LIMITS, 1, {})
  arguments[#arguments + 1] = "bench/apps/attacks.lua"
  local server = assert(process.spawn(arg[-1], arguments, { stdout = "pipe", stderr = "null" }))
  local next_line, state = server.stdout:lines()
  local line = assert(next_line(state))
  return server, assert(tonumber(line:match(":(%d+)$")), line)
end

--- A connection that is opened anew where the server has closed it.
-- @return ask(path) -> status, body; status 0: it was reset
local function client(port)
  local socket, buffer
  local function read_answer()
    while true do
      local head, body = buffer:match("^(.-\r\n\r\n)(.*)$")
      local length = head and tonumber(head:match("[Cc]ontent%-[Ll]ength: (%d+)"))
      if length and #body >= length then
        buffer = body:sub(length + 1)
        return tonumber(head:match("^HTTP/1.1 (%d+)")), body:sub(1, length), head
      end
      local chunk = socket:read()
      if not chunk then return 0 end
      buffer = buffer .. chunk
    end
  end
  return function(path)
    if not socket then socket, buffer = assert(net.connect("127.0.0.1", port)), "" end
    socket:write("GET /" .. path .. " HTTP/1.1\r\nHost: x\r\n\r\n")
    local status, body, head = read_answer()
    if status == 0 or head:lower():find("connection: close", 1, true) then
      socket:close()
      socket = nil
    end
    return status, body
  end
end

local function ask_for_page(times, failures, port)
  local ask = client(port)
  while true do
    local start = process.hrtime()
    local status = ask("")
    times[#times + 1] = (process.hrtime() - start) / 1e6
    if status ~= 200 then failures.count = failures.count + 1 end
  end
end

local function attack(statuses, name, port)
  local ask = client(port)
  while true do
    local status = ask(name)
    statuses[status] = (statuses[status] or 0) + 1
  end
end

local function describe(statuses)
  local parts = {}
  for status, count in pairs(statuses) do parts[#parts + 1] = status .. ": " .. count end
  table.sort(parts)
  return table.concat(parts, ", ")
end

local function measure(name, port)
  local times, failures, statuses = {}, { count = 0 }, {}
  task.timeout(seconds, function()
    local group <close> = task.group()
    for _ = 1, 16 do group:spawn(ask_for_page, times, failures, port) end
    for _ = 1, name and 2 or 0 do group:spawn(attack, statuses, name, port) end
    group:wait()
  end)
  table.sort(times)
  local _, memory = client(port)("memory")
  print(("%-10s %-18s p50 %7.2f ms   p99 %7.2f ms   most %7.2f ms   %6d pages, %d failed   %5.1f MB"):format(
    name or "(none)", describe(statuses), times[(#times + 1) // 2], times[math.ceil(#times * 0.99)], times[#times],
    #times, failures.count, tonumber(memory) / (1 << 20)))
end

local server, port = serve()
local _, names = client(port)("names")
measure(nil, port)
for _, name in ipairs(json.decode(names)) do measure(name, port) end
server:kill()
server:wait()
