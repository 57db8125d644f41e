-- SPDX-License-Identifier: MIT
--- Content coding of responses (RFC 9110 8.4, 12.5.3): which one is chosen, what else the answer says then, and that it
-- arrives whole: small, large, in pieces, and when the client leaves.

local client = require "spec.support.client"
local http_servers = require "spec.support.http_servers"
local http, process = require "luaserve.http", require "luaserve.process"
local task = require "luaserve.task"

after_each(function() http_servers.clean_up() end)

local text = ("A line of text that repeats itself. "):rep(100)

--- Bytes decoded by the tool that the coding is known by; deflate by gzip, which knows the same blocks.
local function decode(coding, bytes)
  if coding == "deflate" then
    bytes = "\x1f\x8b\8\0\0\0\0\0\0\3" .. bytes:sub(3, -5) -- another wrapping, without its sums
    return process.run("gzip", { "-dc" }, { input = bytes }).stdout
  end
  local result = process.run(coding == "br" and "brotli" or "gzip", { "-dc" }, { input = bytes })
  assert.equal(0, result.status)
  return result.stdout
end

local function get(address, accept, path)
  return client.request(address, { path = path, headers = { ["accept-encoding"] = accept } })
end

local function serve(options, handler)
  local _, address = http_servers.serve({ compress = options }, handler)
  return address
end

describe("RFC 9110 12.5.3: Accept-Encoding", function()
  local cases = {
    { "gzip", "gzip" }, { "x-gzip", "gzip" }, { "GZIP", "gzip" }, { "deflate", "deflate" }, { "br", "br" },
    { "gzip, deflate, br", "br" }, { "gzip;q=1, br;q=0.5", "gzip" }, { "gzip;q=0.5, br;q=0.501", "br" },
    { "gzip ; q=0.3 , deflate;q=0.8", "deflate" }, { "*", "br" }, { "*;q=0.5, gzip", "gzip" },
    { "br;q=0, *", "gzip" }, { "gzip;q=0, deflate;q=0, br;q=0" }, { "*;q=0" }, { "identity" },
    { "identity, gzip;q=0.5" }, { "identity;q=0.5, gzip", "gzip" }, { "identity;q=0, gzip;q=0.1", "gzip" },
    { "identity;q=0" }, { "zstd, compress" }, { "" }, { ",,gzip,,", "gzip" }, { "gzip;q=1.000", "gzip" },
    { "gzip;q=1.001" }, { "gzip;q=2" }, { "gzip;q=-1" }, { "gzip;q=0.1234" }, { "gzip;q=" }, { "gzip;q=0." },
    { "gzip;q=x, br;q=0.1", "br" }, { "gzip;x=\";q=0,\", br;q=0.1", "gzip" }, { "gzipp" }, { "gzip;Q=0" },
    { "gzip\r\naccept-encoding: br", "br" },
  }

  for _, case in ipairs(cases) do
    it(("%q gets %s"):format(case[1], case[2] or "identity"), function()
      local address = serve(true, function(_, res) res:send(text) end)
      local response = get(address, case[1])
      assert.equal(case[2], response.headers["content-encoding"])
      assert.equal("accept-encoding", response.headers.vary)
      assert.equal(text, case[2] and decode(case[2], response.body) or response.body)
    end)
  end

  it("that is not sent gets identity", function()
    local address = serve(true, function(_, res) res:send(text) end)
    assert.equal(text, client.request(address, {}).body)
  end)

  it("chooses among the codings of the server, in its order", function()
    local address = serve({ encodings = { "deflate", "gzip" } }, function(_, res) res:send(text) end)
    assert.equal("deflate", get(address, "br, gzip, deflate").headers["content-encoding"])
    assert.equal("gzip", get(address, "br, gzip").headers["content-encoding"])
    assert.is_nil(get(address, "br").headers["content-encoding"])
  end)
end)

