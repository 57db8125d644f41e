-- SPDX-License-Identifier: MIT
-- net: TCP connections and servers, both ends of them in this process.

local failures = require("spec.support.failures")
local kept = require("spec.support.kept")
local net = require("luaserve.net")
local process = require("spec.support.process")
local sockets = require("spec.support.sockets")
local task = require("luaserve.task")
local waits = require("spec.support.waits")

local assert_failure, gate, keep = failures.assert_failure, waits.gate, kept.keep
local pair, serve, temporary_path = sockets.pair, sockets.serve, sockets.temporary_path

after_each(function() kept.clean_up() end)

describe("net.connect and net.listen", function()
  it("echo", function()
    local _, port = serve(function(sock)
      for data in
        function()
          return sock:read()
        end
      do
        sock:write(data)
      end
      sock:close()
    end)
    local sock <close> = assert(net.connect("127.0.0.1", port))
    assert.is_true(sock:write("hello\n"))
    assert.is_true(sock:write("world\n"))
    assert.equal("hello", sock:read_until("\n"))
    assert.equal("world", sock:read_until("\n"))
    assert.is_true(sock:shutdown())
    assert.same({ n = 1 }, table.pack(sock:read()))
  end)

  it("serves many at once", function()
    local _, port = serve(function(sock)
      sock:write(sock:read_all():reverse())
      sock:close()
    end)
    local clients = {}
    for i = 1, 50 do
      clients[i] = task.spawn(function()
        local sock <close> = assert(net.connect("127.0.0.1", port))
        sock:write("number " .. i)
        sock:shutdown()
        return sock:read_all()
      end)
    end
    for i, client in ipairs(clients) do
      assert.equal(("number " .. i):reverse(), client:join())
    end
  end)

  it("tells the addresses of both ends", function()
    local client, accepted = pair()
    assert.same(client:address(), accepted:peer())
    assert.same(accepted:address(), client:peer())
    assert.equal("127.0.0.1", client:peer().host)
    assert.equal("socket (127.0.0.1:" .. client:peer().port .. ")", tostring(client))
    local port = client:peer().port
    client:close()
    assert.equal("socket (127.0.0.1:" .. port .. ", closed)", tostring(client))
    assert.equal(port, client:peer().port)
    assert_failure("ECLOSED", "address 127.0.0.1:" .. port, client:address())
  end)

  it("listens on every address when there is no host", function()
    local server = keep(assert(net.listen(0, function(sock)
      sock:write(sock:peer().host)
      sock:close()
    end)))
    local sock <close> = assert(net.connect("127.0.0.1", server:address().port))
    assert.equal("127.0.0.1", sock:read_all())
  end)

  it("works over IPv6", function()
    local server = net.listen({ host = "::1" }, function(sock)
      sock:write(sock:peer().host)
      sock:close()
    end)
    if not server then
      pending("no IPv6 here")
      return
    end
    keep(server)
    local port = server:address().port
    local sock <close> = assert(net.connect("::1", port))
    assert.equal("socket ([::1]:" .. port .. ")", tostring(sock))
    assert.equal("::1", sock:read_all())
    server:close()
    assert_failure("ECONNREFUSED", "connect %[::1%]:" .. port, net.connect("::1", port))
  end)

  it("looks names up", function()
    local _, port = serve(function(sock)
      sock:write("here")
      sock:close()
    end)
    local sock <close> = assert(net.connect("localhost", port, { timeout = 10 }))
    assert.equal("here", sock:read_all())
    local value, message, code = net.connect("nosuch.invalid", port)
    assert.is_nil(value)
    assert.matches("^EAI_", code)
    assert.matches("lookup 'nosuch.invalid'$", message)
  end)

  it("tells a refused port", function()
    local server, port = serve(function() end)
    server:close()
    assert_failure("ECONNREFUSED", "connect 127.0.0.1:" .. port, net.connect("127.0.0.1", port))
    assert_failure("ECONNREFUSED", "connect 127.0.0.1:" .. port, net.connect({ host = "127.0.0.1", port = port }))
  end)

  it("tells a port in use", function()
    local _, port = serve(function() end)
    assert_failure("EADDRINUSE", "listen 127.0.0.1:" .. port, net.listen({ host = "127.0.0.1", port = port }, print))
  end)

  it("time a connect out", function()
    -- A process that listens and does not accept: once its short queue is full, the system drops what comes.
    local fifo = temporary_path()
    assert(os.execute("mkfifo " .. fifo))
    local code = [[
      local server = require("luaserve.net").listen({ host = "127.0.0.1", backlog = 1 }, print)
      print(server:address().port)
      io.stdout:flush()
      io.open(%q):read()
      os.exit(0, false)]]
    local child = assert(io.popen(("%s -e '%s'"):format(process.luaserve, code:format(fifo))))
    local port = child:read("n")
    local operations = {}
    for i = 1, 4 do
      operations[i] = net.connect("127.0.0.1", port, function(_, sock)
        if sock then
          keep(sock)
        end
      end)
    end
    assert_failure("ETIMEDOUT", "connect 127.0.0.1:" .. port, net.connect("127.0.0.1", port, { timeout = 0.05 }))
    for _, operation in ipairs(operations) do
      operation:cancel()
    end
    io.open(fifo, "w"):close()
    child:close()
    os.remove(fifo)
  end)

  it("call back", function()
    local wait, accepted = gate()
    local server, port = serve(accepted)
    local connected_wait, connected = gate()
    assert.is_userdata(net.connect("127.0.0.1", port, connected))
    local failure, client = connected_wait()
    keep(client)
    assert.is_nil(failure)
    local sock = keep(wait())
    local wrote_wait, wrote = gate()
    assert.is_userdata(client:write("data", wrote))
    assert.same({ nil, true }, { wrote_wait() })
    local read_wait, read = gate()
    assert.is_userdata(sock:read(read))
    failure, client = read_wait()
    assert.is_nil(failure)
    assert.equal("data", client)
    server:close()
    local refused_wait, refused = gate()
    net.connect({ host = "127.0.0.1", port = port }, refused)
    local message, code = refused_wait()
    assert.matches("^ECONNREFUSED: ", message)
    assert.equal("ECONNREFUSED", code)
  end)

  it("refuse what makes no sense", function()
    local function raises(pattern, fn, ...)
      local arguments = table.pack(...)
      assert.error_matches(function()
        fn(table.unpack(arguments, 1, arguments.n))
      end, pattern)
    end
    raises("give host and port", net.connect, {})
    raises("give host and port", net.connect, { path = "x", port = 1 })
    raises("did you mean 'timeout'", net.connect, "127.0.0.1", 1, { timout = 1 })
    raises("did you mean 'port'", net.connect, { host = "127.0.0.1", prot = 1 })
    raises("from 1 to 65535", net.connect, "127.0.0.1", 0)
    raises("NUL", net.connect, "a\0b", 1)
    raises("give host and port", net.connect, { addresses = { "::1" } })
    raises("give host and port", net.connect, { addresses = { "::1" }, host = "::1", port = 1 })
    raises("numeric addresses", net.connect, { addresses = {}, port = 1 })
    raises("localhost is none", net.connect, { addresses = { "::1", "localhost" }, port = 1 })
    raises("at least 0.01", net.connect, "127.0.0.1", 1, { attempt_delay = 0.001 })
    raises("mode is for a path", net.listen, { port = 1, mode = 384 }, print)
    raises("did you mean 'max_connections'", net.listen, { max_connection = 1 }, print)
    raises("from 0 to 65535", net.listen, 65536, print)
    raises("function expected", net.listen, 0)
    raises("either path", net.listen, { path = "x", port = 1 }, print)
  end)

  it("drop what a closed server has accepted and not handled", function()
    local handled, server = 0, nil
    server = keep(assert(net.listen({ host = "127.0.0.1" }, function(sock)
      handled = handled + 1
      server:close()
      sock:close()
    end)))
    local address = server:address()
    local clients = {}
    for i = 1, 20 do
      clients[i] = task.spawn(function()
        local sock <close> = net.connect(address)
        return sock and sock:read()
      end)
    end
    for _, client in ipairs(clients) do
      assert.is_nil((client:join()))
    end
    assert.equal(1, handled)
  end)

  it("log an error of a handler, and go on", function()
    local code = [[
      local net = require("luaserve.net")
      local handled = 0
      local server = net.listen({ host = "127.0.0.1" }, function(sock)
        local sock <close> = sock
        handled = handled + 1
        error("case " .. handled)
      end)
      for _ = 1, 2 do
        local sock <close> = net.connect(server:address())
        print(sock:read())
      end
      server:close()]]
    local child = assert(io.popen(("%s -e '%s' 2>&1"):format(process.luaserve, code)))
    local output = child:read("a")
    assert.is_true(child:close())
    assert.matches("error in a task: .-case 1", output)
    assert.matches("error in a task: .-case 2", output)
    assert.matches("nil\n.*nil\n", output)
  end)

  it("close a server", function()
    local server, port = serve(function() end)
    assert.equal("server (127.0.0.1:" .. port .. ")", tostring(server))
    assert.equal(server, server:unref():ref())
    assert.is_true(server:close())
    assert.is_true(server:close())
    assert.is_nil(server:address())
    assert.equal("server (closed)", tostring(server))
  end)
end)

