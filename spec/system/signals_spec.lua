-- SPDX-License-Identifier: MIT
--- SIGINT and SIGTERM: servers let requests under way finish, scripts end.

local process = require "spec.support.process"
local task = require "luaserve.task"
local timer = require "luaserve.timer"

--- A handler that says on standard output that it runs, and answers /wait when the file at arg[1] has gone.
local waiting = [[
  local fs, timer = require "luaserve.fs", require "luaserve.timer"
  return function(req, res)
    if req.path == "/stream" then res:write("begun ") end
    if req.path ~= "/" then
      print("running")
      io.stdout:flush()
      while fs.stat(arg[1]) do timer.sleep(0.002) end
    end
    res:finish("done")
  end
]]

describe("a signal", function()
  local flag

  before_each(function() flag = process.temporary("") end)

  after_each(function()
    os.remove(flag)
    process.clean_up()
  end)

  --- A server that has begun to answer path, and the task that waits for the response.
  local function serve_busy(path, options)
    local server = process.serve_code(waiting, { options = options, arguments = { flag } })
    local connection = server:connect()
    connection:write(("GET %s HTTP/1.1\r\nhost: spec\r\n\r\n"):format(path))
    assert.equal("running", server:read_line())
    return server, connection
  end

  --- Reads the end of the stream. The server waits for that of the client, but not for ever.
  local function assert_ended(connection)
    assert.is_nil(connection:response())
    connection:close()
  end

  --- Waits until the server no longer accepts connections.
  local function await_refusal(server)
    for _ = 1, 5000 do
      local ok, connection = pcall(server.connect, server)
      if not ok then return end
      connection:close()
      timer.sleep(0.002)
    end
    error("it still accepts connections", 2)
  end

  for _, name in ipairs { "INT", "TERM" } do
    it("SIG" .. name .. " ends a server that does nothing at once", function()
      local server = process.serve { "-p", "0", "examples/hello.lua" }
      server:signal(name)
      local status, err = server:wait()
      assert.equal("", err)
      assert.equal(0, status)
    end)

    it("SIG" .. name .. " ends a script that serves nothing, as if nobody had handled it", function()
      local path = process.temporary "print('ready') io.stdout:flush() require 'luaserve.timer'.sleep(60)"
      local server = process.serve({ path }, { ready = "^ready$" })
      os.remove(path)
      server:signal(name)
      assert.equal(128 + (name == "INT" and 2 or 15), (server:wait()))
    end)
  end

  it("stops accepting and lets a request under way finish", function()
    local server, connection = serve_busy "/wait"
    server:signal "TERM"
    await_refusal(server)
    os.remove(flag)
    local response = connection:response()
    assert.equal(200, response.status)
    assert.equal("done", response.body)
    assert.equal("close", (response.headers.connection or ""):lower())
    assert_ended(connection)
    local status, err = server:wait()
    assert.equal("", err)
    assert.equal(0, status)
  end)

  it("lets a streamed response finish", function()
    local server, connection = serve_busy "/stream"
    server:signal "INT"
    await_refusal(server)
    os.remove(flag)
    assert.equal("begun done", connection:response().body)
    assert_ended(connection)
    assert.equal(0, (server:wait()))
  end)

  it("closes idle keep-alive connections, and those that have said nothing", function()
    local server = process.serve_code [[
      local runtime = require "luaserve.runtime"
      return function(_, res) res:json(runtime.stats().handles.types.tcp) end
    ]]
    local used, fresh = server:connect(), server:connect()
    while used:request({}).body ~= "2" do timer.sleep(0.01) end
    server:signal "TERM"
    assert.is_nil(used:response())
    assert.is_nil(fresh:response())
    assert.equal(0, (server:wait()))
  end)

  it("does not answer what comes on a connection after it", function()
    local server, connection = serve_busy "/wait"
    server:signal "TERM"
    await_refusal(server)
    connection:write("GET / HTTP/1.1\r\nhost: spec\r\n\r\n")
    os.remove(flag)
    assert.equal("done", connection:response().body)
    assert_ended(connection)
    assert.equal(0, (server:wait()))
  end)

  it("cuts off what goes on beyond the grace", function()
    local server, connection = serve_busy("/wait", { "--grace=0" })
    server:signal "TERM"
    local status = server:wait()
    assert.equal(0, status)
    local response = connection:response()
    assert.is_true(response == nil or response.status == 503)
  end)

  it("twice ends a server at once", function()
    for name, number in pairs { INT = 2, TERM = 15 } do
      local server, connection = serve_busy("/wait", { "--grace=3600" })
      server:signal "TERM"
      await_refusal(server)
      server:signal(name)
      local status = server:wait()
      assert.equal(128 + number, status)
      assert.is_nil(connection:response())
    end
  end)

  it("ends a server whose requests are many", function()
    local server = process.serve_code(waiting, { arguments = { flag } })
    local tasks = {}
    for i = 1, 20 do
      local connection = server:connect()
      connection:write("GET /wait HTTP/1.1\r\nhost: spec\r\n\r\n")
      assert.equal("running", server:read_line())
      tasks[i] = task.spawn(function()
        local response = connection:response()
        connection:close()
        return response
      end)
    end
    server:signal "TERM"
    os.remove(flag)
    for i = 1, 20 do
      assert.equal("done", tasks[i]:join().body)
    end
    assert.equal(0, (server:wait()))
  end)

  it("ends a server together with its other timers and tasks", function()
    local server = process.serve_code [[
      local task, timer = require "luaserve.task", require "luaserve.timer"
      timer.every(3600, print)
      task.spawn(timer.sleep, 3600)
      return function(req, res) res:send("x") end
    ]]
    assert.equal("x", server:request("/").body)
    assert.equal(0, (server:stop()))
  end)

  it("ends a program whose main chunk still waits", function()
    local server = process.serve_code [[
      local http, timer = require "luaserve.http", require "luaserve.timer"
      local server = assert(http.create_server(function(_, res) res:send("x") end):listen { port = 0 })
      print("http://127.0.0.1:" .. server:address().port)
      io.stdout:flush()
      timer.sleep(3600)
    ]]
    assert.equal("x", server:request("/").body)
    local status, err = server:stop()
    assert.equal("", err)
    assert.equal(0, status)
  end)

  it("ends all servers of a program", function()
    local server = process.serve_code [[
      local http = require "luaserve.http"
      local ports = {}
      for i = 1, 3 do
        local server = http.create_server(function(_, res) res:send(tostring(i)) end)
        ports[i] = assert(server:listen { host = "127.0.0.1", port = 0 }):address().port
      end
      print("http://127.0.0.1:" .. ports[1], ports[2], ports[3])
      io.stdout:flush()
    ]]
    local _, second, third = server.output[1]:match(":(%d+)\t(%d+)\t(%d+)")
    server.port = math.tointeger(tonumber(second))
    assert.equal("2", server:request("/").body)
    server.port = math.tointeger(tonumber(third))
    assert.equal("3", server:request("/").body)
    assert.equal(0, (server:stop()))
  end)

  it("ends a script that never waits", function()
    for _, code in ipairs { "while true do end", "os.execute('sleep 1')" } do
      local path = process.temporary("print('ready') io.stdout:flush() " .. code)
      local server = process.serve({ path }, { ready = "^ready$" })
      os.remove(path)
      server:signal "TERM"
      assert.equal(128 + 15, (server:wait()), code)
    end
  end)

  it("twice ends a server whose handler never comes back", function()
    local server = process.serve_code [[
      return function(req, res)
        print("running")
        io.stdout:flush()
        while true do end
      end
    ]]
    local connection = server:connect()
    connection:write("GET / HTTP/1.1\r\nhost: spec\r\n\r\n")
    assert.equal("running", server:read_line())
    -- Signals that come close together may become one.
    os.execute(("while kill -TERM %d 2>/dev/null; do sleep 0.01; done"):format(server.pid))
    assert.equal(128 + 15, (server:wait()))
  end)
end)