describe("a response", function()
  --- Whether what the handler sends is coded for a client that takes gzip, and the response.
  local function is_coded(handler, request, options)
    local address = serve(options or true, handler)
    request = request or {}
    request.headers = { ["accept-encoding"] = "gzip" }
    local response = client.request(address, request)
    return response.headers["content-encoding"] == "gzip", response
  end

  it("is coded for types that are text only", function()
    for type, expected in pairs {
      ["text/html"] = true, ["text/plain; charset=utf-8"] = true, ["TEXT/CSS"] = true, ["application/json"] = true,
      ["application/problem+json"] = true, ["image/svg+xml"] = true, ["application/javascript;v=1"] = true,
      ["image/png"] = false, ["application/zip"] = false, ["application/octet-stream"] = false, ["text/"] = false,
      ["video/mp4"] = false, ["application/jsonx"] = false,
    } do
      assert.equal(expected, is_coded(function(_, res) res:set("content-type", type):send(text) end), type)
    end
  end)

  it("is coded from a size on", function()
    local function send(size) return function(_, res) res:send(("x"):rep(size)) end end
    assert.is_false(is_coded(send(1023)))
    assert.is_true(is_coded(send(1024)))
    assert.is_true(is_coded(send(10), nil, { min_size = 10 }))
    assert.is_false(is_coded(send(9), nil, { min_size = 10 }))
  end)

  it("is sent as it is where its handler or its status says so", function()
    for name, value in pairs { ["content-encoding"] = "identity", ["cache-control"] = "public, no-transform",
      ["content-range"] = "bytes 0-1/2" } do
      assert.is_false(is_coded(function(_, res) res:set(name, value):send(text) end), name)
    end
    for _, status in ipairs { 204, 205, 206, 304 } do
      assert.is_false(is_coded(function(_, res) res:set("content-type", "text/plain"):send(status, text) end), status)
    end
    assert.is_true(is_coded(function(_, res) res:send(404, text) end))
  end)

  it("RFC 9110 8.8.1: has a weak tag, since its bytes are others", function()
    local function tag_of(tag)
      local _, response = is_coded(function(_, res) res:set("etag", tag):send(text) end)
      return response.headers.etag
    end
    assert.equal('W/"a"', tag_of '"a"')
    assert.equal('W/"a"', tag_of 'W/"a"')
  end)

  it("RFC 9110 12.5.5: tells caches in Vary, beside what is there", function()
    local function vary_of(value)
      local _, response = is_coded(function(_, res) res:set("vary", value):send(text) end)
      local all = {}
      for _, field in ipairs(response.list) do
        if field[1]:lower() == "vary" then all[#all + 1] = field[2] end
      end
      return table.concat(all, ", ")
    end
    assert.equal("origin, accept-encoding", vary_of "origin")
    assert.equal("Accept-Encoding", vary_of "Accept-Encoding")
    assert.equal("origin, accept-encoding", vary_of "origin, accept-encoding")
    assert.equal("*", vary_of "*")
  end)

  it("tells its coded length where it is small, and drops a length that was promised", function()
    local _, response = is_coded(function(_, res) res:set("content-length", #text):send(text) end)
    assert.equal(tostring(#response.body), response.headers["content-length"])
    assert.is_true(#response.body < #text / 10)
    _, response = is_coded(function(_, res)
      res:set("content-type", "text/plain"):set("content-length", #text)
      res:write(text)
      res:finish()
    end)
    assert.is_nil(response.headers["content-length"])
    assert.equal(text, decode("gzip", response.body))
  end)

  it("RFC 9110 9.3.2: to HEAD says what a GET would get", function()
    local coded, response = is_coded(function(_, res) res:set("etag", '"a"'):send(text) end, { method = "HEAD" })
    assert.is_true(coded)
    assert.same({ "accept-encoding", 'W/"a"' }, { response.headers.vary, response.headers.etag })
    assert.is_nil(response.headers["content-length"])
  end)

  it("to HTTP/1.0 is sent as it is", function()
    local address = serve(true, function(_, res) res:send(text) end)
    local connection <close> = client.connect(address)
    connection:write("GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n")
    local response = connection:response()
    assert.same({ text, "accept-encoding" }, { response.body, response.headers.vary })
  end)

  it("is not coded without the option", function()
    local _, address = http_servers.serve(nil, function(_, res) res:send(text) end)
    local response = get(address, "gzip")
    assert.is_nil(response.headers["content-encoding"])
    assert.is_nil(response.headers.vary)
  end)

  it("that fails after it has begun is a 500 or a broken connection, and the next one is right", function()
    local fail = true
    local address = serve(true, function(_, res)
      res:set("content-type", "text/plain")
      res:write(text)
      if fail then error("on purpose") end
      res:finish()
    end)
    assert.equal(500, get(address, "gzip").status)
    fail = false
    assert.equal(text, decode("gzip", get(address, "gzip").body))
  end)
end)

describe("a large response", function()
  -- Not too regular: a few megabytes are left of it.
  local parts, state = {}, 7
  for i = 1, 200000 do
    state = (state * 1103515245 + 12345) & 0x7fffffff
    parts[i] = ("%d %x\n"):format(i, state)
  end
  local large = table.concat(parts)

  for _, coding in ipairs { "gzip", "deflate", "br" } do
    it("arrives whole in " .. coding, function()
      local address = serve(true, function(_, res) assert.is_true(res:send(large)) assert.is_true(res.finished) end)
      assert.is_true(decode(coding, get(address, coding).body) == large)
    end)

    it("arrives whole in pieces in " .. coding, function()
      local address = serve(true, function(_, res)
        res:set("content-type", "text/plain")
        local at, size = 1, 1
        while at <= #large do
          assert.is_true(res:write(large:sub(at, at + size - 1)))
          at, size = at + size, size * 3 % 300007
        end
        res:finish("end")
      end)
      assert.is_true(decode(coding, get(address, coding).body) == large .. "end")
    end)
  end

  it("does not hold up others while it is encoded", function()
    local address = serve(true, function(req, res)
      res:send(req.path == "/large" and large or "small")
    end)
    local order = {}
    local first = task.spawn(function()
      get(address, "br", "/large")
      order[#order + 1] = "large"
    end)
    for _ = 1, 5 do
      assert.equal("small", client.request(address, {}).body)
      order[#order + 1] = "small"
    end
    first:join()
    assert.same({ "small", "small", "small", "small", "small", "large" }, order)
  end)

  it("keeps its place in a pipeline", function()
    local address = serve(true, function(req, res)
      res:set("x-path", req.path):send(req.path == "/large" and large or text)
    end)
    local connection <close> = client.connect(address)
    for _, path in ipairs { "/large", "/a", "/large", "/b" } do
      connection:write(client.format { path = path, headers = { ["accept-encoding"] = "gzip" } })
    end
    for _, path in ipairs { "/large", "/a", "/large", "/b" } do
      local response = connection:response()
      assert.equal(path, response.headers["x-path"])
      assert.is_true(decode("gzip", response.body) == (path == "/large" and large or text))
    end
  end)

  it("may lose its client, its connection or its server at any time", function()
    local server, address = http_servers.serve({ compress = true }, function(_, res)
      res:set("content-type", "text/plain")
      for _ = 1, 5 do
        if not res:write(large) then return end
      end
      res:finish()
    end)
    for i = 1, 20 do
      local connection = client.connect(address)
      connection:write(client.format { headers = { ["accept-encoding"] = i % 2 == 0 and "gzip" or "br" } })
      if i % 3 > 0 then connection:fill() end
      if i % 3 == 1 then connection.socket:reset() end
      connection:close()
    end
    local last <close> = client.connect(address)
    last:write(client.format { headers = { ["accept-encoding"] = "gzip" } })
    assert.is_true(last:fill())
    server:close(0)
  end)
end)

describe("what is written", function()
  for _, coding in ipairs { "gzip", "br", "deflate" } do
    it("can be decoded at once, in " .. coding, function()
      -- The decoder is a second server: what it decodes of an upload comes in chunks as it is there.
      local seen, go_on = task.channel(10), task.channel(1)
      local _, decoder = http_servers.serve({ decompress = true, min_body_rate = 0 }, function(req, res)
        for chunk in req:chunks() do seen:send(chunk) end
        res:send("")
      end)
      local address = serve(true, function(_, res)
        res:set("content-type", "text/event-stream")
        res:write("data: one\n\n")
        assert(go_on:receive())
        res:write("data: two\n\n")
        res:finish()
      end)
      local source <close> = client.connect(address)
      local sink <close> = client.connect(decoder)
      source:write(client.format { headers = { ["accept-encoding"] = coding } })
      sink:write(client.format { method = "POST",
        headers = { ["transfer-encoding"] = "chunked", ["content-encoding"] = coding } })
      local pump = task.spawn(function() -- the chunks of the one are the chunks of the other
        local head
        while source:fill() do
          if not head then head, source.buffer = source.buffer:match("^(.-\r\n\r\n)(.*)$") end
          sink:write(source.buffer)
          source.buffer = ""
        end
      end)
      assert.equal("data: one\n\n", seen:receive())
      go_on:send(true)
      assert.equal("data: two\n\n", seen:receive())
      pump:cancel()
    end)
  end
end)

describe("compress", function()
  it("names what is wrong with it", function()
    local function create(value)
      return function() http.create_server({ compress = value }, function() end) end
    end
    assert.error_matches(create(7), "'compress' must be true, false or a table, not a number")
    assert.error_matches(create { levl = 1 }, "unknown option 'levl' %(did you mean 'level'%?%)")
    assert.error_matches(create { level = 10 }, "option 'level' must be from 1 to 9, not 10")
    assert.error_matches(create { quality = 12 }, "option 'quality' must be from 0 to 11, not 12")
    assert.error_matches(create { encodings = "gzip" }, "'encodings' of 'compress' must be a table, not a string")
    assert.error_matches(create { encodings = {} }, "must name one to three of 'br', 'gzip' and 'deflate'")
    assert.error_matches(create { encodings = { "zstd" } }, "'zstd' in 'encodings' of 'compress' is none of")
  end)
end)
