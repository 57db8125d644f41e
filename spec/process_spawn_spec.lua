-- SPDX-License-Identifier: MIT
-- process.spawn: programs that are started, their streams and their environment.

local child_of = require("spec.support.process") -- other luaserves
local children = require("spec.support.children")
local failures = require("spec.support.failures")
local kept = require("spec.support.kept")
local net = require("luaserve.net")
local process = require("luaserve.process")
local task = require("luaserve.task")

local assert_failure, keep = failures.assert_plain_failure, kept.keep
local run, shell, spawn = children.run, children.shell, children.spawn

after_each(function() children.clean_up() end)

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

  it("makes pipes into which nothing can be written once they are shut down, as sockets", function()
    local child = shell("cat")
    child.stdin:shutdown()
    for _ = 1, 2 do -- at once, and when the pipe has been closed, which is how the program hears of it
      assert.error_matches(function() child.stdin:write("x") end, "after socket:shutdown nothing can be written")
      assert.equal("", child.stdout:read_all())
    end
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
      { "option 'cwd' must not have a NUL in it", "true", {}, { cwd = "/\0" } },
    }
    for _, case in ipairs(cases) do
      local ok, err = pcall(process.spawn, table.unpack(case, 2))
      assert.is_false(ok, case[1])
      assert.matches(case[1], err, 1, true)
    end
  end)
end)
