-- SPDX-License-Identifier: MIT
--- luaserve check: what it finds in programs, and that it runs none of them.

local files, process = require "spec.support.files", require "spec.support.process"

--- Writes files, { [name] = text }, into the folder of the case.
local function write(texts)
  for name, text in pairs(texts) do
    local folder = name:match("^(.*)/")
    if folder then files.shell("mkdir -p '%s'", files.at(folder)) end
    files.put(files.at(name), text)
  end
end

--- Checks app.lua in the folder of the case, as its working folder. text: of app.lua; more: other files.
local function check(text, more)
  write { ["app.lua"] = text }
  write(more or {})
  local luaserve = process.luaserve:find("^/") and process.luaserve or os.getenv("PWD") .. "/" .. process.luaserve
  return process.shell(("exec %s check app.lua"):format(process.quote(luaserve)), { cwd = files.at("") })
end

local function assert_clean(text, more)
  local result = check(text, more)
  assert.same({ status = 0, out = "", err = "" }, result)
end

--- found: a list of the beginnings of lines.
local function assert_found(found, text, more)
  local result = check(text, more)
  assert.equal("", result.err)
  local i = 0
  for line in result.out:gmatch("[^\n]+") do
    i = i + 1
    assert.equal(found[i], found[i] and line:sub(1, #found[i]) or line)
  end
  assert.equal(#found, i)
  assert.equal(1, result.status)
end

describe("luaserve check", function()
  before_each(files.make_folder)
  after_each(files.remove_folder)

  it("is content with a program that does not block", function()
    assert_clean [[
      local fs = require "luaserve.fs"
      return function(req, res)
        res:send(assert(fs.read_file("data.txt")))
      end
    ]]
  end)

  it("finds a blocking call in a handler, where it is, and tells what to use", function()
    local result = check('return function(req, res)\n  local text = io.open("x"):read("a")\n  res:send(text)\nend\n')
    assert.same({ status = 1, err = "",
      out = "app.lua:2:16: io.open holds up all other requests: use fs.open, fs.read_file or fs.write_file\n" }, result)
  end)

  it("finds what Lua's own libraries block in", function()
    for call, advice in pairs {
      ['io.open("x")'] = "fs.open", ['io.lines("x")'] = "file:lines", ['io.read("a")'] = "standard input",
      ['io.popen("x")'] = "process.run", ['os.execute("x")'] = "process.run", ['os.remove("x")'] = "fs.unlink",
      ['os.rename("x", "y")'] = "fs.rename", ['os.tmpname()'] = "fs.mkstemp", ['io.tmpfile()'] = "fs.mkstemp",
      ['dofile("x")'] = "require", ['loadfile("x")'] = "fs.read_file", ['io.stdin:read()'] = "standard input",
      ['_G.io.open("x")'] = "fs.open", ['io["open"]("x")'] = "fs.open", ['io.open "x"'] = "fs.open",
      ['(io.open)("x")'] = "fs.open",
    } do
      local result = check("return function()\n  " .. call .. "\nend\n")
      assert.equal(1, result.status, call)
      assert.is_truthy(result.out:find("^app%.lua:2:%d+: [%w_.:]+ holds up all other requests: "), result.out)
      assert.is_truthy(result.out:find(advice, 1, true), call .. " -> " .. result.out)
    end
  end)

  it("knows libraries that block, under whatever name", function()
    assert_found({
      "app.lua:6:3: socket.sleep holds up all other requests: use timer.sleep",
      "app.lua:7:3: socket.connect holds up all other requests: use net.connect",
      "app.lua:8:3: socket.dns.toip holds up all other requests: use dns.lookup",
      "app.lua:9:3: socket.http.request holds up all other requests: call it in a function for pool.run",
      "app.lua:10:12: lfs.dir holds up all other requests: use fs.readdir",
      "app.lua:11:3: lfs.lock holds up all other requests: use luaserve.fs",
      "app.lua:12:3: posix.unistd.sleep holds up all other requests: use timer.sleep",
      "app.lua:13:3: posix.stat holds up all other requests: use luaserve.fs",
    }, [[
local s, folders = require("socket"), require "lfs"
local http, posix = require "socket.http", require "posix"
local fs = folders
local unistd = require "posix.unistd"
return function()
  s.sleep(1)
  s.connect("x", 1)
  s.dns.toip("x")
  http.request("x")
  for _ in fs.dir(".") do break end
  fs.lock("x")
  unistd.sleep(1)
  posix.stat("x")
  s.gettime() posix.getpid() fs.currentdir() s.url.parse("x")
end]])
  end)

  it("follows names, and not those that mean something else", function()
    assert_found({ "app.lua:3:10: io.open holds", "app.lua:4:16: os.execute holds", "app.lua:14:15: io.open holds" }, [[
local open, path = io.open, nil
local function one(io, remove)
  return open(path), io.open(path), remove("x"),
         pcall(os.execute, "x")
end
local os = { execute = print, rename = print }
local function two()
  os.execute() os.rename()
  local open = print
  open()
  for _, open in pairs {} do open() end
  repeat local io = {} until io.open()
  for io = 1, 2 do print(io.open(1)) end
  if one then io.open() elseif two then open() else local io = {} io.open() end
  while false do local function open() open() end end
  do local io <const> = {} io.open() end
end
open = print
return function() open() one() two() end]])
  end)

  it("lets a program block at its start, and a module at its own", function()
    assert_clean([[
      local data = assert(io.open("x")):read("a")
      for line in io.lines("x") do print(line) end
      if os.execute("true") then data = nil end
      local m = require "m"
      return function() return data, m end]], { ["m.lua"] = 'return { text = io.open("x"):read("a") }' })
  end)

  it("lets a function for the pool block, and no other", function()
    assert_found({ "app.lua:4:20: io.open holds", "app.lua:6:13: io.open holds" }, [[
local pool, serve = require "luaserve.pool", require "luaserve"
return function()
  pool.run(function() return io.open("x") end)
  print(function() io.open("x") end)
  serve.pool.run(function() return pcall(io.open, "x") end)
  serve.run(io.open("x"))
end]])
  end)

  it("follows require into modules of the program's folder", function()
    assert_found({ "app.lua:4:15: os.remove", "sub/a.lua:1:26: io.open", "socket.lua:2:34: os.execute",
      "c.lua:1:19: os.rename", "b/init.lua:1:26: io.popen" }, [[
local a, socket = require "sub.a", require("socket")
pcall(require, "c")
require "no.such.module"
function go() os.remove("x") a() end
return function() socket.connect() end]], {
      ["sub/a.lua"] = 'return function() return io.open("x"), require "b" end',
      ["b/init.lua"] = 'return function() return io.popen("x"), require "app" end',
      ["c.lua"] = 'return function() os.rename("x", "y") end',
      ["socket.lua"] = 'local socket = {}\nfunction socket.connect() return os.execute("x") end\nreturn socket',
      ["other.lua"] = 'return function() return io.open("x") end',
    })
  end)

  it("passes over what a comment allows", function()
    assert_found({ "app.lua:13:3: os.remove" }, [[
return function()
  os.remove("x") -- luaserve: blocking, it is in memory
  -- luaserve: blocking
  os.remove("x") os.remove("y")
  --- luaserve:blocking

  -- for a reason
  os.remove("x") os.rename("x", "y")
  local function cleanup() -- luaserve: blocking
    os.remove("x")
    return function() os.remove("y") end
  end
  os.remove("z") -- luaserve: global
  print("-- luaserve: blocking", cleanup)
end]])
  end)

  it("finds globals that a function assigns", function()
    assert_found({ "app.lua:6:3: assigns the global 'hits', which a request may not: make it local",
      "app.lua:7:12: assigns the global 'helper'", "app.lua:8:3: assigns the global 'other'",
      "app.lua:9:3: assigns the global 'count'" }, [[
count = 0
function start() end
local known
return function(req)
  known, req.field, _G[known] = 1, 2, 3
  hits = 1
  function helper() end
  _G.other = 1
  count = count + 1
  local function known() end
  meant = 1 -- luaserve: global
  start() helper() print(hits, other, meant)
end]])
  end)

  it("finds globals that do not exist", function()
    assert_found({ "app.lua:3:3: the global 'pirnt' does not exist",
      "app.lua:4:10: the global 'unpack' does not exist" }, [[
local early = unpack or table.unpack
return function(...)
  pirnt(early, arg, _G, _VERSION, string.format)
  return unpack {}, from_module, from_function, ...
end, require "m"]], { ["m.lua"] = "from_module = 1 return function() from_function = 2 end -- luaserve: global" })
  end)

  it("understands what Lua 5.4 can say", function()
    assert_found({ "app.lua:9:5: io.open" }, "#!/usr/bin/env luaserve\n" .. [[
local a <const>, b <close> = 1 // 2, nil
goto done
::done::
local t = { [1] = a & ~0x1p4 | 3 << 2 ~ 5, "\u{7FFFFFFF}\z
            x", f = function(...) return ... end; 'y' }
return function()
  for i = 1, 10, 2 do
    io.open("x")
    if i then goto continue end
    ::continue::
  end
  return t, b, #t .. "ü" .. -a ^ 2
end]])
  end)

  it("counts columns in characters", function()
    assert_found({ "app.lua:1:27: io.open" }, 'return function(s) s="äöü"io.open(s) end')
  end)

  it("says 2 when a file is no Lua or cannot be read, and checks the others", function()
    local result = check('require "m"\nreturn function() io.open("x") end', { ["m.lua"] = "return return" })
    assert.same({ 2, "luaserve: m.lua:1: unexpected symbol near 'return'\n" }, { result.status, result.err })
    assert.matches("^app%.lua:2:19: io%.open", result.out)
    local missing = process.run { "check", files.at("missing.lua") }
    assert.equal(2, missing.status)
    assert.matches("^luaserve: ENOENT: no such file or directory: open '.*missing%.lua'\n$", missing.err)
    local binary = check("\27Lua")
    assert.equal(2, binary.status)
    assert.matches("^luaserve: app%.lua: .*binary", binary.err)
  end)

  it("runs nothing of the program", function()
    assert_clean('os.remove("app.lua") require "m" os.exit(7)', { ["m.lua"] = 'os.remove("m.lua") error("ran")' })
    assert.matches("^os.remove", files.get(files.at("app.lua")))
    assert.matches("^os.remove", files.get(files.at("m.lua")))
  end)

  it("checks several programs, and names them as they were named", function()
    write { ["a.lua"] = "return function() io.open() end", ["b.lua"] = "return function() os.execute() end" }
    local a, b = files.at("a.lua"), files.at("b.lua")
    local result = process.run { "check", a, b }
    assert.equal(1, result.status)
    local first, second = result.out:match("^([^\n]+)\n([^\n]+)\n$")
    assert.equal(1, first:find(a .. ":1:19: io.open", 1, true))
    assert.equal(1, second:find(b .. ":1:19: os.execute", 1, true))
  end)

  it("explains itself, and what it does not understand", function()
    for _, option in ipairs { "--help", "-h" } do
      local result = process.run { "check", option }
      assert.same({ 0, "" }, { result.status, result.err })
      assert.matches("^usage: luaserve check", result.out)
    end
    for _, arguments in ipairs { { "check" }, { "check", "--fix", "app.lua" } } do
      local result = process.run(arguments)
      assert.same({ 2, "" }, { result.status, result.out })
      assert.matches("Try 'luaserve check %-%-help'%.\n$", result.err)
    end
  end)

  it("names the package that it needs", function()
    write { ["app.lua"] = "return 1", ["luacheck/parser.lua"] = 'error("not this one")' }
    local env = "LUA_PATH_5_4=" .. process.quote(files.at("?.lua"))
    local result = process.run({ "check", files.at("app.lua") }, { env = env })
    assert.same({ 2, "" }, { result.status, result.out })
    assert.matches("^luaserve: .*luacheck.*apt%-get install lua%-check", result.err)
    assert.is_truthy(result.err:find("not this one", 1, true))
  end)

  it("finds nothing in the examples", function()
    local found = process.shell "find examples -name '*.lua'"
    local arguments = { "check" }
    for path in found.out:gmatch "[^\n]+" do arguments[#arguments + 1] = path end
    assert.is_true(#arguments > 10)
    local result = process.run(arguments)
    assert.same({ status = 0, out = "", err = "" }, result)
  end)
end)
