-- SPDX-License-Identifier: MIT
-- net: a connected socket, how it reads, writes and ends.

local failures = require("spec.support.failures")
local kept = require("spec.support.kept")
local net = require("luaserve.net")
local process = require("spec.support.process")
local sockets = require("spec.support.sockets")
local task = require("luaserve.task")
local timer = require("luaserve.timer")
local waits = require("spec.support.waits")

local assert_failure, keep, pair, serve = failures.assert_failure, kept.keep, sockets.pair, sockets.serve
local gate, waiting = waits.gate, waits.waiting

after_each(function() kept.clean_up() end)

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
    local child = assert(io.popen(("%s -e '%s'"):format(process.luaserve, code:format(port)), "w"))
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
      local child = assert(io.popen(("%s -e '%s'"):format(process.luaserve, code:format(late))))
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
