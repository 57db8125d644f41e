-- SPDX-License-Identifier: MIT
-- Deadlines of requests: whatever a handler waits for when its time is over is given up, its cleanup runs, the client
-- gets a 504, and nothing is left.

local crypto, dns, fs, http, net, pool, process, runtime, task, timer =
  require "luaserve.crypto", require "luaserve.dns", require "luaserve.fs", require "luaserve.http",
  require "luaserve.net", require "luaserve.pool", require "luaserve.process", require "luaserve.runtime",
  require "luaserve.task", require "luaserve.timer"
local client = require "spec.support.client"
local eventually = require "spec.support.waits".eventually

local silent, listener
local accepted = {} -- connections that say nothing

--- What a handler may wait for that does not come.
local waits = {
  ["a timer"] = function() timer.sleep(3600) end,
  ["a socket to be read"] = function()
    local socket <close> = assert(net.connect(silent))
    socket:read()
  end,
  ["a socket to be written"] = function()
    local socket <close> = assert(net.connect(silent))
    while true do socket:write(("x"):rep(1 << 20)) end
  end,
  ["a datagram"] = function()
    local socket <close> = assert(net.udp { host = "127.0.0.1" })
    socket:receive()
  end,
  ["a name server"] = function()
    local socket <close> = assert(net.udp { host = "127.0.0.1" })
    assert(dns.set_servers { "127.0.0.1:" .. socket:address().port })
    dns.resolve("deadline.example", "A")
  end,
  ["a job of the pool"] = function() pool.run(function() while true do end end) end,
  ["a job that is queued"] = function()
    for _ = 1, 8 do task.spawn(pool.run, function() while true do end end) end
    timer.sleep(0.001)
    pool.run(function() end)
  end,
  ["a hash of a password"] = function() while true do crypto.password_hash("correct horse") end end,
  ["a child"] = function()
    local child <close> = assert(process.spawn("sleep", { "60" }))
    child:wait()
  end,
  ["a task"] = function() task.spawn(timer.sleep, 3600):join() end,
  ["a channel"] = function() task.channel():receive() end,
  ["a semaphore"] = function()
    local semaphore = task.semaphore(1)
    semaphore:acquire()
    semaphore:acquire()
  end,
  ["several things"] = function() task.all({ function() timer.sleep(3600) end, function() timer.sleep(3600) end }) end,
  ["files, one after the other"] = function() while true do assert(fs.stat("README.md")) end end,
  ["the body of the request"] = function(req) req:body() end,
  ["what pcall lets it wait for again"] = function() while true do pcall(timer.sleep, 3600) end end,
  ["what a coroutine waits for"] = function() coroutine.wrap(function() timer.sleep(3600) end)() end,
}

describe("a request whose time is over", function()
  local server, address, closed, deferred

  setup(function()
    local function keep(socket) accepted[#accepted + 1] = socket end
    listener = assert(net.listen({ host = "127.0.0.1", port = 0 }, keep))
    silent = listener:address()
    server = http.create_server({ handler_timeout = 0.05, max_body = 1 << 20 }, function(req, res)
      if req.path == "/" then return res:send("plain") end
      local _ <close> = setmetatable({}, { __close = function()
        timer.sleep(0.001) -- it may still wait
        closed = true
      end })
      task.defer(function() deferred = true end)
      waits[req:decoded_path():sub(2)](req)
      error("it did wait to the end")
    end)
    assert(server:listen { host = "127.0.0.1", port = 0 })
    address = server:address()
  end)

  teardown(function()
    server:close(0)
    listener:close()
    assert(dns.set_servers())
  end)

  local function counts()
    collectgarbage()
    local stats = runtime.stats()
    return ("%d live tasks, %d operations, %d timers"):format(stats.tasks.live, stats.operations, stats.timers)
  end

  for name in pairs(waits) do
    it("gives up " .. name, function()
      assert.equal("plain", client.request(address, {}).body)
      local before = counts()
      closed, deferred = false, false
      local connection = client.connect(address)
      connection:write(("POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nConnection: close\r\n\r\n"):format(
        (name:gsub("[ ,]", function(c) return ("%%%02X"):format(c:byte()) end))))
      assert.equal(504, connection:response().status)
      connection:close()
      eventually(function() return closed and deferred end)
      for _ = 1, #accepted do table.remove(accepted):close() end
      assert.equal("plain", client.request(address, {}).body)
      eventually(function() return counts() == before end)
    end)
  end
end)
