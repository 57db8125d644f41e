-- SPDX-License-Identifier: MIT
-- process: what the program tells of itself, and what it sets.

local child_of = require("spec.support.process") -- other luaserves
local children = require("spec.support.children")
local process = require("luaserve.process")
local timer = require("luaserve.timer")

local spawn = children.spawn

after_each(function() children.clean_up() end)

describe("process.env", function()
  it("reads, sets, takes away", function()
    assert.equal(os.getenv("PATH"), process.env.PATH)
    assert.is_nil(process.env.LUASERVE_SPEC)
    process.env.LUASERVE_SPEC = "a=b"
    assert.equal("a=b", process.env.LUASERVE_SPEC)
    assert.equal("a=b", os.getenv("LUASERVE_SPEC"))
    process.env.LUASERVE_SPEC = 7
    assert.equal("7", process.env.LUASERVE_SPEC)
    local seen
    for name, value in pairs(process.env) do
      if name == "LUASERVE_SPEC" then seen = value end
      process.env.LUASERVE_SPEC = nil
    end
    assert.equal("7", seen)
    assert.is_nil(process.env.LUASERVE_SPEC)
    assert.is_nil(process.env[1])
  end)

  it("refuses what the system cannot hold", function()
    assert.has_error(function() process.env["A=B"] = "x" end)
    assert.has_error(function() process.env[""] = "x" end)
    assert.has_error(function() process.env.A = "x\0y" end, "process.env.A must not have a NUL in it")
    assert.has_error(function() process.env.A = true end, "process.env.A must be a string or nil, not a boolean")
  end)
end)

describe("process", function()
  it("knows its folder", function()
    local result = child_of.script([[
      local process = require "luaserve.process"
      print(process.chdir("/"), process.cwd())
      print(process.chdir("/tmp"), process.cwd())
      print(process.chdir("/nonexistent"))
      print(process.cwd())
    ]])
    assert.equal("true\t/\ntrue\t/tmp\nnil\tENOENT: no such file or directory: chdir '/nonexistent'\tENOENT\n/tmp\n",
      result.out)
  end)

  it("knows its number, its parent, its arguments, its version", function()
    local result = child_of.script([[
      local process = require "luaserve.process"
      print(process.pid, process.ppid, #process.arguments, process.arguments[1], process.arguments[2])
      print(process.arguments[0] == arg[0], process.version)
    ]], { arguments = { "a b", "c" } })
    local pid, ppid, rest = result.out:match("^(%d+)\t(%d+)\t(.*)$")
    assert.is_true(tonumber(pid) > 1 and tonumber(ppid) >= 1 and pid ~= ppid)
    assert.matches("^2\ta b\tc\ntrue\t%d+%.%d+%.%d+\n$", rest)
  end)

  it("has a title that others see", function()
    local result = child_of.script([[
      local process = require "luaserve.process"
      process.title = "luaserve spec"
      print(process.title)
      for _, name in ipairs({"comm", "cmdline"}) do
        local file = io.open("/proc/self/" .. name)
        print((file:read("a"):gsub("[%z\n].*", "")))
      end
      print(pcall(function() process.title = 7 end))
      process.other = 1
      print(process.other, rawget(process, "nothing"), pcall(function() return process.nothing end))
    ]], { arguments = { "room for the title" } })
    assert.equal("", result.err)
    local lines = {}
    for line in result.out:gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    assert.equal("luaserve spec", lines[1])
    assert.equal("luaserve spec", lines[2])
    assert.equal("luaserve spec", lines[3])
    assert.matches("process.title must be a string, not a number", lines[4], 1, true)
    assert.matches("^1\tnil\tfalse\t[^\t]*luaserve.process has no 'nothing'$", lines[5])
  end)

  it("measures memory, CPU and time", function()
    local memory = process.memory()
    assert.is_true(memory.rss > 1024 * 1024 and memory.peak_rss > 1024 * 1024)
    local kept = ("x"):rep(1000000)
    assert.is_true(process.memory().lua >= #kept)
    local before = process.cpu()
    local sum = 0
    for i = 1, 3000000 do
      sum = sum + i
    end
    assert.is_true(sum > 0)
    local after = process.cpu()
    assert.is_true(after.user + after.system > before.user + before.system)
    local start = process.hrtime()
    assert.equal("integer", math.type(start))
    timer.sleep(0.002)
    assert.is_true(process.hrtime() - start >= 2000000)
    local uptime = process.uptime()
    assert.is_true(uptime > 0 and uptime < 3600)
  end)

  it("signals other processes", function()
    local child = spawn("sleep", { "60" })
    assert.is_true(process.kill(child.pid, 0))
    assert.is_true(process.kill(child.pid, "SIGINT"))
    assert.same({ 130, "SIGINT", n = 2 }, table.pack(child:wait()))
    assert.has_error(function() process.kill("x") end)
  end)
end)
