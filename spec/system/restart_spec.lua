-- SPDX-License-Identifier: MIT
--- --dev: a program whose files change is replaced by its successor, which keeps the sockets.

local client = require "spec.support.client"
local fs = require "luaserve.fs"
local net = require "luaserve.net"
local process = require "spec.support.process"
local task = require "luaserve.task"
local timer = require "luaserve.timer"

--- A handler that answers this text.
local function answers(text)
  return ("return function(_, res) res:send(%q) end"):format(text)
end

describe("--dev, when a file changes", function()
  local folder

  before_each(function() folder = assert(fs.mkdtemp("/tmp/luaserve-restart-")) end)

  after_each(function()
    process.clean_up()
    fs.rm(folder, { recursive = true })
  end)

  local function put(name, text)
    assert(fs.write_file(folder .. "/" .. name, text))
  end

  local function serve(options, environment)
    return process.serve({ "--dev", "-p", "0", table.unpack(options or { "app.lua" }) },
      { cwd = folder, env = environment, ready = "ready" })
  end

  --- Reads the output up to a line that matches.
  local function read_until(server, pattern)
    for line in function() return server:read_line() end do
      if line:find(pattern) then return line end
    end
    error("the output ended before " .. pattern .. ":\n" .. select(2, server:wait()), 2)
  end

  --- Waits until standard error has the text.
  local function await_error(server, text)
    for _ = 1, 5000 do
      if assert(fs.read_file(server.err_path)):find(text, 1, true) then return end
      timer.sleep(0.002)
    end
    error("standard error never had " .. text, 2)
  end

  local function body(server, path)
    return server:request(path or "/").body
  end

  it("serves the new code on the same port, in the same process", function()
    put("app.lua", answers "one")
    local server = serve()
    assert.equal("one", body(server))
    put("app.lua", answers "two")
    assert.matches("^luaserve: app%.lua changed: restarted in %d+ ms$", read_until(server, "restarted"))
    assert.equal("two", body(server))
    assert.equal(tostring(server.pid), (assert(fs.read_file(("/proc/%d/stat"):format(server.pid))):match "^%d+"))
    assert.same({ 0, "" }, { server:stop() })
  end)

  it("watches modules, what dofile loads, and files behind links", function()
    assert(fs.mkdir(folder .. "/real"))
    put("real/linked.lua", "return 1")
    put("real/through.lua", "return 1")
    assert(fs.symlink("real", folder .. "/lib"))
    assert(fs.symlink("real/linked.lua", folder .. "/linked.lua"))
    put("module.lua", "return 1")
    put("data.lua", "return 1")
    put("app.lua", [[
      local linked, through = require "linked", require "lib.through"
      local text = table.concat({ (require "module"), dofile "data.lua", linked, through }, " ")
      return function(_, res) res:send(text) end]])
    local server = serve()
    assert.equal("1 1 1 1", body(server))
    for i, name in ipairs { "module", "data", "real/linked", "real/through" } do
      put(name .. ".lua", "return 2")
      read_until(server, "restarted")
      assert.equal(("2 "):rep(i) .. ("1 "):rep(4 - i), body(server) .. " ")
    end
  end)

  it("watches the files of workers, and what they require, and starts them anew", function()
    put("worker.lua", "return require 'part'")
    put("part.lua", "return 1")
    put("app.lua", [[
      local worker = require "luaserve.worker"
      local text = tostring(worker.start("worker.lua"):join())
      return function(_, res) res:send(text) end]])
    local server = serve()
    assert.equal("1", body(server))
    put("part.lua", "return 2")
    read_until(server, "part.lua changed: restarted")
    assert.equal("2", body(server))
    put("worker.lua", "return require 'part' + 1")
    read_until(server, "worker.lua changed: restarted")
    assert.equal("3", body(server))
  end)

  it("understands editors that rename, and writers that take their time", function()
    put("app.lua", answers "one")
    local server = serve()
    put("app.lua.new", answers "renamed")
    assert(fs.rename(folder .. "/app.lua.new", folder .. "/app.lua"))
    read_until(server, "restarted")
    assert.equal("renamed", body(server))
    local file = assert(fs.open(folder .. "/app.lua", "w"))
    local text = answers "written"
    file:write(text:sub(1, 20))
    timer.sleep(0.1)
    file:write(text:sub(21))
    file:close()
    read_until(server, "restarted")
    assert.equal("written", body(server))
    local _, err = server:stop()
    assert.equal("", err)
  end)

  it("does not restart for other files", function()
    put("app.lua", [[
      local views = require "luaserve.template".new { root = "." }
      return function(_, res) res:html(views:render "page.html") end]])
    put("page.html", "one")
    local server = serve()
    assert.equal("one", body(server))
    put("page.html", "another")
    put("app.lua~", "backup")
    put("unused.lua", "return 1")
    assert.equal("another", body(server))
    put("app.lua", answers "new")
    read_until(server, "restarted")
    server:stop()
    local count = 0
    for _, line in ipairs(server.output) do
      if line:find "restarted" then count = count + 1 end
    end
    assert.equal(1, count)
  end)

  it("refuses no connection, and answers each, however often it restarts", function()
    put("app.lua", answers "0")
    local server = serve()
    local restarts, done, asked = 12, false, 0
    local function hammer()
      while not done do
        local response = client.request(server:address(), { path = "/" })
        assert.equal(200, response.status)
        asked = asked + 1
      end
    end
    local hammers = {}
    for i = 1, 3 do hammers[i] = task.spawn(hammer) end
    for i = 1, restarts do
      put("app.lua", answers(tostring(i)))
      for _ = 1, 5000 do
        if body(server) == tostring(i) then break end
        timer.sleep(0.002)
      end
      assert.equal(tostring(i), body(server))
    end
    done = true
    for _, one in ipairs(hammers) do one:join() end
    assert.is_true(asked > restarts)
    server:stop()
  end)

  it("leaves no descriptor open", function()
    local text = [[
      local file = io.open "app.lua" -- not closed, and not marked to be closed either
      return function(_, res) res:send(tostring(file ~= nil) .. "%d") end]]
    put("app.lua", text:format(0))
    local server = serve()
    --- What is open, once the connection has gone.
    local function descriptors()
      body(server)
      for _ = 1, 500 do
        local targets, sockets = {}, 0
        for _, name in ipairs(assert(fs.readdir(("/proc/%d/fd"):format(server.pid)))) do
          local target = fs.readlink(("/proc/%d/fd/%s"):format(server.pid, name)) -- nil: it is closed by now
          if target and target:find "^socket:" then sockets = sockets + 1 end
          targets[#targets + 1] = target and target:gsub("%d+", "N")
        end
        table.sort(targets)
        if sockets == 1 then return table.concat(targets, "\n") end
        timer.sleep(0.002)
      end
    end
    local before
    for i = 1, 21 do
      put("app.lua", text:format(i))
      read_until(server, "restarted")
      before = before or descriptors() -- what came from the shell is closed by the first restart
    end
    assert.is_truthy(before)
    assert.equal(before, descriptors())
    server:stop()
  end)

  it("shows the error of a start, waits, and goes on when it is mended", function()
    put("app.lua", answers "one")
    local server = serve()
    put("app.lua", "local a = 1\nreturn function(_, res)\n  res:send(a ..)\nend")
    read_until(server, "the error is served")
    local page = server:request { path = "/some/page", headers = { accept = "text/html" } }
    assert.equal(500, page.status)
    assert.matches("app.lua:3: unexpected symbol near &#39;%)&#39;", page.body)
    assert.matches("<b>    3    res:send%(a %.%.%)</b>", page.body)
    assert.matches("new EventSource", page.body)
    assert.equal("no-store", page.headers["cache-control"])
    assert.matches("^app.lua:3: unexpected symbol", body(server))
    local stream <close> = server:connect()
    stream:write("GET / HTTP/1.1\r\nhost: spec\r\naccept: text/event-stream\r\n\r\n")
    assert.is_true(stream:fill())
    put("app.lua", answers "mended")
    assert.matches("^HTTP/1.1 200 OK", stream:read_all()) -- it ends
    read_until(server, "restarted")
    assert.equal("mended", body(server))
    local status, err = server:stop()
    assert.equal(0, status)
    assert.matches("^luaserve: app.lua:3: unexpected symbol", err)
  end)

  it("waits also where the first start fails, for a module that does not exist", function()
    put("app.lua", "local name = require 'parts.name'\nreturn function(_, res) res:send(name) end")
    local server = serve()
    assert.matches("module 'parts.name' not found", body(server))
    assert(fs.mkdir(folder .. "/parts"))
    read_until(server, "the error is served")
    put("parts/name.lua", "return 'here'")
    read_until(server, "restarted")
    assert.equal("here", body(server))
  end)

  it("shows errors of templates at the start, with their lines", function()
    put("page.html", "one\n{% if %}\n")
    put("app.lua", [[
      local views = require "luaserve.template".new { root = "." }
      views:compile_all()
      return function(_, res) res:html(views:render "page.html") end]])
    local server = serve()
    local page = server:request { path = "/", headers = { accept = "text/html" } }
    assert.matches("page.html:2", page.body)
    assert.matches("<b>    2  {%% if %%}</b>", page.body)
    put("page.html", "mended")
    read_until(server, "restarted")
    assert.equal("mended", body(server))
  end)

  it("ends at SIGTERM while it shows an error", function()
    put("app.lua", "error 'no'")
    local server = serve()
    assert.equal(0, (server:stop()))
  end)

  for _, options in ipairs { {}, { "--cpu-limit", "0", "--hang-limit", "0" } } do
    it("replaces a program in an endless loop, with " .. (options[1] or "limits"), function()
      put("app.lua", "return function(_, res) io.stderr:write('looping\\n') while true do end end")
      options[#options + 1] = "app.lua"
      local server = serve(options)
      local connection <close> = server:connect()
      connection:write(client.format {})
      await_error(server, "looping")
      put("app.lua", answers "out of it")
      read_until(server, "restarted")
      assert.equal("out of it", body(server))
    end)
  end

  it("replaces a program whose main chunk does not end", function()
    put("app.lua", "print 'ready' io.stdout:flush() while true do end")
    local server = serve()
    put("app.lua", "print 'second' io.stdout:flush() return function() end")
    read_until(server, "^second$")
  end)

  it("keeps the sockets of programs that listen themselves, and closes what is not wanted again", function()
    local both = [[
      local http, net = require "luaserve.http", require "luaserve.net"
      local place = { host = "127.0.0.1", port = 0 }
      local first = assert(http.create_server(function(_, res) res:send("%s") end):listen(place))
      assert(http.create_server(function(_, res) res:send("%s") end):listen { path = "web.sock" })
      local third = assert(net.listen(place, function(socket) socket:write "%s" socket:close() end))
      print(("http://127.0.0.1:%%d %%d"):format(first:address().port, third:address().port))
      io.stdout:flush()]]
    put("app.lua", both:format("one", "one", "one"))
    local server = serve()
    local other = math.tointeger(tonumber(server.output[#server.output]:match "(%d+)$"))
    local lines = server.output[#server.output]
    put("app.lua", both:format("two", "two", "two"))
    assert.equal(lines, read_until(server, "^http"))
    read_until(server, "restarted")
    assert.equal("two", body(server))
    assert.equal("two", client.request({ path = folder .. "/web.sock" }, {}).body)
    local socket <close> = assert(net.connect { host = "127.0.0.1", port = other })
    assert.equal("two", socket:read())
    put("app.lua", [[
      local http = require "luaserve.http"
      assert(http.create_server(function(_, res) res:send("three") end):listen { host = "127.0.0.1", port = 0 })]])
    read_until(server, "restarted")
    assert.equal("three", body(server))
    assert.is_nil((net.connect { host = "127.0.0.1", port = other }))
    assert.is_nil((fs.stat(folder .. "/web.sock")))
  end)

  it("runs exit hooks, and starts with the environment and the folder of the first time", function()
    put("app.lua", [[
      local process = require "luaserve.process"
      process.on_exit(function() io.stderr:write("hook\n") end)
      print(process.cwd(), process.env.ADDED, process.env.GIVEN, process.env.LUASERVE_RESTART, ...)
      process.env.ADDED, process.env.GIVEN = "yes", nil
      process.chdir "/"
      return function(_, res) res:send "one" end]])
    local server = serve({ "app.lua", "argument" }, "GIVEN=given")
    put("app.lua", assert(fs.read_file(folder .. "/app.lua")) .. "\n")
    read_until(server, "restarted")
    local line = ("%s\tnil\tgiven\tnil\targument"):format(folder)
    local count = 0
    for _, one in ipairs(server.output) do
      if one == line then count = count + 1 end
    end
    assert.equal(2, count, table.concat(server.output, "\n"))
    assert.equal("hook\n", (assert(fs.read_file(server.err_path))))
  end)

  it("answers what is under way, if that takes a moment only", function()
    put("app.lua", [[
      local timer = require "luaserve.timer"
      return function(req, res)
        if req.path == "/slow" then io.stderr:write("begun\n") timer.sleep(req.query.s) end
        res:send "old"
      end]])
    local server = serve()
    local quick, slow = server:connect(), server:connect()
    quick:write(client.format { path = "/slow?s=0.09" })
    slow:write(client.format { path = "/slow?s=60" })
    await_error(server, "begun\nbegun\n")
    local answer = quick:response()
    assert.equal("old", answer.body)
    quick:write(client.format { path = "/slow?s=0.06" })
    await_error(server, "begun\nbegun\nbegun\n")
    put("app.lua", answers "new")
    assert.equal("old", quick:response().body)
    assert.is_nil(slow:response())
    read_until(server, "restarted")
    assert.equal("new", body(server))
    quick:close()
    slow:close()
  end)

  it("ends with a program that ends by itself", function()
    put("app.lua", "print 'done'")
    local result = process.run({ "--dev", "app.lua" }, { cwd = folder })
    assert.same({ status = 0, out = "done\n", err = "" }, result)
    put("app.lua", "os.exit(3)")
    assert.equal(3, process.run({ "--dev", "app.lua" }, { cwd = folder }).status)
  end)

  it("believes no variable of others", function()
    put("app.lua", answers "one")
    local server = serve(nil, "LUASERVE_RESTART='1 0 0:0:0:0 1:1:0:0 77:0:0:0'")
    assert.equal("one", body(server))
    assert.is_nil(table.concat(server.output, "\n"):find("changed", 1, true))
    assert.same({ 0, "" }, { server:stop() })
  end)

  it("reaps what its former life has left running", function()
    put("app.lua", [[
      local process = require "luaserve.process"
      local child = assert(process.spawn("sleep", { "0" }))
      return function(_, res) res:send(tostring(child.pid)) end]])
    local server = serve()
    body(server)
    for i = 1, 2 do
      put("app.lua", assert(fs.read_file(folder .. "/app.lua")) .. ("\n"):rep(i))
      read_until(server, "restarted")
    end
    local pid = body(server)
    local children = assert(fs.read_file(("/proc/%d/task/%d/children"):format(server.pid, server.pid)))
    for child in children:gmatch "%d+" do assert.equal(pid, child) end
  end)
end)
