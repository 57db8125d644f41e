-- SPDX-License-Identifier: MIT
--- Behind a proxy: whose word on the client is believed (trust_proxy), and what handlers see of it. The sections are
-- those of RFC 7239.

local client = require "spec.support.client"
local http = require "luaserve.http"
local http_servers = require "spec.support.http_servers"
local json = require "luaserve.json"
local sockets = require "spec.support.sockets"
local timer = require "luaserve.timer"
local waits = require "spec.support.waits"

--- Tells where the request comes from.
local function tell(req, res)
  res:json {
    address = req.remote_address, port = req.remote_port, peer = req.peer_address, peer_port = req.peer_port,
    scheme = req.scheme, secure = req.secure, host = req.host,
  }
end

local function serve(options)
  local _, address = http_servers.serve(options, tell)
  return address
end

--- What the handler saw of a request with these field lines.
local function seen(address, ...)
  local connection <close> = client.connect(address)
  local lines = table.concat({ "GET / HTTP/1.1", "Host: own.example", ... }, "\r\n")
  connection:write(lines .. "\r\n\r\n")
  return json.decode(connection:response().body)
end

describe("trust_proxy", function()
  after_each(function() http_servers.clean_up() end)

  it("believes nothing at first", function()
    local told = seen(serve {}, "Forwarded: for=192.0.2.1;proto=https;host=a.example", "X-Forwarded-For: 192.0.2.2",
      "X-Forwarded-Proto: https", "X-Forwarded-Host: b.example")
    assert.equal("127.0.0.1", told.address)
    assert.equal("http", told.scheme)
    assert.is_false(told.secure)
    assert.equal("own.example", told.host)
    assert.same({ told.address, told.port }, { told.peer, told.peer_port })
    assert.equal("127.0.0.1", seen(serve { trust_proxy = false }, "X-Forwarded-For: 192.0.2.2").address)
    assert.equal("127.0.0.1", seen(serve { trust_proxy = {} }, "X-Forwarded-For: 192.0.2.2").address)
  end)

  it("believes only those that it names", function()
    for name, is_named in pairs {
      ["127.0.0.1"] = true, ["127.0.0.0/8"] = true, ["0.0.0.0/0"] = true, ["loopback"] = true,
      ["::ffff:127.0.0.1"] = true, ["::ffff:127.0.0.0/104"] = true,
      ["127.0.0.2"] = false, ["126.0.0.0/8"] = false, ["::1"] = false, ["::/0"] = false, ["private"] = false,
      ["unix"] = false,
    } do
      local told = seen(serve { trust_proxy = name }, "Forwarded: for=192.0.2.1;proto=https;host=a.example")
      assert.equal(is_named and "192.0.2.1" or "127.0.0.1", told.address, name)
      assert.equal(is_named and "https" or "http", told.scheme, name)
      assert.equal(is_named, told.secure, name)
      assert.equal(is_named and "a.example" or "own.example", told.host, name)
      assert.equal("127.0.0.1", told.peer)
      assert.is_number(told.peer_port)
      assert.equal(not is_named, told.port == told.peer_port)
    end
  end)

  it("takes a list", function()
    local address = serve { trust_proxy = { "10.0.0.0/8", "loopback", "fd00::/8" } }
    assert.equal("192.0.2.1", seen(address, "X-Forwarded-For: 192.0.2.1, fd00::9, 10.1.1.1").address)
  end)

  it("names what is no range", function()
    for _, bad in ipairs { "localhost", "10.0.0.1/8", "10.0.0.0/33", "::1/129", "", "10/8", "any" } do
      local ok, message = pcall(http.create_server, { trust_proxy = { "::1", bad } }, tell)
      assert.is_false(ok)
      assert.is_truthy(message:find("create_server: '" .. bad .. "' in 'trust_proxy' is no address", 1, true), message)
    end
    assert.error_matches(function() http.create_server({ trust_proxy = true }, tell) end,
      "option 'trust_proxy' must be an address or a list of them, such as '127.0.0.1', not a boolean")
    assert.error_matches(function() http.create_server({ trust_proxy = { 1 } }, tell) end, "not a number")
    assert.error_matches(function() http.create_server({ trust_proxy = { loopback = true } }, tell) end,
      "'trust_proxy' is a list, without the key 'loopback'")
    assert.error_matches(function() http.create_server({ trust_fields = "x" }, tell) end,
      "option 'trust_fields' must be 'forwarded' or 'x%-forwarded', not 'x'")
    assert.error_matches(function() http.create_server({ trust_proxies = "::1" }, tell) end,
      "did you mean 'trust_proxy'")
  end)

  it("trusts peers on a unix socket where it says so", function()
    local path = sockets.temporary_path()
    for _, names in ipairs { "unix", "loopback" } do
      local server <close> = http.create_server({ trust_proxy = names }, tell)
      assert(server:listen { path = path })
      local told = seen(server:address(), "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https")
      assert.equal(names == "unix" and "192.0.2.1" or "", told.address)
      assert.equal(names == "unix" and "https" or "http", told.scheme)
      assert.same({ "", 0 }, { told.peer, told.peer_port })
    end
  end)

  it("trusts an IPv4 peer of an IPv6 socket by its IPv4 address", function()
    local server = http_servers.keep(http.create_server({ trust_proxy = "127.0.0.1" }, tell))
    assert(server:listen(0))
    local address = { host = "127.0.0.1", port = server:address().port }
    assert.equal("192.0.2.1", seen(address, "X-Forwarded-For: 192.0.2.1").address)
  end)

  it("looks once, and keeps what it saw while the handler waits", function()
    local _, address = http_servers.serve({ trust_proxy = "loopback" }, function(req, res)
      local before = { req.remote_address, req.host, req.scheme }
      timer.sleep(0.01) -- the head is copied meanwhile
      assert.same(before, { req.remote_address, req.host, req.scheme })
      res:json(before)
    end)
    local connection <close> = client.connect(address)
    for i = 1, 3 do
      connection:write(("GET / HTTP/1.1\r\nHost: own\r\nForwarded: for=192.0.2.%d;proto=https;host=h%d\r\n\r\n")
        :format(i, i))
    end
    for i = 1, 3 do
      assert.same({ "192.0.2." .. i, "h" .. i, "https" }, json.decode(connection:response().body))
    end
  end)

  it("tells a handler whose client has left what it told before", function()
    local wait_for_start, started = waits.gate()
    local wait_for_end, ended = waits.gate()
    local function look(req) return { req.remote_address, req.host, req.scheme, req.peer_address } end
    local _, address = http_servers.serve({ trust_proxy = "loopback" }, function(req)
      req:on_close(function() ended(look(req)) end)
      started(look(req))
      req:body()
    end)
    local connection <close> = client.connect(address)
    connection:write("POST / HTTP/1.1\r\nHost: own\r\nContent-Length: 9\r\n" ..
      "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: a.example\r\nX-Forwarded-Proto: https\r\n\r\n")
    assert.same({ "192.0.2.1", "a.example", "https", "127.0.0.1" }, wait_for_start())
    connection.socket:reset()
    assert.same({ "192.0.2.1", "a.example", "https", "127.0.0.1" }, wait_for_end())
  end)

  it("knows nothing of a client that left before anybody looked", function()
    local wait_for_start, started = waits.gate()
    local wait_for_end, ended = waits.gate()
    local _, address = http_servers.serve({ trust_proxy = "loopback" }, function(req, res)
      if req.method == "GET" then return tell(req, res) end
      req:on_close(function() ended(req.remote_address, req.remote_port, req.scheme, req.host, req.peer_address) end)
      started()
      req:body()
    end)
    -- The next request may be in the memory of this one.
    assert.equal("a.example", seen(address, "Forwarded: for=192.0.2.1;proto=https;host=a.example").host)
    local connection <close> = client.connect(address)
    connection:write("POST / HTTP/1.1\r\nHost: own\r\nContent-Length: 9\r\n" ..
      "Forwarded: for=192.0.2.1;proto=https\r\n\r\n")
    wait_for_start()
    connection.socket:reset()
    assert.same({ nil, nil, "http", "own", nil }, { wait_for_end() })
  end)
end)

