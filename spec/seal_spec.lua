-- SPDX-License-Identifier: MIT
--- Globals while requests are served: none is assigned by accident, and libraries work all the same.

local process = require "spec.support.process"

local function assert_has(text, ...)
  for _, part in ipairs { ... } do
    assert.is_truthy(text:find(part, 1, true), ("%q is not in: %s"):format(part, text))
  end
end

--- Asks a server with this code for / twice.
-- @return both responses, the log, and the script's path
local function serve(code, options)
  local server = process.serve_code(code, { options = options })
  local first, second = server:request("/"), server:request("/")
  local status, log = server:stop()
  assert.equal(0, status)
  return first, second, log, server.path
end

--- Serves a handler with this body, line 2 of the script, and expects an error with these parts.
local function assert_refused(body, ...)
  local first, second, log, path = serve("return function(req, res)\n" .. body .. "\nend")
  assert.equal(500, first.status, body)
  assert.equal(500, second.status, body)
  assert_has(log, "GET /: " .. path .. ":2: ", "stack traceback:", ...)
end

--- Serves a handler with this body and expects what it sends, twice.
local function assert_sends(expected, body, before, options)
  local first, second, log = serve((before or "") .. "\nreturn function(req, res)\n" .. body .. "\nend", options)
  assert.equal("", log)
  assert.same({ 200, expected }, { first.status, first.body })
  assert.same({ 200, expected }, { second.status, second.body })
end

describe("assigning a global in a handler", function()
  after_each(process.clean_up)

  it("is a 500, and the log names the variable, the line and the ways out", function()
    assert_refused("counter = 1 res:send('')", "global 'counter' cannot be assigned", "a local", "req.locals",
      "a module's own table")
  end)

  it("is refused for functions and for names that exist", function()
    assert_refused("function helper() end res:send('')", "global 'helper'")
    assert_refused("print = nil res:send('')", "global 'print'")
    assert_refused("_G.field = 1 res:send('')", "global 'field'")
    assert_refused("_G[1] = 1 res:send('')", "global '1'")
  end)

  it("is refused after a wait, in coroutines, tasks and pcall", function()
    assert_refused("require 'luaserve.timer'.sleep(0) counter = 1 res:send('')", "global 'counter'")
    assert_refused("local f = coroutine.wrap(function() counter = 1 end) f() res:send('')", "global 'counter'")
    assert_refused("require 'luaserve.task'.spawn(function() counter = 1 end):join() res:send('')", "global 'counter'")
    assert_sends("false", "res:send(tostring((pcall(function() counter = 1 end))))")
  end)

  it("is refused in timers that began before the first request", function()
    local server = process.serve_code [[
      local timer = require "luaserve.timer"
      early = "early"
      return function(_, res)
        local ok, message
        timer.after(0.001, function() ok, message = pcall(function() late = 1 end) end)
        timer.sleep(0.01)
        res:send(early .. " " .. tostring(ok) .. " " .. message)
      end
    ]]
    assert_has(server:request("/").body, "early false ", "global 'late' cannot be assigned")
    server:stop()
  end)

  it("is allowed with --globals=open", function()
    local first, second, log = serve("return function(_, res) n = (n or 0) + 1 res:send(tostring(n)) end",
      { "--globals=open" })
    assert.same({ "1", "2", "" }, { first.body, second.body, log })
  end)

  it("is allowed for rawset", function()
    assert_sends("1", "rawset(_G, 'raw', 1) res:send(tostring(raw))")
  end)

  it("is allowed before the first request", function()
    assert_sends("early", "res:send(config)", "config = 'early'")
  end)

  it("is allowed to the main chunk until it ends", function()
    local server = process.serve_code [[
      local http, timer = require "luaserve.http", require "luaserve.timer"
      local asked = false
      local server = http.create_server(function(_, res) asked = true res:send(tostring(rawget(_G, "x") or x)) end)
      x = "before"
      print("http://127.0.0.1:" .. assert(server:listen { host = "127.0.0.1", port = 0 }):address().port)
      io.stdout:flush()
      while not asked do timer.sleep(0.001) end
      x = "after"
      print(x)
      io.stdout:flush()
    ]]
    assert.equal("before", server:request("/").body)
    assert.equal("after", server:read_line())
    assert.equal("after", server:request("/").body)
    local status, err = server:stop()
    assert.same({ 0, "" }, { status, err })
  end)
end)

