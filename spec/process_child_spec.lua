-- SPDX-License-Identifier: MIT
-- process: the life and the end of a child.

local child_of = require("spec.support.process") -- other luaserves
local children = require("spec.support.children")
local failures = require("spec.support.failures")
local fs = require("luaserve.fs")
local process = require("luaserve.process")
local task = require("luaserve.task")
local timer = require("luaserve.timer")
local waits = require("spec.support.waits")

local assert_failure, gate, waiting = failures.assert_plain_failure, waits.gate, waits.waiting
local spawn, wait_until_gone = children.spawn, children.wait_until_gone

after_each(function() children.clean_up() end)

describe("child", function()
  it("tells the signal that ended it", function()
    local child = spawn("sleep", { "60" })
    assert.equal("child (pid " .. child.pid .. ")", tostring(child))
    assert.is_nil(child.status)
    assert.is_true(child:kill())
    assert.same({ 143, "SIGTERM", n = 2 }, table.pack(child:wait()))
    assert.equal("SIGTERM", child.signal)
    assert.equal("child (pid " .. child.pid .. ", SIGTERM)", tostring(child))
    assert_failure("ESRCH", "kill " .. child.pid, child:kill())
  end)

  it("takes signals by name and by number", function()
    for signal, name in pairs({ SIGKILL = "SIGKILL", SIGUSR1 = "SIGUSR1", [2] = "SIGINT" }) do
      local child = spawn("sleep", { "60" })
      assert.is_true(child:kill(0))
      assert(child:kill(signal))
      assert.equal(name, select(2, child:wait()))
    end
    local child = spawn("sleep", { "60" })
    assert.has_error(function() child:kill("SIGTREM") end, "unknown signal 'SIGTREM' (did you mean 'SIGTERM'?)")
    assert.has_error(function() child:kill("TERM") end, "unknown signal 'TERM' (did you mean 'SIGTERM'?)")
    assert.has_error(function() child:kill(1000) end)
  end)

  it("can be waited for by several tasks, and again when it has ended", function()
    local child = spawn("sh", { "-c", "read x; exit 4" }, { stdin = "pipe" })
    local first, second = waiting(child.wait, child), waiting(child.wait, child)
    child.stdin:close()
    assert.equal(4, first:join())
    assert.equal(4, second:join())
    assert.equal(4, child:wait())
  end)

  it("lives on when who waits for it is cancelled", function()
    local child = spawn("cat", {}, { stdin = "pipe", stdout = "pipe" })
    local first, second = waiting(child.wait, child), waiting(child.wait, child)
    first:cancel()
    assert.is_false(pcall(first.join, first))
    assert(child.stdin:write("still here"))
    child.stdin:close()
    assert.equal("still here", child.stdout:read_all())
    assert.equal(0, second:join())
  end)

  it("calls back", function()
    local wait, opened = gate()
    local child = spawn("sh", { "-c", "kill -KILL $$" })
    child:wait(opened)
    assert.same({ nil, 137, "SIGKILL", n = 3 }, table.pack(wait()))
    wait, opened = gate()
    child:wait(opened)
    assert.same({ nil, 137, "SIGKILL", n = 3 }, table.pack(wait()))
    local operation = spawn("sleep", { "60" }):wait(function() error("called back") end)
    assert.is_true(operation:cancel())
  end)

  it("ends with its timeout", function()
    local child = spawn("sleep", { "60" }, { timeout = 0.01 })
    assert.same({ 143, "SIGTERM", n = 2 }, table.pack(child:wait()))
    assert.is_true(child.timed_out)
  end)

  it("ends though it ignores SIGTERM, and with it its group", function()
    local child = spawn("sh", { "-c", [[
      trap '' TERM; sh -c 'trap "" TERM; echo $$; while :; do sleep 1; done' & while :; do sleep 1; done
    ]] }, { stdout = "pipe", timeout = 0.3, grace = 0.05 })
    local grandchild = tonumber(child.stdout:read_until("\n"))
    if grandchild then -- was in time to ignore it
      assert.same({ 137, "SIGKILL", n = 2 }, table.pack(child:wait()))
      assert.is_true(wait_until_gone(grandchild))
    end
    child:wait()
    assert.is_true(child.timed_out)
  end)

  it("leaves a grace to those in the group who outlive it, and no more", function()
    local child = spawn("sh", { "-c", [[
      sh -c 'trap "" TERM; echo $$; while :; do sleep 1; done' & read x
    ]] }, { stdin = "pipe", stdout = "pipe", group = true, grace = 0.2 })
    local grandchild = assert(tonumber(child.stdout:read_until("\n")))
    child:terminate()
    assert.same({ 143, "SIGTERM", n = 2 }, table.pack(child:wait()))
    assert.is_true(wait_until_gone(grandchild))
  end)

  it("is not touched by a timeout that it keeps", function()
    local child = spawn("true", {}, { timeout = 60 })
    assert.equal(0, child:wait())
    assert.is_false(child.timed_out)
  end)

  it("signals the whole group, also when it has ended itself", function()
    local child = spawn("sh", { "-c", "sleep 60 & echo $!" }, { stdout = "pipe", group = true })
    local grandchild = assert(tonumber(child.stdout:read_until("\n")))
    assert.equal(0, child:wait())
    assert.is_true(child:kill_group("SIGKILL"))
    assert.is_true(wait_until_gone(grandchild))
    local alone = spawn("true", {}, { group = true })
    alone:wait()
    assert_failure("ESRCH", "kill group " .. alone.pid, alone:kill_group())
    assert.has_error(function() spawn("true"):kill_group() end,
      "child:kill_group: it has no group of its own: spawn it with group = true")
  end)

  it("is terminated, and its pipes closed, by a <close> variable", function()
    local pid, pipe
    do
      local child <close> = assert(process.spawn("cat", {}, { stdin = "pipe" }))
      pid, pipe = child.pid, child.stdin
    end
    assert_failure("ECLOSED", "write stdin of process " .. pid, pipe:write("x"))
    wait_until_gone(pid)
  end)

  it("is reaped when nobody holds it", function()
    local pid = assert(process.spawn("true")).pid
    collectgarbage()
    collectgarbage()
    wait_until_gone(pid)
    for _ = 1, 2000 do
      if not process.kill(pid, 0) then break end
      timer.sleep(0.005)
    end
    assert_failure("ESRCH", "kill " .. pid, process.kill(pid, 0))
  end)

  it("keeps luaserve alive, unless unref says otherwise", function()
    local code = [[
      local process = require "luaserve.process"
      local child = process.spawn("sh", {"-c", "read x; echo ended"}, {stdin = "inherit"})
      if ... == "unref" then child:unref() end
      if ... == "wait" then child:unref(); print((child:wait())) end
    ]]
    assert.equal("ended\n", child_of.script(code, { input = "x\n" }).out)
    assert.equal("ended\n0\n", child_of.script(code, { input = "x\n", arguments = { "wait" } }).out)
    local unref = [[
      local child = require("luaserve.process").spawn("sleep", {"60"}):unref()
      print(child.pid)
    ]]
    local result = child_of.script(unref)
    local pid = assert(tonumber(result.out))
    assert.same({ 0, "" }, { result.status, result.err })
    assert.is_true(process.kill(pid, "SIGKILL"))
  end)
end)

