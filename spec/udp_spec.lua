-- SPDX-License-Identifier: MIT
-- net.udp: datagrams between sockets of this process.

local failures = require("spec.support.failures")
local kept = require("spec.support.kept")
local net = require("luaserve.net")
local process = require("spec.support.process")
local task = require("luaserve.task")
local waits = require("spec.support.waits")

local assert_failure, keep, waiting = failures.assert_failure, kept.keep, waits.waiting

-- The time limit only makes a failure visible.
local function udp(options)
  return keep(assert(net.udp(options)):set_timeout(20))
end

-- A socket on 127.0.0.1, and its port.
local function bound(options)
  options = options or {}
  options.host = options.host or "127.0.0.1"
  local sock = udp(options)
  return sock, sock:address().port
end

-- A port that nobody has: it was just given back.
local function free_port()
  local sock <close> = assert(net.udp({ host = "127.0.0.1" }))
  return sock:address().port
end

after_each(function() kept.clean_up() end)

describe("net.udp", function()
  it("sends and receives", function()
    local server, port = bound()
    local client, client_port = bound()
    assert.is_true(client:send("ping", "127.0.0.1", port))
    local data, from = server:receive()
    assert.equal("ping", data)
    assert.same({ host = "127.0.0.1", port = client_port }, from)
    assert.is_true(server:send("pong", from.host, from.port))
    assert.same({ "pong", { host = "127.0.0.1", port = port } }, { client:receive() })
  end)

  it("waits for a datagram", function()
    local server, port = bound()
    local receiver = waiting(server.receive, server)
    udp():send("late", "127.0.0.1", port)
    assert.equal("late", (receiver:join()))
    receiver = waiting(server.receive, server) -- the watcher is still there
    udp():send("again", "127.0.0.1", port)
    assert.equal("again", (receiver:join()))
  end)

  it("keeps datagrams apart, in order, also empty and large ones", function()
    local server, port = bound()
    local client = udp()
    local large = ("x"):rep(65507)
    for _, data in ipairs({ "a", "", "bc", large, "d" }) do
      assert.is_true(client:send(data, "127.0.0.1", port))
    end
    for _, data in ipairs({ "a", "", "bc" }) do
      assert.equal(data, (server:receive()))
    end
    assert.is_true(large == server:receive())
    assert.equal("d", (server:receive()))
    assert_failure("EMSGSIZE", "send 127.0.0.1:" .. port, client:send(large .. "x", "127.0.0.1", port))
  end)

  it("takes both families without a host", function()
    local server = udp()
    local port = server:address().port
    local client = udp()
    client:send("four", "127.0.0.1", port)
    local data, from = server:receive()
    assert.equal("four", data)
    assert.equal("127.0.0.1", from.host)
    local six = net.udp({ host = "::1" })
    if not six then
      pending("no IPv6 here")
      return
    end
    keep(six)
    assert.equal("udp ([::1]:" .. six:address().port .. ")", tostring(six))
    six:send("six", "::1", port)
    data, from = server:receive()
    assert.equal("six", data)
    assert.same(six:address(), from)
    server:send("back", from.host, from.port)
    assert.equal("back", (six:receive()))
    assert_failure("ENETUNREACH", "send 127.0.0.1:1", six:send("x", "127.0.0.1", 1))
    assert_failure("EAFNOSUPPORT", "send %[::1%]:1", bound():send("x", "::1", 1))
  end)

  it("looks names up", function()
    local server, port = bound()
    local client = bound()
    assert.is_true(client:send("to a name", "localhost", port))
    assert.equal("to a name", (server:receive()))
    local value, message, code = client:send("x", "nosuch.invalid", port)
    assert.is_nil(value)
    assert.matches("^EAI_", code)
    assert.matches("lookup 'nosuch.invalid'$", message)
    assert.is_true(client:connect("localhost", port))
    assert.is_true(client:send("connected"))
    assert.equal("connected", (server:receive()))
    assert.matches("^EAI_", select(3, client:connect("nosuch.invalid", port)))
  end)

  it("tells a port in use", function()
    local _, port = bound()
    assert_failure("EADDRINUSE", "udp 127.0.0.1:" .. port, net.udp({ host = "127.0.0.1", port = port }))
    assert_failure(
      "EADDRINUSE",
      "udp 127.0.0.1:" .. port,
      net.udp({ host = "127.0.0.1", port = port, reuse_address = true }) -- both have to want it
    )
    local _, shared = bound({ reuse_address = true })
    bound({ reuse_address = true, port = shared })
    assert_failure("EADDRNOTAVAIL", "udp 192.0.2.200:0", net.udp({ host = "192.0.2.200" }))
  end)

  it("refuses what makes no sense", function()
    local sock = udp()
    local function raises(pattern, fn, ...)
      local arguments = table.pack(...)
      assert.error_matches(function()
        fn(table.unpack(arguments, 1, arguments.n))
      end, pattern)
    end
    raises("did you mean 'host'", net.udp, { hots = "127.0.0.1" })
    raises("numeric address", net.udp, { host = "localhost" })
    raises("from 0 to 65535", net.udp, { port = 65536 })
    raises("connect the socket first", sock.send, sock, "x")
    raises("from 1 to 65535", sock.send, sock, "x", "127.0.0.1", 0)
    raises("NUL", sock.send, sock, "x", "a\0b", 1)
    raises("number expected", sock.send, sock, "x", "127.0.0.1")
    raises("string expected", sock.send, sock)
    raises("numeric address", sock.join, sock, "localhost")
    raises("from 0 to 255", sock.set_multicast_ttl, sock, 256)
    raises("boolean expected", sock.set_broadcast, sock)
    raises("seconds must be", sock.set_timeout, sock, 0 / 0)
  end)

  it("calls back", function()
    local server, port = bound()
    local client = bound()
    local got = {}
    local receiver = task.spawn(require("luaserve.timer").sleep, 60)
    server:receive(function(failure, data, from)
      got.receive = { failure, data, from.host }
      receiver:cancel()
    end)
    local operation = client:send("one", "127.0.0.1", port, function(failure, sent)
      got.send = { failure, sent }
    end)
    assert.is_userdata(operation)
    pcall(receiver.join, receiver)
    assert.same({ receive = { nil, "one", "127.0.0.1" }, send = { nil, true } }, got)
  end)
end)

