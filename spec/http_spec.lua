-- SPDX-License-Identifier: MIT
local client = require "spec.support.client"
local http_servers, waits = require "spec.support.http_servers", require "spec.support.waits"
local http, task, timer = require "luaserve.http", require "luaserve.task", require "luaserve.timer"

local eventually, serve = waits.eventually, http_servers.serve

--- What the handler answers to one request. An error in the handler is the spec's.
local function answer(handler, request)
  local failure
  local _, address = serve(nil, function(req, res)
    local ok, err = pcall(handler, req, res)
    if not ok then
      failure = err
      if not res.headers_sent then res:send(500, "failed") end
    end
  end)
  local response = client.request(address, request or {})
  if failure then error(failure, 2) end
  return response
end

after_each(function() http_servers.clean_up() end)

describe("create_server", function()
  it("names an unknown option and the one probably meant", function()
    assert.has_error(function() http.create_server({ max_bdy = 1 }, print) end,
      "create_server: unknown option 'max_bdy' (did you mean 'max_body'?)")
  end)

  it("wants a handler", function()
    assert.has_error(function() http.create_server({}) end)
    assert.has_error(function() http.create_server() end)
  end)

  it("takes an object that can be called", function()
    local _, address = serve(nil, setmetatable({}, { __call = function(_, _, res) res:send("called") end }))
    assert.equal("called", client.request(address, {}).body)
  end)

  it("listens, tells its address, and closes", function()
    local server, address = serve(nil, function(_, res) res:send("x") end)
    assert.equal("127.0.0.1", address.host)
    assert.is_true(address.port > 0)
    assert.equal(("http server (127.0.0.1:%d)"):format(address.port), tostring(server))
    assert.is_true(server:close())
    assert.is_nil(server:address())
    assert.equal(0, server:connections())
    assert.is_true(server:close())
    assert.has_error(function() server:listen(0) end, "the server is closed")
  end)

  it("says which address is in use", function()
    local _, address = serve(nil, function() end)
    local result, message, code = http.create_server(function() end):listen(address)
    assert.is_nil(result)
    assert.equal(("EADDRINUSE: address already in use: listen 127.0.0.1:%d"):format(address.port), message)
    assert.equal("EADDRINUSE", code)
  end)

  it("listens on a unix socket", function()
    local path = os.tmpname()
    os.remove(path)
    local server = http.create_server(function(req, res) res:send(tostring(req.remote_address)) end)
    http_servers.keep(server)
    assert(server:listen { path = path })
    assert.same({ path = path }, server:address())
    assert.equal(200, client.request({ path = path }, {}).status)
  end)

  it("answers over max_connections with 503", function()
    local server, address = serve({ max_connections = 1 }, function(_, res) res:send("x") end)
    local first <close> = client.connect(address)
    assert.equal(200, first:request({}).status)
    assert.equal(1, server:connections())
    local second <close> = client.connect(address)
    assert.equal(503, second:response().status)
    assert.is_nil(second:response())
  end)
end)

