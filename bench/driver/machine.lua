-- SPDX-License-Identifier: MIT
-- On what, and beside whom, the figures were taken.

local process = require "luaserve.process"

local machine = {}

local function output_of(command)
  local words = table.move(command, 2, #command, 1, {})
  local result = process.run(command[1], words, { stderr = "pipe", timeout = 20 })
  if not result or result.status ~= 0 then return nil end
  return (result.stdout .. result.stderr):match("[^\n]+")
end

local function first_line(path, pattern)
  local file <close> = assert(io.open(path))
  for line in file:lines() do
    local value = line:match(pattern)
    if value then return value end
  end
end

function machine.describe()
  local load <close> = assert(io.open("/proc/loadavg"))
  return {
    cpu = first_line("/proc/cpuinfo", "^model name%s*:%s*(.+)$") or "unknown",
    cores = tonumber(output_of { "nproc", "--all" }),
    kernel = output_of { "uname", "-sr" },
    system = first_line("/etc/os-release", '^PRETTY_NAME="(.*)"$'),
    wrk = (output_of { "sh", "-c", "wrk -v 2>&1 || true" } or ""):match("%d+%.%d+%.%d+"),
    load = tonumber(load:read("a"):match("^%S+")),
  }
end

--- The number in what a server says of itself; nil where it is not there.
function machine.version(peer)
  local line = output_of(peer.version)
  return line and (line:match("%d+%.%d[%w.%-]*") or line)
end

--- Moves the driver, and what it starts from now on, to these cores.
function machine.pin(cores)
  local result = assert(process.run("taskset", { "-a", "-c", "-p", cores, tostring(process.pid) }))
  assert(result.status == 0, result.stderr)
end

function machine.descriptors()
  return tonumber(first_line("/proc/self/limits", "^Max open files%s+(%d+)"))
end

return machine