describe("a connected udp socket", function()
  it("talks to its peer only", function()
    local server, port = bound()
    local client, client_port = bound()
    local stranger = bound()
    assert.is_nil(client:peer())
    assert.is_true(client:connect("127.0.0.1", port))
    assert.same({ host = "127.0.0.1", port = port }, client:peer())
    assert.is_true(client:send("hello"))
    assert.same({ "hello", client:address() }, { server:receive() })
    stranger:send("psst", "127.0.0.1", client_port)
    server:send("hello yourself", "127.0.0.1", client_port)
    assert.equal("hello yourself", (client:receive()))
  end)

  it("learns that nobody is there", function()
    local port = free_port()
    local client = udp()
    assert.is_true(client:connect("127.0.0.1", port))
    local receiver = waiting(client.receive, client)
    assert.is_true(client:send("anybody?"))
    assert_failure("ECONNREFUSED", "receive [%d.]+:%d+", receiver:join())
    -- It goes on, and a server may come.
    local server = bound({ port = port })
    assert.is_true(client:send("now?"))
    local data, from = server:receive()
    assert.equal("now?", data)
    receiver = waiting(client.receive, client)
    server:send("yes", from.host, from.port)
    assert.equal("yes", (receiver:join()))
  end)
end)

describe("udp:receive", function()
  it("times out, and a datagram may come later", function()
    local server, port = bound()
    assert.equal(server, server:set_timeout(0.005))
    assert_failure("ETIMEDOUT", "receive 127.0.0.1:" .. port, server:receive())
    server:set_timeout(nil)
    udp():send("later", "127.0.0.1", port)
    assert.equal("later", (server:receive()))
  end)

  it("is one at a time", function()
    local server, port = bound()
    local receiver = waiting(server.receive, server)
    assert.error_matches(function()
      server:receive()
    end, "another receive")
    udp():send("x", "127.0.0.1", port)
    assert.equal("x", (receiver:join()))
  end)

  it("loses nothing when it is cancelled", function()
    local server, port = bound()
    local receiver = waiting(server.receive, server)
    receiver:cancel()
    local called = false
    local operation = server:receive(function()
      called = true
    end)
    assert.is_true(operation:cancel())
    udp():send("kept", "127.0.0.1", port)
    assert.equal("kept", (server:receive()))
    -- The datagram is there already, and its callback is given up before it runs.
    udp():send("kept too", "127.0.0.1", port)
    server:receive(function()
      called = true
    end):cancel()
    assert.equal("kept too", (server:receive()))
    assert.is_false(called)
  end)

  it("drops what nobody receives, counted", function()
    local server, port = bound({ receive_buffer = 4096 })
    local client = udp()
    assert.equal(0, server:dropped())
    local sent, data = 200, ("x"):rep(1000)
    for _ = 1, sent do
      assert.is_true(client:send(data, "127.0.0.1", port))
    end
    local dropped, received = server:dropped(), 0
    assert.is_true(dropped > 0 and dropped < sent, dropped)
    for _ = 1, sent - dropped do
      assert.equal(data, (server:receive()))
      received = received + 1
    end
    assert.equal(sent, received + dropped)
    client:send("goes on", "127.0.0.1", port)
    assert.equal("goes on", (server:receive()))
  end)
end)

