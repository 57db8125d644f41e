-- SPDX-License-Identifier: MIT
--- The programs in examples/, served and asked over real sockets.

local process = require "spec.support.process"
local crypto, json, task = require "luaserve.crypto", require "luaserve.json", require "luaserve.task"

describe("examples/hello.lua", function()
  after_each(process.clean_up)

  it("greets", function()
    local server = process.serve { "-p", "0", "examples/hello.lua" }
    local response = server:request "/"
    assert.equal(200, response.status)
    assert.equal("Hello from luaserve, whoever you are!\n", response.body)
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    assert.equal("Hello from luaserve, Ada & Grace!\n", server:request("/?name=Ada+%26%20Grace").body)
    local head = server:request { method = "HEAD" }
    assert.equal(200, head.status)
    assert.equal("", head.body)
    assert.same({ 0, "" }, { server:stop() })
  end)

  it("greets two requests on one connection", function()
    local server = process.serve { "-p", "0", "examples/hello.lua" }
    local connection = server:connect()
    for _, name in ipairs { "Ada", "Grace" } do
      assert.equal(("Hello from luaserve, %s!\n"):format(name), connection:request({ path = "/?name=" .. name }).body)
    end
    server:stop()
  end)
end)

describe("examples/board.lua", function()
  after_each(process.clean_up)

  local function post(server, text)
    return server:request { method = "POST", body = "text=" .. text,
      headers = { ["content-type"] = "application/x-www-form-urlencoded" } }
  end

  local function read_until(connection, text)
    while not connection.buffer:find(text, 1, true) do assert(connection:fill()) end
  end

  it("shows what was written, escaped", function()
    local server = process.serve { "-p", "0", "examples/board.lua" }
    local response = post(server, "%3Cb%3E+%26+more")
    assert.same({ 303, "/" }, { response.status, response.headers.location })
    response = server:request "/"
    assert.equal("text/html; charset=utf-8", response.headers["content-type"])
    assert.is_truthy(response.body:find("\n<li>&lt;b&gt; &amp; more</li>\n</ol>", 1, true))
    assert.is_truthy(response.body:find('("/events?after=" + 1)', 1, true))
    assert.equal(422, post(server, "").status)
    assert.equal(404, server:request("/x").status)
    assert.same({ 0, "" }, { server:stop() })
  end)

  it("tells who follows, and who comes back, what he missed", function()
    local server = process.serve { "-p", "0", "examples/board.lua" }
    local follower <close> = server:connect()
    follower:write("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    read_until(follower, "retry: 1000\n\n")
    post(server, "one")
    read_until(follower, 'id: 1\ndata: {"text":"one"}\n\n')
    post(server, "two")
    local other <close> = server:connect()
    other:write("GET /events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1\r\n\r\n")
    read_until(other, 'id: 2\ndata: {"text":"two"}\n\n')
    assert.is_nil(other.buffer:find("one", 1, true))
    server:signal("TERM")
    assert.matches("\r\n0\r\n\r\n$", follower:read_all())
    follower:close()
    other:close()
    assert.same({ 0, "" }, { server:wait() })
  end)
end)

describe("examples/offload.lua", function()
  local server

  before_each(function() server = process.serve { "-p", "0", "examples/offload.lua" } end)
  after_each(process.clean_up)

  local function ask(method, path, body)
    local response = server:request { method = method, path = path, body = body }
    return response.status, response.headers["content-type"] == "application/json" and json.decode(response.body)
  end

  it("answers a plain page before the jobs that were sent earlier", function()
    local order, jobs = {}, {}
    local function send(name, method, path, body)
      local connection = server:connect()
      connection:write(("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"):format(method, path, #body, body))
      return task.spawn(function()
        assert.equal(200, connection:response().status)
        order[#order + 1] = name
      end)
    end
    for _ = 1, 4 do jobs[#jobs + 1] = send("primes", "GET", "/primes/1000000", "") end
    for _ = 1, 4 do jobs[#jobs + 1] = send("password", "POST", "/password", "correct horse") end
    send("plain", "GET", "/", ""):join()
    for _, job in ipairs(jobs) do job:join() end
    assert.equal("plain", order[1])
    assert.equal(9, #order)
    assert.equal(0, (server:stop())) -- a busy machine's log says that jobs wait
  end)

  it("counts primes, on the pool and on the loop", function()
    for _, place in ipairs { "", "?on=loop" } do
      assert.same({ 200, { limit = 100, primes = 25 } }, { ask("GET", "/primes/100" .. place) })
    end
    for limit, count in pairs { [0] = 0, [1] = 0, [2] = 1, [3] = 2, [4] = 2, [9] = 4 } do
      assert.equal(count, select(2, ask("GET", "/primes/" .. limit)).primes)
    end
    for _, limit in ipairs { "5000001", ("9"):rep(400) } do assert.equal(400, (ask("GET", "/primes/" .. limit))) end
    for _, limit in ipairs { "", "x", "-1", "1.5" } do assert.equal(404, (ask("GET", "/primes/" .. limit))) end
  end)

  it("hashes passwords", function()
    local status, answer = ask("POST", "/password", "correct horse")
    assert.equal(200, status)
    assert.is_true(crypto.password_verify("correct horse", answer.hash))
    assert.equal(400, (ask("POST", "/password", "")))
    assert.equal(413, (ask("POST", "/password", ("x"):rep(1025))))
    assert.equal(405, (ask("GET", "/password")))
  end)
end)

describe("examples/native/server.lua", function()
  after_each(process.clean_up)

  it("counts, and answers others meanwhile", function()
    local folder = process.luaserve:match("build/%a+") or "build/release"
    local server = process.serve { "-p", "0", "examples/native/server.lua", folder .. "/examples/native" }
    local slow, quick = server:connect(), server:connect()
    slow:write("GET /1000000000 HTTP/1.1\r\nHost: x\r\n\r\n") -- takes seconds, and is given up after one
    assert.equal(404, quick:request({ path = "/" }).status)
    assert.equal(503, slow:response().status)
    assert.equal("1229\n", quick:request({ path = "/10000" }).body)
    assert.same({ 0, "" }, { server:stop() })
  end)
end)
