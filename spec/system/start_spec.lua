-- SPDX-License-Identifier: MIT
--- What a person reads when a program starts, and when it does not: the lines at the start, and the likely mistake.

local process = require "spec.support.process"

local function assert_has(text, ...)
  for _, part in ipairs { ... } do
    assert.is_truthy(text:find(part, 1, true), ("%q is not in: %s"):format(part, text))
  end
end

local function make_folder(files)
  local folder = os.tmpname()
  os.remove(folder)
  os.execute("mkdir " .. folder)
  for name, text in pairs(files) do
    os.rename(process.temporary(text), folder .. "/" .. name)
  end
  return folder
end

describe("a program that serves", function()
  after_each(process.clean_up)

  local function lines_of(arguments, options)
    local server = process.serve(arguments, options)
    local output = server.output
    server:stop()
    return table.concat(output, "\n")
  end

  it("says with how many threads, and where", function()
    local text = lines_of { "-p", "0", "--pool-threads", "5", "examples/hello.lua" }
    assert.matches("^luaserve %d+%.%d+%.%d+: 1 loop thread, 5 pool threads\n", text)
    assert.matches("\nluaserve: examples/hello%.lua is served on http://127%.0%.0%.1:%d+$", text)
    assert.matches(": 1 loop thread, 1 pool thread\n", lines_of { "-p0", "--pool-threads=1", "examples/hello.lua" })
  end)

  it("says which options are not as they are by default", function()
    local text = lines_of { "-p", "0", "--cpu-limit", "1", "--slow-limit=0.1", "--memory-limit", "64M", "--trace",
      "--globals=open", "examples/hello.lua" }
    assert_has(text, "\n  --cpu-limit 1 (5)\n", "\n  --memory-limit 64M (no limit)\n", "\n  --trace\n",
      "\n  --globals open (sealed)\n")
    assert.not_matches("slow%-limit", text)
    assert.not_matches("%-%-port", text)
  end)

  it("says so when the limit of open files is low", function()
    local folder = make_folder { ["app.lua"] =
      "require 'luaserve.timer'.after(0.01, function() os.exit(0) end) return function() end" }
    local path = process.quote(folder .. "/app.lua")
    local low = process.shell(("ulimit -n 1000; exec %s -p 0 %s"):format(process.quote(process.luaserve), path))
    local high = process.shell(("ulimit -n 4096; exec %s -p 0 %s"):format(process.quote(process.luaserve), path))
    os.execute("rm -r " .. folder)
    assert_has(low.out, "\n  at most 1000 open files, and a connection is one (ulimit -Hn)\n")
    assert.not_matches("open files", high.out)
  end)

  it("is not coloured where nobody looks", function()
    assert.not_matches("\27", lines_of { "-p", "0", "examples/hello.lua" })
  end)

  it("is coloured on a terminal, unless that is not wanted", function()
    if process.shell("command -v script").status ~= 0 then return pending("script is not installed") end
    local folder = make_folder { ["app.lua"] =
      "require 'luaserve.timer'.after(0.01, function() os.exit(0) end) return function() end" }
    local command = ("%s -p 0 %s/app.lua"):format(process.quote(process.luaserve), folder)
    local function run(env)
      return process.shell(("env %s script -qec %s /dev/null"):format(env, process.quote(command))).out
    end
    local shown = run "-u NO_COLOR TERM=xterm"
    local refused, dumb = run "NO_COLOR=1 TERM=xterm", run "-u NO_COLOR TERM=dumb"
    os.execute("rm -r " .. folder)
    assert.matches("\27%[1mhttp://127%.0%.0%.1:%d+\27%[0m", shown)
    for _, plain in ipairs { refused, dumb } do
      assert.matches("http://127%.0%.0%.1:%d+\r?\n", plain)
      assert.not_matches("\27", plain)
    end
  end)
end)

