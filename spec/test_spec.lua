-- SPDX-License-Identifier: MIT
-- luaserve.test, as somebody uses it who tests an app. The clock is in test_clock_spec.lua.

local fs = require "luaserve.fs"
local json = require "luaserve.json"
local net = require "luaserve.net"
local process = require "luaserve.process"
local runner = require "spec.support.process"
local task = require "luaserve.task"
local test = require "luaserve.test"
local timer = require "luaserve.timer"

--- Answers with what it was asked, as JSON.
local function echo(req, res)
  local headers = {}
  for name, value in pairs(req.headers) do headers[name] = value end
  res:json({ method = req.method, url = req.url, headers = headers, body = req:body() })
end

--- The line of the caller.
local function here()
  return debug.getinfo(2, "l").currentline
end

--- What a failing fn says, which must be about this line of this file.
local function failure_of(line, fn)
  local succeeded, err = pcall(fn)
  assert.is_false(succeeded)
  err = tostring(err)
  assert.matches("^[^\n]*spec/test_spec.lua:" .. line .. ": ", err)
  return err
end

--- Writes a spec file, runs it, and gives its result.
local function run_spec(code)
  local folder = test.temporary_folder { ["some_spec.lua"] = code }
  return runner.run { "test", "-o", "TAP", folder .. "/some_spec.lua" }
end

