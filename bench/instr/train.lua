-- SPDX-License-Identifier: MIT
-- What `make pgo` learns from: each work, and requests that fail, against a server of the program that runs this. The
-- program writes what it has learnt when it ends.

local net, process = require "luaserve.net", require "luaserve.process"
local client = require "bench.instr.client"
local measure = require "bench.instr.measure"
local works = require "bench.instr.works"

local ROUNDS = 5 -- of as many requests as are counted
local FAILURES = 200

local CHUNKED = "Host: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
local BAD = {
  "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  "POST / HTTP/1.1\r\n" .. CHUNKED,
  "GET / HTTP/1.1\r\n\r\n",
  "nonsense\r\n\r\n",
}

local function ask_for_failures(port)
  for i = 1, FAILURES do
    local socket <close> = assert(net.connect("127.0.0.1", port))
    assert(socket:write(BAD[i % #BAD + 1]))
    assert(socket:read_all())
  end
end

local function train(work)
  local server <close> = assert(process.spawn(arg[-1], { "-p", "0", "bench/instr/server.lua", work.name },
    { stdout = "pipe" }))
  local port = assert(client.read_port(server, "http://[^ ]*:(%d+)"), "the server did not start")
  local load = client.connect(work, port)
  load:run(ROUNDS * work.requests)
  load:close()
  ask_for_failures(port)
  assert(server:kill())
  assert(server:wait() == 0, "the server has failed")
end

measure.prepare()
for _, work in ipairs(works) do
  print("train " .. work.name)
  train(work)
end
