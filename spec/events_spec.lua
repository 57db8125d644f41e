-- SPDX-License-Identifier: MIT
-- res:events: server-sent events as a browser reads them.

local client, http_servers = require "spec.support.client", require "spec.support.http_servers"
local net, task, timer = require "luaserve.net", require "luaserve.task", require "luaserve.timer"
local process, waits = require "spec.support.process", require "spec.support.waits"

local eventually, serve = waits.eventually, http_servers.serve

after_each(function()
  http_servers.clean_up()
  process.clean_up()
end)

--- The answer to one request, whose handler gets (events, req, res). An error in the handler is the spec's.
local function answer(handler, request, options)
  local failure
  local _, address = serve(nil, function(req, res)
    local ok, err = pcall(function()
      local events <close> = res:events(options)
      handler(events, req, res)
    end)
    if not ok then failure = err end
  end)
  local response = client.request(address, request or {})
  if failure then error(failure, 2) end
  return response
end

--- What a handler sends.
local function stream(handler, options)
  return answer(handler, nil, options).body
end

--- A connection that has asked for the stream, and read its head.
local function open_stream(address, path)
  local connection = client.connect(address)
  connection:write(("GET %s HTTP/1.1\r\nHost: x\r\n\r\n"):format(path or "/"))
  while not connection.buffer:find("\r\n\r\n", 1, true) do assert(connection:fill()) end
  return connection
end

describe("res:events", function()
  it("begins a stream that nothing keeps or collects", function()
    local _, address = serve(nil, function(_, res)
      res:set("content-type", "text/plain"):set("content-length", 7)
      local events = res:events()
      assert.is_false(events.closed)
      assert.equal("luaserve.events (GET /)", tostring(events))
      events:close()
      assert.is_true(events.closed)
      assert.equal("luaserve.events (closed)", tostring(events))
    end)
    local response = client.request(address, {})
    assert.equal(200, response.status)
    assert.equal("text/event-stream", response.headers["content-type"])
    assert.equal("no-store", response.headers["cache-control"])
    assert.equal("no", response.headers["x-accel-buffering"])
    assert.is_nil(response.headers["content-length"])
    assert.equal("", response.body)
  end)

  it("leaves what was set", function()
    local response = client.request(select(2, serve(nil, function(_, res)
      res:set("cache-control", "no-cache"):set("x-accel-buffering", "yes"):events()
    end)), {})
    assert.equal("no-cache", response.headers["cache-control"])
    assert.equal("yes", response.headers["x-accel-buffering"])
  end)

  it("sends its head at once", function()
    local go = task.semaphore(1)
    go:acquire()
    local _, address = serve(nil, function(_, res)
      res:events()
      go:acquire()
    end)
    open_stream(address):close()
    go:release()
  end)

  it("sends data, one line for each of its own", function()
    assert.equal("data: a\n\n", stream(function(events) assert.is_true(events:send("a")) end))
    assert.equal("data: 7\n\n", stream(function(events) events:send(7) end))
    assert.equal("data: \n\n", stream(function(events) events:send("") end))
    assert.equal("data:  a\ndata: b\ndata: c\ndata: \ndata: d\ndata: \n\n", stream(function(events)
      events:send(" a\nb\r\nc\r\rd\n")
    end))
    assert.equal('data: {"a":[1]}\n\n', stream(function(events) events:send { data = { a = { 1 } } } end))
  end)

  it("sends type, id and retry", function()
    assert.equal("event: price\nid: 12\nretry: 1500\ndata: x\n\n", stream(function(events)
      events:send { event = "price", data = "x", id = 12, retry = 1.5 }
    end))
    assert.equal("event: ping\ndata: \n\n", stream(function(events) events:send { event = "ping" } end))
    assert.equal("id: \n\nretry: 0\n\n", stream(function(events)
      events:send { id = "" }
      events:send { retry = 0 }
    end))
    assert.equal("retry: 3000\n\n", stream(function() end, { retry = 3 }))
  end)

  it("sends comments", function()
    assert.equal(": a\n: b\n\n: \n\n", stream(function(events)
      events:comment("a\nb")
      events:comment()
    end))
  end)

  it("refuses what would be another line or is no event", function()
    stream(function(events)
      for message, event in pairs {
        ["events:send: the field 'id' contains CR, LF or NUL"] = { id = "a\nb" },
        ["events:send: the field 'event' contains CR, LF or NUL"] = { event = "a\rb", data = "x" },
        ["events:send: unknown option 'evnt' (did you mean 'event'?)"] = { evnt = "x" },
        ["events:send: the field 'data' must be a string, not a function"] = { data = print },
        ["events:send: the field 'id' must be a string, not a table"] = { id = {} },
      } do
        assert.has_error(function() events:send(event) end, message)
      end
      assert.has_error(function() events:send { id = "a\0b" } end, "events:send: the field 'id' contains CR, LF or NUL")
      assert.has_error(function() events:send() end)
      assert.has_error(function() events:send { data = { print } } end)
      assert.has_error(function() events:send { retry = -1 } end)
    end)
  end)

  it("tells the last id that the client has", function()
    answer(function(events) assert.equal("7 é", events.last_id) end, { headers = { ["last-event-id"] = "7 é" } })
    answer(function(events) assert.is_nil(events.last_id) end)
  end)

  it("knows its options, and comes before anything else", function()
    local _, address = serve(nil, function(_, res)
      assert.has_error(function() res:events { hartbeat = 1 } end,
        "res:events: unknown option 'hartbeat' (did you mean 'heartbeat'?)")
      assert.has_error(function() res:events { heartbeat = "x" } end)
      res:write("x")
      assert.has_error(function() res:events() end, "the headers have been sent already")
      res:finish()
    end)
    assert.equal("x", client.request(address, {}).body)
  end)

  it("takes a callback", function()
    local got
    local body = stream(function(events)
      events:send("a", function(...) got = table.pack(...) end)
      timer.sleep(0.005)
    end)
    assert.equal("data: a\n\n", body)
    assert.same({ nil, true, n = 2 }, got)
  end)

  it("beats where nothing is sent", function()
    local _, address = serve({ cancel_on_close = true }, function(_, res)
      res:events { heartbeat = 0.005 }
      timer.sleep(3600)
    end)
    local connection <close> = open_stream(address)
    while not connection.buffer:find(":\n\n.*:\n\n") do assert(connection:fill()) end
  end)

  it("does not beat where that is not wanted", function()
    assert.equal("data: a\n\n", stream(function(events)
      timer.sleep(0.03)
      events:send("a")
    end, { heartbeat = false }))
  end)
end)

