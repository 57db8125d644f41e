-- SPDX-License-Identifier: MIT
--- Requests that want more memory than there is for them: they fail alone, and the memory comes back.

local process = require "spec.support.process"
local task = require "luaserve.task"
local waits = require "spec.support.waits"

local MIB = 1 << 20

local attacks = {
  ["a string that doubles"] = "local s = 'x' while true do s = s .. s end",
  ["a table without end"] = "local t = {} for i = 1, math.huge do t[i] = { i } end",
  ["a table that grows between waits"] = [[
    local t = {}
    for i = 1, math.huge do
      t[i] = { i }
      if i % 5000 == 0 then timer.sleep(0) end
    end]],
  ["a string of a gigabyte"] = "return (('x'):rep(1 << 30))",
  ["tasks"] = [[
    local t = {}
    for i = 1, math.huge do
      t[i] = ('x'):rep(MIB) .. i
      task.spawn(function() t[-i] = ('y'):rep(MIB) .. i end):join()
    end]],
  ["a coroutine"] = [[
    coroutine.wrap(function()
      local t = {}
      for i = 1, math.huge do t[i] = ('x'):rep(1000) .. i end
    end)()]],
}

local function serve(code, ...)
  return process.serve_code([[
    local task, timer = require "luaserve.task", require "luaserve.timer"
    local MIB = 1 << 20
    local routes = {}
    ]] .. code .. [[

    function routes.used(_, res)
      collectgarbage()
      res:json(collectgarbage("count") * 1024)
    end
    return function(req, res)
      local route = routes[req:decoded_path():sub(2)]
      if route then return route(req, res) end
      res:send("plain")
    end]], { options = { ... } })
end

local function used(server)
  return tonumber(server:request("/used").body)
end

