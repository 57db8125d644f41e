-- SPDX-License-Identifier: MIT
--- What becomes of requests that do not go as they should: clients that leave or do not read, handlers that fail
-- half-way or go on after the end. Each case leaves a server that still answers.

local client = require "spec.support.client"
local http_servers, waits = require "spec.support.http_servers", require "spec.support.waits"
local task, timer = require "luaserve.task", require "luaserve.timer"

local eventually = waits.eventually

local function serve(options, handler)
  local server, address = http_servers.serve(options, handler)
  return address, server
end

after_each(function()
  http_servers.clean_up(function(address) client.request(address, { path = "/still-there" }) end)
end)

--- A connection on which this was sent.
local function send(address, bytes)
  local connection = client.connect(address)
  assert(connection:write(bytes))
  return connection
end

local POST = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n"

describe("a response", function()
  it("that is held while its client leaves says so to who answers", function()
    local waiting, left
    local address = serve(nil, function(req, res)
      if req.path == "/wait" then
        req:on_close(function() left = true end)
        waiting = res:later()
      elseif waiting then
        local ok, message, code = waiting:send("news")
        waiting = nil
        res:send(("%s %s %s"):format(ok, message, code))
      else
        res:send("")
      end
    end)
    local connection = send(address, client.format { path = "/wait" })
    eventually(function() return waiting end)
    connection.socket:reset()
    eventually(function() return left end)
    assert.equal("nil closed ECLOSED", client.request(address, {}).body)
  end)

  it("that is begun and fails before anything of it has left is a 500", function()
    local address = serve(nil, function(req, res)
      if req.path ~= "/" then return res:send("") end
      res:set("x-secret", "1")
      res:write("some")
      error("early")
    end)
    local connection <close> = client.connect(address)
    local response = connection:request {}
    assert.equal(500, response.status)
    assert.equal("Internal Server Error", response.body)
    assert.is_nil(response.headers["x-secret"])
    assert.equal(200, connection:request { path = "/next" }.status)
  end)

  it("that ends short names both numbers and resets", function()
    local message
    local address = serve(nil, function(req, res)
      if req.path ~= "/" then return res:send("") end
      res:set("content-length", 5)
      res:write("abc")
      timer.sleep(0.005)
      message = select(2, pcall(res.finish, res))
    end)
    local connection <close> = send(address, client.format {})
    connection:read_all()
    assert.is_truthy(connection.reset)
    assert.equal("the body ends after 3 bytes, its content-length is 5", message)
  end)

  it("behind complete ones does not take them along when it fails", function()
    local address = serve(nil, function(req, res)
      if req.path == "/fails" then
        res:set("content-length", 5)
        res:write("abc")
        pcall(res.finish, res)
      else
        res:send("whole")
      end
    end)
    local connection <close> = send(address, client.format {} .. client.format { path = "/fails" })
    assert.equal("whole", connection:response().body)
    local whole, response = pcall(connection.response, connection)
    assert.is_falsy(whole and response)
  end)

  it("of a file that is missing leaves no type behind", function()
    local address = serve(nil, function(_, res)
      local ok, err = res:send_file("spec/no_such_file", { content_type = "image/png" })
      assert(not ok)
      res:send(404, err)
    end)
    assert.equal("text/plain; charset=utf-8", client.request(address, {}).headers["content-type"])
  end)

  it("may be finished by what its own JSON runs", function()
    local held, done
    local address = serve(nil, function(req, res)
      if req.path == "/held" then
        held = res:later()
        return
      elseif held then
        local inner = held
        local value = setmetatable({}, { __pairs = function() inner:send("inner") return next, {} end,
          __index = function() inner:send("inner") end })
        done = { pcall(inner.json, inner, value) }
        held = nil
      end
      res:send("")
    end)
    local connection <close> = send(address, client.format { path = "/held" })
    eventually(function() return held end)
    client.request(address, {})
    assert.is_truthy(done)
    assert.equal(200, connection:response().status)
  end)

  it("comes in the order of the requests, also where all are large and the first is last", function()
    local address = serve(nil, function(req, res)
      local n = tonumber(req.path:match("%d+")) or 0
      if n == 1 then timer.sleep(0.02) end
      local piece = tostring(n % 10):rep(65536)
      for _ = 1, 20 do
        if not res:write(piece) then return end
      end
      res:finish()
    end)
    local requests = {}
    for n = 1, 30 do requests[n] = client.format { path = "/" .. n } end
    local connection <close> = send(address, table.concat(requests))
    for n = 1, 30 do
      local body = connection:response().body
      assert.equal(20 * 65536, #body)
      assert.is_truthy(body == tostring(n % 10):rep(#body))
    end
  end)
end)

describe("a request", function()
  it("keeps its head when its connection is dropped under it", function()
    local got
    local address, server
    address, server = serve(nil, function(req)
      server:close(0, function() end)
      timer.sleep(0.02)
      got = { req.path, req.headers["x-a"] }
    end)
    local other = serve(nil, function(_, res) res:send("other") end)
    local connection <close> = send(address, "GET /first HTTP/1.1\r\nHost: h\r\nX-a: mine\r\n\r\n")
    for _ = 1, 5 do
      client.request(other, { path = "/" .. ("z"):rep(200), headers = { ["x-b"] = ("z"):rep(100) } })
    end
    eventually(function() return got end)
    assert.same({ "/first", "mine" }, got)
    connection:read_all()
  end)

  it("whose spawned task fails is a 500, and its handler waits for the body no more", function()
    local code
    local address = serve(nil, function(req, res)
      if req.path ~= "/" then return res:send("") end
      task.spawn(function() error("child") end)
      code = select(3, req:body())
    end)
    local connection <close> = send(address, POST .. "abc")
    assert.equal(500, connection:response().status)
    eventually(function() return code end)
    assert.equal("ECLOSED", code)
  end)

  it("has every function of on_close called, whatever the others and the handler do", function()
    local calls = {}
    local address = serve(nil, function(req, res)
      if req.path ~= "/" then return res:send("") end
      req:on_close(function() calls[#calls + 1] = 1 error("first") end)
      req:on_close(function() calls[#calls + 1] = 2 eventually(function() return #calls == 3 end) end)
      req:on_close(function() calls[#calls + 1] = 3 end)
      calls.waiting = true
      assert(req:body())
    end)
    local connection = send(address, POST .. "abc")
    eventually(function() return calls.waiting end)
    connection.socket:reset()
    eventually(function() return #calls == 3 end)
    assert.same({ 1, 2, 3, waiting = true }, calls)
  end)

  it("tells in req.closed whether the client has left", function()
    local seen, go_on = {}, false
    local address = serve(nil, function(req, res)
      if req.path ~= "/" then return res:send("") end
      seen.before = req.closed
      eventually(function() return req.closed end)
      seen.after = req.closed
      go_on = true
    end)
    local connection = send(address, POST .. "abc")
    eventually(function() return seen.before ~= nil end)
    connection.socket:reset()
    eventually(function() return go_on end)
    assert.same({ before = false, after = true }, seen)
    assert.equal(200, client.request(address, { path = "/next" }).status)
  end)

  it("calls on_close at once where the client has left already", function()
    local calls = {}
    local address = serve(nil, function(req, res)
      if req.path ~= "/" then return res:send("") end
      req:on_close(function()
        req:on_close(function() calls[#calls + 1] = "second" end)
        calls[#calls + 1] = "first"
      end)
      req:body()
      eventually(function() return #calls == 2 end)
      req:on_close(function() calls[#calls + 1] = "third" end)
    end)
    send(address, POST .. "abc").socket:reset()
    eventually(function() return #calls == 3 end)
    assert.same({ "first", "second", "third" }, calls)
  end)

  it("may be read by several tasks at once", function()
    local address = serve(nil, function(req, res)
      if req.path ~= "/" then return res:send("") end
      local readers = {}
      for i = 1, 5 do readers[i] = task.spawn(function() return req:body(i == 3 and 4 or nil) or "too big" end) end
      local got = {}
      for i, reader in ipairs(readers) do got[i] = reader:join() end
      res:send(table.concat(got, " "))
    end)
    local connection <close> = send(address,
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    timer.sleep(0.003)
    connection:write("2\r\nde\r\n0\r\n\r\n")
    assert.equal("abcde abcde too big abcde abcde", connection:response().body)
  end)

  it("may be left half-read, and its connection goes on", function()
    local address = serve(nil, function(req, res)
      res:send(req:chunks()() or "none")
    end)
    local connection <close> = send(address, POST .. "abc")
    assert.equal("abc", connection:response().body)
    connection:write("0123456" .. client.format { path = "/next" })
    assert.equal("none", connection:response().body)
  end)

  it("may be used in callbacks and reads after its response", function()
    local got
    local address = serve(nil, function(req, res)
      if req.path ~= "/" then return res:send("") end
      local results = {}
      req:body(function(err, code) results[#results + 1] = code or err end)
      res:send("done")
      local chunk, _, code = req:body()
      results[#results + 1] = chunk or code
      timer.after(0.002, function() got = results end)
    end)
    local connection <close> = send(address, POST .. "abc")
    assert.equal("done", connection:response().body)
    eventually(function() return got end)
    assert.same({ "ECLOSED", "ECLOSED" }, got)
  end)
end)

describe("a deadline", function()
  local awaits = {
    ["a timer"] = function() timer.sleep(30) end,
    ["the body"] = function(req) req:body() end,
    ["a chunk"] = function(req) for _ in req:chunks() do end end,
    ["a client that does not read"] = function(_, res) while res:write(("x"):rep(65536)) do end end,
    ["another task"] = function() task.spawn(timer.sleep, 30):join() end,
    ["nothing but its children"] = function() task.spawn(timer.sleep, 30) end,
  }
  for name, await in pairs(awaits) do
    it("ends a handler that waits for " .. name, function()
      local closed, went_on = false, false
      local address = serve({ handler_timeout = 0.01 }, function(req, res)
        if req.path ~= "/" then return res:send("") end
        local _ <close> = setmetatable({}, { __close = function() timer.sleep(0.001) closed = true end })
        await(req, res)
        went_on = not name:find("nothing")
      end)
      local connection <close> = send(address, POST)
      eventually(function() return closed end)
      if name:find("does not read") then
        assert.is_false(pcall(connection.response, connection))
      else
        assert.equal(504, connection:response().status)
      end
      assert.is_false(went_on)
    end)
  end

  it("answers a head that does not come with 408, and closes an idle connection without a word", function()
    local address = serve({ header_timeout = 0.01, keep_alive_timeout = 0.01 }, function(_, res) res:send("x") end)
    local slow <close> = send(address, "GET / HT")
    assert.equal(408, slow:response().status)
    assert.is_nil(slow:response())
    local silent <close> = client.connect(address)
    assert.equal("", silent:read_all())
    local idle <close> = client.connect(address)
    assert.equal(200, idle:request({}).status)
    assert.equal("", idle:read_all())
    local second <close> = client.connect(address)
    assert.equal(200, second:request({}).status)
    second:write("GET / HT")
    assert.equal(408, second:response().status)
  end)

  it("drops a client that does not read", function()
    local code
    local address = serve({ write_timeout = 0.05 }, function(req, res)
      if req.path ~= "/" then return res:send("") end
      repeat
        local ok, _, why = res:write(("x"):rep(65536))
        code = why
      until not ok
    end)
    local connection <close> = send(address, client.format {})
    eventually(function() return code end)
    assert.equal("ECLOSED", code)
    assert.is_false(pcall(connection.response, connection))
  end)
end)

describe("a connection", function()
  it("answers pipelined requests in their order, also when the first is slow", function()
    local address = serve(nil, function(req, res)
      if req.path == "/slow" then timer.sleep(0.01) end
      res:send(req.path)
    end)
    local connection <close> = client.connect(address)
    local paths = { "/slow", "/b", "/c", "/slow", "/e" }
    local bytes = {}
    for i, path in ipairs(paths) do bytes[i] = client.format { path = path } end
    connection:write(table.concat(bytes))
    for _, path in ipairs(paths) do assert.equal(path, connection:response().body) end
  end)

  it("is closed gracefully with its server", function()
    local answering = false
    local address, server = serve(nil, function(_, res)
      answering = true
      timer.sleep(0.02)
      res:send("done")
    end)
    local connection <close> = client.connect(address)
    connection:write(client.format {})
    eventually(function() return answering end)
    local closed = task.spawn(function() return server:close(5) end)
    local response = connection:response()
    assert.equal("done", response.body)
    assert.equal("close", response.headers.connection:lower())
    assert.is_nil(connection:response())
    connection:close() -- the server waits a little for the client's end
    assert.is_true(closed:join())
  end)

  it("closes after max_requests, and says so before", function()
    local address = serve({ max_requests = 2 }, function(_, res) res:send("x") end)
    local connection <close> = send(address, client.format {}:rep(3))
    assert.is_nil(connection:response().headers.connection)
    assert.equal("close", connection:response().headers.connection)
    assert.is_nil(connection:response())
  end)

  it("may be reset at every byte", function()
    local address = serve(nil, function(req, res)
      res:write("begin")
      res:finish(req:body())
    end)
    local bytes = POST .. "0123456789" .. client.format {}
    local tasks = {}
    for n = 0, #bytes do
      tasks[#tasks + 1] = task.spawn(function()
        local connection = client.connect(address)
        if n > 0 then connection:write(bytes:sub(1, n)) end
        timer.sleep(n % 3 / 1000)
        connection.socket:reset()
      end)
    end
    for _, t in ipairs(tasks) do t:join() end
  end)

  it("in every state ends with its server", function()
    local state = {}
    local address, server = serve(nil, function(req, res)
      local path = req.path
      state[#state + 1] = path
      if path == "/body" then return res:send(req:body() or "") end
      if path == "/chunks" then for _ in req:chunks() do end end
      if path == "/write" then while res:write(("x"):rep(65536)) do end end
      if path == "/sleep" then timer.sleep(0.05) end
      if path == "/later" then state.held = res:later() return end
      if path == "/begun" then res:write("x") timer.sleep(0.05) end
      if not res.finished then res:finish() end
    end)
    local idle = client.connect(address)
    idle:request { path = "/idle" }
    local connections = { idle, send(address, "GET / HT") }
    for _, path in ipairs { "/body", "/chunks", "/write", "/sleep", "/later", "/begun", "/done" } do
      connections[#connections + 1] = send(address, (POST:gsub("/", path, 1)))
    end
    eventually(function() return #state == 8 end)
    assert.is_true(server:close(0.02))
    for _, connection in ipairs(connections) do
      connection:read_all()
      connection:close()
    end
  end)
end)

describe("task.locals", function()
  it("is req.locals, in everything that the request started, and no other request's", function()
    local address = serve(nil, function(req, res)
      local id = req.query.id
      assert.equal(req.locals, task.locals())
      assert.is_nil(req.locals.id)
      req.locals.id = id
      res:later()
      task.spawn(function()
        timer.sleep(0.002)
        assert.equal(id, task.locals().id)
        timer.after(0.001, function()
          assert.equal(id, task.locals().id)
          timer.sleep(0.001, function()
            local inner = task.all(function() return task.locals().id end)
            local outside = task.background(function() return task.locals().id end):join()
            res:send(("%s %s"):format(inner, outside))
          end)
        end)
      end)
    end)
    local group <close> = task.group()
    for i = 1, 20 do
      group:spawn(function()
        assert.equal(i .. " nil", client.request(address, { path = "/?id=" .. i }).body)
      end)
    end
    group:wait()
    assert.is_nil(task.locals().id)
  end)
end)