describe("udp multicast", function()
  local GROUP, OTHER_GROUP = "239.255.77.77", "239.255.77.78"

  it("reaches every member of a group", function()
    local one = udp({ reuse_address = true })
    local port = one:address().port
    local two = udp({ reuse_address = true, port = port })
    local sender = bound()
    for _, sock in ipairs({ one, two }) do
      assert.is_true(sock:join(GROUP, "127.0.0.1"))
    end
    assert_failure("EADDRINUSE", "join " .. GROUP, one:join(GROUP, "127.0.0.1"))
    assert.is_true(sender:set_multicast_interface("127.0.0.1"))
    assert.is_true(sender:set_multicast_ttl(1))
    assert.is_true(sender:set_multicast_loop(true))
    assert.is_true(sender:send("to all", GROUP, port))
    for _, sock in ipairs({ one, two }) do
      assert.same({ "to all", sender:address() }, { sock:receive() })
    end
    -- One that has left gets what the groups send that it is in, and nothing else.
    assert.is_true(one:leave(GROUP, "127.0.0.1"))
    assert_failure("EADDRNOTAVAIL", "leave " .. GROUP, one:leave(GROUP, "127.0.0.1"))
    assert.is_true(one:join(OTHER_GROUP, "lo"))
    assert.is_true(sender:send("to two", GROUP, port))
    assert.is_true(sender:send("to one", OTHER_GROUP, port))
    assert.equal("to two", (two:receive()))
    assert.equal("to one", (one:receive()))
  end)

  it("works over IPv6", function()
    local member = udp()
    local port = member:address().port
    local joined, _, code = member:join("ff02::7777")
    if not joined then
      pending("no IPv6 multicast here: " .. code)
      return
    end
    local sender = assert(udp())
    assert.is_true(sender:set_multicast_loop(true))
    assert.is_true(sender:set_multicast_ttl(0)) -- stays on this machine
    local sent
    sent, _, code = sender:send("six", "ff02::7777", port)
    if not sent then
      pending("no IPv6 multicast here: " .. code)
      return
    end
    assert.equal("six", (member:receive()))
    assert.is_true(member:leave("ff02::7777"))
  end)

  it("tells what is wrong", function()
    local sock = udp()
    assert_failure("EINVAL", "join 127.0.0.1", sock:join("127.0.0.1"))
    assert_failure("ENODEV", "join " .. GROUP, sock:join(GROUP, "nosuch0"))
    assert_failure("ENODEV", "set_multicast_interface .-", sock:set_multicast_interface("nosuch0"))
    assert_failure("EACCES", "send 127.255.255.255:9", sock:send("x", "127.255.255.255", 9))
    assert.is_true(sock:set_broadcast(true))
    assert.is_true(sock:send("x", "127.255.255.255", 9))
  end)
end)

