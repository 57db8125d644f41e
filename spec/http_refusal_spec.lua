-- SPDX-License-Identifier: MIT
--- What the server answers itself: told to on_refuse, and with it to the access logs of an app.

local App = require "luaserve.app"
local client = require "spec.support.client"
local http_error = require "luaserve.http_error"
local http_servers = require "spec.support.http_servers"
local http = require "luaserve.http"
local json = require "luaserve.json"
local middleware = require "luaserve.middleware"
local process = require "spec.support.process"
local waits = require "spec.support.waits"

local eventually = waits.eventually

after_each(function()
  http_servers.clean_up()
  process.clean_up()
end)

--- Sends bytes on a connection of their own, and gives all that comes back.
local function send(address, bytes)
  local connection <close> = client.connect(address)
  connection:write(bytes)
  return connection:read_all()
end

describe("on_refuse", function()
  --- Serves with these options; the address, and the list that refusals are put into.
  local function serve(options, handler)
    local told = {}
    options.on_refuse = options.on_refuse or function(refusal) told[#told + 1] = refusal end
    local _, address = http_servers.serve(options, handler or function(_, res) res:send("x") end)
    return address, told
  end

  --- What is told of these bytes.
  local function refusal_of(bytes, options)
    local address, told = serve(options or {})
    local answer = send(address, bytes)
    eventually(function() return told[1] end)
    assert.equal(1, #told)
    assert.equal(told[1].status, tonumber(answer:match "^HTTP/1.1 (%d%d%d)"))
    return told[1], answer
  end

  it("tells all that is known of a request that is too large", function()
    local before = os.time()
    local bytes = "POST /up?a=b HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n"
    local refusal, answer = refusal_of(bytes, { max_body = 10 })
    assert.is_true(refusal.time >= before and refusal.time <= os.time())
    assert.equal("integer", math.type(refusal.remote_port))
    assert.equal(#answer:match "\r\n\r\n(.*)", refusal.bytes_written)
    refusal.time, refusal.remote_port, refusal.bytes_written = nil, nil, nil
    assert.same({ status = 413, reason = "the request body is too large", line = "POST /up?a=b HTTP/1.1",
      method = "POST", url = "/up?a=b", version = "1.1", remote_address = "127.0.0.1", missed = 0 }, refusal)
  end)

  it("tells the request line of a head that is wrong somewhere else", function()
    local cases = {
      [400] = "GET /x HTTP/1.1\r\nHost : h\r\n\r\n",
      [414] = "GET /" .. ("x"):rep(90) .. " HTTP/1.1\r\nHost: h\r\n\r\n",
      [417] = "GET /x HTTP/1.1\r\nHost: h\r\nExpect: a-miracle\r\n\r\n",
      [431] = "GET /x HTTP/1.1\r\nHost: h\r\nA: " .. ("x"):rep(2000) .. "\r\n\r\n",
      [501] = "BREW /x HTTP/1.1\r\nHost: h\r\n\r\n",
      [505] = "GET /x HTTP/3.0\r\nHost: h\r\n\r\n",
    }
    for status, bytes in pairs(cases) do
      local refusal = refusal_of(bytes, { max_url = 80, max_header_bytes = 1000 })
      assert.equal(status, refusal.status)
      assert.equal(bytes:match "^[^\r]*", refusal.line)
      assert.equal(bytes:match "^%u+", refusal.method)
      assert.equal(bytes:match " (%S+)", refusal.url)
      assert.equal(bytes:match "HTTP/(%S+)\r", refusal.version)
    end
  end)

  it("tells what came where that is no request line", function()
    local refusal = refusal_of("\22\3\1\0\5hello\r\n\r\n")
    assert.equal(400, refusal.status)
    assert.equal("\22\3\1\0\5hello", refusal.line)
    assert.is_nil(refusal.method)
    assert.is_nil(refusal.url)
  end)

  it("tells no more than the beginning of a long line", function()
    local refusal = refusal_of("GET /" .. ("x"):rep(9000) .. " HTTP/1.1\r\n\r\n")
    assert.equal(414, refusal.status)
    assert.equal("GET /" .. ("x"):rep(1019), refusal.line)
    assert.is_nil(refusal.url)
  end)

  it("tells of a head that came in pieces, and of one that is late", function()
    local address, told = serve { header_timeout = 0.2 }
    local connection <close> = client.connect(address)
    connection:write("GET /sl")
    connection:write("ow HTTP/1.1\r\nHo")
    assert.equal(408, connection:response().status)
    eventually(function() return told[1] end)
    assert.same({ 408, "GET /slow HTTP/1.1" }, { told[1].status, told[1].line })
    local leaver = client.connect(address)
    leaver:write("GET /left")
    leaver:close()
    send(address, "GET /next HTTP/1.1\r\n\r\n")
    eventually(function() return told[2] end)
    assert.equal("/next", told[2].url) -- who has left was not refused
  end)

  it("tells of a coding that is not taken, and of later requests of a connection", function()
    local refusal = refusal_of("POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1\r\n" ..
      "Content-Encoding: rot13\r\n\r\nx", { decompress = true })
    assert.same({ 415, "/x" }, { refusal.status, refusal.url })
    local address, told = serve {}
    send(address, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
    eventually(function() return told[1] end)
    assert.same({ 400, "/2", "no Host" }, { told[1].status, told[1].url, told[1].reason })
    assert.equal(1, #told)
  end)

  it("tells of connections that are too many", function()
    local address, told = serve { max_connections = 1 }
    local first <close> = client.connect(address)
    assert.equal(200, first:request({}).status)
    assert.matches("^HTTP/1.1 503", send(address, ""))
    eventually(function() return told[1] end)
    assert.same({ 503, "too many connections", "127.0.0.1", 19 },
      { told[1].status, told[1].reason, told[1].remote_address, told[1].bytes_written })
    assert.is_nil(told[1].line)
  end)

  it("tells the client that a trusted proxy tells of", function()
    local fields = "Host: h\r\nX-Forwarded-For: 192.0.2.7\r\nContent-Length: 11\r\n\r\n"
    local refusal = refusal_of("POST / HTTP/1.1\r\n" .. fields, { max_body = 10, trust_proxy = "loopback" })
    assert.equal("192.0.2.7", refusal.remote_address)
    assert.is_nil(refusal.remote_port)
  end)

  it("tells nothing of what a handler was asked, whatever comes of it", function()
    local address, told = serve({ max_body = 10 }, function(req, res)
      if req.path == "/fail" then error(http_error.new(418)) end
      res:send(assert(req:body()))
    end)
    send(address, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n" .. ("x"):rep(32))
    send(address, "GET /fail HTTP/1.0\r\n\r\n")
    send(address, "GET / HTTP/1.1\r\n\r\n")
    eventually(function() return told[1] end)
    assert.same({ 1, 400 }, { #told, told[1].status })
  end)

  it("goes on after an error of the function, and logs it", function()
    local server = process.serve_code [[
      local http = require "luaserve.http"
      local options = { on_refuse = function(refusal) error("an error of the spec at " .. refusal.url) end }
      local server = http.create_server(options, function(_, res) res:send("x") end)
      server:listen { host = "127.0.0.1", port = 0 }
      print("http://127.0.0.1:" .. server:address().port)]]
    local address = server:address()
    send(address, "GET /1 HTTP/1.1\r\n\r\n")
    send(address, "GET /3 HTTP/1.1\r\n\r\n")
    assert.equal(200, server:request("/").status)
    local _, err = server:stop()
    assert.matches("an error of the spec at /1", err)
    assert.matches("an error of the spec at /3", err)
  end)

  it("is called for one after the other, drops what waits beyond some hundred, and counts it", function()
    local told, open = {}, false
    local address = serve { on_refuse = function(refusal)
      told[#told + 1] = refusal
      eventually(function() return open end)
    end }
    for _ = 1, 300 do send(address, "GET / HTTP/1.1\r\n\r\n") end
    assert.equal(1, #told)
    open = true
    eventually(function() return #told == 257 end)
    send(address, "GET /last HTTP/1.1\r\n\r\n")
    eventually(function() return #told == 258 end)
    assert.same({ 0, 43, 0, "/last" }, { told[1].missed, told[2].missed, told[258].missed, told[258].url })
  end)

  it("outlives its server", function()
    local open, ended = false, false
    local server = http.create_server({ on_refuse = function()
      eventually(function() return open end)
      ended = true
    end }, function() end)
    assert(server:listen { host = "127.0.0.1", port = 0 })
    send(server:address(), "GET / HTTP/1.1\r\n\r\n")
    server:close(0)
    server = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    open = true
    eventually(function() return ended end)
  end)

  it("must be a function", function()
    for _, handler in ipairs { print, App.new() } do
      assert.error_matches(function() http.create_server({ on_refuse = 7 }, handler) end,
        "'on_refuse' must be a function, not a number")
    end
  end)
end)

describe("access_log of refused requests", function()
  --- The lines that an app with such a log writes for these bytes.
  local function lines_of(bytes, options, build)
    local lines, entries = {}, {}
    options.to = function(line, entry)
      lines[#lines + 1], entries[#entries + 1] = line, entry
    end
    local app = App.new { server = { max_body = 10 } }
    app:post("/x", function(_, res) res:send("x") end);
    (build or app.use)(app, middleware.access_log(options))
    local _, address = http_servers.serve(nil, app)
    send(address, bytes)
    eventually(function() return lines[1] end)
    return lines, entries
  end

  local too_large = "POST /x?token=secret HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n"

  it("has lines for them, too", function()
    local lines = lines_of(too_large, {})
    assert.matches('^127%.0%.0%.1 %- %- %[[^]]+%] "POST /x%?token=secret HTTP/1.1" 413 %d+ "%-" "%-" 0%.000 "%-"\n$',
      lines[1])
    assert.equal(1, #lines)
    assert.matches('%] "%-" 400 ', lines_of("\r\r", {})[1])
    assert.matches('%] "\\x16\\x03 \\"\\x1b" 400 ', lines_of('\22\3 "\27\r\n\r\n', {})[1])
  end)

  it("has them in JSON, with the reason", function()
    local lines = lines_of(too_large, { format = "json" })
    local entry = assert(json.decode(lines[1]))
    entry.time = nil
    assert.is_true(entry.bytes > 0)
    entry.bytes = nil
    assert.same({ address = "127.0.0.1", complete = true, duration = 0, method = "POST", status = 413,
      line = "POST /x?token=secret HTTP/1.1", refused = "the request body is too large", url = "/x?token=secret",
      version = "1.1" }, entry)
  end)

  it("leaves their queries out, too", function()
    local lines, entries = lines_of(too_large, { query = false })
    assert.matches('"POST /x HTTP/1.1" 413', lines[1])
    assert.equal("/x", entries[1].url)
    assert.is_nil(lines_of("POST /x?token=secret", { query = false, format = "json" }, function(app, log)
      app:use(log)
      app._server_options.header_timeout = 0.1
    end)[1]:find("secret", 1, true))
  end)

  it("is also told to a function that the server was given", function()
    local status, line
    local app = App.new()
    app:use(middleware.access_log { to = function(text) line = text end })
    local _, address = http_servers.serve({ on_refuse = function(refusal) status = refusal.status end }, app)
    send(address, "GET / HTTP/1.1\r\n\r\n")
    eventually(function() return status and line end)
    assert.equal(400, status)
  end)

  it("is for plain handlers an option of the server", function()
    local line
    local log = middleware.access_log { to = function(text) line = text end }
    local _, address = http_servers.serve({ on_refuse = log.on_refuse }, function(req, res)
      return log(req, res, function() res:send("x") end)
    end)
    send(address, "GET / HTTP/1.1\r\n\r\n")
    eventually(function() return line end)
    assert.matches('"GET / HTTP/1.1" 400', line)
  end)

  it("is the affair of logs of all requests, not of those under a prefix", function()
    local all, some = 0, 0
    local app = App.new()
    app:use("/x", middleware.access_log { to = function() some = some + 1 end })
    app:use(middleware.access_log { to = function() all = all + 1 end })
    app:get("/x", function(_, res) res:send("x") end)
    local _, address = http_servers.serve(nil, app)
    send(address, "GET /x HTTP/1.1\r\n\r\n")
    send(address, "GET /x HTTP/1.0\r\n\r\n")
    eventually(function() return some == 1 and all == 2 end)
  end)
end)