describe("an option behind the script", function()
  after_each(process.clean_up)

  local function told(...)
    local server = process.serve { "-p", "0", "examples/hello.lua", ... }
    local _, err = server:stop()
    return err
  end

  it("is the script's, of which who starts it is told once", function()
    local text = "luaserve: %s stands behind the script, and is its argument: luaserve %s examples/hello.lua\n"
    assert.equal(text:format("--dev", "--dev"), told "--dev")
    assert.equal(text:format("-p", "-p 3000"), told("-p", "3000", "--trace"))
    assert.equal(text:format("--port=3000", "--port=3000"), told("x", "--port=3000"))
    assert.equal(text:format("--host", "--host"), told "--host")
  end)

  it("is not spoken of where it can be none of luaserve's", function()
    assert.equal("", told("--no-such", "port", "-x", "--portable", "--help", "-e", "x", "--", "--dev"))
    assert.equal("", process.run({ "-e", "print(...)", "--trace" }).err)
    assert.equal("", process.script("print(...)", { arguments = { "--dev" } }).err)
  end)
end)

describe("a program that only runs", function()
  it("has the standard output to itself", function()
    assert.equal("mine\n", process.run({ "--cpu-limit", "1", "-e", "print 'mine'" }).out)
    assert.equal("mine\n", process.script("print 'mine'").out)
    local result = process.script "require 'luaserve.http'.create_server(print):listen(0) os.exit(0)"
    assert.same({ "", "" }, { result.out, result.err })
  end)
end)

describe("a script that is not there", function()
  local folder

  setup(function()
    folder = make_folder { ["server.lua"] = "", ["app.lua"] = "return 1" }
  end)
  teardown(function() os.execute("rm -r " .. folder) end)

  local function assert_told(path, hint)
    local result = process.run { path }
    assert.equal(1, result.status)
    assert_has(result.err, "luaserve: cannot ", path, hint)
    assert.not_matches("traceback", result.err)
  end

  it("is looked for with .lua", function()
    assert_told(folder .. "/server", "\n  did you mean " .. folder .. "/server.lua?\n")
  end)

  it("is looked for under a similar name", function()
    assert_told(folder .. "/servre.lua", "\n  did you mean " .. folder .. "/server.lua?\n")
  end)

  it("is looked for beside names of any length", function()
    local path = folder .. "/" .. ("x"):rep(255)
    assert(io.open(path, "w")):close()
    assert_told(folder .. "/servre.lua", "\n  did you mean " .. folder .. "/server.lua?\n")
    assert.not_matches("did you mean", process.run({ path:sub(1, -2) }).err)
    assert(os.remove(path))
  end)

  it("but is a folder has its app named", function()
    assert_told(folder, "\n  did you mean " .. folder .. "/app.lua?\n")
  end)

  it("may be a command", function()
    assert_told("tset", "\n  did you mean test?\n")
    assert_told("help", "\n  did you mean luaserve --help?\n")
  end)

  it("may be a command of other programs", function()
    assert_told("dev", "\n  did you mean luaserve --dev app.lua?\n")
    for _, command in ipairs { "serve", "run", "start" } do
      assert_told(command, "\n  did you mean luaserve app.lua?\n")
    end
  end)

  it("and like nothing that is there has no advice", function()
    assert.not_matches("did you mean", process.run({ folder .. "/completely-different.lua" }).err)
    assert.not_matches("did you mean", process.run({ folder .. "/none/x.lua" }).err)
  end)
end)

