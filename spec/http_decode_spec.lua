-- SPDX-License-Identifier: MIT
--- Coded bodies of requests (RFC 9110 8.4) with the option decompress: decoded whole and in chunks, within limits of
-- what came and of what it becomes; what is broken, unknown, or far larger than it looks.

local client = require "spec.support.client"
local http_servers = require "spec.support.http_servers"
local process = require "luaserve.process"
local task, timer = require "luaserve.task", require "luaserve.timer"

after_each(function() http_servers.clean_up() end)

local text = ("A line of text that repeats itself, %d. "):rep(2000)

--- Bytes coded by the tool that the coding is known by.
local function encode(coding, bytes)
  if coding == "deflate" then
    local gzip = encode("gzip", bytes)
    return gzip:sub(11, -9) -- raw blocks, as some clients send them
  end
  local result = process.run(coding == "br" and "brotli" or "gzip", { "-c" }, { input = bytes })
  assert.equal(0, result.status)
  return result.stdout
end

local function post(address, coding, body, path)
  return client.request(address, { method = "POST", path = path, body = body,
    headers = { ["content-encoding"] = coding } })
end

--- Answers with the body, or with the code of its failure; /assert raises that; /chunks reads it in chunks.
local function echo(req, res)
  if req.path == "/assert" then return res:send(assert(req:body())) end
  if req.path == "/chunks" then
    local parts = {}
    for chunk in req:chunks() do parts[#parts + 1] = chunk end
    return res:send(table.concat(parts))
  end
  local body, _, code = req:body()
  res:send(body or code)
end

local function serve(options, handler)
  options = options or {}
  options.decompress = options.decompress ~= false
  local _, address = http_servers.serve(options, handler or echo)
  return address
end

describe("RFC 9110 8.4: a coded body", function()
  for _, coding in ipairs { "gzip", "x-gzip", "GZIP", "deflate", "br", "identity" } do
    it("in " .. coding .. " is decoded, whole and in chunks", function()
      local address = serve()
      local body = coding == "identity" and text or encode(coding:lower():gsub("^x%-", ""), text)
      for _, path in ipairs { "/", "/chunks" } do
        local response = post(address, coding, body, path)
        assert.equal(200, response.status)
        assert.is_true(response.body == text)
      end
    end)
  end

  it("is decoded also where it comes byte by byte", function()
    local address = serve()
    local body = encode("gzip", text)
    for _, path in ipairs { "/", "/chunks" } do
      local connection <close> = client.connect(address)
      connection:write(("POST %s HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"):format(
        path, #body))
      for i = 1, #body do
        connection:write(body:sub(i, i))
        if i % 10 == 0 then timer.sleep(0) end
      end
      assert.is_true(connection:response().body == text)
    end
  end)

  it("RFC 1952 2.2: may consist of several members", function()
    local address = serve()
    assert.equal("onetwo", post(address, "gzip", encode("gzip", "one") .. encode("gzip", "two")).body)
  end)

  it("may be of nothing, and a request without a body needs none", function()
    local address = serve()
    assert.equal("", post(address, "gzip", encode("gzip", "")).body)
    assert.equal("", client.request(address, { headers = { ["content-encoding"] = "gzip" } }).body)
  end)

  it("is decoded JSON and decoded forms too", function()
    local address = serve(nil, function(req, res)
      res:send(req.path == "/json" and assert(req:json()).name or assert(req:form()).name)
    end)
    assert.equal("Ada", post(address, "gzip", encode("gzip", '{"name":"Ada"}'), "/json").body)
    assert.equal("Ada", post(address, "br", encode("br", "name=Ada"), "/form").body)
  end)

  it("is passed on as it is without the option", function()
    local address = serve { decompress = false }
    local body = encode("gzip", text)
    assert.is_true(post(address, "gzip", body).body == body)
  end)
end)

describe("a coded body that is", function()
  it("RFC 9110 15.5.16: of an unknown coding, or of several, is a 415 that says what is taken", function()
    local address = serve()
    for _, coding in ipairs { "zstd", "gzip, br", "gzip, gzip", "compress" } do
      local response = post(address, coding, "x")
      assert.same({ 415, "gzip, deflate, br" }, { response.status, response.headers["accept-encoding"] })
    end
  end)

  it("RFC 9110 15.5.1: broken, cut short or followed by more is a 400", function()
    local address = serve()
    for _, coding in ipairs { "gzip", "br", "deflate" } do
      local body = encode(coding, text)
      local broken = { body:sub(1, -3), body:sub(1, #body // 2), "rubbish" .. body }
      if coding ~= "deflate" then broken[#broken + 1] = body .. "rubbish" end
      for i, bytes in ipairs(broken) do
        local label = coding .. " " .. i
        assert.equal("EPROTO", post(address, coding, bytes).body, label)
        assert.equal(400, post(address, coding, bytes, "/assert").status, label)
        assert.equal(400, post(address, coding, bytes, "/chunks").status, label)
      end
    end
  end)

  it("RFC 9110 15.5.14: larger than the limit when it is decoded is a 413", function()
    local address = serve { max_body = 10000 }
    for _, coding in ipairs { "gzip", "br", "deflate" } do
      local fits, over = encode(coding, ("x"):rep(10000)), encode(coding, ("x"):rep(10001))
      assert.equal(10000, #post(address, coding, fits).body)
      assert.equal("ETOOBIG", post(address, coding, over).body)
      assert.equal(413, post(address, coding, over, "/assert").status)
      assert.equal(413, post(address, coding, over, "/chunks").status)
    end
  end)

  it("larger than req:body(limit) allows is too", function()
    local address = serve(nil, function(req, res) res:send((assert(req:body(100)))) end)
    assert.equal(413, post(address, "gzip", encode("gzip", ("x"):rep(101))).status)
    assert.equal(200, post(address, "gzip", encode("gzip", ("x"):rep(100))).status)
  end)

  it("a bomb is stopped at its limit, and holds up nobody", function()
    local size = 1 << 28
    local bomb = encode("gzip", ("\0"):rep(size))
    local address = serve { max_body = 1 << 20 }
    assert.equal(413, post(address, "gzip", bomb, "/assert").status)

    local counted = 0
    local server = serve({ stream_body = { ["/"] = false } }, function(req, res)
      if req.method == "GET" then return res:send(counted < size and "meanwhile" or "too late") end
      for chunk in req:chunks() do counted = counted + #chunk end
      res:send(counted)
    end)
    local upload = task.spawn(post, server, "gzip", bomb, "/")
    while counted == 0 do timer.sleep(0) end
    assert.equal("meanwhile", client.request(server, {}).body)
    assert.equal(tostring(size), upload:join().body)
  end)
end)

describe("a client that leaves", function()
  it("in a coded body is told from a broken one", function()
    local seen = task.channel(1)
    local address = serve(nil, function(req, res)
      local _, _, code = req:body()
      seen:send(code)
      res:send("")
    end)
    local body = encode("gzip", text)
    local connection = client.connect(address)
    connection:write(("POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"):format(
      #body))
    connection:write(body:sub(1, 50))
    timer.sleep(0)
    connection.socket:reset()
    assert.equal("ECLOSED", seen:receive())
  end)
end)
