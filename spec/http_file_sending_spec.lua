-- SPDX-License-Identifier: MIT
--- res:send_file while it sends: files that change, and clients that do not take what they asked for.

local client = require "spec.support.client"
local failures = require "spec.support.failures"
local files = require "spec.support.files"
local fs = require "luaserve.fs"
local process = require "spec.support.process"
local servers = require "spec.support.http_servers"
local waits = require "spec.support.waits"

local at = files.at

-- Sanitizers keep freed memory and pad what is used: their builds tell nothing about sizes.
local sanitized = process.luaserve:find("build/[at]san/") ~= nil

--- More than is ever sent in a case.
local ENDLESS = 1 << 40

--- Of a server in a process of its own: a size of its memory in MB.
local function memory_of(server, name)
  return tonumber(assert(fs.read_file(("/proc/%d/status"):format(server.pid))):match(name .. ":%s+(%d+) kB")) / 1024
end

--- Reads to the end of the connection; how much that was.
local function receive(connection)
  local count = 0
  repeat
    count = count + #connection.buffer
    connection.buffer = ""
  until not connection:fill()
  return count
end

before_each(function() files.make_folder() end)

after_each(function()
  servers.clean_up()
  process.clean_up()
  files.remove_folder()
end)

describe("a file that changes while it is sent", function()
  local SIZE = 32 << 20

  --- A client that has read the head, when the rest cannot have been sent yet; and what send_file came to.
  local function begin()
    files.make_large(at("large.bin"), SIZE)
    local outcome = {}
    local _, where = servers.serve({}, function(_, res)
      local result = table.pack(res:send_file(at("large.bin")))
      for i = 1, result.n do outcome[i] = result[i] end
      outcome.done = true
    end)
    local connection = client.connect(where)
    connection:write(client.format { headers = { connection = "close" } })
    connection:take_head()
    assert.is_nil(outcome.done)
    return connection, outcome
  end

  it("breaks the connection when it becomes shorter (RFC 9112 8)", function()
    local connection <close>, outcome = begin()
    local file <close> = assert(fs.open(at("large.bin"), "r+"))
    assert(file:truncate(100000))
    assert.is_true(receive(connection) < SIZE)
    waits.eventually(function() return outcome.done end)
    failures.assert_plain_failure("ELENGTH", "read '" .. at("large.bin") .. "'", table.unpack(outcome, 1, 3))
  end)

  it("is cut at the length that was announced when it grows", function()
    local connection <close>, outcome = begin()
    assert(fs.append_file(at("large.bin"), "more"))
    assert.equal(SIZE, receive(connection))
    waits.eventually(function() return outcome.done end)
    assert.is_true(outcome[1])
  end)

  it("is sent to its end when its name is gone", function()
    local connection <close>, outcome = begin()
    assert(fs.unlink(at("large.bin")))
    assert.equal(SIZE, receive(connection))
    waits.eventually(function() return outcome.done end)
    assert.is_true(outcome[1])
  end)
end)

describe("a client that does not take what it asked for", function()
  -- What is left behind (a descriptor, an operation, a task) the end of this file finds.

  --- A client that has asked for the large file; the server; and what awaits that res:send_file has lost the client.
  local function send_endless(options)
    files.make_large(at("large.bin"), ENDLESS)
    local result
    local server, where = servers.serve(options, function(_, res)
      result = table.pack(res:send_file(at("large.bin")))
    end)
    local connection = client.connect(where)
    connection:write(client.format {})
    return connection, server, function()
      waits.eventually(function() return result end)
      assert.same({ nil, "closed", "ECLOSED", n = 3 }, result)
    end
  end

  it("ends the sending when it leaves", function()
    local connection <close>, _, await_loss = send_endless {}
    connection:fill()
    connection.socket:reset()
    await_loss()
  end)

  it("ends the sending when its time is over", function()
    local _ <close>, _, await_loss = send_endless { write_timeout = 0.05 }
    await_loss()
  end)

  it("is reset when the handler's time is over", function()
    local connection <close> = send_endless { handler_timeout = 0.05 }
    assert.is_true(receive(connection) < ENDLESS)
  end)

  it("is reset when the operation of the callback form is cancelled", function()
    files.make_large(at("large.bin"), ENDLESS)
    local called, result
    local _, where = servers.serve({}, function(_, res)
      local operation = res:send_file(at("large.bin"), function() called = true end)
      waits.eventually(function() return res.headers_sent end)
      assert(operation:cancel())
      result = table.pack(res:write("more")) -- a thread may still be sending the file
    end)
    local connection <close> = client.connect(where)
    connection:write(client.format {})
    assert.is_true(receive(connection) < ENDLESS)
    assert.is_nil(called)
    assert.same({ nil, "closed", "ECLOSED", n = 3 }, result)
  end)

  it("can be left by the server, at once", function()
    local connection <close>, server, await_loss = send_endless {}
    connection:fill()
    server:close(0)
    await_loss()
  end)

  it("costs little memory, and others are served meanwhile", function()
    files.make_large(at("large.bin"), 4 << 30)
    files.put(at("small.txt"), "small")
    local server = process.serve_code(([[
      return function(req, res) assert(res:send_file(req.path:sub(2), { root = %q })) end]]):format(at(".")))
    assert.equal("small", server:request("/small.txt").body)
    local before, connections = memory_of(server, "VmRSS"), {}
    for i = 1, 20 do
      connections[i] = server:connect()
      connections[i]:write(client.format { path = "/large.bin" })
      connections[i]:fill()
    end
    assert.equal("small", server:request("/small.txt").body)
    local more = memory_of(server, "VmRSS") - before
    if not sanitized then assert.is_true(more < 20, ("%g MB more"):format(more)) end
    for _, connection in ipairs(connections) do connection.socket:reset() end
    assert.equal("small", server:request("/small.txt").body)
  end)

  it("can take gigabytes, through little memory", function()
    files.make_large(at("large.bin"), 2 << 30)
    local server = process.serve_code(([[
      return function(req, res) assert(res:send_file(req.path:sub(2), { root = %q })) end]]):format(at(".")))
    local connection <close> = server:connect()
    connection:write(client.format { path = "/large.bin", headers = { connection = "close" } })
    connection:take_head()
    assert.equal(2 << 30, receive(connection))
    local peak = memory_of(server, "VmHWM")
    if not sanitized then assert.is_true(peak < 16, ("%g MB"):format(peak)) end
  end)
end)