describe("reading a global that nobody has defined", function()
  after_each(process.clean_up)

  it("is an error in the code of the app", function()
    assert_refused("res:send(undefinde)", "global 'undefinde' is not defined", "rawget")
    assert_refused("res:send(await(1))", "global 'await' is not defined", "a call that waits just waits")
  end)

  it("is nil with rawget and before the first request", function()
    assert_sends("nil nil", "res:send(tostring(rawget(_G, 'nothing')) .. ' ' .. early)", "early = tostring(nothing)")
  end)

  it("is nil in libraries, which stand elsewhere", function()
    local folder = os.tmpname()
    os.remove(folder)
    os.execute(("mkdir -p %s/app %s/library"):format(folder, folder))
    local probe = "return function() return tostring(unpack) .. tostring(love) end"
    os.rename(process.temporary(probe), folder .. "/library/probing.lua")
    os.rename(process.temporary(probe), folder .. "/app/own.lua")
    os.rename(process.temporary(("package.path = package.path .. ';%s/library/?.lua'\n"):format(folder) .. [[
      return function(req, res) res:send(require(req.query.name)()) end
    ]]), folder .. "/app/app.lua")
    local server = process.serve { "-p", "0", folder .. "/app/app.lua" }
    assert.equal("nilnil", server:request("/?name=probing").body)
    assert.equal(500, server:request("/?name=own").status)
    local _, log = server:stop()
    os.execute("rm -r " .. folder)
    assert_has(log, folder .. "/app/own.lua:1: global 'unpack' is not defined")
  end)
end)

describe("a module required in a handler", function()
  after_each(process.clean_up)

  it("may define globals", function()
    local path = process.temporary "a_global = 'defined' return true"
    os.rename(path, path .. ".lua")
    assert_sends("defined", ("package.path = '/tmp/?.lua' require %q res:send(a_global)"):format(path:match("[^/]+$")))
    os.remove(path .. ".lua")
  end)

  it("may not do so later", function()
    local path = process.temporary "return { later = function() too_late = 1 end }"
    os.rename(path, path .. ".lua")
    local first, _, log = serve(("package.path = '/tmp/?.lua'\nreturn function(_, res) require %q.later() end")
      :format(path:match("[^/]+$")))
    os.remove(path .. ".lua")
    assert.equal(500, first.status)
    assert_has(log, path .. ".lua:1: global 'too_late' cannot be assigned")
  end)
end)

describe("the libraries of Lua under the seal", function()
  after_each(process.clean_up)

  it("cannot be changed by a handler", function()
    for _, name in ipairs { "coroutine", "debug", "io", "math", "os", "string", "table", "utf8" } do
      assert_refused(name .. ".mine = 1 res:send('')", name .. ".mine cannot be assigned while requests are served",
        "when the program starts")
    end
    assert_refused("string.format = nil res:send('')", "string.format cannot be assigned")
    assert_refused("table[1] = 1 res:send('')", "table.1 cannot be assigned")
  end)

  it("can be read, called and iterated as before", function()
    assert_sends("HI 3 hi true true nil", [[
      local seen = {}
      for name, value in pairs(string) do seen[name] = value end
      local has_next
      for name in next, table do has_next = has_next or name == "concat" end
      res:send(table.concat({ ("hi"):upper(), #table.pack(string.byte("abc", 1, 3)), string.lower("HI"),
        tostring(seen.rep == string.rep and rawget(string, "rep") == string.rep), tostring(has_next),
        tostring(string.nothing) }, " "))]])
  end)

  it("keep what the program and its modules add", function()
    assert_sends("<x> more", "require 'adds' res:send(('x'):mine() .. ' ' .. string.more)",
      "function string.mine(s) return '<' .. s .. '>' end " ..
      "package.preload.adds = function() string.more = 'more' return {} end")
  end)

  it("take a method from a module that a handler requires", function()
    assert_sends("<x>", "require 'adds' res:send(('x'):mine())",
      "package.preload.adds = function() function string.mine(s) return '<' .. s .. '>' end return {} end")
  end)

  it("go by rawset and setmetatable past the seal", function()
    assert_sends("1 fallback", [[
      rawset(string, 'one', 1)
      local same = setmetatable(math, { __index = function() return "fallback" end }) == math
      res:send(string.one .. ' ' .. (same and math.nothing))]])
  end)

  it("are left open with --globals=open", function()
    assert_sends("1", "string.mine = 1 res:send(tostring(string.mine))", "", { "--globals=open" })
  end)
end)

