-- SPDX-License-Identifier: MIT
-- process.on: functions that are called at signals.

local child_of = require("spec.support.process") -- other luaserves
local children = require("spec.support.children")
local kept = require("spec.support.kept")
local process = require("luaserve.process")
local waits = require("spec.support.waits")

local gate, keep = waits.gate, kept.keep

after_each(function() children.clean_up() end)

describe("process.on", function()
  it("runs the function in a task of its own, each time", function()
    local server = child_of.serve_code([[
      local process, task = require "luaserve.process", require "luaserve.task"
      local count = 0
      process.on("SIGHUP", function(name)
        require("luaserve.timer").sleep(0.001)
        count = count + 1
        print(name, count)
        io.stdout:flush()
      end)
      process.on("SIGUSR1", function() error("on purpose") end)
      return function(_, res) res:send("ok") end
    ]])
    for i = 1, 3 do
      server:signal("HUP")
      assert.equal("SIGHUP\t" .. i, server:read_line())
    end
    server:signal("USR1")
    server:signal("HUP")
    assert.equal("SIGHUP\t4", server:read_line())
    local status, err = server:stop()
    assert.equal(0, status)
    assert.matches("error in a task: .*on purpose", err)
  end)

  it("replaces the graceful shutdown, until it is closed", function()
    local server = child_of.serve_code([[
      local process = require "luaserve.process"
      local handler
      handler = process.on("SIGTERM", function()
        print("not yet")
        io.stdout:flush()
        handler:close()
      end)
      return function(_, res) res:send("ok") end
    ]])
    server:signal("TERM")
    assert.equal("not yet", server:read_line())
    assert.equal("ok", server:request("/").body)
    assert.equal(0, (server:stop()))
  end)

  it("does not keep the process alive, unless ref says so", function()
    local code = [[
      local process = require "luaserve.process"
      local handler
      handler = process.on("SIGUSR2", function() print("came") handler:close() end)
      if ... then handler:ref() process.kill(process.pid, "SIGUSR2") end
    ]]
    assert.equal("", child_of.script(code).out)
    assert.equal("came\n", child_of.script(code, { arguments = { "ref" } }).out)
  end)

  it("calls every handler of a signal", function()
    local calls = {}
    local wait, opened = gate()
    for i = 1, 2 do
      keep(process.on("SIGUSR2", function(name)
        calls[#calls + 1] = name .. " " .. i
        if #calls == 2 then opened() end
      end))
    end
    assert(process.kill(process.pid, "SIGUSR2"))
    wait()
    table.sort(calls)
    assert.same({ "SIGUSR2 1", "SIGUSR2 2" }, calls)
  end)

  it("refuses names it does not know and signals it cannot have", function()
    local function nothing() end
    assert.has_error(function() process.on("SIGUP", nothing) end, "unknown signal 'SIGUP' (did you mean 'SIGHUP'?)")
    assert.has_error(function() process.on("frobnicate", nothing) end, "unknown signal 'frobnicate'")
    assert.has_error(function() process.on("SIGKILL", nothing) end, "process.on: SIGKILL cannot be handled")
    assert.has_error(function() process.on("SIGPIPE", nothing) end, "process.on: SIGPIPE cannot be handled")
    assert.has_error(function() process.on("SIGHUP") end)
  end)

  it("tells what it is", function()
    local handler = process.on("SIGUSR2", function() end)
    assert.equal("signal handler (SIGUSR2)", tostring(handler))
    assert.is_true(handler:close())
    assert.is_true(handler:close())
    assert.equal("signal handler (SIGUSR2, closed)", tostring(handler))
  end)
end)
