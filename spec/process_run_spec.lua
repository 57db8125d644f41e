-- SPDX-License-Identifier: MIT
-- process.run: programs that are run to their end.

local child_of = require("spec.support.process") -- other luaserves
local children = require("spec.support.children")
local failures = require("spec.support.failures")
local process = require("luaserve.process")
local task = require("luaserve.task")
local timer = require("luaserve.timer")
local waits = require("spec.support.waits")

local assert_failure, gate = failures.assert_plain_failure, waits.gate
local run, wait_until_gone = children.run, children.wait_until_gone

after_each(function() children.clean_up() end)

describe("process.run", function()
  it("collects what the program writes", function()
    assert.same({ status = 3, stdout = "out\n", stderr = "err\n" }, run("echo out; echo err >&2; exit 3"))
    assert.same({ status = 0, stdout = "", stderr = "" }, assert(process.run("true")))
    assert.same({ status = 137, signal = "SIGKILL", stdout = "", stderr = "" }, run("kill -KILL $$"))
    assert.same({ status = 0, stdout = "a\nb\n" }, run("echo a; echo b >&2", { stderr = "stdout" }))
  end)

  it("feeds its input while it reads its output", function()
    local data = ("0123456789abcde\n"):rep(65536)
    local result = assert(process.run("cat", {}, { input = data }))
    assert.is_true(result.stdout == data)
    assert.equal("", assert(process.run("cat", {}, { input = "" })).stdout)
    assert.equal(0, assert(process.run("true", {}, { input = data })).status)
    assert.equal("5\n9\n10\n", assert(process.run("sort", { "-n" }, { input = "10\n5\n9" })).stdout)
  end)

  it("runs many at once", function()
    local tasks = {}
    for i = 1, 20 do
      tasks[i] = task.spawn(process.run, "echo", { i })
    end
    for i, t in ipairs(tasks) do
      assert.equal(i .. "\n", t:join().stdout)
    end
  end)

  it("ends a program that writes too much", function()
    assert_failure("ETOOBIG", "run 'yes'", process.run("yes", {}, { max_output = 100000 }))
    assert.equal("12345", assert(process.run("printf", { "12345" }, { max_output = 5 })).stdout)
    assert_failure("ETOOBIG", "run 'printf'", process.run("printf", { "12345" }, { max_output = 4 }))
  end)

  it("ends a program that takes too long, and what it started", function()
    local path = os.tmpname()
    local code = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > " .. path .. "; while :; do sleep 1; done' & wait"
    assert_failure("ETIMEDOUT", "run 'sh'", process.run("sh", { "-c", code }, { timeout = 0.2, grace = 0.01 }))
    local file = assert(io.open(path))
    local pid = file:read("n")
    file:close()
    os.remove(path)
    if pid then wait_until_gone(pid) end
  end)

  it("does not wait for ever for one who keeps the output open", function()
    assert_failure("ETIMEDOUT", "run 'sh'", process.run("sh", { "-c", "sleep 60 &" }, { timeout = 0.2 }))
  end)

  it("ends the program when who waits is cancelled", function()
    local child_pid
    local path = os.tmpname()
    local t = task.spawn(process.run, "sh", { "-c", "echo $$ > " .. path .. "; exec sleep 60" })
    for _ = 1, 2000 do
      timer.sleep(0.005)
      local file = assert(io.open(path))
      child_pid = file:read("n")
      file:close()
      if child_pid then break end
    end
    os.remove(path)
    t:cancel()
    assert.is_false(pcall(t.join, t))
    wait_until_gone(child_pid)
  end)

  it("calls back, in every form", function()
    for _, arguments in ipairs({ {}, { {} }, { {}, {} }, { nil, nil, n = 2 } }) do
      local wait, opened = gate()
      local list = table.pack("true", table.unpack(arguments, 1, arguments.n or #arguments))
      list[list.n + 1] = opened
      local operation = process.run(table.unpack(list, 1, list.n + 1))
      assert.matches("process.run", tostring(operation))
      local err, result = wait()
      assert.is_nil(err)
      assert.equal(0, result.status)
    end
    local wait, opened = gate()
    process.run("sleep", { "60" }, { timeout = 0.01 }, opened)
    local message, code = wait()
    assert.equal("ETIMEDOUT", code)
    assert.matches("^ETIMEDOUT: .*run 'sleep'$", message)
  end)

  it("tells why a program cannot be started", function()
    assert_failure("ENOENT", "run 'no such program'", process.run("no such program"))
    assert_failure("ENOENT", "run 'true' in '/nonexistent'", process.run("true", {}, { cwd = "/nonexistent" }))
    assert.has_error(function() process.run("true", {}, { stdin = "pipe" }) end)
  end)

  it("is over when the program ends", function()
    local result = child_of.script([[
      local process, task, timer = require "luaserve.process", require "luaserve.task", require "luaserve.timer"
      task.spawn(process.run, "sh", {"-c", "echo $$ >&2; exec sleep 60"}, {stderr = "inherit"})
      timer.sleep(0.001)
      process.exit(0)
    ]])
    assert.equal(0, result.status)
    local pid = tonumber(result.err)
    if pid then wait_until_gone(pid) end
  end)
end)

describe("an interrupted script", function()
  it("takes along what it runs", function()
    local path = child_of.temporary([[
      local process = require "luaserve.process"
      process.on_exit(print)
      process.run("sh", {"-c", "echo running $$; exec sleep 60"}, {stdout = "inherit"})
    ]])
    local script = child_of.serve({ path }, { ready = "^running" })
    os.remove(path)
    local pid = tonumber(script.output[1]:match("%d+"))
    script:signal("INT")
    assert.equal("130", script:read_line())
    assert.equal(130, (script:wait()))
    wait_until_gone(pid)
  end)
end)