describe("_G under the seal", function()
  after_each(process.clean_up)

  it("has everything for pairs, next, getmetatable and #", function()
    assert_sends("true true true table 0 true", [[
      local seen = {}
      for name, value in pairs(_G) do seen[name] = value end
      res:send(table.concat({ tostring(seen.print == print), tostring(seen.mine == "mine"), tostring(seen._G == _G),
        type(getmetatable(_G)), #_G, tostring(_G.string == string) }, " "))]], "mine = 'mine'")
  end)

  it("is the environment of loaded code", function()
    assert_sends("3", "res:send(tostring(load('return math.max(1, 3)')()))")
    local first, _, log = serve("return function() load('loaded = 1', '=code')() end")
    assert.equal(500, first.status)
    assert_has(log, "GET /: code:1: global 'loaded' cannot be assigned")
    assert_sends("1", "local env = {} load('x = 1', '=x', 't', env)() res:send(tostring(env.x))")
  end)

  it("can be read and set past metamethods, and shows and takes its metatable", function()
    assert_sends("true true true 1 nil kept", [[
      rawset(_G, "raw", 1)
      local seen
      for name in next, _G do seen = seen or name == "raw" end
      local meta = getmetatable(_G)
      meta.__index = nil
      local same = meta == getmetatable(_G)
      res:send(table.concat({ tostring(rawget(_G, "print") == print), tostring(seen), tostring(same), rawget(_G, "raw"),
        tostring(nonesuch), tostring(print and "kept") }, " "))]])
  end)

  it("may lack what a program took away", function()
    assert_sends("no debug", "res:send('no debug')", "debug = nil os.setlocale = nil")
  end)

  it("keeps a metatable that the app had set", function()
    assert_sends("fallback of anything", "res:send(anything)",
      "setmetatable(_G, { __index = function(_, name) return 'fallback of ' .. name end })")
  end)

  it("keeps a metatable that a strict module has set", function()
    local first, _, log = serve [[
      require "pl.strict"
      return function(_, res) res:send(nonesuch) end
    ]]
    assert.equal(500, first.status)
    assert_has(log, "nonesuch")
  end)
end)

describe("what would change the world of all requests", function()
  after_each(process.clean_up)

  it("is refused in one, with the way to do it right", function()
    assert_refused("os.exit(0)", "os.exit in a request")
    assert_refused("os.setlocale('C') res:send('')", "os.setlocale in a request", "at start-up")
    assert_refused("collectgarbage('stop') res:send('')", "collectgarbage('stop') in a request", "at start-up")
    assert_refused("debug.sethook(print, 'l') res:send('')", "debug.sethook in a request")
  end)

  it("is allowed where it only asks", function()
    assert_sends("C true 0", [[
      res:send(os.setlocale() .. " " .. tostring(collectgarbage("count") > 0) .. " " .. collectgarbage())]])
  end)
end)

describe("a program that serves no request", function()
  it("is never sealed", function()
    local result = process.script [[
      x = 1
      require "luaserve.timer".after(0.001, function() y = x + 1 print(y, z) end)
    ]]
    assert.same({ 0, "2\tnil\n", "" }, { result.status, result.out, result.err })
  end)

  it("is never sealed as -e", function()
    local code = "return function(_, res) n = (n or 0) + 1 res:send(tostring(n)) end"
    local server = process.serve { "-p", "0", "-e", code }
    assert.equal("1", server:request("/").body)
    assert.equal("2", server:request("/").body)
    local status, err = server:stop()
    assert.same({ 0, "" }, { status, err })
  end)
end)

describe("libraries under the seal", function()
  after_each(process.clean_up)

  for name, use in pairs {
    ["pl"] = "return require 'pl.pretty'.write({ 1 }, '') .. require 'pl.stringx'.strip('  x ')",
    ["pl.List"] = "return tostring(require 'pl.List'.range(1, 3):map('+', 1))",
    ["pl.class"] = "local A = require 'pl.class'() function A:_init(n) self.n = n end return A(3).n",
    ["pl.template"] = "return (require 'pl.template'.substitute('<$(x)>', { x = 1, _escape = '#' }))",
    ["lfs"] = "return require 'lfs'.attributes('/', 'mode')",
    ["lpeg"] = "return require 'lpeg'.match(require 'lpeg'.R('09') ^ 1, '123x')",
    ["re"] = "return require 're'.match('abc', '[a-b]+')",
    ["luassert"] = "return tostring(pcall(require 'luassert'.are.equal, 1, 2))",
    ["say"] = "local say = require 'say' say:set('hello', 'hi') return say('hello')",
    ["cliargs"] = "return type(require 'cliargs'.parse)",
    ["dkjson"] = "return require 'dkjson'.encode({ 1, 2 })",
    ["cjson"] = "return require 'cjson'.encode({ 1, 2 })",
    ["lyaml"] = "return require 'lyaml'.load('a: 1').a",
  } do
    it(name .. " loads and works", function()
      local module = name == "pl" and "pl.pretty" or name
      if not package.searchpath(module, package.path) and not package.searchpath(module, package.cpath) then
        return pending(name .. " is not installed")
      end
      local expected = process.script("print((function() " .. use .. " end)())")
      assert.equal("", expected.err)
      local loading = ("local use = function() %s end res:send(tostring((use())))"):format(use)
      assert_sends(expected.out:gsub("\n$", "", 1), loading)
      assert_sends(expected.out:gsub("\n$", "", 1), loading, "(function() " .. use .. " end)()")
    end)
  end
end)