local function count_fds()
  collectgarbage() -- files that nobody closed
  collectgarbage()
  return #assert(fs.readdir("/proc/self/fd"))
end

-- Children of this process, zombies among them.
local function count_children()
  local count = 0
  for _, name in ipairs(assert(fs.readdir("/proc"))) do
    local file = name:find("^%d+$") and io.open("/proc/" .. name .. "/stat")
    if file then
      local ppid = (file:read("a") or ""):match("^%d+ .*%) %a (%d+)")
      file:close()
      if tonumber(ppid) == process.pid then count = count + 1 end
    end
  end
  return count
end

describe("a thousand children", function()
  it("leave no zombie and no descriptor", function()
    process.run("true") -- what is opened once, for the first child
    local fds = count_fds()
    assert.equal(0, count_children())
    local failed = 0
    local tasks = {}
    for i = 1, 8 do
      tasks[i] = task.spawn(function()
        for _ = 1, 125 do
          local child = assert(process.spawn("true", {}, { stdin = "pipe", stdout = "pipe", stderr = "pipe" }))
          if child:wait() ~= 0 then failed = failed + 1 end
          child:close()
        end
      end)
    end
    for _, t in ipairs(tasks) do
      t:join()
    end
    for _ = 1, 50 do
      assert_failure("ENOENT", "spawn '/nonexistent'", process.spawn("/nonexistent", {}, { stdout = "pipe" }))
    end
    timer.sleep(0.001)
    assert.equal(0, failed)
    assert.equal(fds, count_fds())
    assert.equal(0, count_children())
  end)
end)