describe("the life of a udp socket", function()
  it("ends with close", function()
    local sock, port = bound()
    local receiver = waiting(sock.receive, sock)
    local sender = waiting(sock.send, sock, "x", "localhost", 9)
    assert.equal("udp (127.0.0.1:" .. port .. ")", tostring(sock))
    assert.is_true(sock:close())
    assert_failure("ECLOSED", "receive 127.0.0.1:" .. port, receiver:join())
    assert_failure("ECLOSED", "send localhost:9", sender:join())
    assert_failure("ECLOSED", "receive 127.0.0.1:" .. port, sock:receive())
    assert_failure("ECLOSED", "send 127.0.0.1:9", sock:send("x", "127.0.0.1", 9))
    assert_failure("ECLOSED", "address 127.0.0.1:" .. port, sock:address())
    assert_failure("ECLOSED", "dropped 127.0.0.1:" .. port, sock:dropped())
    assert_failure("ECLOSED", "join 239.1.1.1", sock:join("239.1.1.1"))
    assert_failure("ECLOSED", "set_broadcast 127.0.0.1:" .. port, sock:set_broadcast(true))
    assert.is_true(sock:close())
    assert.equal("udp (127.0.0.1:" .. port .. ", closed)", tostring(sock))
  end)

  it("ends with <close>, and when it is collected", function()
    local port
    do
      local sock <close> = net.udp({ host = "127.0.0.1" })
      port = sock:address().port
    end
    do
      assert(net.udp({ host = "127.0.0.1", port = port })) -- free again
    end
    collectgarbage()
    collectgarbage()
    bound({ port = port })
  end)

  it("does not end while an operation waits for it", function()
    local port = free_port()
    local receiver = task.spawn(function()
      return net.udp({ host = "127.0.0.1", port = port }):receive()
    end)
    task.spawn(function() end):join()
    collectgarbage()
    collectgarbage()
    udp():send("still there", "127.0.0.1", port)
    assert.equal("still there", (receiver:join()))
  end)

  it("keeps the process alive only while somebody waits", function()
    local code = [[
      local net = require("luaserve.net")
      local sock = net.udp({ host = "127.0.0.1" })
      local other = net.udp()
      sock:receive(function(_, data) print(data) end)
      other:send("woken", "127.0.0.1", sock:address().port)]]
    local child = assert(io.popen(("%s -e '%s'"):format(process.luaserve, code)))
    assert.equal("woken\n", child:read("a"))
    assert.is_true(child:close())
  end)

  it("ends with the process, whatever goes on", function()
    local code = [[
      local net, task = require("luaserve.net"), require("luaserve.task")
      local sock = net.udp({ host = "127.0.0.1" })
      local port = sock:address().port
      task.spawn(sock.receive, sock)
      for _ = 1, 10 do
        task.spawn(sock.send, sock, "x", "localhost", port)
        sock:send("x", "nosuch.invalid", 9, print)
        sock:send("x", "127.0.0.1", port, print)
      end
      net.udp():receive(print)
      if %s then
        require("luaserve.timer").sleep(0.001)
      end
      os.exit(7, true)]]
    for _, late in ipairs({ "false", "true" }) do
      local child = assert(io.popen(("%s -e '%s'"):format(process.luaserve, code:format(late))))
      child:read("a")
      assert.same({ nil, "exit", 7 }, { child:close() }) -- sanitizers turn a leak into another status
    end
  end)
end)
