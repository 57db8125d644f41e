-- SPDX-License-Identifier: MIT
--- Connections that begin with a PROXY header. The sections are those of the PROXY protocol's specification.

local client = require "spec.support.client"
local http_servers = require "spec.support.http_servers"
local json = require "luaserve.json"
local process = require "spec.support.process"
local sockets = require "spec.support.sockets"
local timer = require "luaserve.timer"
local http = require "luaserve.http"

--- Tells where the request comes from.
local function tell(req, res)
  res:json {
    address = req.remote_address, port = req.remote_port, peer = req.peer_address, scheme = req.scheme, path = req.path,
    secure = req.secure, host = req.host,
  }
end

local function serve(options)
  local _, address = http_servers.serve(options, tell)
  return address
end

local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"
local FOUR = "\192\0\2\1\203\0\113\9\xdc\4\1\xbb" -- 192.0.2.1:56324 to 203.0.113.9:443
local LINE = "PROXY TCP4 192.0.2.1 203.0.113.9 56324 443\r\n"
local TLS = "\x20\0\5\1\0\0\0\0"

local function binary(command, family, rest)
  return SIGNATURE .. string.char(command, family) .. string.pack(">s2", rest)
end

local function get(path, fields)
  return ("GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n"):format(path, fields or "")
end

--- Sends the bytes and gives what a handler saw of the first request; nil: the connection was closed without a byte.
local function seen(address, ...)
  local connection <close> = client.connect(address)
  for i, part in ipairs { ... } do
    if i > 1 then timer.sleep(0) end
    if not connection:write(part) then break end
  end
  local response = connection:response()
  return response and json.decode(response.body)
end

local function each_byte(bytes)
  local parts = {}
  for i = 1, #bytes do parts[i] = bytes:sub(i, i) end
  return table.unpack(parts)
end