describe("test.client", function()
  it("asks with every method", function()
    local client = test.client(echo)
    for _, method in ipairs { "get", "post", "put", "patch", "delete", "options" } do
      local response = client[method](client, "/a?b=c")
      assert.equal(200, response.status)
      assert.same({ method:upper(), "/a?b=c" }, { response:json().method, response:json().url })
    end
    local head = client:head("/")
    assert.same({ 200, "" }, { head.status, head.body })
    assert.is_string(head.headers["content-length"])
    assert.equal("PURGE", client:request("PURGE", "/"):json().method)
  end)

  it("gives the response: status, reason, headers in any case and as they came, body", function()
    local response = test.client(function(_, res)
      res:set("X-One", "1"):add("X-Two", "2"):add("x-two", "3")
      res:send(201, "made")
    end):get("/")
    assert.same({ 201, "Created", "1.1", "made", "made" },
      { response.status, response.reason, response.version, response.body, response:text() })
    local headers = response.headers
    assert.same({ "1", "1", "2, 3" }, { headers["x-one"], headers["X-ONE"], headers["X-Two"] })
    local raw = {}
    for _, field in ipairs(response.header_list) do raw[#raw + 1] = field[1]:lower() end
    assert.matches("x%-one x%-two x%-two", table.concat(raw, " "))
    assert.equal("response (GET /: 201)", tostring(response))
  end)

  it("sends what options say", function()
    local client = test.client(echo, { headers = { ["x-app"] = "all", ["x-other"] = "all" }, host = "shop.example:81" })
    local function asked(options) return client:post("/p?q=1", options):json() end

    local got = asked { headers = { ["X-Other"] = "this", ["x-list"] = { "a", "b" }, host = false and "" or nil } }
    assert.same({ "all", "this", "a, b", "shop.example:81" },
      { got.headers["x-app"], got.headers["x-other"], got.headers["x-list"], got.headers.host })

    got = asked { query = { a = "1 &", b = { 2, "\u{e9}" } }, body = "raw" }
    assert.same({ "/p?q=1&a=1%20%26&b=2&b=%C3%A9", "raw", "3" }, { got.url, got.body, got.headers["content-length"] })
    assert.is_nil(got.headers["content-type"])

    got = asked { json = { list = json.array(), n = 1 } }
    assert.same({ list = {}, n = 1 }, json.decode(got.body))
    assert.equal("application/json", got.headers["content-type"])

    got = asked { form = { name = "Ada & co", x = { 1, 2 } } }
    assert.equal("name=Ada%20%26%20co&x=1&x=2", got.body)
    assert.equal("application/x-www-form-urlencoded", got.headers["content-type"])

    got = asked { json = { 1 }, headers = { ["content-type"] = "application/vnd.x+json" } }
    assert.equal("application/vnd.x+json", got.headers["content-type"])
  end)

  it("sends forms in parts", function()
    local got = test.client(echo):post("/", { multipart = {
      text = 'a "quoted" text',
      file = { filename = 'x".txt', body = "content\r\n", content_type = "text/plain" },
    } }):json()
    local boundary = got.headers["content-type"]:match("^multipart/form%-data; boundary=([%w-]+)$")
    assert.equal(table.concat({
      "--" .. boundary, 'content-disposition: form-data; name="file"; filename="x%22.txt"', "content-type: text/plain",
      "", "content\r\n", "--" .. boundary, 'content-disposition: form-data; name="text"', "", 'a "quoted" text',
      "--" .. boundary .. "--", "",
    }, "\r\n"), got.body)
    local parts = { { name = "b", body = 1 }, { name = "a", body = 2, filename = "f" } }
    got = test.client(echo):post("/", { multipart = parts })
    assert.matches('name="b".-\r\n1\r\n.-name="a"; filename="f"\r\ncontent%-type: application/octet%-stream',
      got:json().body)
  end)

  it("sends a body in pieces that a function gives", function()
    local pieces = { "one ", "", "two ", ("x"):rep(300000) }
    local got = test.client(echo):post("/", { body = function() return table.remove(pieces, 1) end }):json()
    assert.equal("one two " .. ("x"):rep(300000), got.body)
    assert.equal("chunked", got.headers["transfer-encoding"])
    assert.error_matches(function()
      test.client(echo):post("/", { body = function() error("no more of it", 0) end })
    end, "^no more of it$")
  end)

  it("reads while it writes, so that an echo of any size comes back", function()
    local client = test.client(function(req, res)
      for chunk in req:chunks() do res:write(chunk) end
      res:finish()
    end, { server = { max_body = 1 << 30 } })
    local body = ("0123456789abcdef"):rep(1 << 16)
    assert.is_true(client:put("/", { body = body }).body == body)
  end)

  it("gets the answer of who has not read the body", function()
    local client = test.client(function(_, res) res:send(403, "no") end, { server = { max_body = 1 << 30 } })
    local response = client:put("/", { body = ("x"):rep(1 << 23) })
    assert.same({ 403, "no" }, { response.status, response.body })
    assert.equal(413, test.client(echo):post("/", { body = ("x"):rep(1 << 23) }).status)
  end)

  it("takes a handler in the spec file, whose assert is that of specs", function()
    local client = test.client(function(req, res) res:json((assert(req:json()))) end)
    client:post("/", { json = { 1 } }):expect(200)
    client:post("/", { body = "[1," }):expect(400)
    local other = test.client(function(req) assert.equal("x", req:json()) end)
    other:post("/", { body = "[1," }):expect(500)
    test.client(function() error({ message = 7 }) end):get("/"):expect(500)
  end)

  it("takes objects that can be called, and options of the server", function()
    local app = setmetatable({ answer = "called" }, { __call = function(self, _, res) res:send(self.answer) end })
    test.client(app):get("/"):expect_body("called")
    test.client(echo, { server = { max_url = 10 } }):get("/0123456789"):expect(414)
    for _, make in ipairs { test.client, test.serve } do
      assert.matches("did you mean 'max_body'", failure_of(here() + 1, function()
        make(echo, { server = { max_boddy = 1 } })
      end))
    end
  end)

  it("speaks with what listens somewhere already", function()
    local server = test.serve(echo)
    local client = test.client(server.address)
    assert.equal("/x", client:get("/x"):json().url)
    client:close()
    server:get("/"):expect(200)
  end)

  it("gives interim responses and trailers", function()
    local response = test.client(function(_, res)
      res:write_head(103, { link = "</a.css>; rel=preload" })
      res:write("body")
      res:trailer("x-sum", "7")
      res:finish()
    end):get("/")
    assert.same({ 103, "</a.css>; rel=preload" }, { response.interim[1].status, response.interim[1].headers.link })
    assert.same({ "body", "7" }, { response.body, response.trailers["x-sum"] })
  end)

  it("raises, at the line that asks, where no response comes", function()
    local client = test.client(function(req, res)
      res:write("some")
      timer.sleep(0) -- it is on its way
      error("at " .. req.path)
    end)
    local err = failure_of(here() + 1, function()
      local _ = client:get("/half")
    end)
    assert.matches("GET /half: ", err)
    assert.matches("The log:\n  [^\n]*error: GET /half: ", err)

    local gone = test.client { host = "127.0.0.1", port = 1 }
    err = failure_of(here() + 1, function()
      gone:post("/")
    end)
    assert.matches("POST /: ECONNREFUSED", err)
    err = failure_of(here() + 1, function()
      gone:connect()
    end)
    assert.matches("ECONNREFUSED", err)
    err = failure_of(here() + 1, function()
      gone:stream("/")
    end)
    assert.matches("ECONNREFUSED", err)
  end)

  it("gives up when nothing comes for as long as its timeout", function()
    local client = test.client(function(_, res)
      timer.sleep(0.2)
      res:send("late")
    end, { timeout = 0.02 })
    assert.matches("ETIMEDOUT", failure_of(here() + 1, function()
      client:get("/")
    end))
  end)

  it("refuses what is no request, at the caller's line", function()
    local client = test.client(echo)
    for text, fn in pairs {
      ["unknown option 'jsn' %(did you mean 'json'%?%)"] = function() client:post("/", { jsn = {} }) end,
      ["client:get: the path must be a string"] = function() client:get() end,
      ["without spaces, not \"/a b\""] = function() client:get("/a b") end,
      ["the method must be a token, not \"GE T\""] = function() client:request("GE T", "/") end,
      ["either 'form' or 'json'"] = function() client:post("/", { json = 1, form = {} }) end,
      ["unknown option 'follow_redirects'"] = function() client:stream("/", { follow_redirects = true }) end,
      ["test.client: unknown option 'hots' %(did you mean 'host'"] = function() test.client(echo, { hots = "x" }) end,
      ["test.client: host must be a string"] = function() test.client(echo, { host = 1 }) end,
      ["test.serve: timeout must be seconds over 0, not 0"] = function() test.serve(echo, { timeout = 0 }) end,
      ["test.client: no header field: x"] = function() test.client(echo, { headers = { x = "a\r\nb: c" } }) end,
      ["client:get: no header field: a\n"] = function() client:get("/", { headers = { ["a\n"] = "b" } }) end,
      ["client:get: headers must be a table"] = function() client:get("/", { headers = "x" }) end,
      ["bad argument #1 to 'client'"] = function() test.client("app.lua") end,
      ["bad argument #1 to 'serve'"] = function() test.serve({}) end,
    } do
      assert.matches(text, failure_of(debug.getinfo(fn, "S").linedefined, fn))
    end
    client:close()
    client:close()
    assert.matches("closed", tostring(client))
    assert.matches("the client is closed", failure_of(here() + 1, function()
      client:get("/")
    end))
  end)
end)

describe("an expectation", function()
  local function app(req, res)
    if req.path == "/boom" then error("boom!") end
    if req.path == "/text" then return res:send("plain text") end
    res:json({ name = "Ada", tags = { "a", "b" }, note = json.null })
  end

  it("that is met gives the response", function()
    local response = test.client(app):get("/")
    assert.equal(response, response:expect(200):expect(404, 200):expect_header("content-type", "application/json")
      :expect_header("Content-Type", "^application/"):expect_header("content-length"):expect_header("x-none", false)
      :expect_body('"Ada"'):expect_json({ name = "Ada", tags = { "a", "b" }, note = json.null }))
    assert.equal("Ada", response:json().name)
  end)

  it("that is not met fails at its line, with what came", function()
    local response = test.client(app):get("/text")
    local err = failure_of(here() + 1, function()
      response:expect(201, 204)
    end)
    assert.matches("GET /text: the status is 200, not 201 or 204\n", err)
    assert.matches("\nThe response:\n  HTTP/1.1 200 OK\n  \n  plain text", err)
    err = failure_of(here() + 1, function()
      response:expect_header("content-type", "text/html")
    end)
    assert.matches('the header content%-type is "text/plain; charset=utf%-8", not "text/html"', err)
    assert.matches("\n  [Cc]ontent%-[Tt]ype: text/plain; charset=utf%-8\n", err)
    err = failure_of(here() + 1, function()
      response:expect_header("x-none")
    end)
    assert.matches("there is no header x%-none", err)
    err = failure_of(here() + 1, function()
      response:expect_header("content-length", false)
    end)
    assert.matches("there is a header content%-length: 10", err)
    err = failure_of(here() + 1, function()
      response:expect_body("^text")
    end)
    assert.matches('the body is not "^text"', err)
    err = failure_of(here() + 1, function()
      response:expect_json({})
    end)
    assert.matches("the body is no JSON: EJSON", err)
    err = failure_of(here() + 1, function()
      response:json()
    end)
    assert.matches("the body is no JSON: EJSON", err)
  end)

  it("of JSON says where it differs", function()
    local response = test.client(app):get("/")
    local function difference(expected)
      return failure_of(here() + 1, function()
        response:expect_json(expected)
      end):match("the JSON is not [^\n]-: ([^\n]*)\n")
    end
    assert.equal('.name is "Ada", not "Eve"', difference { name = "Eve", tags = { "a", "b" }, note = json.null })
    assert.equal('.tags[2] is "b", not missing', difference { name = "Ada", tags = { "a" }, note = json.null })
    assert.equal(".x is missing, not 1", difference { name = "Ada", tags = { "a", "b" }, note = json.null, x = 1 })
    assert.equal('it is {"name":"Ada","note":null,"tags":["a","b"]}, not 7', difference(7))
  end)

  it("shows the first bytes of a long body", function()
    local response = test.client(function(_, res) res:send(("x"):rep(5000)) end):get("/")
    local err = failure_of(here() + 1, function()
      response:expect(404)
    end)
    assert.matches("\n  " .. ("x"):rep(1024) .. "\n  %(3976 bytes more%)", err)
  end)

  it("that fails for a 500 has the traceback of the handler", function()
    local response = test.client(app):get("/boom")
    local err = failure_of(here() + 1, function()
      response:expect(200)
    end)
    assert.matches("the status is 500, not 200", err)
    assert.matches("The log:\n  [^\n]*error: GET /boom: [^\n]*test_spec.lua:%d+: boom!\n  stack traceback:", err)
  end)

  it("wants arguments that make sense", function()
    local response = test.client(app):get("/")
    for text, fn in pairs {
      ["bad argument #1 to 'expect' %(a status expected, got string%)"] = function() response:expect("200") end,
      ["bad argument #1 to 'expect_header'"] = function() response:expect_header(1) end,
      ["bad argument #1 to 'expect_body'"] = function() response:expect_body(1) end,
    } do
      assert.matches(text, failure_of(debug.getinfo(fn, "S").linedefined, fn))
    end
  end)

  it("is a failure for busted, not an error, and what was not looked at is in the log", function()
    local result = run_spec [[
      local test = require "luaserve.test"
      local function app(req, res)
        if req.path == "/teapot" then return res:send(418, "short and stout") end
        error("at " .. req.path)
      end
      describe("app", function()
        it("fails", function() test.client(app):get("/teapot"):expect(200) end)
        it("expects the error", function() test.client(app):get("/expected"):expect(500) end)
        it("reads the log", function()
          local client = test.client(app)
          client:get("/read")
          assert.matches("error: GET /read: .*at /read", client:log())
        end)
        it("overlooks the error", function() test.client(app):get("/overlooked") end)
        it("lets it be written", function() test.client(app, { log = true }):get("/written"):expect(500) end)
      end)]]
    assert.equal(1, result.status)
    assert.matches("not ok 1 %- app fails", result.out)
    assert.matches("# Failure message: [^\n]*some_spec.lua:7: GET /teapot: the status is 418, not 200", result.out)
    assert.matches("ok 5", result.out)
    assert.not_matches("expected", result.err)
    assert.not_matches("/read", result.err)
    assert.matches("error: GET /overlooked: ", result.err)
    assert.matches("error: GET /written: ", result.err)
  end)
end)

describe("cookies", function()
  --- Sets the cookies that the query names, and answers with those it got.
  local function app(req, res)
    for _, field in ipairs(req:query_all("set")) do res:add("set-cookie", field) end
    res:send(req.headers.cookie or "none")
  end

  local function set(client, path, ...)
    return client:get(path, { query = { set = { ... } } })
  end

  it("are kept and sent back, each client's its own", function()
    local client = test.client(app)
    local response = set(client, "/", "a=1; HttpOnly; SameSite=Lax", "b=2; Secure; Path=/")
    assert.same({ "none", "1", true, "lax" },
      { response.body, response.cookies.a.value, response.cookies.a.http_only, response.cookies.a.same_site })
    assert.equal("a=1; b=2", client:get("/").body)
    assert.equal("none", client:another():get("/").body)
    assert.same({ "1", "2" }, { client:cookie("a"), client:cookie("b") })
    set(client, "/", "a=3")
    assert.equal("a=3; b=2", client:get("/").body)
    client:set_cookie("c", 4)
    client:set_cookie("b", nil)
    assert.equal("a=3; c=4", client:get("/").body)
    assert.equal("x=y", client:get("/", { headers = { cookie = "x=y" } }).body)
    assert.equal("none", client:get("/", { headers = { cookie = false } }).body)
  end)

  it("belong to paths", function()
    local client = test.client(app)
    set(client, "/shop/cart/add", "here=1", "all=2; Path=/", "shop=3; Path=/shop", "deep=4; Path=/shop/cart/x/")
    assert.equal("here=1; shop=3; all=2", client:get("/shop/cart/add").body)
    assert.equal("here=1; shop=3; all=2", client:get("/shop/cart?q=/").body)
    assert.equal("shop=3; all=2", client:get("/shop").body)
    assert.equal("all=2", client:get("/shopping").body)
    assert.equal("deep=4; here=1; shop=3; all=2", client:get("/shop/cart/x/").body)
  end)

  it("belong to domains", function()
    local client = test.client(app, { host = "www.Shop.example:8080" })
    set(client, "/", "a=1; Domain=shop.example", "b=2; Domain=.www.shop.example", "c=3; Domain=other.example",
      "d=4; Domain=op.example", "e=5; Domain=x.www.shop.example")
    assert.equal("a=1; b=2", client:get("/").body)
  end)

  it("expire", function()
    local client = test.client(app)
    set(client, "/", "a=1; Max-Age=60", "b=2; Expires=Fri, 31 Dec 9999 23:59:59 GMT", "c=3; Max-Age=0",
      "d=4; Expires=Thu, 01 Jan 1970 00:00:10 GMT", "e=5; Expires=whenever",
      "f=6; Max-Age=60; Expires=Thu, 01-Jan-1970 00:00:00 GMT")
    assert.equal("a=1; b=2; e=5; f=6", client:get("/").body)
    set(client, "/", "b=; Expires=Sun, 06 Nov 1994 08:49:37 GMT", "f=; Max-Age=-1")
    assert.equal("a=1; e=5", client:get("/").body)
    local clock <close> = test.clock()
    clock:advance(59)
    assert.equal("a=1; e=5", client:get("/").body)
    clock:advance(1)
    assert.equal("e=5", client:get("/").body)
    assert.is_nil(client:cookie("a"))
  end)

  it("know dates exactly", function()
    local client = test.client(app)
    for _, date in ipairs { "Sun, 06 Nov 1994 08:49:37 GMT", "Tue, 29 Feb 2000 12:00:00 GMT",
      "Fri, 01 Mar 2024 00:00:00 GMT", "Thu, 31 Dec 2099 23:59:59 GMT" } do
      local day, month, year, hour, min, sec = date:match("(%d+) (%a+) (%d+) (%d+):(%d+):(%d+)")
      local months = { Nov = 11, Feb = 2, Mar = 3, Dec = 12 }
      local zone = os.time(os.date("*t", 86400)) - os.time(os.date("!*t", 86400))
      local expected = os.time { year = year, month = months[month], day = day, hour = hour, min = min, sec = sec,
        isdst = false } + zone
      assert.equal(expected, set(client, "/", "a=1; Expires=" .. date).cookies.a.expires, date)
    end
  end)

  it("that make no sense are left out", function()
    local client = test.client(app)
    set(client, "/", "novalue", "=x", "", "a=1; ; Path; Max-Age=x; Path=relative")
    assert.equal("a=1", client:get("/").body)
  end)
end)

describe("redirects", function()
  local function app(req, res)
    local status = math.tointeger(tonumber(req.query.status or 302))
    if req.path == "/to" then
      res:add("set-cookie", "seen=1; Path=/")
      return res:redirect(status, req.query.where)
    elseif req.path == "/loop" then
      return res:redirect("/loop")
    end
    res:json({ method = req.method, url = req.url, body = req:body(), cookie = req.headers.cookie })
  end

  local function go(client, method, where, options)
    options = options or {}
    options.query = { where = where, status = options.status }
    options.status = nil
    if options.follow_redirects == nil then options.follow_redirects = true end
    return client:request(method, "/to", options)
  end

  it("are given, unless they are to be followed", function()
    local client = test.client(app)
    local response = go(client, "GET", "/x", { follow_redirects = false })
    assert.same({ 302, "/x" }, { response.status, response.headers.location })
    response = go(client, "GET", "/x?y#z")
    assert.same({ method = "GET", url = "/x?y", body = "", cookie = "seen=1" }, response:json())
    assert.equal(302, response.redirects[1].status)
    assert.equal("/x", go(test.client(app, { follow_redirects = true }), "GET", "/x"):json().url)
  end)

  it("keep the method, or not, as browsers do", function()
    local client = test.client(app)
    local after = { [301] = "GET:", [302] = "GET:", [303] = "GET:", [307] = "POST:b", [308] = "POST:b" }
    for status, expected in pairs(after) do
      local got = go(client, "POST", "/x", { status = status, body = "b" }):json()
      assert.equal(expected, got.method .. ":" .. got.body)
    end
    assert.equal("PUT", go(client, "PUT", "/x", { status = 302, body = "b" }):json().method)
  end)

  it("may be relative, and end where another host begins", function()
    local client = test.client(app, { host = "here.example" })
    for where, url in pairs { ["x"] = "/x", ["a/../b/./c"] = "/b/c", ["../../d/"] = "/d/", ["/e/.."] = "/",
      ["http://here.example/f"] = "/f", ["//here.example/g?h"] = "/g?h", ["https://HERE.example"] = "/",
      ["/i?j=/../k"] = "/i?j=/../k" } do
      assert.equal(url, go(client, "GET", where):json().url, where)
    end
    for _, where in ipairs { "http://there.example/", "//there.example", "mailto:me@here.example" } do
      assert.equal(302, go(client, "GET", where).status, where)
    end
  end)

  it("end somewhere", function()
    local client = test.client(app)
    assert.equal(10, #client:get("/loop", { follow_redirects = true }).redirects)
    local response = client:get("/loop", { follow_redirects = 2 })
    assert.same({ 302, 2 }, { response.status, #response.redirects })
  end)
end)

describe("client:stream", function()
  it("gives the pieces as they come, while the handler goes on", function()
    local steps = task.channel(10)
    local client = test.client(function(_, res)
      for _, piece in ipairs { "one", "two" } do
        res:write(piece)
        assert.equal("go", steps:receive())
      end
      res:finish()
    end)
    local stream <close> = client:stream("/")
    stream:expect(200)
    assert.equal("one", stream:read())
    steps:send("go")
    assert.equal("two", stream:read())
    steps:send("go")
    assert.is_nil(stream:read())
    assert.is_nil(stream:read())
  end)

  it("iterates, reads the rest, and says where a stream breaks off", function()
    local client = test.client(function(req, res)
      res:write("one")
      res:write("two")
      timer.sleep(0) -- they are on their way
      if req.path == "/broken" then error("broken") end
      res:finish()
    end)
    local got = {}
    for chunk in client:stream("/"):chunks() do got[#got + 1] = chunk end
    assert.equal("onetwo", table.concat(got))
    assert.equal("onetwo", client:stream("/", { method = "POST", body = "x" }):text())
    local broken = client:stream("/broken")
    assert.error_matches(function() broken:text() end, "E%u+: ")
    client:log()
  end)

  it("lets a client leave half-way", function()
    for _, how in ipairs { "abort", "close" } do
      local left = task.channel(2)
      local client = test.client(function(req, res)
        req:on_close(function() left:send("left") end)
        res:write("one")
        while res:write(("x"):rep(65536)) do timer.sleep(0) end
        left:send("told")
      end)
      local stream = client:stream("/")
      assert.equal("one", stream:read():sub(1, 3))
      stream[how](stream)
      assert.same({ nil, "ECLOSED: the client has left", "ECLOSED" }, { stream:read() })
      local seen = { [left:receive()] = true, [left:receive()] = true }
      assert.same({ left = true, told = true }, seen)
    end
  end)

  it("reads server-sent events", function()
    local client = test.client(function(_, res)
      res:set("content-type", "text/event-stream")
      res:write("\u{feff}data: first\n\n: a comment\nevent: change\nid: 7\nretry: 100\ndata:a\ndata: b\r")
      timer.sleep(0)
      res:write("\n\r\nid\ndata\n\nunknown: x\ndata:  two spaces\r\r")
      res:finish("event: none\n\ndata: not ended")
    end)
    local events = client:stream("/"):events()
    assert.same({ event = "message", data = "first", id = "" }, events:next())
    assert.same({ event = "change", data = "a\nb", id = "7", retry = 0.1 }, events:next())
    assert.same({ "a comment" }, events.comments)
    local rest = {}
    for event in events:each() do rest[#rest + 1] = event.data end
    assert.same({ "", " two spaces" }, rest)
    assert.is_nil(events:next())
  end)

  it("gives a connection for bytes that no client sends", function()
    local client = test.client(echo)
    local wire <close> = client:connect()
    assert(wire:write("GET / HTTP/1.1\r\nhost: x\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    assert.equal(200, wire:read_head("GET").status)
    assert.matches('"url":"/"', wire:read())
    assert.is_nil(wire:read())
    assert.matches("^HTTP/1.1 200 OK\r\n.*/2", wire:read_all())
    local bad = client:connect()
    bad:write("GET / HTTP/1.1\r\n\r\n")
    assert.matches("^HTTP/1.1 400 ", bad:read_all())
    bad:reset()
  end)
end)

describe("test.serve", function()
  it("listens on a free port", function()
    local client = test.serve(echo)
    assert.equal("127.0.0.1", client.address.host)
    assert.equal("/a", client:get("/a"):json().url)
    local sock <close> = assert(net.connect(client.address))
    sock:write("GET / HTTP/1.0\r\n\r\n")
    assert.matches("^HTTP/1.1 200", sock:read_all())
    assert.matches("^client of http://127.0.0.1:%d+$", tostring(client))
    client:close()
    assert.is_nil((net.connect(client.address)))
  end)

  it("runs a script, with arguments, environment and folder", function()
    local folder = test.temporary_folder { ["app.lua"] = [[
      local words = { ... }
      return function(req, res)
        if req.path == "/boom" then error("boom in a child") end
        res:json({ words = words, env = os.getenv("SPEC_WORD"), cwd = require "luaserve.process".cwd() })
      end]] }
    local client = test.serve("app.lua", { arguments = { "a b", "c" }, env = { SPEC_WORD = "word" }, cwd = folder })
    client:get("/"):expect(200):expect_json({ words = { "a b", "c" }, env = "word", cwd = assert(fs.realpath(folder)) })
    client:get("/boom"):expect(500)
    client:close()
    assert.matches("boom in a child", client:log())
  end)

  it("says why a script does not serve", function()
    local folder = test.temporary_folder { ["bad.lua"] = "error 'no such luck'", ["idle.lua"] = "print 'hello'" }
    assert.matches("bad.lua said no address that it serves:.*no such luck", failure_of(here() + 1, function()
      test.serve(folder .. "/bad.lua")
    end))
    assert.error_matches(function() test.serve(folder .. "/idle.lua") end, "said no address")
  end)
end)

describe("fixtures:", function()
  local order = {}
  local folder, made

  describe("in one spec", function()
    it("a folder is there", function()
      folder = test.temporary_folder { ["a/b/c.txt"] = "deep", ["d.txt"] = "flat" }
      assert.same({ "deep", "flat" }, { fs.read_file(folder .. "/a/b/c.txt"), (fs.read_file(folder .. "/d.txt")) })
      test.cleanup(function(...) order[#order + 1] = table.concat({ ... }, " ") end, "first", "one")
      test.cleanup(function() timer.sleep(0.001) order[#order + 1] = "second" end)
    end)

    it("and gone in the next one; what came last was put away first", function()
      assert.is_nil(fs.stat(folder))
      assert.same({ "second", "first one" }, order)
    end)
  end)

  describe("what before_each makes", function()
    before_each(function() made = test.temporary_folder() end)

    it("lives through the spec", function()
      assert.is_table(fs.stat(made))
      folder = made
    end)

    it("and no longer", function()
      assert.are_not.equal(folder, made)
      assert.is_nil(fs.stat(folder))
    end)
  end)

  describe("a thing of test.fixture", function()
    local count, log = 0, {}
    local thing = test.fixture(function()
      count = count + 1
      return { number = count, close = function(self) log[#log + 1] = "closed " .. self.number end }
    end)
    local other = test.fixture(function() return 7 end, function(value) log[#log + 1] = "cleaned " .. value end)

    it("is made once", function()
      assert.equal(1, thing().number)
      assert.equal(thing(), thing())
      assert.equal(7, other())
    end)

    it("for each spec, and closed", function()
      assert.same({ "cleaned 7", "closed 1" }, log)
      assert.equal(2, thing().number)
    end)

    it("and not made where nobody asks for it", function()
      assert.equal(2, count)
    end)
  end)

  it("variables of the environment are set and come back", function()
    process.env.SPEC_SET, process.env.SPEC_NEW = "before", nil
    do
      local _ <close> = test.env { SPEC_SET = "within", SPEC_NEW = 1 }
      assert.same({ "within", "1" }, { os.getenv("SPEC_SET"), process.env.SPEC_NEW })
      local env = test.env { SPEC_SET = false }
      assert.is_nil(os.getenv("SPEC_SET"))
      env:close()
    end
    assert.same({ "before", nil }, { process.env.SPEC_SET, process.env.SPEC_NEW })
    process.env.SPEC_SET = nil
  end)

  it("are put away when the spec fails, and in a setup at the end of the file", function()
    local result = run_spec [[
      local test = require "luaserve.test"
      describe("a", function()
        setup(function() test.cleanup(function() io.stderr:write("file\n") end) end)
        it("fails", function()
          test.cleanup(function() io.stderr:write("it\n") end)
          error "failed"
        end)
        it("passes", function() io.stderr:write("passes\n") end)
        it("fails to put away", function()
          test.cleanup(function() io.stderr:write("still run\n") end)
          test.cleanup(error, "cannot clean")
        end)
      end)]]
    assert.equal("it\npasses\nstill run\nfile\n", result.err, result.out)
    assert.matches("not ok %d+ %- after_each\n.-cannot clean", result.out)
    assert.are_not.equal(0, result.status)
  end)

  it("are put away at the end of a program without busted", function()
    local result = runner.script [[
      local test = require "luaserve.test"
      print(test.temporary_folder())
      test.client(function(_, res) res:send("hello") end):get("/"):expect(200)
      print(pcall(function() test.client(function(_, res) res:send("hello") end):get("/"):expect(201) end))]]
    assert.same({ 0, "" }, { result.status, result.err })
    local path, rest = result.out:match("^([^\n]*)\n(.*)$")
    assert.is_nil(fs.stat(path))
    assert.matches("^false\t[^\n]*:4: GET /: the status is 200, not 201\n", rest)
  end)

  it("want what they need, at the caller's line", function()
    for text, fn in pairs {
      ["bad argument #1 to 'cleanup' %(function expected, got nil%)"] = function() test.cleanup() end,
      ["bad argument #1 to 'fixture'"] = function() test.fixture({}) end,
      ["bad argument #2 to 'fixture'"] = function() test.fixture(print, 1) end,
      ["bad argument #1 to 'env'"] = function() test.env() end,
      ["bad argument #1 to 'temporary_folder'"] = function() test.temporary_folder("x") end,
    } do
      assert.matches(text, failure_of(debug.getinfo(fn, "S").linedefined, fn))
    end
  end)
end)