describe("memory of a request", function()
  after_each(process.clean_up)

  it("is bounded: a 500 for who wants more, nothing for others", function()
    local code, count = {}, 0
    for name, body in pairs(attacks) do
      code[#code + 1] = ("routes[%q] = function(req, res) %s\nend"):format(name, body)
    end
    local server = serve(table.concat(code, "\n"), "--request-memory", "16M")
    for name in pairs(attacks) do
      local attack = task.spawn(server.request, server, "/" .. name:gsub(" ", "%%20"))
      local others = {}
      for i = 1, 10 do others[i] = task.spawn(server.request, server, "/") end
      for _, other in ipairs(others) do assert.equal("plain", other:join().body) end
      assert.equal(500, attack:join().status, name)
      assert.is_true(used(server) < 4 * MIB, name)
      count = count + 1
    end
    local status, log = server:stop()
    assert.equal(0, status)
    local _, refused = log:gsub("not enough memory: a request may hold 16 MiB %(%-%-request%-memory%)\n", "")
    assert.equal(count, refused, log)
  end)

  it("falls back by itself", function()
    local server = serve([[
      function routes.attack() local t = {} for i = 1, math.huge do t[i] = { i } end end
      function routes.count(_, res) res:json(collectgarbage("count") * 1024) end]], "--request-memory", "16M")
    assert.equal(500, server:request("/attack").status)
    assert.is_true(tonumber(server:request("/count").body) < 4 * MIB)
    server:stop()
  end)

  it("is an error that pcall can catch", function()
    local server = serve([[function routes.attack(_, res)
        local done, message = pcall(string.rep, "x", 64 * MIB)
        res:send(tostring(done) .. " " .. message)
      end]], "--request-memory", "16M")
    assert.equal("false not enough memory", server:request("/attack").body)
    server:stop()
  end)

  it("does not count what has passed through", function()
    local server = serve([[function routes.much(_, res)
        for _ = 1, 32 do
          local s = ("x"):rep(MIB / 4)
          timer.sleep(0)
          res:write(s)
        end
        res:finish()
      end]], "--request-memory", "2M")
    local requests = {}
    for i = 1, 3 do requests[i] = task.spawn(server.request, server, "/much") end
    for _, request in ipairs(requests) do assert.equal(8 * MIB, #request:join().body) end
    server:stop()
  end)

  it("is not bounded with 0, nor before there are requests", function()
    local server = serve([[
      kept = ("x"):rep(20 * MIB)
      function routes.much(_, res) res:json(#("x"):rep(20 * MIB)) end]], "--request-memory", "0")
    assert.equal("20971520", server:request("/much").body)
    server:stop()
    server = serve([[kept = ("x"):rep(20 * MIB)]], "--request-memory", "16M")
    assert.equal("plain", server:request("/").body)
    server:stop()
  end)
end)

describe("memory of all requests", function()
  after_each(process.clean_up)

  it("is bounded: the one that holds most is cancelled, and others are served", function()
    local server = serve([[
      local gate, holding, closed = task.channel(), 0, 0
      function routes.hold(req, res)
        local kept = {}
        local guard <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
        for i = 1, math.tointeger(req.query.mib) do
          kept[i] = ("x"):rep(MIB - 100) .. i
          timer.sleep(0)
        end
        holding = holding + 1
        gate:receive()
        res:send(tostring(#kept))
      end
      function routes.state(_, res) res:send(holding .. " " .. closed) end
      function routes.open(_, res)
        for _ = 1, 2 do gate:send(true) end
        res:send("open")
      end]], "--memory-limit", "64M", "--request-memory", "0")
    local small = {}
    for i = 1, 2 do small[i] = task.spawn(server.request, server, "/hold?mib=10") end
    waits.eventually(function() return server:request("/state").body == "2 0" end)
    local large = task.spawn(server.request, server, "/hold?mib=100")
    assert.equal(500, large:join().status)
    waits.eventually(function() return server:request("/state").body == "2 1" end)
    server:request("/open")
    for _, request in ipairs(small) do assert.equal("10", request:join().body) end
    local _, log = server:stop()
    assert.is_truthy(log:find("this request most of it (some %d+ MiB): it is cancelled")
      or log:find("GET /hold: not enough memory: all Lua code may hold 64 MiB (--memory-limit)", 1, true), log)
  end)

  it("is free again when the one that held most has ended, though all are refused meanwhile", function()
    local server = serve([[function routes.hold()
        local kept = {}
        for i = 1, 37 do kept[i] = ("x"):rep(MIB) end
        timer.sleep(3600)
      end]], "--memory-limit", "40M", "--request-memory", "0")
    assert.equal(500, server:request("/hold").status)
    waits.eventually(function() return server:request("/").status == 200 end)
    server:stop()
  end)

  it("serves on where the program keeps more than four fifths, and nothing will free it", function()
    local server = serve([[
      local cache = {}
      function routes.fill(_, res)
        for i = 1, 34 do cache[i] = string.char(i):rep(MIB - 100) end
        res:send("filled")
      end
      function routes.hold()
        local kept = {}
        for i = 1, 100 do
          kept[i] = string.char(i):rep(MIB - 100)
          timer.sleep(0)
        end
      end]], "--memory-limit", "40M", "--request-memory", "0")
    assert.equal("filled", server:request("/fill").body)
    assert.equal(500, server:request("/hold").status)
    waits.eventually(function() return server:request("/").status == 200 end)
    server:stop()
  end)

  it("has room for the seal, however small that of a request is", function()
    for _, size in ipairs { "1K", "6K", "8K", "9K" } do
      local server = serve("", "--request-memory", size)
      server:request("/")
      server:request("/")
      local _, log = server:stop()
      assert.is_nil(log:find("cannot be assigned", 1, true), log)
    end
  end)

  it("takes sizes", function()
    for _, name in ipairs { "--memory-limit", "--request-memory" } do
      for _, value in ipairs { "x", "-1", "", "1T", "1MB", "1.5M", "99999999999999999999", "99999999G", " 1" } do
        local result = process.run { name, value, "-e", "" }
        assert.equal(2, result.status, value)
        local wanted = "luaserve: option '%s' wants a size such as 300000, 512K, 64M or 2G, not '%s'\n"
        assert.equal(wanted:format(name, value), result.err:match("^[^\n]*\n"))
      end
      for _, value in ipairs { "0", "1000000", "512K", "64M", "2G" } do
        assert.equal(0, process.run({ name, value, "-e", "" }).status)
      end
    end
  end)
end)
