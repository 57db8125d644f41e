-- SPDX-License-Identifier: MIT
-- net: TCP and unix sockets, both ends of them in this process.

local net = require("luaserve.net")
local task = require("luaserve.task")
local timer = require("luaserve.timer")

local PROGRAM = os.getenv("LUASERVE") or "./luaserve"

local open = {} -- closed after each case

local function keep(handle)
  open[#open + 1] = handle
  return handle
end

-- A failure's three values: the code is checked, the message begins with it and ends with what failed.
local function assert_failure(code, what, ...)
  local value, message, got = ...
  assert.is_nil(value)
  assert.equal(code, got)
  assert.equal(code .. ": ", message:sub(1, #code + 2))
  assert.matches(what .. "$", message)
end

local function serve(handler)
  local server = keep(assert(net.listen({ host = "127.0.0.1" }, handler)))
  return server, server:address().port
end

-- Two connected sockets: the client's, and the one the handler got. The handler's greeting tells that it has run.
local function pair(options)
  local accepted
  local server = keep(assert(net.listen(options or { host = "127.0.0.1" }, function(sock)
    accepted = keep(sock)
    sock:write("!")
  end)))
  local client = keep(assert(net.connect(server:address())))
  assert.equal("!", client:read_exactly(1))
  server:close()
  return client, accepted
end

-- A function that waits for the call of another one and returns its arguments, and that other one.
local function gate()
  local arguments
  local waiter = task.spawn(timer.sleep, 60)
  return function()
    pcall(waiter.join, waiter)
    assert(arguments, "waited in vain")
    return table.unpack(arguments, 1, arguments.n)
  end, function(...)
    arguments = table.pack(...)
    waiter:cancel()
  end
end

-- A task that has begun to wait in fn when this returns: tasks run in the order in which they were spawned.
local function waiting(fn, ...)
  local t = task.spawn(fn, ...)
  task.spawn(function() end):join()
  assert.equal("waiting", t:status())
  return t
end

local function temporary_path()
  local path = os.tmpname()
  os.remove(path)
  return path .. ".sock"
end

after_each(function()
  for i = #open, 1, -1 do
    open[i]:close()
    open[i] = nil
  end
end)

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
    local child = assert(io.popen(("%s -e '%s'"):format(PROGRAM, code:format(fifo))))
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
    local child = assert(io.popen(("%s -e '%s' 2>&1"):format(PROGRAM, code)))
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
    local child = assert(io.popen(("ulimit -n 64; %s -e '%s' 2>&1"):format(PROGRAM, code)))
    assert.equal("nil\t1\n", child:read("a"))
    assert.is_true(child:close())
  end)
end)

describe("a unix socket", function()
  it("works like any other", function()
    local path = temporary_path()
    local client, accepted = pair({ path = path })
    assert.same({ path = path }, client:peer())
    assert.same({ path = path }, accepted:address())
    assert.same({ path = "" }, accepted:peer())
    assert.equal("socket (" .. path .. ")", tostring(client))
    client:write("through a file")
    client:shutdown()
    assert.equal("through a file", accepted:read_all())
    assert.is_nil(io.open(path)) -- removed with the server
  end)

  it("replaces the file of a dead server, and no other", function()
    local path = temporary_path()
    local code = ('require("luaserve.net").listen({path = %q}, print); os.exit(0, false)'):format(path)
    assert(os.execute(("%s -e '%s'"):format(PROGRAM, code)))
    -- The file is there, and nobody listens.
    assert_failure("ECONNREFUSED", "connect " .. path, net.connect({ path = path }))
    local server = keep(assert(net.listen({ path = path }, function() end)))
    assert_failure("EADDRINUSE", "listen " .. path, net.listen({ path = path }, print))
    assert.same({ path = path }, server:address())
    server:close()
    assert_failure("ENOENT", "connect " .. path, net.connect({ path = path }))
    local file = assert(io.open(path, "w"))
    file:close()
    assert_failure("EADDRINUSE", "listen " .. path, net.listen({ path = path }, print))
    os.remove(path)
  end)

  it("has the permissions that mode says", function()
    local path = temporary_path()
    local server = keep(assert(net.listen({ path = path, mode = tonumber("640", 8) }, print)))
    local child = assert(io.popen("stat -c %a " .. path))
    assert.equal("640\n", child:read("a"))
    child:close()
    server:close()
  end)

  it("is removed from wherever the program is then", function()
    if not pcall(require, "luaserve.process") then
      pending("no luaserve.process")
      return
    end
    local folder = os.tmpname()
    os.remove(folder)
    local code = [[
      local net, process = require("luaserve.net"), require("luaserve.process")
      process.chdir(%q)
      local server = net.listen({ path = "x.sock" }, print)
      print(server:address().path)
      process.chdir("/")
      server:close()]]
    local run = ("mkdir %s && %s -e '%s' && rmdir %s"):format(folder, PROGRAM, code:format(folder), folder)
    local child = assert(io.popen(run))
    assert.equal(folder .. "/x.sock\n", child:read("a"))
    assert.is_true(child:close()) -- rmdir found it empty
  end)

  it("has a short name", function()
    local long = "/tmp/" .. ("x"):rep(200)
    assert_failure("ENAMETOOLONG", "connect " .. long, net.connect({ path = long }))
    assert_failure("ENAMETOOLONG", "listen " .. long, net.listen({ path = long }, print))
  end)
end)

describe("socket:read", function()
  it("gives what has arrived, at most max bytes", function()
    local client, accepted = pair()
    client:write("abcdef")
    assert.equal("ab", accepted:read(2))
    assert.equal("cdef", accepted:read())
    client:close()
    assert.is_nil(accepted:read())
    assert.is_nil(accepted:read()) -- told again
  end)

  it("reads exactly", function()
    local client, accepted = pair()
    local reader = waiting(accepted.read_exactly, accepted, 6)
    client:write("abc")
    client:write("defg")
    assert.equal("abcdef", reader:join())
    assert.equal("", accepted:read_exactly(0))
    client:close()
    assert_failure("EOF", "read " .. "127.0.0.1:%d+", accepted:read_exactly(2))
    assert.equal("g", accepted:read())
    assert.is_nil(accepted:read_exactly(2))
  end)

  it("reads until a delimiter, which packets may cut", function()
    local client, accepted = pair()
    local reader = waiting(accepted.read_until, accepted, "\r\n\r\n")
    for _, piece in ipairs({ "head", "er\r", "\n\r", "\nbody", "\r\n\r\n" }) do
      client:write(piece)
      timer.sleep(0) -- in packets of their own, as a rule
    end
    assert.equal("header", reader:join())
    assert.equal("body", accepted:read_until("\r\n\r\n", 4))
    client:write("too long;rest;end")
    client:close()
    assert_failure("ETOOBIG", "read 127.0.0.1:%d+", accepted:read_until(";", 7))
    assert.equal("too long", accepted:read_until(";", 8))
    assert.equal("rest", accepted:read_until(";", 4))
    assert_failure("EOF", "read 127.0.0.1:%d+", accepted:read_until(";"))
    assert.equal("end", accepted:read())
    assert.is_nil(accepted:read_until(";"))
  end)

  it("is bounded also while the delimiter does not come", function()
    local client, accepted = pair()
    client:write(("x"):rep(1000))
    assert_failure("ETOOBIG", "read 127.0.0.1:%d+", accepted:read_until("\n", 100))
    assert.equal(1000, #accepted:read_exactly(1000))
  end)

  it("goes line by line", function()
    local client, accepted = pair()
    client:write("one\r\ntwo\n\nthree\rfour\nlast")
    client:close()
    local lines = {}
    for line in accepted:lines() do
      lines[#lines + 1] = line
    end
    assert.same({ "one", "two", "", "three\rfour", "last" }, lines)
  end)

  it("raises from lines what another read would return", function()
    local client, accepted = pair()
    client:write("a long line")
    assert.error_matches(function()
      for _ in accepted:lines(4) do
        error("not reached")
      end
    end, "^ETOOBIG: ")
    assert.equal("a long line", accepted:read()) -- and the next read is free to begin
    accepted:close()
    assert.error_matches(function()
      accepted:lines()(accepted)
    end, "closed")
  end)

  it("reads all up to a limit", function()
    local client, accepted = pair()
    client:write("12345")
    client:close()
    assert_failure("ETOOBIG", "read 127.0.0.1:%d+", accepted:read_all(4))
    assert.equal("12345", accepted:read_all(5))
    assert.equal("", accepted:read_all())
  end)

  it("is one at a time", function()
    local client, accepted = pair()
    local reader = waiting(accepted.read, accepted)
    assert.error_matches(function()
      accepted:read()
    end, "another read")
    client:write("x")
    assert.equal("x", reader:join())
  end)

  it("goes on after one was cancelled", function()
    local client, accepted = pair()
    local reader = waiting(accepted.read_exactly, accepted, 4)
    client:write("ab")
    reader:cancel()
    assert.has_error(function()
      reader:join()
    end)
    client:write("cd")
    assert.equal("abcd", accepted:read_exactly(4))
    local called = false
    local operation = accepted:read(function()
      called = true
    end)
    assert.is_true(operation:cancel())
    client:write("e")
    assert.equal("e", accepted:read())
    assert.is_false(called)
  end)

  it("times out, and loses nothing by it", function()
    local client, accepted = pair()
    assert.equal(accepted, accepted:set_timeout(0.005))
    client:write("ab")
    assert_failure("ETIMEDOUT", "read 127.0.0.1:%d+", accepted:read_exactly(3))
    accepted:set_timeout(nil)
    client:write("c")
    assert.equal("abc", accepted:read_exactly(3))
    assert.has_error(function()
      accepted:set_timeout(-1)
    end)
  end)

  it("is woken when the socket is closed", function()
    local _, accepted = pair()
    local reader = waiting(accepted.read, accepted)
    accepted:close()
    assert_failure("ECLOSED", "read 127.0.0.1:%d+", reader:join())
    assert_failure("ECLOSED", "read 127.0.0.1:%d+", accepted:read())
    assert_failure("ECLOSED", "write 127.0.0.1:%d+", accepted:write("x"))
    assert_failure("ECLOSED", "shutdown 127.0.0.1:%d+", accepted:shutdown())
    assert_failure("ECLOSED", "set_nodelay 127.0.0.1:%d+", accepted:set_nodelay(true))
    assert.is_true(accepted:close())
  end)

  it("tells a reset", function()
    local client, accepted = pair()
    local reader = waiting(accepted.read, accepted)
    assert.is_true(client:reset())
    assert_failure("ECONNRESET", "read 127.0.0.1:%d+", reader:join())
    assert_failure("ECONNRESET", "read 127.0.0.1:%d+", accepted:read())
    local value, _, code = accepted:write("x")
    assert.is_nil(value)
    assert.is_true(code == "EPIPE" or code == "ECONNRESET", code)
  end)
end)

describe("socket:write", function()
  local LARGE = 10 * 1024 * 1024

  it("waits for a slow reader", function()
    local client, accepted = pair()
    local data = ("0123456789abcdef"):rep(LARGE // 16)
    local writer = waiting(client.write, client, data)
    local pieces, size = {}, 0
    while size < LARGE do
      local piece = assert(accepted:read(100000))
      size = size + #piece
      pieces[#pieces + 1] = piece
      if #pieces % 50 == 0 then
        timer.sleep(0.001)
      end
    end
    assert.is_true(writer:join())
    assert.is_true(table.concat(pieces) == data)
    assert.is_true(client:write("on"))
    assert.equal("on", accepted:read())
  end)

  it("takes an empty string", function()
    local client, accepted = pair()
    assert.is_true(client:write(""))
    client:shutdown()
    assert.equal("", accepted:read_all())
  end)

  it("is one at a time", function()
    local client, accepted = pair()
    local writer = waiting(client.write, client, ("x"):rep(LARGE))
    assert.error_matches(function()
      client:write("y")
    end, "another write")
    assert.equal(LARGE, #accepted:read_exactly(LARGE))
    assert.is_true(writer:join())
  end)

  it("keeps the order behind one that was cancelled", function()
    local client, accepted = pair()
    local writer = waiting(client.write, client, ("x"):rep(LARGE))
    writer:cancel()
    local second = waiting(client.write, client, "second")
    assert.equal(LARGE, #accepted:read_exactly(LARGE))
    assert.equal("second", accepted:read_exactly(6))
    assert.is_true(second:join())
  end)

  it("times out", function()
    local client = pair()
    client:set_timeout(0.005)
    assert_failure("ETIMEDOUT", "write 127.0.0.1:%d+", client:write(("x"):rep(LARGE)))
  end)

  it("is woken when the socket is closed", function()
    local client = pair()
    local writer = waiting(client.write, client, ("x"):rep(LARGE))
    client:close()
    assert_failure("ECLOSED", "write 127.0.0.1:%d+", writer:join())
  end)

  it("fails when the peer resets", function()
    local client, accepted = pair()
    local writer = waiting(client.write, client, ("x"):rep(LARGE))
    accepted:reset()
    local value, _, code = writer:join()
    assert.is_nil(value)
    assert.is_true(code == "EPIPE" or code == "ECONNRESET", code)
    assert.is_nil((client:write("more")))
  end)

  it("goes on while the peer has ended its half", function()
    local client, accepted = pair()
    client:write("question")
    client:shutdown()
    assert.equal("question", accepted:read_all())
    assert.is_true(accepted:write("answer"))
    accepted:close()
    assert.equal("answer", client:read_all())
    assert.error_matches(function()
      client:write("x")
    end, "shutdown")
  end)

  it("works in both directions at once", function()
    local client, accepted = pair()
    local data = ("both"):rep(LARGE // 16)
    local writers = { task.spawn(client.write, client, data), task.spawn(accepted.write, accepted, data) }
    local reader = task.spawn(client.read_exactly, client, #data)
    assert.is_true(accepted:read_exactly(#data) == data)
    assert.is_true(reader:join() == data)
    for _, writer in ipairs(writers) do
      assert.is_true(writer:join())
    end
  end)

  it("has its setting", function()
    local client = pair()
    assert.is_true(client:set_nodelay(false))
    assert.is_true(client:set_nodelay(true))
  end)

  it("keeps the connection alive", function()
    local client = pair()
    local port = client:address().port
    -- The kernel's table tells which timer runs for a connection: 02 is keepalive.
    local function timer_kind()
      local pattern = ("^%%s*%%d+: 0100007F:%04X %%x+:%%x+ 01 %%x+:%%x+ (%%x+):"):format(port)
      for line in io.lines("/proc/net/tcp") do
        local kind = line:match(pattern)
        if kind then
          return kind
        end
      end
    end
    assert.equal("00", timer_kind())
    assert.is_true(client:set_keepalive(60))
    assert.equal("02", timer_kind())
    assert.is_true(client:set_keepalive(false))
    assert.equal("00", timer_kind())
    assert.has_error(function()
      client:set_keepalive(0)
    end)
    assert.has_error(function()
      client:set_keepalive(true)
    end)
    client:close()
    assert_failure("ECLOSED", "set_keepalive .-", client:set_keepalive(1))
  end)
end)

describe("the life of a socket", function()
  it("ends with <close>", function()
    local client, accepted = pair()
    do
      local sock <close> = client
      sock:write("bye")
    end
    assert.equal("bye", accepted:read_all())
  end)

  it("ends when it is collected", function()
    local _, port = serve(function(sock)
      sock:write("left alone")
    end)
    local sock <close> = assert(net.connect("127.0.0.1", port))
    assert.equal("left alone", sock:read())
    local reader = waiting(sock.read, sock)
    collectgarbage()
    collectgarbage()
    assert.is_nil(reader:join())
  end)

  it("goes on while an operation waits for it", function()
    local wait, got = gate()
    local _, port = serve(function(sock)
      sock:read(got) -- nobody else knows the socket
    end)
    local client = keep(assert(net.connect("127.0.0.1", port)))
    task.spawn(function() end):join()
    collectgarbage()
    collectgarbage()
    client:write("still there")
    assert.same({ nil, "still there" }, { wait() })
  end)

  it("does not keep the process alive while nobody waits for it", function()
    local wait, done = gate()
    local _, port = serve(function(sock)
      sock:write("??")
      done(sock:read_all())
      sock:close()
    end)
    local code = [[
      local sock = require("luaserve.net").connect("127.0.0.1", %d)
      sock:read(1)
      sock:write("here")]]
    local child = assert(io.popen(("%s -e '%s'"):format(PROGRAM, code:format(port)), "w"))
    assert.equal("here", wait()) -- the child's socket has ended with it
    assert.is_true(child:close())
  end)

  it("ends with the process, whatever goes on", function()
    local code = [[
      local net, dns, task = require("luaserve.net"), require("luaserve.dns"), require("luaserve.task")
      local server = net.listen({ host = "127.0.0.1" }, function(sock)
        task.spawn(sock.write, sock, ("x"):rep(1 << 24))
        sock:read()
      end)
      local port = server:address().port
      for _ = 1, 10 do
        task.spawn(dns.lookup, "localhost")
        task.spawn(net.connect, "localhost", port)
        net.connect("127.0.0.1", port, print)
        dns.lookup("nosuch.invalid", print)
      end
      if %s then
        local sock = net.connect("127.0.0.1", port)
        task.spawn(sock.read_exactly, sock, 1 << 30)
        net.connect("127.0.0.1", port):read(print)
      end
      os.exit(7, true)]]
    for _, late in ipairs({ "false", "true" }) do
      local child = assert(io.popen(("%s -e '%s'"):format(PROGRAM, code:format(late))))
      child:read("a")
      assert.same({ nil, "exit", 7 }, { child:close() }) -- sanitizers turn a leak into another status
    end
  end)

  it("ends with a connect that is cancelled", function()
    local server, port = serve(function(sock)
      sock:read()
    end)
    local connector = task.spawn(net.connect, "127.0.0.1", port)
    connector:cancel()
    connector = waiting(net.connect, "localhost", port)
    connector:cancel()
    connector = waiting(net.connect, "127.0.0.1", port)
    connector:cancel()
    local called = false
    local operation = net.connect("localhost", port, function()
      called = true
    end)
    assert.is_true(operation:cancel())
    local sock <close> = assert(net.connect("127.0.0.1", port))
    server:close()
    assert.is_false(called)
    assert.is_true(sock:write("x"))
  end)
end)