describe("an error of syntax", function()
  --- The line of the source with an arrow below, and the hint.
  local function explain(code)
    local result = process.script(code)
    assert.equal(1, result.status)
    local head, number, line, arrow, hint = result.err:match("^([^\n]*)\n +(%d+) | ([^\n]*)\n      | ([^\n]*)\n(.*)$")
    assert(head, result.err)
    assert_has(head, "luaserve: " .. result.path .. ":")
    return line, arrow, hint:match("^  (.-)\n$"), tonumber(number), head
  end

  it("has an arrow at the token", function()
    for code, place in pairs {
      ["if x != 1 then end"] = "     ^",
      ["x = function() end)"] = "                  ^",
      ["y = = 3"] = "    ^",
      ["if x print(1) end"] = "     ^^^^^",
      ["x = 'ü' !"] = "        ^",
      ["\tx = = 1"] = "     ^",
      ["f()  "] = nil,
    } do
      local line, arrow = explain(code)
      assert.same({ (code:gsub("\t", " ")), place }, { line, arrow })
    end
  end)

  it("counts lines as Lua does", function()
    local line, arrow, _, number = explain "#!/usr/bin/env luaserve\r\nlocal x = 1\r\nlocal local = 2\r\n"
    assert.same({ "local local = 2", "      ^^^^^", 3 }, { line, arrow, number })
  end)

  it("shows the place of a long line", function()
    local line, arrow = explain("local t = { " .. ("1, "):rep(100) .. "! " .. (", 1"):rep(100) .. " }")
    assert.is_true(#line <= 100)
    assert.equal("!", line:sub(#arrow, #arrow))
  end)

  it("at the end of the file shows the last line with something on it", function()
    local line, arrow, hint, number = explain "function f()\n  print(1)\n\n\n"
    assert.same({ "  print(1)", "          ^", "every function, if, for and while needs an 'end'", 2 },
      { line, arrow, hint, number })
  end)

  it("is known by what people bring along", function()
    for code, hint in pairs {
      ["if x != 1 then end"] = "Lua writes 'not equal' as ~=",
      ["local x = 1 x += 1"] = "Lua has no +=: x = x + y",
      ["local x = 1 x -= 1"] = "Lua has no -=: x = x - y",
      ["x ..= 'a'"] = "Lua has no ..=: x = x .. y",
      ["x++"] = "Lua has no ++: x = x + 1",
      ["if a && b then end"] = "Lua writes && as 'and'",
      ["if a || b then end"] = "Lua writes || as 'or'",
      ["if !a then end"] = "Lua writes ! as 'not'",
      ["// note"] = "a comment begins with --",
      ["f() // note"] = "a comment begins with -- (// divides)",
      ["/* note */"] = "a comment of several lines is --[[ ... ]]",
      ["f()\n# note"] = "a comment begins with --",
      ["let x = 5"] = "Lua writes 'let x = 1' as: local x = 1",
      ["const x = 5"] = "Lua writes 'const x = 1' as: local x <const> = 1",
      ["var x = 5"] = "Lua writes 'var x = 1' as: local x = 1",
      ["import http"] = "Lua writes an import as: local http = require \"luaserve.http\"",
      ["export x"] = "a module of Lua ends with 'return' and its table",
      ["async function f() end"] = "Lua needs no async and no await: every function may wait",
      ["return await f()"] = "Lua needs no await: luaserve's functions wait by themselves",
      ["f((x) => 1)"] = "Lua writes (x) => y as: function(x) return y end",
      ["def f(x)"] = "Lua writes a function as: function name(x) ... end",
      ["if a then f()\nelif b then g() end"] = "Lua writes elif as: elseif",
      ["if a then f()\nelse if b then g() end"] = "line 2 has 'else if', which needs an 'end' of its own: elseif",
      ["return new Thing()"] = "Lua has no 'new': call the function that makes one",
      ["try {"] = "Lua writes 'try' as: local ok, err = pcall(function() ... end)",
      ["switch (x) {"] = "Lua has no switch: if, elseif, or a table of functions",
      ["if a === b then end"] = "Lua writes === as ==",
      ["if a = 1 then end"] = "Lua compares with ==; a single = only assigns",
      ["while a = 1 do end"] = "Lua compares with ==; a single = only assigns",
      ["local list = [1, 2]"] = "a list is { 1, 2, 3 }",
      ["res:end('x')"] = "'end' is a word of Lua, and no name: res:finish(), or res:send(body)",
      ["print(typeof x)"] = "Lua writes 'typeof x' as: type(x)",
      ["throw x"] = "Lua writes 'throw' as: error(\"why\")",
      ["for (i = 1, 2) do end"] =
        "Lua writes it as: for i = 1, 10 do ... end, or for key, value in pairs(t) do ... end",
      ["local x = `a`"] = "Lua has no `...`: \"a\" .. b, or (\"%s\"):format(b)",
      ["local x = a ? b : c"] = "Lua writes a ? b : c as: a and b or c",
      ["function f() {"] = "a block is not in braces: it begins with 'then' or 'do' and ends with 'end'",
      ["f()\n}"] = "a block ends with 'end', not with }",
      ["local t = { name: 'x' }"] = "a table is { name = value }, with = for the colon",
      ["if x f() end"] = "if ... then ... end",
      ["while x f() end"] = "for ... do ... end, while ... do ... end",
      ["f() end"] = "there is one 'end' too many, here or above",
      ["local t = { 1 2 }"] = "a comma or an operator, or the '}' that closes it, is missing before this",
      ["local x = \"abc"] = "the quote that ends it is missing; [[...]] may have several lines",
      ["foo"] = "a name alone is no statement: local x = ..., x = ..., or x(...)",
    } do
      local _, _, told, _, head = explain(code)
      assert.equal(hint, told, code .. ": " .. head)
    end
  end)

  it("has the block named that has no end", function()
    for code, hint in pairs {
      ["f('/', function()\n  if x then\n    g()\nend)"] = "the 'if' at line 2 is open",
      ["f('/', function()\n  for _ = 1, 2 do g() -- end\n  h('end')\n  end)"] = "the 'function' at line 1 is open",
      ["f(function() while x do g() end)"] = "the 'function' at line 1 is open",
      ["t = { a = function() if x then y() end }"] = "the 'function' at line 1 is open",
      ["local function f()\n  if x then\n    g()\n  for a in b do\n    h()\n  end\nend\n\nprint [[\nend]]"] =
        "the 'if' at line 2 is open",
    } do
      local _, _, told = explain(code)
      assert.equal("an 'end' is missing: " .. hint, told, code)
    end
    for code, hint in pairs {
      ["f(1, )"] = "there is one ')' too many, here or above",
      ["function f() g(1, ) end"] = "there is one ')' too many, here or above",
      ["function f() g() ) end"] = "there is one ')' too many, here or above",
    } do
      local _, _, told = explain(code)
      assert.equal(hint, told, code)
    end
  end)

  it("is not misunderstood for what stands in strings and comments", function()
    local _, _, hint = explain "x = = 'a != b && c' -- x += 1 // 2"
    assert.is_nil(hint)
  end)

  it("in code given with -e is shown too", function()
    assert_has(process.run({ "-e", "x = !y" }).err, "(command line):1:", "    1 | x = !y\n      |     ^\n")
  end)

  it("in a module is shown, with the program's own frames", function()
    local folder = make_folder { ["app.lua"] = "\nrequire 'part'", ["part.lua"] = "x++" }
    local result = process.run { folder .. "/app.lua" }
    os.execute("rm -r " .. folder)
    assert_has(result.err, "error loading module 'part'", "    1 | x++\n      |  ^\n  Lua has no ++",
      "\nstack traceback:\n\t" .. folder .. "/app.lua:2: in main chunk\n")
    assert.not_matches("%[C%]", result.err)
  end)
end)

describe("an error of a script that starts", function()
  local function error_of(code)
    local result = process.script(code)
    assert.equal(1, result.status)
    return result.err, result.path
  end

  it("has a traceback with the program's own frames only", function()
    local err, path = error_of "local app = require 'luaserve.app'.new()\napp:get('/', 5)"
    assert_has(err, "\nstack traceback:\n\t" .. path .. ":2: in main chunk\n")
    assert.not_matches("\n\t%[C%]", err)
    assert.not_matches("\n\tluaserve/", err)
  end)

  it("names the module that was probably meant", function()
    for name, meant in pairs { ["luaserve.tmier"] = "luaserve.timer", http = "luaserve.http" } do
      local err = error_of("require '" .. name .. "'")
      assert_has(err, ("module '%s' not found (did you mean '%s'?)\n"):format(name, meant))
    end
  end)

  it("knows what is like the module of another system", function()
    assert_has(error_of "require 'express'", "\n  what is like it here: luaserve.app\n")
    assert_has(error_of "require 'zod'", "\n  what is like it here: luaserve.validate\n")
  end)

  it("names the places of a missing module that are the program's, and counts the others", function()
    local folder = make_folder { ["app.lua"] = "require 'no.such'" }
    local err = process.run({ folder .. "/app.lua" }).err
    os.execute("rm -r " .. folder)
    assert_has(err, "module 'no.such' not found:\n\tno file '" .. folder .. "/no/such.lua'\n", "'./no/such.lua'\n",
      "\n\tand none in ")
    assert.not_matches("%.so'", err)
    assert.not_matches("/usr/", err)
  end)

  it("keeps the whole list for who catches it", function()
    local result = process.script "print(select(2, pcall(require, 'no.such')))"
    assert_has(result.out, "module 'no.such' not found:\n\tno field package.preload['no.such']", ".so'")
  end)

  it("knows what other languages have", function()
    assert_has(error_of "console.log('x')", "\n  Lua has no 'console': print(...)\n")
    assert_has(error_of "setTimeout(print, 5)", "\n  Lua has no 'setTimeout': require(\"luaserve.timer\").after(")
    assert_has(error_of "print(typeof(1))", "\n  Lua has no 'typeof': type(value)\n")
    assert_has(error_of "local list = {} list.push(1)", "\n  Lua has no 'push': table.insert(list, value)\n")
    assert_has(error_of "print('a' + 1)", "\n  strings are joined with ..\n")
    assert_has(error_of "local x = null\nprint(x.y)", "\n  'null' is a global that is not defined: Lua has nil\n")
  end)

  it("knows a module that was not required", function()
    assert_has(error_of "fs.stat('x')", "\n  'fs' is a module: local fs = require \"luaserve.fs\"\n")
  end)
end)

describe("a script that returns what cannot be served", function()
  local function told(code)
    local result = process.script(code)
    assert.same({ 0, "" }, { result.status, result.out })
    return (result.err:gsub(result.path, "app.lua", 1))
  end

  it("is told so", function()
    for code, what in pairs { ["return 5"] = "number", ["return {}"] = "table", ["return 'x'"] = "string" } do
      assert.equal(("luaserve: app.lua returns a %s, which cannot be served: return a function(req, res) or " ..
        "an app of luaserve.app\n"):format(what), told(code))
    end
    assert.equal("luaserve: app.lua returns a server that does not listen: call server:listen(8080)\n",
      told "return require 'luaserve.http'.create_server(print)")
  end)

  it("is told that it did not return its app", function()
    local text = "luaserve: app.lua made an app and did not return it: return app\n"
    assert.equal(text, told "local app = require 'luaserve.app'.new() app:get('/', print)")
    assert.equal(text, told [[local App = require 'luaserve.app'
      local app, notes = App.new(), App.new()
      app:mount("/notes", notes)
      collectgarbage()]])
    assert.equal("", told [[local App = require 'luaserve.app'
      local app, notes = App.new(), App.new()
      app:mount("/notes", notes)
      app:request "/"
      app:request "/"
      app:close()]])
  end)

  it("is not told so when it does something else", function()
    assert.equal("", told "require 'luaserve.timer'.after(0.001, function() end) return {}")
    assert.equal("", told "require 'luaserve.task'.spawn(function() end) return {}")
    assert.equal("", told "return nil")
    assert.equal("", told "")
  end)
end)

describe("a place that cannot be listened at", function()
  after_each(process.clean_up)

  it("comes with what can be done", function()
    local server = process.serve { "-p", "0", "examples/hello.lua" }
    local result = process.run { "-p", tostring(server.port), "examples/hello.lua" }
    assert_has(result.err, "address already in use",
      ("\n  luaserve (pid %d) listens there: --port 0 takes a free port\n"):format(server.pid))
    local other = process.serve { "--listen", "127.0.0.1:0", "examples/hello.lua" }
    result = process.run { "--listen", "127.0.0.1:" .. other.port, "examples/hello.lua" }
    assert_has(result.err, ("\n  luaserve (pid %d) listens there\n"):format(other.pid))
    result = process.script(("assert(require 'luaserve.http'.create_server(print):listen(%d))"):format(other.port))
    assert_has(result.err, "address already in use", "\n  another program listens there\nstack traceback:\n")
    other:stop()
    server:stop()
    result = process.run { "--host", "203.0.113.1", "-p", "0", "examples/hello.lua" }
    assert_has(result.err, "\n  this machine has no such address: 0.0.0.0 is all that it has\n")
  end)
end)
