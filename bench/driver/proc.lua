-- SPDX-License-Identifier: MIT
-- What /proc tells of a server: all its threads, and all processes that it has started.

local proc = {}

local function read(path)
  local file = io.open(path)
  if not file then return nil end -- it has ended
  local text = file:read("a")
  file:close()
  return text
end

--- User and system time in ticks, of a line of /proc/PID/stat: the name in it may have blanks and brackets.
function proc.parse_stat(text)
  local rest = assert(text:match("^.*%) (.*)$"), "no line of /proc/PID/stat")
  local fields = {}
  for field in rest:gmatch("%S+") do fields[#fields + 1] = field end
  return assert(tonumber(fields[12])), assert(tonumber(fields[13]))
end

--- Bytes that are resident, and the most there have been, of /proc/PID/status.
function proc.parse_status(text)
  local function field(name) return tonumber(text:match(name .. ":%s*(%d+) kB") or 0) * 1024 end
  return field "VmRSS", field "VmHWM"
end

--- The process and what it has started, as a list of numbers.
function proc.tree(pid)
  local list = { pid }
  local at = 1
  while list[at] do
    local folder = "/proc/" .. list[at] .. "/task/"
    for child in (read(folder .. list[at] .. "/children") or ""):gmatch("%d+") do list[#list + 1] = tonumber(child) end
    at = at + 1
  end
  return list
end

--- Seconds of user and of system time so far, to a hundredth: what the kernel counts in.
function proc.cpu(pid)
  local user, system = 0, 0
  for _, number in ipairs(proc.tree(pid)) do
    local text = read("/proc/" .. number .. "/stat")
    if text then
      local u, s = proc.parse_stat(text)
      user, system = user + u, system + s
    end
  end
  return user / 100, system / 100
end

--- Bytes that are resident, and the most there have been.
function proc.memory(pid)
  local rss, peak = 0, 0
  for _, number in ipairs(proc.tree(pid)) do
    local r, p = proc.parse_status(read("/proc/" .. number .. "/status") or "")
    rss, peak = rss + r, peak + p
  end
  return rss, peak
end

return proc
