-- SPDX-License-Identifier: MIT
--- examples/aggregate/: its own services, services of the spec that say what they like, and clients that leave.

local json = require "luaserve.json"
local net = require "luaserve.net"
local task = require "luaserve.task"
local test = require "luaserve.test"
local timer = require "luaserve.timer"
local waits = require "spec.support.waits"

describe("examples/aggregate", function()
  --- A service that reads a request and then does what the spec wants with the socket: the argument that names it.
  local function service(name, act)
    local server = assert(net.listen({ host = "127.0.0.1" }, function(accepted)
      local socket <close> = accepted
      if socket:read_until("\r\n\r\n") then act(socket) end
    end))
    test.cleanup(server.close, server)
    return ("%s=http://127.0.0.1:%d/%s?x=1"):format(name, server:address().port, name)
  end

  local function saying(name, ...)
    local bytes = table.concat { ... }
    return service(name, function(socket) socket:write(bytes) end)
  end

  --- One that says nothing until its client leaves; and what tells whether it is asked now.
  local function silent(name)
    local asked = 0
    return service(name, function(socket)
      asked = asked + 1
      socket:read()
      asked = asked - 1
    end), function() return asked end
  end

  local function serve(...)
    return test.serve("examples/aggregate/app.lua", { arguments = { ... } })
  end

  it("asks the services that it starts, and answers without those that are slow or broken", function()
    local client = serve()
    local answer = client:get("/"):expect(200):json()
    assert.is_false(answer.complete)
    assert.equal(-7, answer.answers.weather.degrees)
    assert.equal(2, #answer.answers.news)
    assert.equal("ETIMEDOUT", answer.failures.trains.code)
    assert.equal("it answered 500", answer.failures.shop.message)
    answer = client:get("/?from=weather,news"):expect(200):json()
    assert.is_true(answer.complete)
    assert.same({}, answer.failures)
    client:get("/?from=shop"):expect(502)
    assert.equal("", client:log())
  end)

  it("asks all at once", function()
    local arrived = 0
    local list = {}
    for i = 1, 5 do
      list[i] = service("s" .. i, function(socket) -- nobody answers before all were asked
        arrived = arrived + 1
        while arrived < 5 do timer.sleep(0.001) end
        socket:write("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" .. i)
      end)
    end
    serve(table.unpack(list)):get("/?timeout=10"):expect(200)
    assert.equal(5, arrived)
  end)

  it("sends a request that servers understand", function()
    local head
    local name = test.serve(function(req, res)
      head = { req.method, req.url, req.host, req.headers.connection }
      res:json { 1 }
    end)
    local host = "localhost:" .. name.address.port
    serve(("a=http://%s/path?q=1#fragment"):format(host)):get("/"):expect(200)
    assert.same({ "GET", "/path?q=1", host, "close" }, head)
  end)

  it("reads bodies however they are framed", function()
    local answer = serve(
      saying("length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]and more"),
      saying("to_end", "HTTP/1.0 200 OK\r\n\r\n[2]"),
      saying("chunks", "HTTP/1.1 200 \r\nTransfer-Encoding: Chunked\r\n\r\n1\r\n[\r\n2;x=y\r\n3]\r\n0\r\n\r\n"),
      saying("interim", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[4]"),
      saying("null", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull")):get("/"):expect(200):json()
    assert.same({ length = { 1 }, to_end = { 2 }, chunks = { 3 }, interim = { 4 }, null = json.null }, answer.answers)
  end)

  it("takes nothing malformed, endless or too large", function()
    local cases = {
      garbage = { "EPROTO", "220 mail.example ESMTP\r\n\r\n" },
      empty = { "EOF", "" },
      half_head = { "EOF", "HTTP/1.1 200 OK\r\nA: b" },
      half_body = { "EOF", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1" },
      half_chunk = { "EOF", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1" },
      field = { "EPROTO", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n[1]" },
      length = { "EPROTO", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n[1]" },
      lengths = { "EPROTO", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n[1]" },
      large = { "ETOOBIG", "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" },
      huge = { "ETOOBIG", "HTTP/1.1 200 OK\r\nContent-Length: " .. ("9"):rep(400) .. "\r\n\r\n" },
      large_chunk = { "ETOOBIG", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" },
      large_to_end = { "ETOOBIG", "HTTP/1.1 200 OK\r\n\r\n", ("x"):rep(300000) },
      large_head = { "ETOOBIG", "HTTP/1.1 200 OK\r\nA: ", ("x"):rep(20000) },
      chunk_size = { "EPROTO", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" },
      coding = { "EPROTO", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n" },
      interim = { "EPROTO", ("HTTP/1.1 100 Continue\r\n\r\n"):rep(20) },
      no_json = { "EJSON", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n[" },
      moved = { "ESTATUS", "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n" },
    }
    local list = {}
    for name, case in pairs(cases) do list[#list + 1] = saying(name, table.unpack(case, 2)) end
    local client = serve(table.unpack(list))
    local answer = client:get("/?timeout=10"):expect(502):json()
    for name, case in pairs(cases) do assert.equal(case[1], answer.failures[name].code, name) end
    assert.equal("", client:log())
  end)

  it("says who cannot be reached", function()
    local gone = assert(net.listen({ host = "127.0.0.1" }, print))
    local port = gone:address().port
    gone:close()
    serve(("gone=http://127.0.0.1:%d/"):format(port)):get("/"):expect(502):expect_body("ECONNREFUSED")
  end)

  it("lets go of a service that has no time left", function()
    local argument, asked = silent("slow")
    local client = serve(argument)
    client:get("/?timeout=0.05"):expect(502):expect_body("ETIMEDOUT")
    waits.eventually(function() return asked() == 0 end)
  end)

  it("gives up all that it has asked for a client that leaves", function()
    local one, one_asked = silent("one")
    local two, two_asked = silent("two")
    local client = serve(one, two)
    local function ask(n)
      local wire = client:connect()
      wire:write("GET /?timeout=10 HTTP/1.1\r\nHost: x\r\n\r\n")
      waits.eventually(function() return one_asked() == n and two_asked() == n end)
      return wire
    end
    local stays, leaves = ask(1), ask(2) -- the deadlines of the one who stays come first
    local answer = task.spawn(stays.read_head, stays, "GET")
    leaves:reset()
    waits.eventually(function() return one_asked() == 1 and two_asked() == 1 end)
    assert.equal("waiting", answer:status())
    stays:reset()
    waits.eventually(function() return one_asked() == 0 and two_asked() == 0 end)
    pcall(answer.join, answer)
    assert.equal("", client:log())
  end)

  it("says what is wrong with a request", function()
    local client = serve()
    for _, timeout in ipairs { "0", "-1", "11", "nan", "inf", "x", "" } do
      client:get("/?timeout=" .. timeout):expect(400)
    end
    client:get("/?from=weather,x"):expect(404)
    client:get("/?from=,"):expect(400)
    client:post("/", { body = "" }):expect(405)
  end)

  it("says which argument it does not understand", function()
    for _, argument in ipairs { "x", "a=https://example.org/", "a b=http://example.org/" } do
      local ok, message = pcall(serve, argument)
      assert.is_false(ok)
      assert.is_truthy(message:find("a service is name=http://..., not " .. argument, 1, true))
    end
  end)
end)