describe("net.listen with max_connections", function()
  it("lets the next ones wait until there is room", function()
    local accepted = {}
    local server = keep(assert(net.listen({ host = "127.0.0.1", max_connections = 2 }, function(sock)
      accepted[#accepted + 1] = keep(sock)
      sock:write(tostring(#accepted))
    end)))
    local clients = {}
    for i = 1, 3 do
      clients[i] = keep(assert(net.connect(server:address())))
    end
    assert.equal("1", clients[1]:read())
    assert.equal("2", clients[2]:read())
    clients[3]:set_timeout(0.02)
    assert_failure("ETIMEDOUT", "read .-", clients[3]:read())
    clients[3]:set_timeout(20)
    assert.same({ connections = 2, accepted = 2, refused = 0 }, server:stats())
    accepted[1]:close()
    assert.equal("3", clients[3]:read())
    assert.same({ connections = 2, accepted = 3, refused = 0 }, server:stats())
    server:close()
    accepted[2]:close()
    assert.same({ connections = 1, accepted = 3, refused = 0 }, server:stats())
    clients[3]:write("goes on")
    assert.equal("goes on", accepted[3]:read())
  end)

  it("counts those that there was no descriptor for", function()
    local code = [[
      local net = require("luaserve.net")
      local server = net.listen({ host = "127.0.0.1" }, print)
      local sock, socks = true, {}
      while sock do
        sock = net.udp()
        socks[#socks + 1] = sock
      end
      socks[#socks]:close() -- leaves a descriptor for the client, none for the server
      sock = net.connect(server:address())
      print(sock:read(), server:stats().refused)
      os.exit(0, true)]]
    local child = assert(io.popen(("ulimit -n 64; %s -e '%s' 2>&1"):format(process.luaserve, code)))
    assert.equal("nil\t1\n", child:read("a"))
    assert.is_true(child:close())
  end)
end)
