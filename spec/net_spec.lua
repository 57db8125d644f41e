-- SPDX-License-Identifier: MIT
-- net: TCP and unix sockets, both ends of them in this process.

local net = require("luaserve.net")
local task = require("luaserve.task")
local timer = require("luaserve.timer")

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

-- A function that waits until another one has been called, and that one.
local function gate()
  local opened, arguments = nil, nil
  local waiter = task.spawn(function()
    while not opened do
      timer.sleep(0.001)
    end
  end)
  return function()
    waiter:join()
    return table.unpack(arguments, 1, arguments.n)
  end, function(...)
    opened, arguments = true, table.pack(...)
  end
end

-- A task that has begun to wait in fn when this returns.
local function waiting(fn, ...)
  local t = task.spawn(fn, ...)
  local wait, go = gate()
  timer.next_tick(go)
  wait()
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
    -- Linux drops the SYNs of a full accept queue, here that of a listener whose process holds still.
    local server = keep(assert(net.listen({ host = "127.0.0.1", backlog = 1 }, function() end)))
    local address = server:address()
    local child = assert(io.popen("exec 3<>/dev/null; echo ready; read line", "w"))
    child:close()
    local holders = {}
    for i = 1, 8 do
      net.connect(address.host, address.port, function(_, sock)
        holders[i] = sock
      end)
    end
    local sock, message, code = net.connect({ host = "127.0.0.1", port = address.port, timeout = 1e-3 })
    if sock then
      sock:close() -- the listener was faster
    else
      assert.equal("ETIMEDOUT", code)
      assert.matches("connect 127.0.0.1:" .. address.port .. "$", message)
    end
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
    raises("host and port, or path", net.connect, {})
    raises("host and port, or path", net.connect, { path = "x", port = 1 })
    raises("did you mean 'timeout'", net.connect, "127.0.0.1", 1, { timout = 1 })
    raises("did you mean 'port'", net.connect, { host = "127.0.0.1", prot = 1 })
    raises("from 1 to 65535", net.connect, "127.0.0.1", 0)
    raises("NUL", net.connect, "a\0b", 1)
    raises("from 0 to 65535", net.listen, 65536, print)
    raises("function expected", net.listen, 0)
    raises("either path", net.listen, { path = "x", port = 1 }, print)
  end)

  it("log an error of a handler, and go on", function()
    local _, port = serve(function(sock)
      sock:write("once")
      sock:close()
    end)
    for _ = 1, 2 do
      local sock <close> = assert(net.connect("127.0.0.1", port))
      assert.equal("once", sock:read_all())
    end
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
    local code = ("require('luaserve.net').listen({path = %q}, print); os.exit(0, false)"):format(path)
    local program = os.getenv("LUASERVE") or "./luaserve"
    assert(os.execute(("%s -e %q"):format(program, code)))
    assert_failure("ECONNREFUSED", "connect " .. path, net.connect({ path = path })) -- the file is there, nobody listens
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
    local client, accepted = pair()
    local wait, got = gate()
    do
      local _, port = serve(function(sock)
        sock:read(got) -- nobody else knows the socket
      end)
      client = keep(assert(net.connect("127.0.0.1", port)))
      assert(accepted)
    end
    collectgarbage()
    collectgarbage()
    client:write("still there")
    assert.same({ nil, "still there" }, { wait() })
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