describe("what a trusted proxy tells", function()
  local address

  before_each(function() address = serve { trust_proxy = { "loopback", "10.0.0.0/8", "2001:db8:ffff::/48" } } end)
  after_each(function() http_servers.clean_up() end)

  -- { name, field lines, { address, port, scheme, host } }: false where nothing is told; "peer": the peer is the client
  local cases = {
    { "RFC 7239 4: an element with all that counts", { 'Forwarded: for=192.0.2.43;proto=https;host="a:8443";by=_me' },
      { "192.0.2.43", false, "https", "a:8443" } },
    { "RFC 7239 4: names in any case", { "forwarded: FOR=192.0.2.43;PROTO=Https" }, { "192.0.2.43", false, "https" } },
    { "RFC 7239 4: several lines are one list",
      { "Forwarded: for=192.0.2.43", "X: y", "Forwarded: for=10.0.0.1" }, { "192.0.2.43" } },
    { "RFC 7239 4: extensions are passed over", { 'Forwarded: for=192.0.2.43;secret="a, b; \\"c\\"";x=y' },
      { "192.0.2.43" } },
    { "RFC 7239 4: a parameter that is there twice", { "Forwarded: for=192.0.2.43;for=192.0.2.44" }, { false } },
    { "RFC 7239 5.2: for is missing", { "Forwarded: proto=https" }, { false, false, "https" } },
    { "RFC 7239 5.3: a host that is none", { 'Forwarded: for=192.0.2.43;host="a b"' }, { false } },
    { "RFC 7239 5.4: another scheme", { "Forwarded: for=192.0.2.43;proto=gopher" }, { "192.0.2.43" } },
    { "RFC 7239 6: a port", { 'Forwarded: for="192.0.2.43:47011"' }, { "192.0.2.43", 47011 } },
    { "RFC 7239 6: a hidden port", { 'Forwarded: for="192.0.2.43:_p"' }, { "192.0.2.43" } },
    { "RFC 7239 6: IPv6 in quotes and brackets", { 'Forwarded: for="[2001:DB8:cafe::17]:4711"' },
      { "2001:db8:cafe::17", 4711 } },
    { "RFC 7239 6: IPv6 without quotes", { "Forwarded: for=[2001:db8:cafe::17]" }, { false } },
    { "RFC 7239 6: IPv6 without brackets", { 'Forwarded: for="2001:db8:cafe::17"' }, { false } },
    { "RFC 7239 6: a name instead of an address", { "Forwarded: for=example" }, { false } },
    { "RFC 7239 6.2: unknown", { "Forwarded: for=unknown;proto=https" }, { false, false, "https" } },
    { "RFC 7239 6.3: a hidden name", { "Forwarded: for=_SEVKISEK" }, { false } },
    { "RFC 7239 6.3: a hidden hop ends the walk", { "Forwarded: for=192.0.2.43, for=_hop, for=10.0.0.1" }, { false } },
    { "RFC 7239 7.1: an empty list", { "Forwarded:" }, { "peer" } },
    { "RFC 7239 7.1: empty elements", { "Forwarded: , for=192.0.2.43 ,, ," }, { "192.0.2.43" } },
    { "RFC 7239 7.4: X-Forwarded-For", { "X-Forwarded-For: 192.0.2.43, 2001:db8:ffff::17" }, { "192.0.2.43" } },
    { "RFC 7239 7.4: X-Forwarded-For with ports", { "X-Forwarded-For: [2001:db8::1]:99, 10.0.0.1:80" },
      { "2001:db8::1", 99 } },
    { "RFC 7239 8.1: what stands left of the client is its own word", { "Forwarded: for=203.0.113.1, for=192.0.2.43" },
      { "192.0.2.43" } },
    { "RFC 7239 8.1: all are trusted: the first", { "X-Forwarded-For: 10.9.9.9, 10.0.0.1" }, { "10.9.9.9" } },
    { "RFC 7239 8.1: scheme and host are what the outermost trusted proxy tells",
      { "Forwarded: for=203.0.113.1;proto=http;host=evil, for=192.0.2.43;proto=https;host=a, for=10.0.0.1;proto=http" },
      { "192.0.2.43", false, "https", "a" } },
    { "a client that claims to be a proxy", { "Forwarded: for=10.0.0.1, for=192.0.2.43" }, { "192.0.2.43" } },
    { "a client that claims to be this machine", { "X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 192.0.2.43" },
      { "192.0.2.43" } },
    { "a quote that a client leaves open", { 'Forwarded: for="', "Forwarded: for=192.0.2.43" }, { "192.0.2.43" } },
    { "a quote that a client leaves open on the same line", { 'Forwarded: for="10.0.0.1, for=192.0.2.43;proto=https' },
      { "192.0.2.43", false, "https" } },
    { "nonsense in front", { "X-Forwarded-For: <script>, 192.0.2.43" }, { "192.0.2.43" } },
    { "nonsense from a trusted proxy", { "X-Forwarded-For: 192.0.2.43, nonsense" }, { false } },
    { "X-Forwarded-Proto, -Host and -Port",
      { "X-Forwarded-Proto: https", "X-Forwarded-Host: a.example", "X-Forwarded-Port: 8443" },
      { "peer", false, "https", "a.example:8443" } },
    { "the default port", { "X-Forwarded-Proto: https", "X-Forwarded-Host: a", "X-Forwarded-Port: 443" },
      { "peer", false, "https", "a" } },
    { "a port beside no host", { "X-Forwarded-Port: 8443" }, { "peer", false } },
    { "the last of several values",
      { "X-Forwarded-Proto: https, http", "X-Forwarded-Host: evil", "X-Forwarded-Host: a" },
      { "peer", false, "http", "a" } },
    { "a host that is none", { "X-Forwarded-Host: a/b" }, { "peer", false } },
    { "both kinds, of one mind", { "Forwarded: for=192.0.2.43;proto=https", "X-Forwarded-For: 192.0.2.43",
      "X-Forwarded-Proto: https" }, { "192.0.2.43", false, "https" } },
    { "a Forwarded that the proxy has let through", { "Forwarded: for=127.0.0.1", "X-Forwarded-For: 192.0.2.43" },
      { false } },
    { "an X-Forwarded-Proto that the proxy has let through",
      { "Forwarded: for=192.0.2.43", "X-Forwarded-Proto: https" }, { false } },
  }

  for _, case in ipairs(cases) do
    local name, lines, expected = table.unpack(case)
    it(name, function()
      local told = seen(address, table.unpack(lines))
      local client_is_peer = expected[1] == "peer"
      assert.equal("127.0.0.1", told.peer)
      assert.equal(client_is_peer and told.peer or expected[1] or nil, told.address)
      assert.equal(client_is_peer and told.peer_port or expected[2] or nil, told.port)
      assert.equal(expected[3] or "http", told.scheme)
      assert.equal(expected[3] == "https", told.secure)
      assert.equal(expected[4] or "own.example", told.host)
    end)
  end

  it("is of one kind where trust_fields says so", function()
    local lines = { "Forwarded: for=192.0.2.1;proto=https", "X-Forwarded-For: 192.0.2.2" }
    local told = seen(serve { trust_proxy = "loopback", trust_fields = "forwarded" }, table.unpack(lines))
    assert.same({ "192.0.2.1", "https" }, { told.address, told.scheme })
    told = seen(serve { trust_proxy = "loopback", trust_fields = "x-forwarded" }, table.unpack(lines))
    assert.same({ "192.0.2.2", "http" }, { told.address, told.scheme })
  end)

  it("replaces the host of an absolute target too", function()
    local connection <close> = client.connect(address)
    connection:write("GET http://own/ HTTP/1.1\r\nHost: own\r\nForwarded: for=192.0.2.1;host=a\r\n\r\n")
    assert.equal("a", json.decode(connection:response().body).host)
  end)

  it("leaves the fields as they were sent", function()
    local _, plain = http_servers.serve({ trust_proxy = "loopback" }, function(req, res)
      res:send(req.headers.forwarded)
    end)
    local connection <close> = client.connect(plain)
    local response = connection:request { headers = { forwarded = "for=192.0.2.1, for=10.0.0.1" } }
    assert.equal("for=192.0.2.1, for=10.0.0.1", response.body)
  end)
end)