describe("req", function()
  it("has the parts of the request line", function()
    local got = {}
    answer(function(req, res)
      for _, name in ipairs { "method", "url", "path", "scheme", "host", "secure", "version", "remote_address" } do
        got[name] = req[name]
      end
      assert.is_true(req.remote_port > 0)
      assert.has_error(function() return req.nonsense end, "req has no field 'nonsense'")
      res:send("")
    end, { method = "DELETE", path = "/a/./b/../c%20d?x=1", headers = { host = "example.org:81" } })
    assert.same({ method = "DELETE", url = "/a/./b/../c%20d?x=1", path = "/a/c%20d", scheme = "http",
      host = "example.org:81", secure = false, version = "1.1", remote_address = "127.0.0.1" }, got)
  end)

  it("is still there after the response, for who logs it", function()
    local got
    answer(function(req, res)
      res:send("")
      timer.sleep(0.005)
      got = { req.method, req.path, req.remote_address, res.status, res.finished }
    end, { path = "/x" })
    eventually(function() return got end)
    assert.same({ "GET", "/x", "127.0.0.1", 200, true }, got)
  end)

  it("decodes the path on demand", function()
    local response = answer(function(req, res) res:send(req:decoded_path()) end, { path = "/a%20b/%C3%BC" })
    assert.equal("/a b/ü", response.body)
  end)

  it("refuses a path with a NUL before a handler sees it", function()
    local called = false
    local response = answer(function() called = true end, { path = "/a%00b" })
    assert.equal(400, response.status)
    assert.is_false(called)
  end)

  it("parses the query", function()
    answer(function(req, res)
      assert.same({ a = "1", b = "x y", c = "", ["é"] = "&" }, req.query)
      assert.same({ "1", "2" }, req:query_all("a"))
      assert.same({}, req:query_all("z"))
      assert.equal(req.query, req.query)
      res:send("")
    end, { path = "/?a=1&b=x+y&a=2&c&%C3%A9=%26" })
  end)

  it("finds headers in any case, joins repeated ones, and lists them raw", function()
    local _, address = serve(nil, function(req, res)
      local lines = {}
      for name, value in pairs(req.headers) do lines[#lines + 1] = name .. "=" .. value end
      table.sort(lines)
      for _, pair in ipairs(req:header_list()) do lines[#lines + 1] = pair[1] .. ": " .. pair[2] end
      assert.equal("1, 2", req.headers["x-A"])
      assert.is_nil(req.headers.nothing)
      assert.is_false(pcall(function() req.headers.x = "y" end))
      res:send(table.concat(lines, "\n"))
    end)
    local connection <close> = client.connect(address)
    connection:write("GET / HTTP/1.1\r\nHost: h\r\nX-a: 1\r\nCookie: p=1\r\nx-A: 2\r\ncookie: q=2\r\n\r\n")
    assert.equal("cookie=p=1; q=2\nhost=h\nx-a=1, 2\nHost: h\nX-a: 1\nCookie: p=1\nx-A: 2\ncookie: q=2",
      connection:response().body)
  end)

  it("has locals and params, and no other fields to set", function()
    answer(function(req, res)
      req.locals.user = "u"
      assert.equal("u", req.locals.user)
      assert.same({}, req.params)
      req.params = { id = "7" }
      assert.equal("7", req.params.id)
      local ok, err = pcall(function() req.user = 1 end)
      assert.is_false(ok)
      assert.matches("req.user cannot be set; req.locals is the place", err, 1, true)
      res:send("")
    end)
  end)

  it("raises once its request has ended", function()
    local kept_req, kept_res
    answer(function(req, res) kept_req, kept_res = req, res res:send("") end)
    eventually(function() return tostring(kept_req):match("ended") end)
    for _, use in ipairs { function() return kept_req.method end, function() return kept_req:body() end,
      function() return kept_res:send("x") end, function() kept_res.status = 200 end } do
      local ok, err = pcall(use)
      assert.is_false(ok)
      assert.matches("the request has ended", err, 1, true)
    end
  end)
end)

describe("the body of a request", function()
  it("is waited for whole, and stays", function()
    local _, address = serve(nil, function(req, res)
      local body = req:body()
      assert(body == req:body())
      res:send(body)
    end)
    local connection <close> = client.connect(address)
    connection:write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf ")
    timer.sleep(0.002)
    connection:write("other")
    assert.equal("half other", connection:response().body)
    connection:write("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert.equal("abcde", connection:response().body)
    assert.equal("", connection:request({}).body)
  end)

  it("may be larger than what is buffered for a handler that does not look", function()
    local body = ("0123456789"):rep(60000)
    assert.is_true(answer(function(req, res) res:send(req:body()) end, { method = "POST", body = body }).body == body)
  end)

  it("has limits", function()
    local _, address = serve({ max_body = 10 }, function(req, res)
      local body, message, code = req:body(5)
      res:json { body = body, message = message, code = code }
    end)
    assert.equal('{"body":"12345"}', client.request(address, { method = "POST", body = "12345" }).body)
    local response = client.request(address, { method = "POST", body = "123456" })
    assert.matches('"code":"ETOOBIG"', response.body, 1, true)
    assert.equal(413, client.request(address, { method = "POST", body = "12345678901" }).status)
  end)

  it("tells a client that stops sending from one that has left", function()
    local codes = {}
    local _, address = serve({ body_timeout = 0.05 }, function(req, res)
      local _, _, code = req:body()
      codes[#codes + 1] = code
      res:send("late")
    end)
    local slow <close> = client.connect(address)
    slow:write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n1")
    eventually(function() return #codes == 1 end)
    assert.equal("ETIMEDOUT", codes[1])
    local short = client.connect(address)
    short:write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n1")
    short:close()
    eventually(function() return #codes == 2 end)
    assert.equal("ECLOSED", codes[2])
  end)

  it("is not waited for once the response is complete", function()
    local codes = {}
    local _, address = serve(nil, function(req, res)
      local reader = task.spawn(function() return select(3, req:body()) end)
      timer.sleep(0.001)
      res:send("early")
      codes[1] = reader:join()
      codes[2] = select(3, req:body())
    end)
    local connection <close> = client.connect(address)
    connection:write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n1")
    assert.equal("early", connection:response().body)
    eventually(function() return codes[2] end)
    assert.same({ "ECLOSED", "ECLOSED" }, codes)
  end)

  it("calls back", function()
    assert.equal("nil abc", answer(function(req, res)
      res:later()
      req:body(function(err, body) res:send(tostring(err) .. " " .. body) end)
    end, { method = "POST", body = "abc" }).body)
  end)

  it("comes in chunks", function()
    local _, address = serve(nil, function(req, res)
      local chunks = {}
      for chunk in req:chunks() do chunks[#chunks + 1] = chunk end
      res:json(chunks)
    end)
    local connection <close> = client.connect(address)
    connection:write("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
    timer.sleep(0.005)
    connection:write("def")
    assert.equal("abcdef", (connection:response().body:gsub("[^a-f]", "")))
  end)

  it("is decoded from JSON and from forms", function()
    local function handler(req, res)
      local value, message = req[req.path:sub(2)](req)
      if value == nil then return res:send(400, message) end
      res:json(value)
    end
    local _, address = serve(nil, handler)
    assert.equal('{"a":[1,2]}', client.request(address, { method = "POST", path = "/json", body = '{"a":[1,2]}' }).body)
    assert.equal(400, client.request(address, { method = "POST", path = "/json", body = "{" }).status)
    assert.equal('{"a":"1 2"}', client.request(address, { method = "POST", path = "/form", body = "a=1+2&a=3" }).body)
    local response = client.request(address, { method = "POST", path = "/form", body = "a=1",
      headers = { ["content-type"] = "application/json" } })
    assert.equal("EMEDIATYPE: the body is no form: its content-type is application/json", response.body)
    assert.equal("[1]", client.request(address, { method = "POST", path = "/json", body = "[1]",
      headers = { ["content-type"] = "application/vnd.api+JSON; charset=utf-8" } }).body)
  end)

  it("RFC 9110 15.5.16: of another media type than is asserted is a 415, and what is malformed a 400", function()
    local _, address = serve(nil, function(req, res)
      local value, message = req[req.path:sub(2)](req)
      if value == nil then error(message) end -- as assert does, outside of specs
      res:json(value)
    end)
    local function post(path, type, body)
      return client.request(address, { method = "POST", path = path, body = body,
        headers = { ["content-type"] = type } }).status
    end
    assert.equal(415, post("/json", "text/plain", "[1]"))
    assert.equal(415, post("/json", "application/x-www-form-urlencoded", "[1]"))
    assert.equal(415, post("/json", "application/jsonp", "[1]"))
    assert.equal(400, post("/json", "application/json", "[1"))
    assert.equal(200, post("/json", "application/json", "[1]"))
    assert.equal(415, post("/form", "multipart/form-data; boundary=b", "a=1"))
    assert.equal(200, post("/form", "Application/X-WWW-Form-URLEncoded ;charset=utf-8", "a=1"))
  end)

  it("cannot be read both ways", function()
    answer(function(req, res)
      req:chunks()
      assert.has_error(function() req:chunks() end)
      local ok, err = pcall(req.body, req)
      assert.is_false(ok)
      assert.matches("is being read with req:chunks already", err, 1, true)
      res:send("")
    end)
  end)
end)

describe("res", function()
  it("sends a string with a length and a type", function()
    local response = answer(function(_, res) res:send("hällo") end)
    assert.equal(200, response.status)
    assert.equal("text/plain; charset=utf-8", response.headers["content-type"])
    assert.equal("6", response.headers["content-length"])
    assert.matches("^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$", response.headers.date)
    assert.equal("hällo", response.body)
  end)

  it("takes a status first, or from its field", function()
    assert.equal(404, answer(function(_, res) res:send(404, "no") end).status)
    local response = answer(function(_, res) res.status = 201 assert.equal(201, res.status) res:send(nil) end)
    assert.equal(201, response.status)
    assert.equal("", response.body)
    assert.equal(204, answer(function(_, res) res:send(204, nil) end).status)
  end)

  it("hints at multiple returns", function()
    answer(function(_, res)
      local ok, err = pcall(function() res:send(nil, "ENOENT: no such file") end)
      assert.is_false(ok)
      assert.matches("a call that returns several values", err, 1, true)
      ok, err = pcall(function() res:send({}) end)
      assert.is_false(ok)
      assert.matches("for tables there is res:json", err, 1, true)
      for _, status in ipairs { 99, 600, 200.5, "x" } do
        assert.is_false(pcall(function() res.status = status end))
      end
      res:send("ok")
    end)
  end)

  it("sets, adds, gets and removes headers", function()
    local response = answer(function(_, res)
      res:set("X-One", "1"):set("x-one", 2):add("Set-Cookie", "a=1"):add("set-cookie", "b=2"):set("X-Gone", "x")
      res:remove("x-gone")
      assert.equal("2", res:get("X-ONE"))
      assert.equal("a=1, b=2", res:get("Set-Cookie"))
      assert.is_nil(res:get("x-gone"))
      res:send("")
    end)
    assert.equal("2", response.headers["x-one"])
    assert.is_nil(response.headers["x-gone"])
    local cookies = {}
    for _, pair in ipairs(response.list) do
      if pair[1]:lower() == "set-cookie" then cookies[#cookies + 1] = pair[2] end
    end
    assert.same({ "a=1", "b=2" }, cookies)
  end)

  it("refuses header injection and names the header", function()
    answer(function(_, res)
      for _, value in ipairs { "a\r\nb", "a\nb", "a\0b" } do
        local ok, err = pcall(function() res:set("x-user", value) end)
        assert.is_false(ok)
        assert.matches("invalid value for header 'x-user'", err, 1, true)
      end
      local ok, err = pcall(function() res:set("x user", "1") end)
      assert.is_false(ok)
      assert.matches("invalid header name 'x user'", err, 1, true)
      res:send("")
    end)
  end)

  it("streams in chunks and waits for a slow client", function()
    local response = answer(function(_, res)
      res:write_head(203, { ["x-a"] = "b" })
      assert.is_true(res.headers_sent)
      assert.is_false(res.finished)
      for _ = 1, 100 do assert.is_true(res:write(("x"):rep(65536))) end
      res:finish("end")
      assert.is_true(res.finished)
    end)
    assert.equal(203, response.status)
    assert.equal("b", response.headers["x-a"])
    assert.equal("chunked", response.headers["transfer-encoding"])
    assert.equal(100 * 65536 + 3, #response.body)
  end)

  it("lets waiting writers go when another task finishes it", function()
    local ended = false
    local _, address = serve(nil, function(_, res)
      local writer = task.spawn(function()
        while not res.finished do
          if not pcall(res.write, res, ("x"):rep(1 << 20)) then break end
        end
      end)
      timer.sleep(0.01)
      res:finish()
      writer:join()
      ended = true
    end)
    local connection <close> = client.connect(address)
    connection:write(client.format {})
    eventually(function() return ended end)
  end)

  it("sends interim responses", function()
    local _, address = serve(nil, function(_, res)
      res:write_head(103, { link = "</a.css>; rel=preload" })
      assert.is_false(res.headers_sent)
      res:send("x")
    end)
    local connection <close> = client.connect(address)
    connection:write(client.format {})
    local early = connection:response()
    assert.equal(103, early.status)
    assert.equal("</a.css>; rel=preload", early.headers.link)
    local response = connection:response()
    assert.equal(200, response.status)
    assert.is_nil(response.headers.link)
  end)

  it("keeps a promised length", function()
    local response = answer(function(_, res)
      res:set("content-length", 5)
      res:write_head(200)
      res:write("abc")
      assert.has_error(function() res:write("defg") end,
        "4 bytes after 3 are more body than the content-length of 5 says")
      res:finish("de")
    end)
    assert.equal("abcde", response.body)
  end)

  it("sends no body to HEAD", function()
    local response = answer(function(_, res) res:send("hello") end, { method = "HEAD" })
    assert.equal("5", response.headers["content-length"])
    assert.equal("", response.body)
  end)

  it("sends JSON, redirections and files", function()
    local response = answer(function(_, res) res:json(201, { a = 1 }) end)
    assert.equal(201, response.status)
    assert.equal("application/json", response.headers["content-type"])
    assert.equal('{"a":1}', response.body)
    response = answer(function(_, res) res:redirect("/x") end)
    assert.equal(302, response.status)
    assert.equal("/x", response.headers.location)
    assert.equal(301, answer(function(_, res) res:redirect(301, "/x") end).status)
    response = answer(function(_, res) assert(res:send_file("spec/http_spec.lua", { content_type = "text/x-lua" })) end)
    assert.equal("text/x-lua", response.headers["content-type"])
    assert.matches("^%-%- SPDX", response.body)
    response = answer(function(_, res)
      local ok, message, code = res:send_file("spec/no_such_file")
      assert.is_nil(ok)
      assert.equal("ENOENT", code)
      res:send(404, message)
    end)
    assert.equal("ENOENT: no such file or directory: open 'spec/no_such_file'", response.body)
  end)

  it("raises when answering twice", function()
    answer(function(_, res)
      res:send("one")
      for _, use in ipairs { function() res:send("two") end, function() res:finish() end, function() res:write("x") end,
        function() res:json(1) end, function() res:redirect("/") end, function() res:write_head(200) end,
        function() res:set("a", "b") end } do
        local ok, err = pcall(use)
        assert.is_false(ok)
        assert.matches("sent already", err, 1, true)
      end
    end)
  end)
end)

describe("a handler", function()
  it("that fails answers 500 and tells the client nothing else", function()
    local _, address = serve(nil, function() error("secret") end)
    local response = client.request(address, {})
    assert.equal(500, response.status)
    assert.equal("Internal Server Error", response.body)
  end)

  it("that fails after the head has left resets the connection", function()
    local _, address = serve(nil, function(_, res)
      res:write("some")
      timer.sleep(0.005)
      error("late")
    end)
    local connection <close> = client.connect(address)
    connection:write(client.format {})
    connection:read_all()
    assert.is_truthy(connection.reset)
  end)

  it("that does not answer gets 500 at once, unless it said later", function()
    local _, address = serve(nil, function() end)
    assert.equal(500, client.request(address, {}).status)
    assert.equal("later", answer(function(_, res)
      res:later()
      timer.after(0.002, function() res:send("later") end)
    end).body)
  end)

  it("may leave the answer to a task it spawned", function()
    assert.equal("child", answer(function(_, res)
      task.spawn(function() timer.sleep(0.002) res:send("child") end)
    end).body)
  end)

  it("that said later and lost res gets 500 when res is collected", function()
    local _, address = serve(nil, function(_, res) res:later() end)
    local connection <close> = client.connect(address)
    connection:write(client.format {})
    local response
    task.spawn(function() response = connection:response() end)
    eventually(function() collectgarbage() return response end)
    assert.equal(500, response.status)
  end)

  it("may outlive its connection and its server", function()
    local state, closed = "none", false
    do
      local server = http.create_server(function(_, res)
        state = "running"
        eventually(function() return closed end)
        collectgarbage()
        local _, _, code = res:send("x")
        state = code
      end)
      assert(server:listen { host = "127.0.0.1", port = 0 })
      local connection <close> = client.connect(server:address())
      connection:write(client.format {})
      eventually(function() return state == "running" end)
      server:close(0)
    end
    collectgarbage()
    collectgarbage()
    closed = true
    eventually(function() return state == "ECLOSED" end)
    collectgarbage()
  end)

  it("has a deadline, after which it is cancelled", function()
    local closed, went_on = false, false
    local _, address = serve({ handler_timeout = 0.01 }, function(_, res)
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      pcall(timer.sleep, 30)
      went_on = true
      res:send("never")
    end)
    assert.equal(504, client.request(address, {}).status)
    eventually(function() return closed end)
    assert.is_false(went_on)
  end)

  it("goes on when the client has left, and its writes say so", function()
    local results
    local _, address = serve(nil, function(req, res)
      local left = false
      req:on_close(function() left = true end)
      for _ = 1, 100 do
        if not res:write(("x"):rep(65536)) then break end
      end
      eventually(function() return left end)
      results = { { res:write("x") }, { res:send("x") }, { res:finish() } }
    end)
    local connection = client.connect(address)
    connection:write(client.format {})
    connection:fill()
    connection:close()
    eventually(function() return results end)
    for _, result in ipairs(results) do
      assert.is_nil(result[1])
      assert.equal("closed", result[2])
      assert.equal("ECLOSED", result[3])
    end
  end)

  it("is cancelled when the client leaves, where that was asked for", function()
    local state = "none"
    local _, address = serve({ cancel_on_close = true }, function()
      local _ <close> = setmetatable({}, { __close = function() state = "cancelled" end })
      state = "waiting"
      timer.sleep(30)
      state = "went on"
    end)
    local connection = client.connect(address)
    connection:write(client.format {})
    eventually(function() return state == "waiting" end)
    connection:close()
    eventually(function() return state == "cancelled" end)
  end)
end)
