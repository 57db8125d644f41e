-- SPDX-License-Identifier: MIT
-- process: children, signals, the end of the program, and what it tells of itself.

local fs = require("luaserve.fs")
local net = require("luaserve.net")
local process = require("luaserve.process")
local task = require("luaserve.task")
local timer = require("luaserve.timer")
local child_of = require("spec.support.process") -- other luaserves

local open = {} -- closed after each case

local function keep(handle)
  open[#open + 1] = handle
  return handle
end

local function spawn(...)
  return keep(assert(process.spawn(...)))
end

-- A shell whose standard streams are pipes.
local function shell(code, options)
  options = options or {}
  for _, name in ipairs({ "stdin", "stdout", "stderr" }) do
    options[name] = options[name] or "pipe"
  end
  return spawn("sh", { "-c", code }, options)
end

local function run(code, options)
  return assert(process.run("sh", { "-c", code }, options))
end

-- A failure's three values: the code is checked, the message begins with it and ends with what failed.
local function assert_failure(code, what, ...)
  local value, message, got = ...
  assert.is_nil(value)
  assert.equal(code, got)
  assert.equal(code .. ": ", message:sub(1, #code + 2))
  assert.equal(what, message:sub(-#what))
end

-- A task that has begun to wait in fn when this returns: tasks run in the order in which they were spawned.
local function waiting(fn, ...)
  local t = task.spawn(fn, ...)
  task.spawn(function() end):join()
  assert.equal("waiting", t:status())
  return t
end

-- A function that waits for the call of another one and returns its arguments, and that other one.
local function gate()
  local arguments
  local waiter = task.spawn(timer.sleep, 60)
  return function()
    pcall(waiter.join, waiter)
    assert(arguments, "waited in vain")
    return table.unpack(arguments, 1, arguments.n)
  end, function(...)
    arguments = table.pack(...)
    waiter:cancel()
  end
end

-- Waits until nobody has this number: as init may be slow to reap what is not our child, zombies count as gone.
local function wait_until_gone(pid)
  for _ = 1, 2000 do
    local file = io.open(("/proc/%d/stat"):format(pid))
    if not file then return true end
    local state = file:read("a"):match("^.*%) (%a)")
    file:close()
    if state == "Z" then return true end
    timer.sleep(0.005)
  end
  error(("process %d is still there"):format(pid))
end

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

after_each(function()
  for i = #open, 1, -1 do
    local handle = open[i]
    open[i] = nil
    handle:close()
    if handle.wait then handle:wait() end
  end
  child_of.clean_up()
end)

describe("process.spawn", function()
  it("gives output, errors and the exit status", function()
    local child = shell("echo out; echo err >&2; exit 3")
    assert.equal("out\n", child.stdout:read_all())
    assert.equal("err\n", child.stderr:read_all())
    assert.same({ 3, n = 1 }, table.pack(child:wait()))
    assert.equal(3, child.status)
    assert.is_nil(child.signal)
    assert.equal("child (pid " .. child.pid .. ", status 3)", tostring(child))
  end)

  it("passes arguments as they are, without a shell", function()
    local child = spawn("printf", { "%s|", "a b", "$HOME", "", "*", 7, "\xff'\"" }, { stdout = "pipe" })
    assert.equal("a b|$HOME||*|7|\xff'\"|", child.stdout:read_all())
    assert.equal(0, child:wait())
  end)

  it("moves a megabyte both ways through cat", function()
    local data = {}
    for i = 1, 131072 do
      data[i] = ("%07d\n"):format(i)
    end
    data = table.concat(data)
    local child = spawn("cat", {}, { stdin = "pipe", stdout = "pipe" })
    local writer = task.spawn(function()
      assert(child.stdin:write(data))
      child.stdin:close()
    end)
    local got = assert(child.stdout:read_all())
    writer:join()
    assert.equal(#data, #got)
    assert.is_true(data == got)
    assert.equal(0, child:wait())
  end)

  it("reads lines while the child runs", function()
    local child = shell("while read line; do echo \"<$line>\"; done")
    local lines = child.stdout:lines()
    for _, word in ipairs({ "one", "two" }) do
      assert(child.stdin:write(word .. "\n"))
      assert.equal("<" .. word .. ">", lines(child.stdout))
    end
    child.stdin:close()
    assert.is_nil(lines(child.stdout))
    assert.equal(0, child:wait())
  end)

  it("tells the child of a closed output, and us of a closed input", function()
    local endless = spawn("yes", {}, { stdout = "pipe" })
    assert.equal("y\n", endless.stdout:read_exactly(2))
    endless.stdout:close()
    assert.same({ 128 + 13, "SIGPIPE", n = 2 }, table.pack(endless:wait()))
    local deaf = spawn("true", {}, { stdin = "pipe" })
    deaf:wait()
    assert_failure("EPIPE", "write stdin of process " .. deaf.pid, deaf.stdin:write("x"))
  end)

  it("has no pipes unless they are asked for, and reads nothing", function()
    local child = spawn("cat", {}, { stdout = "null" })
    assert.is_nil(child.stdin)
    assert.is_nil(child.stdout)
    assert.is_nil(child.stderr)
    assert.equal(0, child:wait())
  end)

  it("sends stderr where stdout goes, and either to a descriptor", function()
    local child = spawn("sh", { "-c", "echo a; echo b >&2; echo c" }, { stdout = "pipe", stderr = "stdout" })
    assert.equal("a\nb\nc\n", child.stdout:read_all())
    local result = child_of.script([[
      local process = require "luaserve.process"
      process.spawn("echo", {"to 2"}, {stdout = 2}):wait()
      process.spawn("echo", {"to 1"}):wait()
      process.spawn("cat", {}, {stdin = "inherit"}):wait()
    ]], { input = "from 0\n" })
    assert.same({ status = 0, out = "to 1\nfrom 0\n", err = "to 2\n", path = result.path }, result)
  end)

  it("replaces the environment", function()
    local child = spawn("/usr/bin/env", {}, { env = { A = "1", B = "x=y", C = 3 }, stdout = "pipe" })
    local lines = {}
    for line in child.stdout:lines() do
      lines[#lines + 1] = line
    end
    table.sort(lines)
    assert.same({ "A=1", "B=x=y", "C=3" }, lines)
    assert.equal("", run("exec /usr/bin/env", { env = {} }).stdout:gsub("PWD=[^\n]*\n", ""):gsub("_=[^\n]*\n", "")
      :gsub("SHLVL=[^\n]*\n", ""):gsub("OLDPWD\n", ""))
  end)

  it("inherits the environment as process.env has it", function()
    process.env.LUASERVE_SPEC = "inherited"
    local text = run("echo $LUASERVE_SPEC").stdout
    process.env.LUASERVE_SPEC = nil
    assert.equal("inherited\n", text)
  end)

  it("looks the command up in the PATH of env", function()
    assert_failure("ENOENT", "spawn 'sh'", process.spawn("sh", {}, { env = { PATH = "/nonexistent" } }))
  end)

  it("starts in a folder", function()
    local child = spawn("pwd", {}, { cwd = "/", stdout = "pipe" })
    assert.equal("/\n", child.stdout:read_all())
  end)

  it("tells why a program cannot be started", function()
    assert_failure("ENOENT", "spawn 'no such program'", process.spawn("no such program"))
    assert_failure("ENOENT", "spawn 'true' in '/nonexistent'", process.spawn("true", {}, { cwd = "/nonexistent" }))
    assert_failure("EACCES", "spawn '/etc/passwd'", process.spawn("/etc/passwd"))
  end)

  it("gives no descriptor of ours to the child but its three", function()
    local function list()
      return run("for fd in /proc/$$/fd/*; do echo ${fd##*/}; done").stdout
    end
    local before = list()
    local file = assert(io.open("/dev/null"))
    keep(assert(net.listen({ host = "127.0.0.1" }, function() end)))
    shell("read x")
    local after = list()
    file:close()
    assert.equal(before, after)
  end)

  it("makes pipes that can be opened by name and end when they are shut down", function()
    local child = shell("cat /dev/stdin > /dev/stdout")
    assert(child.stdin:write("through"))
    assert.is_true(child.stdin:shutdown())
    assert.equal("through", child.stdout:read_all())
    assert.equal("socket (stdout of process " .. child.pid .. ")", tostring(child.stdout))
    assert_failure("EPIPE", "write stdout of process " .. child.pid, child.stdout:write("x"))
  end)

  it("sets user and group", function()
    if run("id -u").stdout ~= "0\n" then return pending("only root can") end
    assert.equal("uid=65534 gid=65533", run("echo uid=$(id -u) gid=$(id -g)", { uid = 65534, gid = 65533 }).stdout
      :gsub("\n", ""))
    assert.equal("65533\n", run("id -G", { uid = 65534, gid = 65533 }).stdout)
  end)

  it("refuses what cannot be meant", function()
    local cases = {
      { "bad argument #1", {} },
      { "bad argument #2", "true", "x" },
      { "process.spawn: the command is empty", "" },
      { "process.spawn: the command must not have a NUL in it", "a\0b" },
      { "process.spawn: an argument must not have a NUL in it", "true", { "a\0b" } },
      { "process.spawn: an argument must be a string, not a boolean", "true", { true } },
      { "the arguments are a list of strings; options come after it", "true", { cwd = "/" } },
      { "unknown option 'cmd'", "true", {}, { cmd = "/" } },
      { "(did you mean 'stdout'?)", "true", {}, { stdot = "pipe" } },
      { "option 'stdout' cannot be 'pip' (did you mean 'pipe'?)", "true", {}, { stdout = "pip" } },
      { "option 'stdout' must be \"null\", \"inherit\", \"pipe\" or a file descriptor, not 'out.txt'", "true", {},
        { stdout = "out.txt" } },
      { "option 'stdin' must be from 0 to", "true", {}, { stdin = -1 } },
      { "option 'env' must be a table", "true", {}, { env = "A=1" } },
      { "env cannot have the name 'A=B'", "true", {}, { env = { ["A=B"] = "" } } },
      { "a value in env must be a string, not a boolean", "true", {}, { env = { A = true } } },
      { "a name in env must be a string, not a number", "true", {}, { env = { "A=1" } } },
      { "option 'uid' must be from 0 to", "true", {}, { uid = -1 } },
      { "option 'timeout' must be seconds", "true", {}, { timeout = -1 } },
      { "cwd must not have a NUL in it", "true", {}, { cwd = "/\0" } },
    }
    for _, case in ipairs(cases) do
      local ok, err = pcall(process.spawn, table.unpack(case, 2))
      assert.is_false(ok, case[1])
      assert.matches(case[1], err, 1, true)
    end
  end)
end)

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

describe("the end", function()
  local hooks = [[
    local process = require "luaserve.process"
    process.on_exit(function(status) print("first", status) end)
    process.on_exit(function(status) error("on purpose") end)
    local closed = process.on_exit(function(status) print("closed", status) end)
    process.on_exit(function(status) print("last", status) end)
    closed:close()
  ]]

  local function check(result, status)
    assert.equal(status, result.status)
    assert.equal(("last\t%d\nfirst\t%d\n"):format(status, status), result.out)
    assert.matches("error in an exit hook: .*on purpose", result.err)
  end

  it("calls the hooks, the last one first, and goes on past an error", function()
    check(child_of.script(hooks), 0)
    check(child_of.script(hooks .. "process.exit()"), 0)
    check(child_of.script(hooks .. "process.exit(7)"), 7)
    check(child_of.script(hooks .. "process.exit(false)"), 1)
    check(child_of.script(hooks .. "os.exit(5, true)"), 5)
    check(child_of.script(hooks .. "error('the script fails')"), 1)
    check(child_of.script(hooks .. "require('luaserve.timer').after(0.001, function() process.exit(9) end)"), 9)
    check(child_of.script(hooks .. "(('x'):gsub('x', function() process.exit(4) end))"), 4)
  end)

  it("calls the hooks at a signal, with and without a server", function()
    local server = child_of.serve_code(hooks .. "return function(_, res) res:send('ok') end")
    server:signal("TERM")
    assert.equal("last\t0", server:read_line())
    assert.equal("first\t0", server:read_line())
    assert.equal(0, (server:wait()))
    local alone = child_of.script(hooks .. [[
      process.kill(process.pid, "SIGTERM")
      require("luaserve.timer").sleep(60)
    ]])
    check(alone, 143)
  end)

  it("runs <close> variables and finalizers after process.exit", function()
    local result = child_of.script([[
      local process = require "luaserve.process"
      local a <close> = setmetatable({}, { __close = function() print("closed") end })
      b = setmetatable({}, { __gc = function() print("collected") end })
      process.exit(2)
      print("not reached")
    ]])
    assert.equal(2, result.status)
    assert.equal("closed\ncollected\n", result.out)
  end)

  it("lets a hook wait for nothing, start nothing, and not exit again", function()
    local result = child_of.script([[
      local process, timer = require "luaserve.process", require "luaserve.timer"
      process.on_exit(function()
        print(pcall(timer.sleep, 0.001))
        print(pcall(process.spawn, "true"))
        print(pcall(process.exit, 3))
        print(pcall(process.on_exit, print))
        print(pcall(process.on, "SIGHUP", print))
      end)
    ]])
    assert.same({ 0, "" }, { result.status, result.err })
    assert.equal("false\ttimer.sleep cannot start: the program is ending\n" ..
      "false\tprocess.spawn cannot start: the program is ending\n" ..
      "false\tprocess.exit: the program is ending already\n" ..
      "false\tprocess.on_exit: the program is ending\n" ..
      "false\tprocess.on: the program is ending\n", result.out)
  end)

  it("is refused to a request", function()
    local server = child_of.serve_code([[
      local process = require "luaserve.process"
      return function(_, res) res:send(select(2, pcall(process.exit))) end
    ]])
    assert.matches("process.exit in a request would end every request", server:request("/").body, 1, true)
    assert.equal(0, (server:stop()))
  end)

  it("wants a status that there can be", function()
    assert.has_error(function() process.exit(256) end)
    assert.has_error(function() process.exit(-1) end)
    assert.has_error(function() process.exit("x") end)
    assert.has_error(function() process.on_exit() end)
  end)
end)

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
      print(process.other, process.nothing)
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
    assert.equal("1\tnil", lines[5])
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