describe("a stream of events ends", function()
  it("when it is closed, and sending goes on harmlessly", function()
    local got
    assert.equal("data: a\n\n", stream(function(events)
      events:send("a")
      assert.is_true(events:close())
      assert.is_true(events:close())
      got = table.pack(events:send("b"))
      assert.same({ nil, "closed", "ECLOSED", n = 3 }, table.pack(events:comment()))
    end))
    assert.same({ nil, "closed", "ECLOSED", n = 3 }, got)
  end)

  it("with its handler, in good order, and can still be asked", function()
    local kept
    local _, address = serve(nil, function(_, res)
      kept = res:events()
      kept:send("a")
    end)
    local connection <close> = client.connect(address)
    assert.equal("data: a\n\n", connection:request({}).body)
    assert.equal("data: a\n\n", connection:request({}).body) -- the connection lives
    eventually(function() return kept.closed end)
    assert.same({ nil, "closed", "ECLOSED", n = 3 }, table.pack(kept:send("b")))
    assert.is_true(kept:close())
    assert.is_nil(kept.last_id)
  end)

  it("with what the handler has started", function()
    local _, address = serve(nil, function(_, res)
      local events = res:events()
      task.spawn(function()
        timer.sleep(0.005)
        events:send("late")
      end)
    end)
    assert.equal("data: late\n\n", client.request(address, {}).body)
  end)

  it("after res:later() when nobody holds it", function()
    local held = {}
    local _, address = serve(nil, function(_, res) held[1] = res:later():events { heartbeat = 0.005 } end)
    local connection <close> = open_stream(address)
    held[1]:send("a")
    while not connection.buffer:find("data: a", 1, true) do assert(connection:fill()) end
    collectgarbage()
    assert.is_false(held[1].closed)
    held[1] = nil
    eventually(function()
      collectgarbage()
      connection:fill()
      return connection.buffer:find("\r\n0\r\n\r\n$")
    end)
  end)

  it("in a reset when the handler fails", function()
    local _, address = serve(nil, function(_, res)
      res:events():send("a")
      timer.sleep(0.001) -- the head has left
      error("on purpose")
    end)
    local connection <close> = open_stream(address)
    connection:read_all()
    assert.equal("ECONNRESET", connection.reset)
  end)

  it("when its client leaves", function()
    local got, told
    local _, address = serve(nil, function(req, res)
      local events = res:events { heartbeat = 0.005 }
      req:on_close(function() told = true end)
      repeat
        got = table.pack(events:send(("x"):rep(10000)))
      until not got[1]
    end)
    open_stream(address):close()
    eventually(function() return got and not got[1] end)
    assert.same({ nil, "closed", "ECLOSED", n = 3 }, got)
    eventually(function() return told end)
  end)

  it("at once when the server closes, and on_close is called once", function()
    local calls, events = 0, nil
    local server, address = serve(nil, function(req, res)
      req:on_close(function() calls = calls + 1 end)
      events = res:later():events()
    end)
    local connection = open_stream(address)
    server:close(0)
    assert.equal(1, calls)
    assert.is_true(events.closed)
    connection:close()
  end)

  it("at once when the server closes", function()
    local got, first
    local gate = task.semaphore(1)
    gate:acquire()
    local server, address = serve(nil, function(req, res)
      if req.path == "/late" then
        first = true
        gate:acquire()
        gate:release()
        local events = res:events()
        assert.is_true(events.closed)
        return
      end
      local events = res:events()
      req:on_close(function() gate:release() end)
      gate:acquire()
      gate:release()
      got = table.pack(events:send("a"))
    end)
    local connection <close> = open_stream(address)
    local late <close> = client.connect(address)
    late:write("GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
    eventually(function() return first end)
    local closing = task.spawn(server.close, server, 3600)
    assert.matches("\r\n0\r\n\r\n$", connection:read_all())
    assert.is_nil(connection.reset)
    assert.equal("text/event-stream", late:response().headers["content-type"])
    connection:close()
    late:close()
    assert.is_true(closing:join())
    assert.same({ nil, "closed", "ECLOSED", n = 3 }, got)
  end)

  it("at once when the program is told to end", function()
    local server = process.serve_code([[
      return function(_, res)
        local events <close> = res:events()
        while events:send("x") do require "luaserve.timer".sleep(0.005) end
      end]], { options = { "--grace", "3600" } })
    local connection <close> = open_stream(server:address())
    server:signal("TERM")
    assert.matches("\r\n0\r\n\r\n$", connection:read_all())
    assert.is_nil(connection.reset)
    connection:close()
    assert.equal(0, (server:wait()))
  end)

  it("before it has begun, for HEAD", function()
    local closed
    local response = answer(function(events)
      closed = events.closed
      assert.same({ nil, "closed", "ECLOSED", n = 3 }, table.pack(events:send("a")))
    end, { method = "HEAD" })
    assert.equal("text/event-stream", response.headers["content-type"])
    assert.is_true(closed)
  end)

  it("with the connection, for HTTP/1.0", function()
    local _, address = serve(nil, function(_, res)
      local events <close> = res:events()
      events:send("a")
    end)
    local connection <close> = client.connect(address)
    connection:write("GET / HTTP/1.0\r\n\r\n")
    local response = connection:response()
    assert.is_nil(response.headers["transfer-encoding"])
    assert.equal("data: a\n\n", response.body)
  end)

  it("not by handler_timeout", function()
    local _, address = serve({ handler_timeout = 0.01 }, function(_, res)
      local events <close> = res:events()
      timer.sleep(0.05)
      events:send("a")
    end)
    assert.equal("data: a\n\n", client.request(address, {}).body)
  end)
end)

describe("events:send", function()
  it("waits for a client that does not read", function()
    local sent, done = 0, false
    local _, address = serve(nil, function(_, res)
      local events <close> = res:events()
      for _ = 1, 100 do
        if not events:send(("x"):rep(100000)) then break end
        sent = sent + 1
      end
      done = true
    end)
    local socket <close> = assert(net.connect(address))
    socket:write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    local before
    eventually(function() -- it has stopped
      local same = sent > 0 and sent == before
      before = sent
      timer.sleep(0.02)
      return same
    end)
    assert.is_false(done)
    assert.is_true(#socket:read_all() > 100 * 100000)
    assert.is_true(done)
    assert.equal(100, sent)
  end)

  it("says who is behind, so that nobody has to wait", function()
    local events
    local _, address = serve(nil, function(_, res) events = res:later():events { heartbeat = false } end)
    local connection <close> = open_stream(address)
    eventually(function() return events end)
    assert.is_false(events.behind)
    local sent = 0
    while not events.behind do
      events:send(("x"):rep(100000), function() end)
      sent = sent + 1
      assert.is_true(sent < 1000)
    end
    eventually(function()
      connection:fill()
      return not events.behind
    end)
    events:close()
    assert.is_false(events.behind)
  end)

  it("is decodable event by event when it is coded", function()
    local _, address = serve({ compress = { min_size = 0 } }, function(_, res)
      local events <close> = res:events()
      events:send(("a"):rep(100))
    end)
    local response = client.request(address, { headers = { ["accept-encoding"] = "gzip" } })
    assert.equal("gzip", response.headers["content-encoding"])
  end)
end)