describe("proxy_protocol", function()
  after_each(function()
    http_servers.clean_up()
    process.clean_up()
  end)

  -- { name, header, { address, port, secure } }; nil: closed; "peer": as without a header
  local headers = {
    { "2.1: TCP over IPv4", LINE, { "192.0.2.1", 56324 } },
    { "2.1: TCP over IPv6", "PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", { "2001:db8::1", 1 } },
    { "2.1: IPv4 in IPv6's clothes", "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", { "192.0.2.1", 1 } },
    { "2.1: UNKNOWN", "PROXY UNKNOWN\r\n", "peer" },
    { "2.1: UNKNOWN and more", "PROXY UNKNOWN a b c\r\n", "peer" },
    { "2.1: the longest line", "PROXY UNKNOWN " .. ("x"):rep(91) .. "\r\n", "peer" },
    { "2.1: a longer line", "PROXY UNKNOWN " .. ("x"):rep(92) .. "\r\n" },
    { "2.1: bare LF", "PROXY TCP4 192.0.2.1 203.0.113.9 56324 443\n" },
    { "2.1: two spaces", "PROXY TCP4  192.0.2.1 203.0.113.9 56324 443\r\n" },
    { "2.1: a leading zero", "PROXY TCP4 192.0.2.01 203.0.113.9 56324 443\r\n" },
    { "2.1: a port over 65535", "PROXY TCP4 192.0.2.1 203.0.113.9 65536 443\r\n" },
    { "2.1: the other family", "PROXY TCP6 192.0.2.1 203.0.113.9 56324 443\r\n" },
    { "2.1: no header", "" },
    { "2.2: LOCAL", binary(0x20, 0, ""), "peer" },
    { "2.2: LOCAL with addresses", binary(0x20, 0x11, FOUR), "peer" },
    { "2.2: UNSPEC", binary(0x21, 0, "any"), "peer" },
    { "2.2: TCP over IPv4", binary(0x21, 0x11, FOUR), { "192.0.2.1", 56324 } },
    { "2.2: TCP over IPv6",
      binary(0x21, 0x21, "\x20\1\r\xb8" .. ("\0"):rep(11) .. "\1" .. ("\0"):rep(16) .. "\0\7\0\8"),
      { "2001:db8::1", 7 } },
    { "2.2: a unix socket", binary(0x21, 0x31, ("\0"):rep(216)), { "", 0 } },
    { "2.2: UDP is another transport", binary(0x21, 0x12, FOUR), "peer" },
    { "2.2: version 1 in the binary format", binary(0x11, 0x11, FOUR) },
    { "2.2: an unknown command", binary(0x22, 0x11, FOUR) },
    { "2.2: an unknown family", binary(0x21, 0x41, FOUR) },
    { "2.2: too short for its addresses", binary(0x21, 0x11, FOUR:sub(2)) },
    { "2.2: a value longer than the header", binary(0x21, 0x11, FOUR .. "\4\0\9a") },
    { "2.2: a header over the bound", binary(0x21, 0x11, FOUR .. "\4\x20\0" .. ("\0"):rep(8192)) },
    { "2.2.3: a wrong checksum", binary(0x21, 0x11, FOUR .. "\3\0\4\0\0\0\0") },
    { "2.2.4: NOOP", binary(0x21, 0x11, FOUR .. "\4\0\2ab"), { "192.0.2.1", 56324 } },
    { "2.2.6: over TLS", binary(0x21, 0x11, FOUR .. TLS), { "192.0.2.1", 56324, true } },
    { "2.2.6: not over TLS", binary(0x21, 0x11, FOUR .. "\x20\0\5\0\0\0\0\0"), { "192.0.2.1", 56324 } },
  }

  for _, case in ipairs(headers) do
    local name, header, expected = table.unpack(case)
    it(name, function()
      local address = serve { proxy_protocol = true }
      local bytes = header .. get "/a"
      local told = seen(address, bytes)
      if not expected then
        assert.is_nil(told)
        return
      end
      assert.equal("127.0.0.1", told.peer)
      assert.equal(expected == "peer" and "127.0.0.1" or expected[1], told.address)
      if expected ~= "peer" then assert.equal(expected[2], told.port) end
      assert.equal(expected[3] or false, told.secure)
      assert.equal(expected[3] and "https" or "http", told.scheme)
      local again = seen(address, each_byte(bytes))
      again.port = expected == "peer" and told.port or again.port
      assert.same(told, again)
    end)
  end

  it("takes header and requests in every split", function()
    local address = serve { proxy_protocol = true }
    for _, header in ipairs { LINE, binary(0x21, 0x11, FOUR .. TLS) } do
      local bytes = header .. get "/a"
      for at = 1, #bytes - 1 do
        assert.equal("192.0.2.1", seen(address, bytes:sub(1, at), bytes:sub(at + 1)).address, at)
      end
    end
  end)

  it("leaves pipelining and keeping alive as they are", function()
    local connection <close> = client.connect(serve { proxy_protocol = true })
    connection:write(LINE .. get "/1" .. get "/2")
    for _, path in ipairs { "/1", "/2", "/3" } do
      if path == "/3" then connection:write(get "/3") end
      local told = json.decode(connection:response().body)
      assert.same({ "192.0.2.1", path }, { told.address, told.path })
    end
    connection:write(LINE) -- once is enough: this is a request, and none
    assert.equal(501, connection:response().status)
  end)

  it("closes where the client ends before its header does", function()
    local connection <close> = client.connect(serve { proxy_protocol = true })
    connection:write(LINE:sub(1, 20))
    connection.socket:shutdown()
    assert.equal("", connection:read_all())
  end)

  it("gives header_timeout to the header", function()
    local address = serve { proxy_protocol = true, header_timeout = 0.05 }
    for _, part in ipairs { "", LINE:sub(1, -2), SIGNATURE } do
      local connection <close> = client.connect(address)
      if part ~= "" then connection:write(part) end
      assert.equal("", connection:read_all())
    end
  end)

  it("can be one version only", function()
    local v1, v2 = serve { proxy_protocol = "v1" }, serve { proxy_protocol = "v2" }
    local header = binary(0x21, 0x11, FOUR)
    assert.equal("192.0.2.1", seen(v1, LINE .. get "/").address)
    assert.is_nil(seen(v1, header .. get "/"))
    assert.equal("192.0.2.1", seen(v2, header .. get "/").address)
    assert.is_nil(seen(v2, LINE .. get "/"))
    for _, bad in ipairs { "v3", 1, "" } do
      assert.error_matches(function() http.create_server({ proxy_protocol = bad }, tell) end,
        "option 'proxy_protocol' must be true, false, 'v1' or 'v2'")
    end
  end)

  it("is a bad request where the option is off", function()
    for _, options in ipairs { {}, { proxy_protocol = false } } do
      local address = serve(options)
      for header, status in pairs { [LINE] = 501, [binary(0x21, 0x11, FOUR)] = 400 } do -- PROXY could be a method
        local connection <close> = client.connect(address)
        connection:write(header .. get "/")
        assert.equal(status, connection:response().status)
        assert.equal("", connection:read_all())
      end
    end
  end)

  it("is for those of trust_proxy only, where that is given", function()
    assert.equal("192.0.2.1", seen(serve { proxy_protocol = true, trust_proxy = "loopback" }, LINE .. get "/").address)
    assert.is_nil(seen(serve { proxy_protocol = true, trust_proxy = "10.0.0.0/8" }, LINE .. get "/"))
    for names, is_trusted in pairs { unix = true, loopback = false } do
      local server <close> = http.create_server({ proxy_protocol = true, trust_proxy = names }, tell)
      assert(server:listen { path = sockets.temporary_path() })
      local told = seen(server:address(), LINE .. get "/")
      assert.equal(is_trusted and "192.0.2.1" or nil, told and told.address)
    end
  end)

  it("tells whose word the fields are", function()
    local address = serve { proxy_protocol = true, trust_proxy = { "loopback", "10.0.0.0/8" } }
    local fields = "X-Forwarded-For: 198.51.100.1, 10.0.0.9\r\nX-Forwarded-Proto: https\r\n"
    local told = seen(address, LINE .. get("/", fields)) -- from a client: nothing is believed
    assert.same({ "192.0.2.1", "http" }, { told.address, told.scheme })
    told = seen(address, "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" .. get("/", fields)) -- from a proxy of ours
    assert.same({ "198.51.100.1", "https" }, { told.address, told.scheme })
    assert.is_nil(told.port)
    told = seen(address, "PROXY UNKNOWN\r\n" .. get("/", fields)) -- from the peer itself
    assert.same({ "198.51.100.1", "https" }, { told.address, told.scheme })
    local over_tls = binary(0x21, 0x11, "\10\0\0\1" .. FOUR:sub(5) .. TLS)
    told = seen(address, over_tls .. get("/"))
    assert.same({ "10.0.0.1", "https", true }, { told.address, told.scheme, told.secure })
    told = seen(address, over_tls .. get("/", "X-Forwarded-Proto: http\r\n"))
    assert.same({ "10.0.0.1", "http", false }, { told.address, told.scheme, told.secure })
  end)

  it("says in the log, once for many, what it has closed", function()
    local server = process.serve_code([[
      local http = require "luaserve.http"
      local server = http.create_server({ proxy_protocol = true }, function(_, res) res:send("x") end)
      assert(server:listen { host = "127.0.0.1", port = 0 })
      print("http://127.0.0.1:" .. server:address().port)
      io.stdout:flush()
    ]])
    for _ = 1, 20 do
      local connection <close> = server:connect()
      connection:write(get "/")
      assert.equal("", connection:read_all())
    end
    local status, log = server:stop()
    assert.equal(0, status)
    local _, lines = log:gsub("[^\n]*\n", "")
    assert.equal(1, lines, log)
    assert.matches("warn: a connection from 127%.0%.0%.1 was closed: it does not begin with a valid PROXY header\n",
      log)
  end)
end)
