-- SPDX-License-Identifier: MIT
--- What a server takes from a client, by its options: sizes by path, the rate of a body, which methods; and the clients
-- that try to hold it up.

local client = require "spec.support.client"
local http_servers = require "spec.support.http_servers"
local http = require "luaserve.http"
local task, timer = require "luaserve.task", require "luaserve.timer"

local function size_of_body(req, res)
  res:send(#assert(req:body()))
end

after_each(function() http_servers.clean_up() end)

describe("stream_body", function()
  local function status_of(address, method, path, size)
    return client.request(address, { method = method, path = path, body = ("x"):rep(size) }).status
  end

  it("raises or lowers max_body by path, the most specific pattern first", function()
    local _, address = http_servers.serve({
      max_body = 10,
      stream_body = { ["/up"] = 100, ["/files/*"] = 20, ["/files/big/*"] = false, ["PUT /files/*"] = 30, ["/low"] = 0 },
    }, size_of_body)
    local expected = {
      { "POST", "/other", 10, 200 }, { "POST", "/other", 11, 413 },
      { "POST", "/up", 100, 200 }, { "POST", "/up", 101, 413 }, { "POST", "/up/", 11, 413 },
      { "POST", "/up?a=b", 100, 200 },
      { "POST", "/files/a", 20, 200 }, { "POST", "/files/a", 21, 413 }, { "PUT", "/files/a", 30, 200 },
      { "PUT", "/files/a", 31, 413 }, { "PUT", "/files/big/a", 5000, 200 }, { "POST", "/low", 1, 413 },
    }
    for _, case in ipairs(expected) do
      assert.equal(case[4], status_of(address, case[1], case[2], case[3]), table.concat(case, " "))
    end
  end)

  it("looks at the path without its dot segments, so that none is reached under the limit of another", function()
    local _, address = http_servers.serve({ max_body = 10, stream_body = { ["/files/*"] = false } }, size_of_body)
    assert.equal(413, status_of(address, "POST", "/files/../login", 11))
    assert.equal(413, status_of(address, "POST", "/files/%2e%2E/login", 11))
    assert.equal(200, status_of(address, "POST", "/x/../files/a%20b", 11))
    assert.equal(413, status_of(address, "POST", "/x/../files/" .. ("%41"):rep(1000), 11)) -- too long to look at
  end)

  it("holds for chunked bodies", function()
    local _, address = http_servers.serve({ max_body = 10, stream_body = { ["/up"] = 12 } }, size_of_body)
    local function chunked(path, size)
      return client.request(address, { method = "POST", path = path, headers = { ["transfer-encoding"] = "chunked" },
        body = ("%x\r\n%s\r\n0\r\n\r\n"):format(size, ("x"):rep(size)) }).status
    end
    assert.equal(413, chunked("/", 12))
    assert.equal(200, chunked("/up", 12))
    assert.equal(413, chunked("/up", 13))
  end)

  it("names what is wrong with it", function()
    local function create(rules)
      return function() http.create_server({ stream_body = rules }, size_of_body) end
    end
    assert.error_matches(create(7), "'stream_body' must be a table, not a number")
    assert.error_matches(create { 7 }, "the keys of 'stream_body' are patterns such as '/upload', not a number")
    assert.error_matches(create { up = 7 }, "'up' in 'stream_body' is no pattern")
    assert.error_matches(create { ["/a*b"] = 7 }, "'/a%*b' in 'stream_body' is no pattern")
    assert.error_matches(create { ["P@T /a"] = 7 }, "'P@T /a' in 'stream_body' is no pattern")
    assert.error_matches(create { ["/up"] = true }, "'stream_body' of '/up' must be a size in bytes, or false")
    assert.error_matches(create { ["/up"] = -1 }, "'stream_body' of '/up' must be a size in bytes, or false")
  end)
end)

describe("min_body_rate", function()
  --- Sends a body of so many bytes one by one; the status.
  local function drip(address, count, pause)
    local connection <close> = client.connect(address)
    connection:write(("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"):format(count))
    local reader = task.spawn(function() return connection:response() end)
    for _ = 1, count do
      if reader:status() == "done" or not connection:write("x") then break end
      timer.sleep(pause)
    end
    return reader:join().status
  end

  it("ends a body that comes byte by byte with 408, although each is in time", function()
    local _, address = http_servers.serve({ body_timeout = 0.3, min_body_rate = 1000 }, size_of_body)
    assert.equal(408, drip(address, 100000, 0.01))
  end)

  it("of 0 lets any rate go on", function()
    local _, address = http_servers.serve({ body_timeout = 0.3, min_body_rate = 0 }, size_of_body)
    assert.equal(200, drip(address, 60, 0.01)) -- twice the timeout
  end)

  it("is asked of no body that is shorter", function()
    local _, address = http_servers.serve({ body_timeout = 5, min_body_rate = 1000000 }, size_of_body)
    assert.equal(200, drip(address, 5, 0))
  end)
end)

describe("TRACE", function()
  it("is the handler's where allow_trace says so", function()
    local _, address = http_servers.serve({ allow_trace = true }, function(req, res) res:send(req.method) end)
    assert.equal("TRACE", client.request(address, { method = "TRACE" }).body)
  end)
end)

describe("res:trailer", function()
  local function errors_of(names)
    local errors = {}
    local _, address = http_servers.serve(nil, function(_, res)
      for i, name in ipairs(names) do errors[i] = select(2, pcall(res.trailer, res, name, "x")) end
      res:send("")
      errors[#errors + 1] = select(2, pcall(res.trailer, res, "x-sum", "x"))
    end)
    client.request(address, {})
    return errors
  end

  it("refuses fields that must come before the body (RFC 9110 6.5.1), and bad ones", function()
    local errors = errors_of { "Content-Length", "transfer-encoding", "Host", "set-cookie", "content-range", "x y" }
    for i, name in ipairs { "Content%-Length", "transfer%-encoding", "Host", "set%-cookie", "content%-range" } do
      assert.matches("'" .. name .. "' cannot be a trailer: it must be known before the body", errors[i])
    end
    assert.matches("invalid header name 'x y'", errors[6])
    assert.matches("the response has been sent already", errors[7])
  end)

  it("is forgotten with the answer that an error replaces", function()
    local _, address = http_servers.serve(nil, function(_, res)
      res:write("x")
      res:trailer("x-sum", "1")
      error("before anything has left")
    end)
    local connection <close> = client.connect(address)
    connection:write("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    local bytes = connection:read_all()
    assert.is_nil(bytes:find("x-sum", 1, true))
    assert.equal(2, select(2, bytes:gsub("HTTP/1.1 500 ", "")))
  end)
end)
