-- SPDX-License-Identifier: MIT
-- net.connect with several addresses, of which not all answer.

local failures = require("spec.support.failures")
local kept = require("spec.support.kept")
local net = require("luaserve.net")
local waits = require("spec.support.waits")

local assert_failure, keep, waiting = failures.assert_failure, kept.keep, waits.waiting

after_each(function() kept.clean_up() end)

-- Servers on loopback addresses that share a port; each says its address. Raises for an address the machine has not.
local function serve_addresses(...)
  local servers, port = {}, 0
  for i, host in ipairs({ ... }) do
    local server, _, code = net.listen({ host = host, port = port }, function(sock)
      sock:write(host)
      sock:close()
    end)
    if code == "EADDRINUSE" then -- there, somebody has it: another port
      for _, other in ipairs(servers) do
        other:close()
      end
      return serve_addresses(...)
    end
    servers[i] = keep(assert(server, code))
    port = server:address().port
  end
  return port, table.unpack(servers)
end

-- A server on 127.0.0.1:port whose queue is full: who connects now gets no answer at all. The port of it.
local function black_hole(port)
  local filled
  local server, _, code = net.listen(
    { host = "127.0.0.1", port = port, backlog = 1, max_connections = 1 },
    function(sock)
      keep(sock)
    end
  )
  if not server then
    return nil, code
  end
  keep(server)
  repeat
    local sock
    sock, _, filled = net.connect({ host = "127.0.0.1", port = port, timeout = 0.25 })
    if sock then
      keep(sock)
    end
  until filled
  assert.equal("ETIMEDOUT", filled)
  return port
end

local has_ipv6 = net.udp({ host = "::1" })
if has_ipv6 then
  has_ipv6:close()
end

describe("net.connect with several addresses", function()
  local function connect(port, addresses, delay)
    return net.connect({ addresses = addresses, port = port, attempt_delay = delay, timeout = 20 })
  end

  local function said(port, addresses, delay)
    local sock <close> = assert(connect(port, addresses, delay))
    return sock:read_all()
  end

  it("goes on with the next one when one fails", function()
    local port = serve_addresses("127.0.0.2")
    assert.equal("127.0.0.2", said(port, { "127.0.0.1", "127.0.0.2" }, false))
    assert.equal("127.0.0.2", said(port, { "127.0.0.1", "127.0.0.3", "127.0.0.2" }, 1000))
    assert.equal("127.0.0.2", said(port, { "127.0.0.2", "127.0.0.1" }, false))
    assert.equal("127.0.0.2", said(port, { "224.0.0.1", "127.0.0.2" }, false))
  end)

  it("goes on from either family to the other", function()
    if not has_ipv6 then
      pending("no IPv6 here")
      return
    end
    local six = serve_addresses("::1")
    assert.equal("::1", said(six, { "127.0.0.1", "::1" }, false))
    assert.equal("::1", said(six, { "::1", "127.0.0.1" }, false))
    local four = serve_addresses("127.0.0.1")
    assert.equal("127.0.0.1", said(four, { "::1", "127.0.0.1" }, false))
    assert.equal("127.0.0.1", said(four, { "127.0.0.1", "::1" }, false))
  end)

  it("lets the families take turns, beginning with the first one's", function()
    if not has_ipv6 then
      pending("no IPv6 here")
      return
    end
    local port, _, six = serve_addresses("127.0.0.3", "::1")
    assert.equal("::1", said(port, { "127.0.0.1", "127.0.0.3", "::1" }, false))
    assert.equal("127.0.0.3", said(port, { "127.0.0.3", "::1" }, false))
    assert.equal("::1", said(port, { "::1", "127.0.0.3" }, false))
    six:close()
    assert.equal("127.0.0.3", said(port, { "127.0.0.1", "127.0.0.3", "::1" }, false))
  end)

  it("does not wait for one that does not answer", function()
    local port, second
    repeat
      port, second = serve_addresses("127.0.0.2")
    until black_hole(port)
    assert.equal("127.0.0.2", said(port, { "127.0.0.1", "127.0.0.2" }, 0.01))
    assert.equal("127.0.0.2", said(port, { "127.0.0.1", "127.0.0.3", "127.0.0.2" }, 0.01))
    assert.equal("127.0.0.2", said(port, { "127.0.0.1", "127.0.0.2" })) -- 0.25 s
    -- Nor does it begin with the next one early, if told so.
    local accepted = second:stats().accepted
    local target = { addresses = { "127.0.0.1", "127.0.0.2" }, port = port, attempt_delay = false, timeout = 0.05 }
    assert_failure("ETIMEDOUT", "connect port %d+ of 2 addresses", net.connect(target))
    -- The one without an answer is still tried when the other has failed.
    second:close()
    assert.equal(accepted, second:stats().accepted)
    target.attempt_delay = 0.01
    assert_failure("ETIMEDOUT", "connect port %d+ of 2 addresses", net.connect(target))
    local connector = waiting(net.connect, target)
    connector:cancel()
  end)

  it("tells what the first one said that said something", function()
    local port, server = serve_addresses("127.0.0.2")
    server:close()
    assert_failure("ECONNREFUSED", "connect 127.0.0.1:" .. port, connect(port, { "127.0.0.1", "127.0.0.2" }))
    assert_failure("ECONNREFUSED", "connect 127.0.0.2:" .. port, connect(port, { "127.0.0.2", "127.0.0.1" }))
    -- There is no TCP to a multicast group: the first failure is this machine's own.
    assert_failure("ENETUNREACH", "connect 224.0.0.1:" .. port, connect(port, { "224.0.0.1", "224.0.0.2" }))
    assert_failure("ECONNREFUSED", "connect 127.0.0.2:" .. port, connect(port, { "224.0.0.1", "127.0.0.2" }))
    assert_failure("ECONNREFUSED", "connect 127.0.0.2:" .. port, connect(port, { "127.0.0.2", "224.0.0.1" }))
  end)
end)
