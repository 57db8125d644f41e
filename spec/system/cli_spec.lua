-- SPDX-License-Identifier: MIT
--- The command line: its options, what scripts are given, and the status with which programs end.

local process = require "spec.support.process"

local function assert_usage_error(result, ...)
  assert.equal(2, result.status)
  assert.equal("", result.out)
  for _, part in ipairs { ... } do
    assert.is_truthy(result.err:find(part, 1, true), part .. " is not in: " .. result.err)
  end
  assert.matches("Try 'luaserve %-%-help'%.\n$", result.err)
end

describe("the command line", function()
  after_each(process.clean_up)

  it("prints its version, and those of the libraries", function()
    for _, option in ipairs { "--version", "-v" } do
      local result = process.run { option }
      assert.equal(0, result.status)
      assert.equal("", result.err)
      local first, second = result.out:match("^([^\n]*)\n([^\n]*)\n$")
      assert.matches("^luaserve %d+%.%d+%.%d+ %(Lua 5%.4%.%d+, libuv 1%.%d+%.%d+%)$", first)
      assert.matches("^llhttp %d+%.%d+%.%d+, OpenSSL %d.*, c%-ares %d+%.%d+%.%d+, zlib %d", second)
    end
  end)

  it("prints help that fits a terminal", function()
    for _, option in ipairs { "--help", "-h" } do
      local result = process.run { option }
      assert.equal(0, result.status)
      assert.equal("", result.err)
      local lines = 0
      for line in result.out:gmatch("[^\n]*\n") do
        lines = lines + 1
        assert.is_true(#line - 1 <= 80, line)
      end
      assert.is_true(lines <= 24)
      local names = "port host listen grace globals slow-limit cpu-limit hang-limit request-memory memory-limit " ..
        "trace pool-threads execute version help"
      for option_name in names:gmatch("%S+") do
        assert.is_truthy(result.out:find("--" .. option_name, 1, true), option_name)
      end
    end
  end)

  it("names an unknown option and the one probably meant", function()
    assert_usage_error(process.run { "--prot", "80", "app.lua" }, "unknown option '--prot'", "did you mean '--port'?")
    assert_usage_error(process.run { "--prot=80", "app.lua" }, "unknown option '--prot", "did you mean '--port'?")
    assert_usage_error(process.run { "--pool-treads=2", "app.lua" }, "did you mean '--pool-threads'?")
    assert_usage_error(process.run { "--watch", "app.lua" }, "unknown option '--watch' (did you mean '--dev'?)")
    assert_usage_error(process.run { "--reload", "app.lua" }, "unknown option '--reload' (did you mean '--dev'?)")
    assert_usage_error(process.run { "--po=2", "app.lua" }, "'--po")
    assert_usage_error(process.run { "--tls", "app.lua" }, "unknown option '--tls'")
    assert_usage_error(process.run { "-x", "app.lua" }, "unknown option '-x'")
    assert_usage_error(process.run { "--dev", "-xz", "app.lua" }, "unknown option '-x'")
    assert.not_matches("did you mean", process.run({ "--completely-different" }).err)
  end)

  it("names an option with a bad value, and the value", function()
    for _, case in ipairs {
      { "--port", "http" }, { "--port", "65536" }, { "--port", "-1" }, { "--port", "" }, { "--port", "80x" },
      { "--grace", "soon" }, { "--grace", "-1" }, { "--grace", "99999999999999999999" },
      { "--globals", "shut" }, { "--pool-threads", "0" }, { "--pool-threads", "1.5" },
    } do
      assert_usage_error(process.run { case[1], case[2], "app.lua" }, case[1], "'" .. case[2] .. "'")
    end
    assert_usage_error(process.run { "-p", "x", "app.lua" }, "'--port'")
  end)

  it("says how often an option can be given", function()
    local arguments = {}
    for i = 1, 17 do arguments[i] = "--listen=:0" end
    assert_usage_error(process.run(arguments), "option '--listen' can be given 16 times, not more")
  end)

  it("names an option that wants a value and has none", function()
    assert_usage_error(process.run { "--port" }, "'--port'", "wants a value")
    assert_usage_error(process.run { "-p" }, "'-p'", "wants a value")
    assert_usage_error(process.run { "-e" }, "'-e'", "wants a value")
  end)

  it("refuses a value for an option that takes none", function()
    assert_usage_error(process.run { "--version=2" }, "option '--version' takes no value")
  end)

  it("gives a script its arguments, in arg and in ...", function()
    local code = [[
      print(#arg, arg[1], arg[2], arg[3])
      print(select("#", ...), ...)
      print(arg[0], arg[-1] ~= nil)
    ]]
    local result = process.script(code, { arguments = { "one", "--port", "" } })
    assert.equal("", result.err)
    assert.equal(0, result.status)
    assert.equal(("3\tone\t--port\t\n3\tone\t--port\t\n%s\ttrue\n"):format(result.path), result.out)
  end)

  it("runs code given with -e", function()
    local result = process.run { "-e", "print(_VERSION, ...)", "a", "-b" }
    assert.same({ status = 0, out = "Lua 5.4\ta\t-b\n", err = "" }, result)
    assert.equal("8\n", process.run({ "--execute=print(3 + 5)" }).out)
  end)

  it("lets code given with -e wait", function()
    local result = process.run { "-e", "require('luaserve.timer').sleep(0.001) print('slept')" }
    assert.same({ status = 0, out = "slept\n", err = "" }, result)
  end)

  it("serves a function that code given with -e returns", function()
    local server = process.serve { "-p", "0", "-e", "return function(req, res) res:send(req.path) end" }
    assert.equal("/inline", server:request("/inline").body)
    local status, err = server:stop()
    assert.equal("", err)
    assert.equal(0, status)
  end)

  it("reads a script named - from standard input", function()
    local result = process.run({ "-", "x" }, { input = "print('read', ...)" })
    assert.same({ status = 0, out = "read\tx\n", err = "" }, result)
  end)

  it("reads scripts that begin with #!", function()
    local result = process.script("#!/usr/bin/env luaserve\nprint(debug.getinfo(1, 'l').currentline)")
    assert.equal("2\n", result.out)
    assert.equal(0, result.status)
  end)

  it("finds modules beside the script, wherever it is run from", function()
    local folder = os.tmpname()
    os.remove(folder)
    os.execute(("mkdir -p %s/part"):format(folder))
    for name, text in pairs {
      ["app.lua"] = "print((require('beside')), (require('part')))", ["beside.lua"] = "return 'a module'",
      ["part/init.lua"] = "return 'a folder'",
    } do
      os.rename(process.temporary(text), folder .. "/" .. name)
    end
    local luaserve = process.luaserve
    if not luaserve:find("^/") then luaserve = process.shell("pwd").out:gsub("\n", "") .. "/" .. luaserve end
    local result = process.run { folder .. "/app.lua" }
    local inside = process.shell("exec " .. process.quote(luaserve) .. " app.lua", { cwd = folder })
    os.execute("rm -r " .. folder)
    assert.same({ status = 0, out = "a module\ta folder\n", err = "" }, result)
    assert.same(result, inside)
  end)

  it("serves a returned handler on the port and the address that were asked for", function()
    local server = process.serve { "--port=0", "--host", "127.0.0.2", "examples/hello.lua" }
    assert.equal("127.0.0.2", server.host)
    assert.equal(200, server:request("/").status)
    assert.equal(("luaserve: examples/hello.lua is served on http://127.0.0.2:%d"):format(server.port),
      server.output[#server.output])
    local other = process.serve { "--host=127.0.0.1", "-p", tostring(server.port), "examples/hello.lua" }
    assert.equal(server.port, other.port)
    server:stop()
    other:stop()
  end)

  it("writes an IPv6 address as URLs have it", function()
    local ok, server = pcall(process.serve, { "--host=::1", "-p0", "examples/hello.lua" })
    if not ok then return pending("no IPv6 here") end
    assert.equal("[::1]", server.host)
    server:stop()
  end)

  it("serves a table that can be called", function()
    local server = process.serve_code [[
      return setmetatable({ greeting = "hi" }, { __call = function(self, req, res) res:send(self.greeting) end })
    ]]
    assert.equal("hi", server:request("/").body)
    server:stop()
  end)

  it("sizes the thread pool and says when it is small", function()
    local code = "return function(req, res) res:send((require 'luaserve.fs'.read_file('LICENSE'))) end"
    local server = process.serve_code(code, { options = { "--pool-threads", "1" } })
    assert.equal(200, server:request("/").status)
    local status, err = server:stop()
    assert.equal(0, status)
    assert.matches("a pool of 1: with fewer than 4 threads", err)
    assert.matches("a pool of 2", process.run({ "-e", "" }, { env = "UV_THREADPOOL_SIZE=2" }).err)
    assert.equal("", process.run({ "-e", "" }, { env = "UV_THREADPOOL_SIZE=4" }).err)
  end)
end)

describe("standard streams", function()
  local round_trip = [[
    local client, http = require "spec.support.client", require "luaserve.http"
    local server = http.create_server(function(_, res)
      print("printed")
      io.stderr:write("written")
      res:send("sent")
    end)
    assert(server:listen { host = "127.0.0.1", port = 0 })
    local body = client.request(server:address(), {}).body
    os.exit(body == "sent" and 7 or 8, true)
  ]]

  local function run(redirection)
    return process.shell(("exec %s -e %s %s"):format(process.quote(process.luaserve), process.quote(round_trip),
      redirection))
  end

  it("that are closed are not taken for sockets", function()
    assert.same({ status = 7, out = "printed\n", err = "written" }, run "")
    assert.same({ status = 7, out = "printed\n", err = "written" }, run "<&-")
    assert.same({ status = 7, out = "", err = "written" }, run ">&-")
    assert.same({ status = 7, out = "printed\n", err = "" }, run "2>&-")
    assert.same({ status = 7, out = "", err = "" }, run "<&- >&- 2>&-")
  end)

  it("that nobody reads do not end the program", function()
    local code = "while io.stdout:write('x') and io.stdout:flush() do end io.stderr:write('went on')"
    local result = process.shell(("%s -e %s | true"):format(process.quote(process.luaserve), process.quote(code)))
    assert.same({ status = 0, out = "", err = "went on" }, result)
  end)

  it("that are full do not hold up a server", function()
    local result = process.shell(("exec %s -e %s >/dev/full"):format(process.quote(process.luaserve),
      process.quote(round_trip)))
    assert.equal(7, result.status)
  end)
end)

describe("the exit status", function()
  it("is 0 when the main chunk and what it started have ended", function()
    assert.equal(0, process.script("").status)
    local result = process.script [[
      require "luaserve.timer".after(0.001, function() print("timer") end)
      require "luaserve.task".spawn(function() require "luaserve.timer".sleep(0.002) print("task") end)
      print("end of the chunk")
    ]]
    assert.same({ 0, "end of the chunk\ntimer\ntask\n", "" }, { result.status, result.out, result.err })
  end)

  it("is not held up by timers without a reference", function()
    local result = process.script("require 'luaserve.timer'.every(3600, function() end):unref()")
    assert.same({ 0, "" }, { result.status, result.err })
  end)

  it("is what os.exit says", function()
    for argument, status in pairs {
      ["0"] = 0, ["3"] = 3, ["true"] = 0, ["false"] = 1, [""] = 0, ["2, true"] = 2, ["true, true"] = 0,
    } do
      local result = process.script(("print 'before' os.exit(%s) print 'after'"):format(argument))
      assert.same({ status, "before\n", "" }, { result.status, result.out, result.err }, "os.exit(" .. argument .. ")")
    end
  end)

  it("is what os.exit says in tasks, timers and callbacks", function()
    for _, code in ipairs {
      "require 'luaserve.timer'.after(0.001, function() os.exit(4) end)",
      "require 'luaserve.timer'.sleep(0.001) os.exit(4)",
      "require 'luaserve.task'.spawn(os.exit, 4) require 'luaserve.timer'.sleep(60)",
      "require 'luaserve.fs'.stat('.', function() os.exit(4, true) end)",
      "coroutine.wrap(function() os.exit(4, true) end)()",
      "pcall(os.exit, 4, true) print('after')",
    } do
      assert.same({ status = 4, out = "", err = "" }, process.run { "-e", code }, code)
    end
  end)

  it("has os.exit(n, true) close what is open", function()
    local result = process.script [[
      setmetatable({}, { __gc = function() print("collected") end })
      os.exit(5, true)
    ]]
    assert.same({ 5, "collected\n", "" }, { result.status, result.out, result.err })
  end)

  it("is 1 with a traceback when the script raises", function()
    local result = process.script "local function inner()\n  error('went wrong')\nend\ninner()\n"
    assert.equal(1, result.status)
    assert.equal("", result.out)
    assert.is_truthy(result.err:find(("luaserve: %s:2: went wrong\nstack traceback:\n"):format(result.path), 1, true))
    assert.matches(":4: in main chunk", result.err)
  end)

  it("is 1 with a traceback when the script raises after it has waited", function()
    local result = process.script "require 'luaserve.timer'.sleep(0.001)\nlocal t = nil\nt.x = 1\n"
    assert.equal(1, result.status)
    assert.matches(":3: attempt to index a nil value %(local 't'%)\nstack traceback:", result.err)
  end)

  it("is 1 when the script raises something that is no text", function()
    for code, text in pairs {
      ["error({})"] = "table", ["error(nil)"] = "nil", ["error(42)"] = "42", ["error(print)"] = "function",
      ["error(setmetatable({}, { __tostring = function() return 'an object' end }))"] = "an object",
      ["error(setmetatable({}, { __tostring = function() error('worse') end }))"] = "",
    } do
      local result = process.script(code)
      assert.equal(1, result.status, code)
      assert.is_truthy(result.err:find(text, 1, true), code .. " gives " .. result.err)
      assert.matches("^luaserve: ", result.err)
    end
  end)

  it("is 1 when the script waits for what can no longer happen, and says where it waits", function()
    local result = process.script [[
      local task = require "luaserve.task"
      local first, second
      first = task.spawn(function() second:join() end)
      second = task.spawn(function() first:join() end)
      first:join()
    ]]
    assert.equal(1, result.status)
    assert.matches("^luaserve: the script waits for something that can no longer happen", result.err)
    assert.is_truthy(result.err:find(result.path .. ":5: in main chunk", 1, true), result.err)
  end)
end)

describe("luaserve test", function()
  local function run_spec(code, output, option)
    local path = process.temporary(code)
    os.rename(path, path .. "_spec.lua")
    local result = process.run({ "test", "-o", output or "TAP", path .. "_spec.lua", option })
    os.remove(path .. "_spec.lua")
    return result
  end

  it("has failed where a signal ends it, whatever its specs serve", function()
    local path = process.temporary([[
      it("waits", function()
        require "luaserve.http".create_server(print):listen { host = "127.0.0.1", port = 0 }
        print "here"
        io.stdout:flush()
        require "luaserve.timer".sleep(60)
      end)]])
    os.rename(path, path .. "_spec.lua")
    for name, number in pairs { INT = 2, TERM = 15 } do
      local run = process.serve({ "test", "-o", "TAP", path .. "_spec.lua" }, { ready = "here" })
      run:signal(name)
      local status, err = run:wait()
      assert.equal(128 + number, status)
      assert.matches("^luaserve: interrupted by SIG" .. name .. "\n", err)
    end
    os.remove(path .. "_spec.lua")
  end)

  it("ends with 0 when all specs hold", function()
    local result = run_spec "it('holds', function() require 'luaserve.timer'.sleep(0.001) assert.is_true(true) end)"
    assert.equal(0, result.status)
    assert.matches("ok 1 %- holds", result.out)
  end)

  it("ends also when specs have left something open", function()
    local result = run_spec([[
      it("leaves a server and a timer", function()
        assert(require("luaserve.http").create_server(print):listen({ host = "127.0.0.1", port = 0 }))
        require("luaserve.timer").every(1, print)
      end)]], "TAP", "--helper=luaserve") -- instead of this project's own check for that
    assert.equal(0, result.status)
    assert.matches("ok 1 %- leaves a server and a timer", result.out)
  end)

  it("ends with 1 when one fails", function()
    local result = run_spec "it('fails', function() assert.equal(1, 2) end) it('holds', function() end)"
    assert.equal(1, result.status)
    assert.matches("not ok 1 %- fails", result.out)
    assert.matches("ok 2 %- holds", result.out)
  end)

  it("counts a failure after a wait", function()
    local result = run_spec [[
      local timer = require "luaserve.timer"
      it("fails late", function() timer.sleep(0.001) assert.equal(1, 2) end)
      it("raises late", function() timer.sleep(0.001) error("late") end)
      it("goes on", function() timer.sleep(0.001) end)
    ]]
    assert.equal(1, result.status)
    assert.matches("not ok 1 %- fails late", result.out)
    assert.matches("not ok 2 %- raises late", result.out)
    assert.matches("\nok 3 %- goes on", result.out)
  end)

  it("logs an error inside a callback", function()
    local result = run_spec [[
      it("has a callback", function()
        require "luaserve.timer".after(0.001, function() error("in a callback") end)
        require "luaserve.timer".sleep(0.01)
      end)
    ]]
    assert.matches("in a callback", result.err)
    assert.matches("ok 1 %- has a callback", result.out)
  end)

  it("waits in hooks and never seals globals", function()
    local result = run_spec [[
      local timer, http = require "luaserve.timer", require "luaserve.http"
      local client = require "spec.support.client"
      local order = {}
      before_each(function() timer.sleep(0.001) order[#order + 1] = "before" end)
      after_each(function() timer.sleep(0.001) order[#order + 1] = "after" end)
      it("one", function()
        local server = http.create_server(function(_, res) a_global = 1 res:send("") end)
        server:listen { host = "127.0.0.1", port = 0 }
        assert.equal(200, client.request(server:address(), {}).status)
        assert.equal(1, a_global)
        server:close()
      end)
      it("two", function() assert.same({ "before", "after", "before" }, order) end)
    ]]
    assert.equal("", result.err)
    assert.equal(0, result.status)
  end)

  it("names a spec with an error of syntax", function()
    local result = run_spec("it('is broken', function( end)", "plainTerminal")
    assert.equal(1, result.status)
    assert.matches("_spec.lua:1:", result.out .. result.err)
  end)

  it("names busted where it cannot be loaded", function()
    local result = process.run({ "test" }, { env = "LUA_PATH=/none/?.lua LUA_CPATH=/none/?.so" })
    assert.same({ 1, "" }, { result.status, result.out })
    assert.is_truthy(result.err:find("luaserve: test needs busted, which cannot be loaded (Debian: apt-get install " ..
      "lua-busted)\nmodule 'busted.runner' not found:\n\tand none in 3 other places", 1, true), result.err)
  end)

  it("takes busted's options", function()
    assert.matches("%-%-exclude%-tags", process.run({ "test", "--help" }).err)
    local result = process.run { "test", "--no-such-option" }
    assert.equal(1, result.status)
    assert.matches("%-%-no%-such%-option", result.err)
  end)
end)
